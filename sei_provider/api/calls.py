"""Every call of the API, described once: method, path, body, and how its reply is read. Sends nothing.

Both clients send these values; what they need to know of SEI stands here. Paths are appended to the base
URL, which may have a path of its own (CONTRACT, "Base URL").
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote, unquote

from sei_provider.api.errors import SeiConnectionError, SeiInputError, SeiReplyError, sanitize
from sei_provider.api.export import Export, ExportStatus
from sei_provider.api.pagination import Page, Paginator
from sei_provider.api.reports import REPORTS
from sei_provider.api.request import ExportRequest
from sei_provider.api.teams import OrgTree, Team

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer of status 2xx: what was asked, its HTTP status, headers (found in any case) and body."""

    what: str
    status: int
    content: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """One HTTP call and how to read its answer.

    `what` names the call in errors and logs, as in "create the sprint export of team:456".
    `params` come on top of the identifiers that every V2 call carries. `repeat_is_safe` says that sending it
    again, however often and late, makes nothing twice. `absence_may_pass` says that a 404 may be one of timing.
    `legacy` calls carry the key in both headers, no identifiers in the query, and are waited for longer, since SEI
    works before it answers (CONTRACT, "Every V2 call", and row 32).
    """

    what: str
    method: str
    path: str
    read: Callable[[Reply], T]
    params: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    repeat_is_safe: bool = True
    absence_may_pass: bool = False
    legacy: bool = False


Flow = Generator[Call[Any], Any, T]
"""Calls that depend on each other: yields a call, is sent what it read (or thrown its error), returns the result."""


def get_export(report: str, export_id: str) -> Call[Export]:
    """Read where an export stands. An answer about another export raises `SeiReplyError`: its rows are not ours."""

    def read(reply: Reply) -> Export:
        export = Export.from_reply(report, read_json(reply))
        if export.id != export_id:
            msg = f"Asked to read the status of {report} export {export_id}, SEI answered about export {export.id}"
            raise SeiReplyError(msg)
        return export

    return Call(
        what=f"read the status of {report} export {export_id}",
        method="GET",
        path=f"{REPORTS[report].path}/{quote(export_id, safe='')}",
        read=read,
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
        # "Not complete yet" is a 404 too (CONTRACT, "Limits"): what SEI called completed may need a moment.
        absence_may_pass=export.status is ExportStatus.COMPLETED,
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
        read=lambda reply: _export_page(report, read_json(reply)),
    )


def list_org_trees(account: str) -> Flow[list[OrgTree]]:
    """Read all org trees, page by page."""

    def page_call(page: int) -> Call[Page[OrgTree]]:
        return Call(
            what=f"list the org trees, page {page}",
            method="GET",
            path="/v2/org-trees",
            params={"accountIdentifier": account, "pageIndex": str(page), "pageSize": "100"},
            read=lambda reply: _tree_page(read_json(reply)),
        )

    paginator = Paginator(page_call, lambda tree: tree.id)
    trees: list[OrgTree] = []
    while paginator.next_call:
        trees += paginator.record((yield paginator.next_call))
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
        read=lambda reply: Team.from_reply(read_json(reply)),
    )
    return teams


def read_json(reply: Reply) -> Any:
    """The JSON of an answer.

    Raises `SeiConnectionError` for one that was cut short, which is an accident of its way, and `SeiReplyError` for
    what is no JSON at all, or none that can be read.
    """
    try:
        return json.loads(reply.content)
    except RecursionError:
        msg = f"Asked to {reply.what}, SEI sent JSON that is nested too deep ({len(reply.content)} bytes)"
        raise SeiReplyError(msg) from None
    except ValueError:
        start = sanitize(reply.content[:200].decode("utf-8", "replace"))
        got = f"({len(reply.content)} bytes, starting {start!r})"
        if reply.content.lstrip()[:1] in {b"", b"{", b"["}:
            msg = f"Asked to {reply.what}, SEI sent JSON that is not whole {got}"
            raise SeiConnectionError(msg) from None
        msg = f"Asked to {reply.what}, SEI sent what is not JSON {got}"
        raise SeiReplyError(msg) from None


