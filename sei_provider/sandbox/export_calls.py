"""The V2 export calls over HTTP: create, status, download and list. No knowledge of figures or rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sei_provider.sandbox.access import ACCOUNT, IDENTIFIERS
from sei_provider.sandbox.create_body import read_create_body
from sei_provider.sandbox.export_list import read_list_query
from sei_provider.sandbox.recording import name_call, name_fault
from sei_provider.sandbox.refusal import not_found
from sei_provider.sandbox.replies import create_reply, status_reply
from sei_provider.sandbox.weather import meet_weather

if TYPE_CHECKING:
    from starlette.requests import Request

    from sei_provider.sandbox.access import Access
    from sei_provider.sandbox.clock import SandboxClock
    from sei_provider.sandbox.documents import Document
    from sei_provider.sandbox.exports import Export, ExportStore
    from sei_provider.sandbox.fault_plan import FaultPlan
    from sei_provider.sandbox.organisation import Organisation


class ExportCalls:
    """The calls of one report over the store that all reports share."""

    def __init__(
        self,
        document: Document,
        access: Access,
        store: ExportStore,
        faults: FaultPlan,
        organisation: Organisation,
        clock: SandboxClock,
    ) -> None:
        self._document = document
        self._access = access
        self._store = store
        self._faults = faults
        self._organisation = organisation
        self._clock = clock

    def routes(self, prefix: str) -> list[Route]:
        """The report's calls, each at its documented path behind a prefix."""
        document = self._document
        path = f"{prefix}{document.path}"
        routes = [
            Route(f"{prefix}{document.create_path}", self._create, methods=["POST"]),
            Route(f"{path}/{{export_id}}", self._status, methods=["GET"]),
            Route(f"{path}/{{export_id}}/download", self._download, methods=["GET"]),
            Route(path, self._list if document.has_list else _no_such_call, methods=["GET"]),
        ]
        if document.create_path != document.path:
            routes.append(Route(path, _no_such_call, methods=["POST"]))
        return routes

    async def _create(self, request: Request) -> Response:
        name_call(request, "create", self._document.report)
        project, org = self._access.check(request)
        raw = await request.body()
        asked = read_create_body(self._document, raw, project=project, org=org, organisation=self._organisation)
        meet_weather(request, self._faults, asked.scope_name)
        export, reused = self._store.create(asked, json.loads(raw))
        request.state.export_id = export.id
        name_fault(request, export.fault.name)
        return JSONResponse(create_reply(export, reused=reused), 200 if reused else 202)

    async def _status(self, request: Request) -> Response:
        name_call(request, "status", self._document.report)
        self._access.check(request)
        export, now = self._find(request), self._clock.now()
        # In a thread, since it may have to make the file, and many exports are followed at once.
        reply = await run_in_threadpool(status_reply, export, now)
        export.note_read(now)
        return JSONResponse(reply)

    async def _download(self, request: Request) -> Response:
        name_call(request, "download", self._document.report)
        self._access.check(request, needs_content_type=self._document.download_names_content_type)
        export, now = self._find(request), self._clock.now()
        status = export.status(now)
        export.note_read(now)
        if status != "completed":
            not_found(f"Export not completed: {export.id}")
        if export.fault.first_download_missing and not export.was_missing:
            export.was_missing = True
            not_found(f"Export not found: {export.id}")
        content_type, body = await run_in_threadpool(export.download)
        export.sent = body
        return file_response(content_type, body, export.filename)

    async def _list(self, request: Request) -> Response:
        name_call(request, "list", self._document.report)
        project, org = self._access.check(request)
        parameters = {
            name: value for name, value in request.query_params.items() if name not in {*IDENTIFIERS, ACCOUNT}
        }
        query = read_list_query(parameters)
        meet_weather(request, self._faults)
        fault = self._faults.at_read("endless_pages", call="list", report=self._document.report)
        name_fault(request, fault)
        of_project = [
            export
            for export in self._store.all(self._document.report)
            if (export.request.project, export.request.org) == (project, org) and not export.fault.vanishes
        ]
        now = self._clock.now()
        reply = query.reply(of_project, now, endless=fault != "")
        for export in of_project:
            export.note_read(now)
        return JSONResponse(reply)

    def _find(self, request: Request) -> Export:
        export_id: str = request.path_params["export_id"]
        request.state.export_id = export_id
        export = self._store.get(export_id, self._document.report)
        if export is None:
            not_found(f"Export not found: {export_id}")
        meet_weather(request, self._faults, export.request.scope_name)
        name_fault(request, export.fault.name)
        if export.fault.vanishes:
            not_found(f"Export not found: {export_id}")
        return export


def file_response(content_type: str, body: bytes, filename: str) -> Response:
    """A file as SEI sends it."""
    headers = {"content-disposition": f'attachment; filename="{filename}"'}
    # The media type goes in as a header, for Starlette adds a charset to `media_type="text/csv"`.
    return Response(body, headers={**headers, "content-type": content_type})


async def _no_such_call(_request: Request) -> Response:
    """404 and not 405 where a path is documented for another method only: the call is in no document."""
    raise HTTPException(404)
