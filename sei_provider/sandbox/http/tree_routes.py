"""Routes of the org tree calls, and their JSON (CONTRACT, "The calls"): the trees, and their teams."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sei_provider.sandbox.faults.injection import inject_fault
from sei_provider.sandbox.http.auth import IdentifierQuery
from sei_provider.sandbox.http.errors import ApiError, not_found
from sei_provider.sandbox.http.request_log import log_call, log_fault
from sei_provider.sandbox.http.validation import Model, parse, whole_number

if TYPE_CHECKING:
    from starlette.requests import Request

    from sei_provider.sandbox.data.organisation import Organisation, OrgTree, Team
    from sei_provider.sandbox.faults.rules import FaultPlan
    from sei_provider.sandbox.http.auth import Auth
    from sei_provider.sandbox.http.responses import Json

PATH = "/v2/org-trees"


class TreeQuery(IdentifierQuery):
    """The query of a read of org trees or teams."""

    there_is_no_cache: Annotated[Literal["true"] | None, Field(alias="there_is_no_cache")] = None
    """Without it the answer may be old (CONTRACT, "Freshness")."""


class TreePageQuery(TreeQuery):
    """The query of the list of trees; the default and the largest page size are documented nowhere."""

    page_index: Annotated[int, whole_number(0)] = 0
    page_size: Annotated[int, whole_number(1)] = 20


@dataclass(frozen=True, slots=True)
class TreeRoutes:
    """Routes of the three calls for the org trees of one organisation."""

    auth: Auth
    organisation: Organisation
    faults: FaultPlan

    def routes(self, prefix: str) -> list[Route]:
        """Return the calls at their paths behind a prefix."""
        return [
            Route(f"{prefix}{PATH}", self._list, methods=["GET"]),
            Route(f"{prefix}{PATH}/hierarchies", self._hierarchies, methods=["GET"]),
            Route(f"{prefix}{PATH}/{{tree_id}}/teams", self._teams, methods=["GET"]),
        ]

    async def _list(self, request: Request) -> Response:
        query = self._check(request, TreePageQuery)
        index, size = query.page_index, query.page_size
        endless = self._fault(request, "endless_pages", "forbidden") == "endless_pages"
        records = [_record(tree) for tree in self._trees(query)]
        start = index * size % len(records) if endless else index * size
        total = (index + 2) * size if endless else len(records)
        page: Json = {"records": records[start : start + size], "totalCount": total}
        return JSONResponse({**page, "pageIndex": index, "pageSize": size})

    async def _hierarchies(self, request: Request) -> Response:
        trees = self._trees(self._check(request, TreeQuery))
        fault = self._fault(request, "cycle", "forbidden")
        return JSONResponse([_node(_root(tree, fault), tree) for tree in trees])

    async def _teams(self, request: Request) -> Response:
        trees = self._trees(self._check(request, TreeQuery))
        tree_id: str = request.path_params["tree_id"]
        tree = next((tree for tree in trees if str(tree.id) == tree_id), None)
        if tree is None:
            not_found(f"Org tree not found: {tree_id!r}")
        fault = self._fault(request, "cycle", "forbidden", tree=tree.name)
        return JSONResponse(_team(_root(tree, fault), None))

    def _trees(self, query: TreeQuery) -> tuple[OrgTree, ...]:
        return self.organisation.trees if query.there_is_no_cache else self.organisation.cached_trees

    def _check(self, request: Request, query: type[Model]) -> Model:
        log_call(request, "trees")
        self.auth.check_with_account(request)
        return parse(query, request.query_params)

    def _fault(self, request: Request, *possible: str, tree: str | None = None) -> str:
        inject_fault(request, self.faults, tree)
        fault = self.faults.for_read(*possible, call="trees", team=tree)
        log_fault(request, fault)
        if fault == "forbidden":
            which = "org trees" if tree is None else f"org tree {tree!r}"
            raise ApiError(403, "ACCESS_DENIED", f"Missing permission to view {which}")
        return fault


def _record(tree: OrgTree) -> Json:
    teams = sum(1 for _ in tree.root.walk())
    return {"id": tree.id, "name": tree.name, "rootTeamRefId": int(tree.root.id), "teamCount": teams}


def _root(tree: OrgTree, fault: str) -> Team:
    return _with_cycle(tree.root, tree.root) if fault == "cycle" else tree.root


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