def _named(name: str, trees: list[OrgTree]) -> OrgTree:
    found = [tree for tree in trees if tree.name == name]
    if len(found) != 1:
        said = f"{len(found)} org trees are" if found else "no org tree is"
        known = ", ".join(f"{tree.name!r} (id {tree.id})" for tree in trees) or "none that this key may read"
        msg = f"{said} called {name!r}; there are: {sanitize(known)}"
        raise SeiInputError(msg)
    return found[0]


def _export_page(report: str, reply: Any) -> Page[Export]:
    what = f"list of {report} exports"
    entries = _entries(what, reply, "exports")
    said = reply.get("pagination") or {}
    if not isinstance(said, Mapping):
        msg = f"SEI's {what} has a pagination that is not a JSON object but {type(said).__name__}"
        raise SeiReplyError(msg)
    exports = _readable_exports(report, entries)
    return Page(
        items=exports,
        left_out=len(entries) - len(exports),
        total=_told(what, said, "total", int),
        total_pages=_told(what, said, "totalPages", int),
        has_more=_told(what, said, "hasMore", bool),
    )


def _readable_exports(report: str, entries: list[Any]) -> tuple[Export, ...]:
    """The entries that make sense. Others are left out, for anybody's exports are listed, and one odd one must not hide
    the rest; raises `SeiReplyError` if none makes sense."""
    exports: list[Export] = []
    errors: list[SeiReplyError] = []
    for entry in entries:
        try:
            exports.append(Export.from_reply(report, entry))
        except SeiReplyError as error:
            errors.append(error)
    if errors and not exports:
        raise errors[0]
    if errors:
        log.warning("SEI's list of %s exports: left out %d that make no sense: %s", report, len(errors), errors[0])
    return tuple(exports)


def _tree_page(reply: Any) -> Page[OrgTree]:
    what = "list of org trees"
    entries = _entries(what, reply, "records")
    return Page(items=tuple(map(OrgTree.from_reply, entries)), total=_told(what, reply, "totalCount", int))


def _entries(what: str, reply: Any, name: str) -> list[Any]:
    entries = reply.get(name) if isinstance(reply, Mapping) else None
    if not isinstance(entries, list):
        got = ", ".join(sorted(map(str, reply))) if isinstance(reply, Mapping) else type(reply).__name__
        msg = f"SEI's {what} has no list {name!r} but: {sanitize(got)}"
        raise SeiReplyError(msg)
    return entries


def _told(what: str, reply: Mapping[str, Any], name: str, kind: type[T]) -> T | None:
    """What a list says of itself, None if it does not say it."""
    value = reply.get(name)
    if value is not None and type(value) is not kind:
        msg = f"SEI's {what} has no usable {name}: got {sanitize(str(value))!r}"
        raise SeiReplyError(msg)
    return value


def _download_path(export: Export, base_url: str) -> str:
    """The path below `base_url`, by the link if SEI sent one; links are relative to the base URL (rows 4 to 6)."""
    link = export.download_link
    if link is None:
        return f"{REPORTS[export.report].path}/{quote(export.id, safe='')}/download"
    path = link.removeprefix(base_url) if link.startswith(f"{base_url}/") else link
    path, _, _ = path.partition("?")
    # Unquoted all over, for that is how the server reads it.
    before_first_slash, *parts = unquote(path).split("/")
    if before_first_slash or "\\" in unquote(path) or {"", ".", ".."}.intersection(parts):
        msg = (
            f"the download link of {export.report} export {export.id} leads elsewhere: {sanitize(link)!r}. "
            f"The key is sent to {base_url} only; if that host is right, make it the connection's host"
        )
        raise SeiReplyError(msg)
    return path
