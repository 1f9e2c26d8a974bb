"""The call that creates an export, and the path that takes it. Sends nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from sei_provider.api.calls import Call, Flow, Reply, read_json
from sei_provider.api.errors import SeiHTTPError, SeiInputError
from sei_provider.api.export import Export
from sei_provider.api.reports import REPORTS
from sei_provider.api.request import ExportRequest

_ABSENT = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}
_REUSED_AGE = timedelta(seconds=5)
"""An export that was older than this when SEI answered the create was not made by it (CONTRACT, "Reuse")."""


def create_export(request: ExportRequest, body: Mapping[str, Any], create_paths: dict[str, str]) -> Flow[Export]:
    """Create an export, or get the existing one of an identical request (CONTRACT, "Reuse").

    Sprint's create path is singular in its document, the later ones plural. As documented first; on 404 or 405
    the plural once, remembered in `create_paths` (report → path) only if it worked, since a 404 may mean an
    unknown team (CONTRACT row 1).
    """
    report = REPORTS[request.report]
    if report.legacy:
        msg = f"{report.name} is answered at once and makes no export; ask for it with run_report (SeiReportOperator)"
        raise SeiInputError(msg)

    def read(reply: Reply) -> Export:
        export = Export.from_reply(report.name, read_json(reply))
        return replace(export, reused=_is_reused(export, reply))

    call = Call(
        what=f"create the {request.description}",
        method="POST",
        path=create_paths.get(report.name, report.create_path),
        body=body,
        read=read,
        repeat_is_safe=False,
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


def _is_reused(export: Export, reply: Reply) -> bool:
    """Whether the export existed before this create, by SEI's own clock: ours may differ from it."""
    if reply.status == HTTPStatus.OK:
        return True
    try:
        answered_at = parsedate_to_datetime(reply.headers.get("date", ""))
    except ValueError:
        return False
    return export.created_at < _with_zone(answered_at) - _REUSED_AGE


def _with_zone(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)
