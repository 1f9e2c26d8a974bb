"""The API's endpoints: each call with its method, path and body, and how its reply is parsed. Sends nothing.

Both clients send these values, and know nothing else of SEI. Paths are appended to the base URL, which may have a path
of its own (CONTRACT, "Base URL").
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote

from sei_provider.api import bounds
from sei_provider.api.call import Call, Flow, Reply, parse_json
from sei_provider.api.errors import SeiHTTPError, SeiInputError, SeiReplyError
from sei_provider.api.export import Export, ExportStatus
from sei_provider.api.link import path_below
from sei_provider.api.pagination import Page, Paginator
from sei_provider.api.redaction import sanitize
from sei_provider.api.reports import REPORTS
from sei_provider.api.request import ExportRequest
from sei_provider.api.teams import OrgTree, Team
from sei_provider.api.validation import normalize_choice, quoted
from sei_provider.plural import plural

log = logging.getLogger(__name__)

T = TypeVar("T")

_NOT_CACHED = {"there_is_no_cache": "true"}
"""Parameter of reads of org trees and teams, without which they may be old (CONTRACT, "Freshness")."""
_ABSENT = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}
_CLOCK_TOLERANCE = timedelta(minutes=5)
_REUSED_AGE = timedelta(seconds=5)
"""Age at which an export existed before the create that SEI answers with it (CONTRACT, "Reuse")."""


def create_export(request: ExportRequest, body: Mapping[str, Any], create_paths: dict[str, str]) -> Flow[Export]:
    """Create an export, or get the existing one of an identical request (CONTRACT, "Reuse").

    Sprint's document has a singular path for create and plural paths for all other calls. The documented path is tried
    first. After a 404 or 405 the plural path is tried once. It is stored in `create_paths` (report → path) only if it
    worked, because a 404 may also mean an unknown team (CONTRACT row 1).

    Raises `SeiInputError` for a legacy report.
    """
    report = REPORTS[request.report]
    if report.legacy:
        msg = f"{report.name} is a synchronous report without an export; get it with run_report (SeiReportOperator)"
        raise SeiInputError(msg)

    def parse(reply: Reply) -> Export:
        export = _not_after_reply(Export.from_reply(report.name, parse_json(reply)), reply)
        return replace(export, reused=_is_reused(export, reply))

    call = Call(
        description=f"create the {request.description}",
        method="POST",
        path=create_paths.get(report.name, report.create_path),
        body=body,
        parse=parse,
        idempotent=False,
    )
    try:
        created: Export = yield call
    except SeiHTTPError as error:
        if error.status not in _ABSENT or call.path == report.path:
            raise
        try:
            created = yield replace(call, path=report.path)
        except SeiHTTPError as second:
            raise error if second.status in _ABSENT else second from None
        create_paths[report.name] = report.path
    return created


def get_export(report: str, export_id: str) -> Call[Export]:
    """Read the status of an export.

    Raises `SeiInputError` for a report that has no exports, and `SeiReplyError` if SEI answers about another export.
    """
    report = normalize_choice("report", report, [each.name for each in REPORTS.values() if not each.legacy])

    def parse(reply: Reply) -> Export:
        export = Export.from_reply(report, parse_json(reply))
        if export.id != export_id:
            msg = f"Asked to read the status of {report} export {export_id}, SEI answered about export {export.id}"
            raise SeiReplyError(msg)
        return _not_after_reply(export, reply)

    return Call(
        description=f"read the status of {report} export {export_id}",
        method="GET",
        path=f"{REPORTS[report].path}/{quote(export_id, safe='')}",
        parse=parse,
    )


def download_export(export: Export, base_url: str) -> Call[None]:
    """Download a completed export's file. The client streams the body, so `Call.parse` does nothing.

    Raises `SeiReplyError` if the export's link leads anywhere but below `base_url`.
    """
    return Call(
        description=f"download {export.report} export {export.id}",
        method="GET",
        path=_download_path(export, base_url),
        params=export.link_query,
        parse=lambda _: None,
        # An export that is not complete is a 404 too (CONTRACT, "Limits"); a completed one may need a moment.
        retry_on_404=export.status is ExportStatus.COMPLETED,
    )


def run_report(request: ExportRequest, body: Mapping[str, Any]) -> Call[None]:
    """Run a legacy report, whose reply is the CSV (seed 002). The client streams it, so `Call.parse` does nothing.

    Raises `SeiInputError` for a report that has exports.
    """
    report = REPORTS[request.report]
    if not report.legacy:
        msg = f"{report.name} is not a synchronous report; create an export of it (create_export, SeiExportOperator)"
        raise SeiInputError(msg)
    return Call(
        description=f"run the {request.description}",
        method="POST",
        path=report.create_path,
        params={"format": "csv"},
        body=body,
        parse=lambda _: None,
        legacy=True,
    )


def download_developers() -> Call[None]:
    """Download the list of all developers as CSV (CONTRACT, "The calls"). The client streams it."""
    return Call(
        description="download the list of developers",
        method="GET",
        path="/v2/developers",
        accept="text/csv",
        parse=lambda _: None,
    )


def list_exports(report: str, params: Mapping[str, str], page: int) -> Call[Page[Export]]:
    """Read a page of a report's exports, counted from 0; `params` are filters that `list_filters` has validated."""
    return Call(
        description=f"list {report} exports, page {page}",
        method="GET",
        path=REPORTS[report].path,
        params={**params, "page": str(page)},
        parse=lambda reply: _export_page(report, parse_json(reply), reply),
    )


