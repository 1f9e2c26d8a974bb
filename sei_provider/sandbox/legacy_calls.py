"""The legacy reports over HTTP (002): one synchronous call, answered with the CSV. Knows nothing of its rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.routing import Route

from sei_provider.sandbox.export_calls import file_response
from sei_provider.sandbox.files import GZIP_START, build_file
from sei_provider.sandbox.legacy_body import read_legacy_body
from sei_provider.sandbox.legacy_rows import legacy_csv_text
from sei_provider.sandbox.recording import name_call, name_fault
from sei_provider.sandbox.refusal import Refusal
from sei_provider.sandbox.weather import meet_weather

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from sei_provider.sandbox.access import Access
    from sei_provider.sandbox.fault_plan import FaultPlan
    from sei_provider.sandbox.organisation import Organisation
    from sei_provider.sandbox.recording import Recorder

PATH = "/v2/insights/teams/reports"


class LegacyCalls:
    """The one call of both legacy reports."""

    def __init__(self, access: Access, organisation: Organisation, faults: FaultPlan, recorder: Recorder) -> None:
        self._access = access
        self._organisation = organisation
        self._faults = faults
        self._recorder = recorder

    def routes(self, prefix: str) -> list[Route]:
        """The call at its documented path behind a prefix."""
        return [Route(f"{prefix}{PATH}", self._report, methods=["POST"])]

    async def _report(self, request: Request) -> Response:
        name_call(request, "report")
        self._access.check_legacy(request)
        raw = await request.body()
        asked = read_legacy_body(raw, self._organisation)
        name_call(request, "report", asked.document.report)
        meet_weather(request, self._faults, asked.team.id)
        fault = self._faults.at_creation(asked.document.report, asked.team.id)
        name_fault(request, fault.name)
        if fault.final_status != "completed":
            raise Refusal(500, fault.error_code, fault.error)
        text = await run_in_threadpool(legacy_csv_text, asked)
        body = fault.send(await run_in_threadpool(build_file, text, fault, always_gzip=False))
        request.state.export_id = self._recorder.report_sent(asked.document.report, json.loads(raw), body)
        filename = f"{asked.document.report}.csv"
        return file_response(fault.content_type, body, f"{filename}.gz" if body.startswith(GZIP_START) else filename)
