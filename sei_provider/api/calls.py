"""Every call of the API, described once: method, path, body, and how its reply is read. Sends nothing.

Both clients send these values; what they need to know of SEI stands here. Paths are appended to the base
URL, which may have a path of its own (CONTRACT, "Base URL").
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from sei_provider.api.errors import SeiHTTPError, SeiInputError, SeiReplyError, presentable
from sei_provider.api.export import Export
from sei_provider.api.paging import Page, Walk
from sei_provider.api.reports import REPORTS
from sei_provider.api.request import ExportRequest
from sei_provider.api.teams import OrgTree, Team

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A whole answer of status 2xx: its HTTP status and its body."""

    status: int
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """One HTTP call and how to read its answer.

    `what` names the call in errors and logs, as in "create the sprint export of team:456".
    `params` come on top of the identifiers that every V2 call carries. `repeat_is_safe` says that sending it
    twice makes nothing twice. `legacy` calls carry the key in both headers, no identifiers in the query, and are
    waited for longer, since SEI works before it answers (CONTRACT, "Every V2 call", and row 32).
    """

    what: str
    method: str
    path: str
    read: Callable[[Reply], T]
    params: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    repeat_is_safe: bool = True
    legacy: bool = False


Flow = Generator[Call[Any], Any, T]
"""Calls that depend on each other: yields a call, is sent what it read (or thrown its error), returns the result."""


def create_export(request: ExportRequest, body: Mapping[str, Any], create_paths: dict[str, str]) -> Flow[Export]:
    """Create an export; answers 202, or 200 with an older export's id where the report reuses (CONTRACT, "Reuse").

    Sprint's create path is singular in its document, the later ones plural. As documented first; on 404 or 405
    the plural once, remembered in `create_paths` (report → path) only if it worked, since a 404 may mean an
    unknown team (CONTRACT row 1).
    """
    report = REPORTS[request.report]
    if report.legacy:
        msg = f"{report.name} is answered at once and makes no export; ask for it with run_report (SeiReportOperator)"
        raise SeiInputError(msg)

    def read(reply: Reply) -> Export:
        reused = report.reuses and reply.status == HTTPStatus.OK
        return Export.from_reply(report.name, _json(reply), reused=reused)

    call = Call(
        what=f"create the {request.description}",
        method="POST",
        path=create_paths.get(report.name, report.create_path),
        body=body,
        read=read,
        repeat_is_safe=report.reuses,
    )
    try:
        created: Export = yield call
    except SeiHTTPError as error:
        absent = error.status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}
        if not absent or call.path == report.path:
            raise
        try:
            created = yield replace(call, path=report.path)
        except SeiHTTPError:
            raise error from None
        create_paths[report.name] = report.path
    return created


def get_export(report: str, export_id: str) -> Call[Export]:
    """Read where an export stands."""
    return Call(
        what=f"read the status of {report} export {export_id}",
        method="GET",
        path=f"{REPORTS[report].path}/{quote(export_id, safe='')}",
        read=lambda reply: Export.from_reply(report, _json(reply)),
    )


def download_export(export: Export, base_url: str) -> Call[None]:
    """Read a completed export's file. Its body is not for `Call.read`: it is streamed.

    Raises `SeiReplyError` if the export's link leads anywhere but below `base_url`.
    """
    return Call(
        what=f"download {export.report} export {export.id}",
        method="GET",
        path=_download_path(export, base_url),
        read=lambda _: None,
    )


def run_report(request: ExportRequest, body: Mapping[str, Any]) -> Call[None]:
    """Ask for a legacy report, whose answer is the CSV itself (seed 002). Not for `Call.read`: it is streamed."""
    report = REPORTS[request.report]
    if not report.legacy:
        msg = f"{report.name} is not answered at once: create an export of it (create_export, SeiExportOperator)"
        raise SeiInputError(msg)
    return Call(
        what=f"run the {request.description}",
        method="POST",
        path=report.create_path,
        params={"format": "csv"},
        body=body,
        read=lambda _: None,
        legacy=True,
    )


def list_exports(report: str, params: Mapping[str, str], page: int) -> Call[Page[Export]]:
    """Read one page, counted from 0, of a report's exports; `params` are the filters, checked by `listing`."""
    return Call(
        what=f"list {report} exports, page {page}",
        method="GET",
        path=REPORTS[report].path,
        params={**params, "page": str(page)},
        read=lambda reply: _export_page(report, _json(reply)),
    )


