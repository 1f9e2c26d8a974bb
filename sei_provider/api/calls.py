"""Every call of the API, described once: method, path, body, and how its reply is read. Sends nothing.

Both clients send these values; what they need to know of SEI stands here. Paths are appended to the base
URL, which may have a path of its own (CONTRACT, "Base URL").
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from sei_provider.api.errors import SeiHTTPError, SeiReplyError, presentable
from sei_provider.api.export import Export
from sei_provider.api.reports import REPORTS
from sei_provider.api.request import ExportRequest

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
    `repeat_is_safe` says that sending it twice makes nothing twice.
    """

    what: str
    method: str
    path: str
    read: Callable[[Reply], T]
    body: Mapping[str, Any] | None = None
    repeat_is_safe: bool = True


Flow = Generator[Call[T], T, T]
"""Calls that depend on each other: yields a call, is sent what it read (or thrown its error), returns the result."""


def create_export(request: ExportRequest, body: Mapping[str, Any], create_paths: dict[str, str]) -> Flow[Export]:
    """Create an export; answers 202, or 200 with an older export's id where the report reuses (CONTRACT, "Reuse").

    Sprint's create path is singular in its document, the later ones plural. As documented first; on 404 or 405
    the plural once, remembered in `create_paths` (report → path) only if it worked, since a 404 may mean an
    unknown team (CONTRACT row 1).
    """
    report = REPORTS[request.report]

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
        return (yield call)
    except SeiHTTPError as error:
        absent = error.status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}
        if not absent or call.path == report.path:
            raise
        try:
            export = yield replace(call, path=report.path)
        except SeiHTTPError:
            raise error from None
    create_paths[report.name] = report.path
    return export


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
    except ValueError:
        start = presentable(reply.content[:200].decode("utf-8", "replace"))
        msg = f"SEI's reply is not JSON ({len(reply.content)} bytes, starting {start!r})"
        raise SeiReplyError(msg) from None
