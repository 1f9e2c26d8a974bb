"""Making an export: which path takes the call, and how to see what it made when its answer was lost. Sends nothing."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from typing import Any

from sei_provider.api.calls import Call, Flow, Reply, read_json
from sei_provider.api.errors import SeiError, SeiHTTPError, SeiInputError, SeiReplyError
from sei_provider.api.export import Export
from sei_provider.api.finding import find_exports
from sei_provider.api.reports import REPORTS
from sei_provider.api.request import ExportRequest

log = logging.getLogger(__name__)

_ABSENT = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}


def create_export(
    request: ExportRequest, body: Mapping[str, Any], create_paths: dict[str, str], *, now: datetime
) -> Flow[Export]:
    """Create an export; answers 202, or 200 with an older export's id where the report reuses (CONTRACT, "Reuse").

    When the answer is lost, productivity is asked again, since it reuses; an export of another report with a list is
    looked for there, made since `now`, before it is asked for again; any other is asked for once more (DESIGN,
    decision 6).

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
        return Export.from_reply(report.name, read_json(reply), reused=reused)

    call = Call(
        what=f"create the {request.description}",
        method="POST",
        path=create_paths.get(report.name, report.create_path),
        body=body,
        read=read,
        repeat_is_safe=report.reuses,
        look_up=(lambda: _made_since(request, now)) if report.has_list else None,
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


def _made_since(request: ExportRequest, since: datetime) -> Flow[Export | None]:
    """The export that a create made whose answer was lost; None if SEI lists no such export."""
    try:
        found = (yield from find_exports([request], since)).get(request.key)
    except SeiError as error:
        if error.affects_all_scopes or error.is_transient:
            raise
        msg = (
            f"No answer came when asked to create the {request.description}, and SEI's list does not tell whether "
            f"it was made, so it was not asked for again: {error}"
        )
        raise SeiReplyError(msg) from error
    log.info(
        "No answer came when asked to create the %s; %s",
        request.description,
        f"SEI lists it as export {found.id}" if found else "SEI lists no such export, so it is asked for again",
    )
    return found
