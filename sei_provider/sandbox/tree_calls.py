"""The org tree calls over HTTP, and their JSON (CONTRACT, "The calls"): which trees there are, and their teams."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sei_provider.sandbox.access import ACCOUNT, IDENTIFIERS
from sei_provider.sandbox.checks import only, whole_number
from sei_provider.sandbox.recording import name_call, name_fault
from sei_provider.sandbox.refusal import Refusal, not_found
from sei_provider.sandbox.weather import meet_weather

if TYPE_CHECKING:
    from starlette.requests import Request

    from sei_provider.sandbox.access import Access
    from sei_provider.sandbox.fault_plan import FaultPlan
    from sei_provider.sandbox.organisation import Organisation, OrgTree, Team
    from sei_provider.sandbox.replies import Json

PATH = "/v2/org-trees"


class TreeCalls:
    """The three calls for org trees over one organisation."""

    def __init__(self, access: Access, organisation: Organisation, faults: FaultPlan) -> None:
        self._access = access
        self._organisation = organisation
        self._faults = faults

    def routes(self, prefix: str) -> list[Route]:
        """The calls at their paths behind a prefix."""
        return [
            Route(f"{prefix}{PATH}", self._list, methods=["GET"]),
            Route(f"{prefix}{PATH}/hierarchies", self._hierarchies, methods=["GET"]),
            Route(f"{prefix}{PATH}/{{tree_id}}/teams", self._teams, methods=["GET"]),
        ]

    async def _list(self, request: Request) -> Response:
        self._enter(request, "pageIndex", "pageSize")
        parameters = dict(request.query_params)
        index = whole_number(parameters, "pageIndex", 0, 0)
        # The default and the largest page size are documented nowhere.
        size = whole_number(parameters, "pageSize", 20, 1)
        endless = self._fault(request, "endless_pages", "forbidden") == "endless_pages"
        records = [_record(tree) for tree in self._organisation.trees]
        start = index * size % len(records) if endless else index * size
        total = (index + 2) * size if endless else len(records)
        page: Json = {"records": records[start : start + size], "totalCount": total}
        return JSONResponse({**page, "pageIndex": index, "pageSize": size})

    async def _hierarchies(self, request: Request) -> Response:
        self._enter(request)
        cyclic = self._fault(request, "cycle", "forbidden") == "cycle"
        return JSONResponse([_node(_root(tree, cyclic=cyclic), tree) for tree in self._organisation.trees])

    async def _teams(self, request: Request) -> Response:
        self._enter(request)
        tree_id: str = request.path_params["tree_id"]
        tree = next((tree for tree in self._organisation.trees if str(tree.id) == tree_id), None)
        if tree is None:
            not_found(f"Org tree not found: {tree_id!r}")
        cyclic = self._fault(request, "cycle", "forbidden", tree=tree.name) == "cycle"
        return JSONResponse(_team(_root(tree, cyclic=cyclic), None))

    def _enter(self, request: Request, *parameters: str) -> None:
        name_call(request, "trees")
        self._access.check_with_account(request)
        only(request.query_params, (*IDENTIFIERS, ACCOUNT, *parameters), "the query", "parameter")

    def _fault(self, request: Request, *possible: str, tree: str | None = None) -> str:
        meet_weather(request, self._faults, tree)
        fault = self._faults.at_read(*possible, call="trees", team=tree)
        name_fault(request, fault)
        if fault == "forbidden":
            which = "org trees" if tree is None else f"org tree {tree!r}"
            raise Refusal(403, "ACCESS_DENIED", f"Missing permission to view {which}")
        return fault


def _record(tree: OrgTree) -> Json:
    teams = sum(1 for _ in tree.root.walk())
    return {"id": tree.id, "name": tree.name, "rootTeamRefId": int(tree.root.id), "teamCount": teams}


def _root(tree: OrgTree, *, cyclic: bool) -> Team:
    return _with_cycle(tree.root, tree.root) if cyclic else tree.root


def _team(team: Team, parent: Team | None) -> Json:
    children = [_team(child, team) for child in team.children]
    return {
        "refId": int(team.id),
        "name": team.name,
        "displayName": team.name,
        "parentRefId": None if parent is None else int(parent.id),
        "leaf": not children,
        "developerCount": len(team.developers),
        "children": children,
    }


def _node(team: Team, tree: OrgTree) -> Json:
    children = [_node(child, tree) for child in team.children]
    return {"refId": int(team.id), "name": team.name, "orgTreeId": tree.id, "children": children}


def _with_cycle(team: Team, top: Team) -> Team:
    """The same team, but for its first leaf, which has `top` for its child once more."""
    if not team.children:
        return replace(team, children=(replace(top, children=()),))
    first, *others = team.children
    return replace(team, children=(_with_cycle(first, top), *others))
