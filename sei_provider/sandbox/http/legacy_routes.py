"""Route of the legacy reports (002): one synchronous call, answered with the CSV. Knows nothing of its rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.routing import Route

from sei_provider.sandbox.data.legacy_csv import legacy_csv_text
from sei_provider.sandbox.faults.files import GZIP_START, build_file
from sei_provider.sandbox.faults.injection import inject_fault
from sei_provider.sandbox.http.errors import ApiError
from sei_provider.sandbox.http.legacy_body import read_legacy_body
from sei_provider.sandbox.http.request_log import log_call, log_fault
from sei_provider.sandbox.http.responses import file_response

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from sei_provider.sandbox.data.organisation import Organisation
    from sei_provider.sandbox.faults.rules import FaultPlan
    from sei_provider.sandbox.http.auth import Auth
    from sei_provider.sandbox.http.request_log import RequestLog


def legacy_route(prefix: str, auth: Auth, organisation: Organisation, faults: FaultPlan, log: RequestLog) -> Route:
    """Return the one call of both legacy reports, at its documented path behind a prefix."""

    async def report(request: Request) -> Response:
        log_call(request, "report")
        auth.check_legacy(request)
        raw = await request.body()
        asked = read_legacy_body(raw, organisation)
        name = asked.spec.report
        log_call(request, "report", name)
        inject_fault(request, faults, asked.team.id)
        fault = faults.for_export(name, asked.team.id)
        log_fault(request, fault.name)
        if fault.final_status != "completed":
            raise ApiError(500, fault.error_code, fault.error)
        text = await run_in_threadpool(legacy_csv_text, asked)
        body = fault.send(await run_in_threadpool(build_file, text, fault, always_gzip=False))
        request.state.export_id = log.report_sent(name, json.loads(raw), body)
        filename = f"{name}.csv.gz" if body.startswith(GZIP_START) else f"{name}.csv"
        return file_response(fault.content_type, body, filename)

    return Route(f"{prefix}/v2/insights/teams/reports", report, methods=["POST"])
