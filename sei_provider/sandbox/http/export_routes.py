"""Routes of the V2 exports: create, status, download and list. Knows nothing of metrics or rows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sei_provider.sandbox.faults.injection import inject_fault
from sei_provider.sandbox.http.auth import ACCOUNT, IDENTIFIERS
from sei_provider.sandbox.http.errors import not_found
from sei_provider.sandbox.http.export_body import read_export_body
from sei_provider.sandbox.http.list_query import ListQuery
from sei_provider.sandbox.http.request_log import log_call, log_fault
from sei_provider.sandbox.http.responses import create_response, file_response, status_response
from sei_provider.sandbox.http.validation import parse

if TYPE_CHECKING:
    from starlette.requests import Request

    from sei_provider.sandbox.clock import SandboxClock
    from sei_provider.sandbox.data.organisation import Organisation
    from sei_provider.sandbox.data.spec import ExportSpec
    from sei_provider.sandbox.exports import Export, ExportStore
    from sei_provider.sandbox.faults.rules import FaultPlan
    from sei_provider.sandbox.http.auth import Auth


@dataclass(frozen=True, slots=True)
class ExportRoutes:
    """Routes of one report's calls over the store that all reports share."""

    spec: ExportSpec
    auth: Auth
    store: ExportStore
    faults: FaultPlan
    organisation: Organisation
    clock: SandboxClock

    def routes(self, prefix: str) -> list[Route]:
        """Return the report's calls, each at its documented path behind a prefix."""
        spec = self.spec
        path = f"{prefix}{spec.path}"
        routes = [
            Route(f"{prefix}{spec.create_path}", self._create, methods=["POST"]),
            Route(f"{path}/{{export_id}}", self._status, methods=["GET"]),
            Route(f"{path}/{{export_id}}/download", self._download, methods=["GET"]),
            Route(path, self._list if spec.has_list else _no_such_call, methods=["GET"]),
        ]
        if spec.create_path != spec.path:
            routes.append(Route(path, _no_such_call, methods=["POST"]))
        return routes

    async def _create(self, request: Request) -> Response:
        log_call(request, "create", self.spec.report)
        project, org = self.auth.check(request)
        raw = await request.body()
        asked = read_export_body(self.spec, raw, project=project, org=org, organisation=self.organisation)
        inject_fault(request, self.faults, asked.scope_name)
        export, reused = self.store.create(asked, json.loads(raw))
        request.state.export_id = export.id
        log_fault(request, export.fault.name)
        response = create_response(export, self.clock.now(), reused=reused)
        return JSONResponse(response, self.spec.reuse_status if reused else 202)

    async def _status(self, request: Request) -> Response:
        log_call(request, "status", self.spec.report)
        self.auth.check(request)
        export, now = self._find(request), self.clock.now()
        # In a thread, because it may have to make the file, and many exports are polled at once.
        response = await run_in_threadpool(status_response, export, now)
        export.note_read(now)
        return JSONResponse(response)

    async def _download(self, request: Request) -> Response:
        log_call(request, "download", self.spec.report)
        self.auth.check(request, needs_content_type=self.spec.download_names_content_type)
        export, now = self._find(request), self.clock.now()
        status = export.status(now)
        export.note_read(now)
        if status != "completed":
            not_found(f"Export not completed: {export.id}")
        if export.fault.first_download_missing and not export.was_missing:
            export.was_missing = True
            not_found(f"Export not found: {export.id}")
        export.sent = await run_in_threadpool(export.download)
        return file_response(export.fault.content_type, export.sent, export.filename)

    async def _list(self, request: Request) -> Response:
        log_call(request, "list", self.spec.report)
        project, org = self.auth.check(request)
        parameters = {
            name: value for name, value in request.query_params.items() if name not in {*IDENTIFIERS, ACCOUNT}
        }
        query = parse(ListQuery, parameters)
        inject_fault(request, self.faults)
        fault = self.faults.for_read("endless_pages", call="list", report=self.spec.report)
        log_fault(request, fault)
        of_project = [
            export
            for export in self.store.all(self.spec.report)
            if (export.request.project, export.request.org) == (project, org) and not export.fault.vanishes
        ]
        now = self.clock.now()
        response = query.response(of_project, now, endless=fault != "")
        for export in of_project:
            export.note_read(now)
        return JSONResponse(response)

    def _find(self, request: Request) -> Export:
        export_id: str = request.path_params["export_id"]
        request.state.export_id = export_id
        export = self.store.get(export_id, self.spec.report)
        if export is None:
            not_found(f"Export not found: {export_id}")
        inject_fault(request, self.faults, export.request.scope_name)
        log_fault(request, export.fault.name)
        if export.fault.vanishes:
            not_found(f"Export not found: {export_id}")
        return export


async def _no_such_call(_request: Request) -> Response:
    """Answer 404 and not 405 where a path is documented for another method only: the call is in no document."""
    raise HTTPException(404)