def list_org_trees(account: str) -> Flow[list[OrgTree]]:
    """Read all org trees, page by page."""

    def page_call(page: int) -> Call[Page[OrgTree]]:
        return Call(
            description=f"list the org trees, page {page}",
            method="GET",
            path="/v2/org-trees",
            params={"accountIdentifier": account, "pageIndex": str(page), "pageSize": "100", **_NOT_CACHED},
            parse=lambda reply: _tree_page(parse_json(reply)),
        )

    paginator = Paginator(page_call, lambda tree: tree.id)
    trees: list[OrgTree] = []
    while paginator.next_call:
        trees += paginator.record((yield paginator.next_call))
    return trees


def list_teams(tree: OrgTree | int | str, account: str) -> Flow[Team]:
    """Read the root team of an org tree with all teams below it. A tree given by name is found in the list first."""
    if isinstance(tree, str):
        tree = _tree_by_name(tree, (yield from list_org_trees(account)))
    tree_id = tree.id if isinstance(tree, OrgTree) else tree
    teams: Team = yield Call(
        description=f"read the teams of org tree {quoted(tree.name)}"
        if isinstance(tree, OrgTree)
        else f"read the teams of org tree {tree}",
        method="GET",
        path=f"/v2/org-trees/{tree_id:d}/teams",
        params={"accountIdentifier": account, **_NOT_CACHED},
        parse=_root_team,
        max_bytes=bounds.TREE_BYTES,
    )
    return teams


def _root_team(reply: Reply) -> Team:
    root = Team.from_reply(parse_json(reply, max_values=bounds.TREE_VALUES))
    return replace(root, read_at=_answered_at(reply))


def _tree_by_name(name: str, trees: list[OrgTree]) -> OrgTree:
    found = [tree for tree in trees if tree.name == name]
    if len(found) != 1:
        said = f"{len(found)} org trees are" if found else "no org tree is"
        known = ", ".join(f"{tree.name!r} (id {tree.id})" for tree in trees) or "none that this key may read"
        msg = f"{said} called {name!r}; there are: {sanitize(known)}"
        raise SeiInputError(msg)
    return found[0]


def _export_page(report: str, reply: Any, http_reply: Reply) -> Page[Export]:
    what = f"list of {report} exports"
    entries = _entries(what, reply, "exports")
    said = reply.get("pagination") or {}
    if not isinstance(said, Mapping):
        msg = f"SEI's {what} has a pagination that is not a JSON object but {type(said).__name__}"
        raise SeiReplyError(msg)
    exports = _usable(what, entries, lambda entry: _not_after_reply(Export.from_reply(report, entry), http_reply))
    return Page(
        items=exports,
        skipped=len(entries) - len(exports),
        total=_field(what, said, "total", int),
        total_pages=_field(what, said, "totalPages", int),
        has_more=_field(what, said, "hasMore", bool),
    )