def list_org_trees(account: str) -> Flow[list[OrgTree]]:
    """Read all org trees, page by page."""

    def page_call(page: int) -> Call[Page[OrgTree]]:
        return Call(
            what=f"list the org trees, page {page}",
            method="GET",
            path="/v2/org-trees",
            params={"accountIdentifier": account, "pageIndex": str(page), "pageSize": "100"},
            read=lambda reply: _tree_page(_json(reply)),
        )

    walk = Walk(page_call, lambda tree: tree.id)
    trees: list[OrgTree] = []
    while walk.next_call:
        trees += walk.heard((yield walk.next_call))
    return trees


def list_teams(tree: OrgTree | int | str, account: str) -> Flow[Team]:
    """Read the root team of an org tree, with all teams below it; a tree given by name is looked up first."""
    if isinstance(tree, str):
        tree = _named(tree, (yield from list_org_trees(account)))
    tree_id = tree.id if isinstance(tree, OrgTree) else tree
    teams: Team = yield Call(
        what=f"read the teams of org tree {tree.name!r}"
        if isinstance(tree, OrgTree)
        else f"read the teams of org tree {tree}",
        method="GET",
        path=f"/v2/org-trees/{tree_id:d}/teams",
        params={"accountIdentifier": account},
        read=lambda reply: Team.from_reply(_json(reply)),
    )
    return teams


def _named(name: str, trees: list[OrgTree]) -> OrgTree:
    found = [tree for tree in trees if tree.name == name]
    if len(found) != 1:
        said = f"{len(found)} org trees are" if found else "no org tree is"
        known = ", ".join(f"{tree.name!r} (id {tree.id})" for tree in trees) or "none that this key may read"
        msg = f"{said} called {name!r}; there are: {presentable(known)}"
        raise SeiInputError(msg)
    return found[0]


def _export_page(report: str, reply: Any) -> Page[Export]:
    what = f"list of {report} exports"
    entries = _entries(what, reply, "exports")
    said = reply.get("pagination") or {}
    if not isinstance(said, Mapping):
        msg = f"SEI's {what} has a pagination that is not a JSON object but {type(said).__name__}"
        raise SeiReplyError(msg)
    return Page(
        items=tuple(Export.from_reply(report, entry) for entry in entries),
        total=_told(what, said, "total", int),
        total_pages=_told(what, said, "totalPages", int),
        has_more=_told(what, said, "hasMore", bool),
    )


def _tree_page(reply: Any) -> Page[OrgTree]:
    what = "list of org trees"
    entries = _entries(what, reply, "records")
    return Page(items=tuple(map(OrgTree.from_reply, entries)), total=_told(what, reply, "totalCount", int))


def _entries(what: str, reply: Any, name: str) -> list[Any]:
    entries = reply.get(name) if isinstance(reply, Mapping) else None
    if not isinstance(entries, list):
        got = ", ".join(sorted(map(str, reply))) if isinstance(reply, Mapping) else type(reply).__name__
        msg = f"SEI's {what} has no list {name!r} but: {presentable(got)}"
        raise SeiReplyError(msg)
    return entries


def _told(what: str, reply: Mapping[str, Any], name: str, kind: type[T]) -> T | None:
    """What a list says of itself, None if it does not say it."""
    value = reply.get(name)
    if value is not None and type(value) is not kind:
        msg = f"SEI's {what} has no usable {name}: got {presentable(str(value))!r}"
        raise SeiReplyError(msg)
    return value


def _download_path(export: Export, base_url: str) -> str:
    """The path below `base_url`, by the link if SEI sent one; links are relative to the base URL (rows 4 to 6)."""
    link = export.download_link
    if link is None:
        return f"{REPORTS[export.report].path}/{quote(export.id, safe='')}/download"
    path = link.removeprefix(base_url) if link.startswith(f"{base_url}/") else link
    path, _, _ = path.partition("?")
    before_first_slash, *parts = _unquoted(path).split("/")
    if before_first_slash or "\\" in path or {"", ".", ".."}.intersection(parts):
        msg = (
            f"the download link of {export.report} export {export.id} leads elsewhere: {presentable(link)!r}. "
            f"The key is sent to {base_url} only; if that host is right, make it the connection's host"
        )
        raise SeiReplyError(msg)
    return path


def _unquoted(path: str) -> str:
    return path.replace("%2e", ".").replace("%2E", ".").replace("%2f", "/").replace("%2F", "/")


def _json(reply: Reply) -> Any:
    try:
        return json.loads(reply.content)
    except (ValueError, RecursionError):
        start = presentable(reply.content[:200].decode("utf-8", "replace"))
        msg = f"SEI's reply is not JSON ({len(reply.content)} bytes, starting {start!r})"
        raise SeiReplyError(msg) from None
