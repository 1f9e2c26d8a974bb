"""Everything under `/_sandbox`: the record to look at, and what steers the sandbox. None of it is part of SEI's API."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route

from sei_provider.sandbox.checks import refuse
from sei_provider.sandbox.clock import timestamp
from sei_provider.sandbox.fault_plan import ORDER_FIELDS, read_order
from sei_provider.sandbox.recording import PREFIX
from sei_provider.sandbox.refusal import not_found
from sei_provider.sandbox.status_page import status_page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from sei_provider.sandbox.exports import Export, ExportStore
    from sei_provider.sandbox.fault_plan import FaultPlan
    from sei_provider.sandbox.recording import RecordedReport, Recorder


def control_routes(recorder: Recorder, store: ExportStore, faults: FaultPlan) -> Sequence[Mount]:
    """The routes under `/_sandbox`; they need no key."""
    clock = recorder.clock

    async def requests(_request: Request) -> Response:
        return JSONResponse([asdict(request) for request in recorder.requests])

    async def summary(_request: Request) -> Response:
        return JSONResponse(recorder.summary() | {"exports": len(store.all())})

    async def exports(_request: Request) -> Response:
        return JSONResponse([_recorded_export(export, clock.now()) for export in store.all()])

    async def reports(_request: Request) -> Response:
        return JSONResponse([_recorded_report(report) for report in recorder.reports.values()])

    async def sent_bytes(request: Request) -> Response:
        found = store.get(request.path_params["id"]) or recorder.reports.get(request.path_params["id"])
        if found is None or found.sent is None:
            not_found("No such export or legacy report, or nothing was downloaded yet")
        return Response(found.sent, media_type="application/octet-stream")

    async def order_fault(request: Request) -> Response:
        order = await _json(request, ORDER_FIELDS)
        faults.orders.append(read_order(order))
        return JSONResponse(order, 201)

    async def clear_faults(_request: Request) -> Response:
        faults.clear()
        return Response(status_code=204)

    async def advance_clock(request: Request) -> Response:
        seconds = (await _json(request, {"advance"})).get("advance")
        if not isinstance(seconds, int | float) or seconds < 0:
            refuse(f"advance must be a number of seconds from 0, not {seconds!r}")
        clock.advance(seconds)
        return JSONResponse({"now": clock.now()})

    async def outage(request: Request) -> Response:
        seconds = (await _json(request, {"seconds"})).get("seconds")
        if not isinstance(seconds, int | float) or seconds <= 0:
            refuse(f"seconds must be a number above 0, not {seconds!r}")
        # Set by the server, which alone has the socket.
        await request.app.state.refuse_connections(seconds)
        return JSONResponse({"seconds": seconds})

    async def page(_request: Request) -> Response:
        return HTMLResponse(status_page(recorder.summary(), store.all(), faults.orders, clock.now()))

    routes = [
        Route("/", page),
        Route("/requests", requests),
        Route("/summary", summary),
        Route("/exports", exports),
        Route("/reports", reports),
        Route("/bytes/{id}", sent_bytes),
        Route("/faults", order_fault, methods=["POST"]),
        Route("/faults", clear_faults, methods=["DELETE"]),
        Route("/clock", advance_clock, methods=["POST"]),
        Route("/outage", outage, methods=["POST"]),
    ]
    return [Mount(PREFIX, routes=routes)]


def _recorded_export(export: Export, now: float) -> dict[str, object]:
    return {
        "id": export.id,
        "report": export.request.document.report,
        "body": export.raw_body,
        "status": export.status(now),
        "created_at": timestamp(export.created_at),
        "reused": export.reused,
        "sent": export.sent is not None,
    }


def _recorded_report(report: RecordedReport) -> dict[str, object]:
    return {"id": report.id, "report": report.report, "body": report.body, "created_at": timestamp(report.at)}


async def _json(request: Request, fields: set[str]) -> dict[str, Any]:
    try:
        body = json.loads(await request.body())
    except ValueError:
        body = None
    if not isinstance(body, dict) or not body.keys() <= fields:
        refuse(f"The body must be a JSON object with no fields but {', '.join(sorted(fields))}")
    return body