def _usable(what: str, entries: list[Any], read: Callable[[Any], T]) -> tuple[T, ...]:
    """Return the valid entries. A list holds what others made too, so one invalid entry must not hide the rest.

    Raises `SeiReplyError` if no entry is valid.
    """
    usable: list[T] = []
    first: SeiReplyError | None = None
    for entry in entries:
        try:
            usable.append(read(entry))
        except SeiReplyError as error:
            first = first or error
    if first and not usable:
        raise first
    if first:
        skipped = plural(len(entries) - len(usable), "invalid entry", "invalid entries")
        log.warning("SEI's %s: skipped %s; the first: %s", what, skipped, first)
    return tuple(usable)


def _tree_page(reply: Any) -> Page[OrgTree]:
    what = "list of org trees"
    entries = _entries(what, reply, "records")
    trees = _usable(what, entries, OrgTree.from_reply)
    return Page(items=trees, skipped=len(entries) - len(trees), total=_field(what, reply, "totalCount", int))


def _entries(what: str, reply: Any, name: str) -> list[Any]:
    entries = reply.get(name) if isinstance(reply, Mapping) else None
    if not isinstance(entries, list):
        got = ", ".join(sorted(map(str, reply))) if isinstance(reply, Mapping) else type(reply).__name__
        msg = f"SEI's {what} has no list {name!r} but: {sanitize(got)}"
        raise SeiReplyError(msg)
    if len(entries) > bounds.PAGE_ENTRIES:
        count = plural(len(entries), "entry", "entries")
        msg = f"SEI's {what} has {count} on one page; at most {bounds.PAGE_ENTRIES} are read"
        raise SeiReplyError(msg)
    return entries


def _field(what: str, reply: Mapping[str, Any], name: str, kind: type[T]) -> T | None:
    """Return a field of a list's pagination; None if SEI does not send it."""
    value = reply.get(name)
    if value is not None and type(value) is not kind:
        msg = f"SEI's {what} has no usable {name}: got {sanitize(value)!r}"
        raise SeiReplyError(msg)
    return value


def _download_path(export: Export, base_url: str) -> str:
    """Return the path below `base_url`: the link's, if SEI sent one (CONTRACT rows 4 to 6)."""
    link = export.download_link
    if link is None:
        return f"{REPORTS[export.report].path}/{quote(export.id, safe='')}/download"
    return path_below(base_url, export.id, link)


def _is_reused(export: Export, reply: Reply) -> bool:
    """Tell whether the export existed before this create, by SEI's own clock."""
    if reply.status == HTTPStatus.OK:
        return True
    answered_at = _answered_at(reply)
    return answered_at is not None and answered_at - export.created_at > _REUSED_AGE


def _not_after_reply(export: Export, reply: Reply) -> Export:
    """Return the export; raises `SeiReplyError` if it was made after the reply about it, by SEI's own clock.

    The newest export wins in the lake, so one of the year 9999 would keep every later one out.
    """
    answered_at = _answered_at(reply)
    if answered_at is not None and export.created_at - answered_at > _CLOCK_TOLERANCE:
        msg = (
            f"SEI's reply about {export.report} export {export.id} has createdAt {export.created_at.isoformat()}, "
            f"but was sent at {answered_at.isoformat()}: one of SEI's clocks is wrong, so this export is not used. "
            "Export again once SEI's clocks agree"
        )
        raise SeiReplyError(msg)
    return export


def _answered_at(reply: Reply) -> datetime | None:
    """Return the reply's own time, from its `Date` header; None if it has none."""
    try:
        answered_at = parsedate_to_datetime(reply.headers.get("date", ""))
        return answered_at.astimezone(UTC) if answered_at.tzinfo else answered_at.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):  # the last for a year that has no UTC, or an offset beyond all
        return None
