"""What was sent to the sandbox and what it answered, for tests and the demo: everything under `/_sandbox`.

None of it is part of SEI's API. Keys are not recorded, nor are request headers but the user agent.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from sei_provider.sandbox.checks import refuse
from sei_provider.sandbox.clock import timestamp
from sei_provider.sandbox.documents import DOCUMENTS
from sei_provider.sandbox.faults import FAULTS, READ_FAULTS
from sei_provider.sandbox.legacy_body import LEGACY_DOCUMENTS
from sei_provider.sandbox.refusal import not_found

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from sei_provider.sandbox.clock import SandboxClock
    from sei_provider.sandbox.exports import Export, ExportStore

PREFIX = "/_sandbox"


Kind = Literal["create", "status", "list", "download", "trees", "report", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRequest:
    """One request to the API: `kind` is what its call is, or other; `at` is seconds since 1970."""

    method: str
    path: str
    kind: Kind
    report: str | None
    status: int
    user_agent: str
    export_id: str | None
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedReport:
    """One legacy report: it has no export, so it gets an id of the sandbox's own."""

    id: str
    report: str
    body: object
    sent: bytes
    at: float


class Recorder:
    """The requests in the order in which they were answered, and what legacy reports were sent."""

    def __init__(self, clock: SandboxClock) -> None:
        self.clock = clock
        self.requests: list[RecordedRequest] = []
        self.reports: dict[str, RecordedReport] = {}

    def report_sent(self, report: str, body: object, sent: bytes) -> str:
        """Keep a legacy report, and give the id under which it is found."""
        report_id = f"rep_{len(self.reports) + 1:08x}"
        self.reports[report_id] = RecordedReport(id=report_id, report=report, body=body, sent=sent, at=self.clock.now())
        return report_id

    def summary(self) -> dict[str, object]:
        """Counts of requests: by HTTP status, and by kind for all, each report, and each user agent."""
        return {
            "requests": len(self.requests),
            "by_kind": Counter(request.kind for request in self.requests),
            "by_status": Counter(request.status for request in self.requests),
            "by_status_and_kind": self._kinds_by("status"),
            "by_report": self._kinds_by("report"),
            "by_user_agent": self._kinds_by("user_agent"),
        }

    def _kinds_by(self, field: str) -> dict[str, Counter[str]]:
        kinds: dict[str, Counter[str]] = {}
        for request in self.requests:
            kinds.setdefault(str(getattr(request, field) or "none"), Counter())[request.kind] += 1
        return kinds


def name_call(request: Request, kind: Kind, report: str | None = None) -> None:
    """Say what a request asks for, so that it is recorded as that, however it ends."""
    request.state.kind = kind
    request.state.report = report


class RecordRequests:
    """Middleware that puts every request but those to `/_sandbox` into a recorder."""

    def __init__(self, app: ASGIApp, *, recorder: Recorder) -> None:
        self._app = app
        self._recorder = recorder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and record it with the status of its answer."""
        if scope["type"] != "http" or scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})

        async def record(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Before it is sent: whoever has the answer finds the request recorded.
                self._recorder.requests.append(self._recorded(scope, state, message["status"]))
            await send(message)

        await self._app(scope, receive, record)

    def _recorded(self, scope: Scope, state: dict[str, Any], status: int) -> RecordedRequest:
        agents = [value for name, value in scope["headers"] if name == b"user-agent"]
        return RecordedRequest(
            method=scope["method"],
            path=scope["path"],
            kind=state.get("kind", "other"),
            report=state.get("report"),
            status=status,
            user_agent=agents[0].decode("latin-1") if agents else "",
            export_id=state.get("export_id"),
            at=self._recorder.clock.now(),
        )


def recording_routes(recorder: Recorder, store: ExportStore) -> Sequence[Mount]:
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
        order = await _json(request, {"team", "report", "fault", "times"})
        name, report, times = order.get("fault"), order.get("report"), order.get("times")
        if name not in {*FAULTS, *READ_FAULTS}:
            refuse(f"fault {name!r} is unknown; there are {', '.join((*FAULTS, *READ_FAULTS))}")
        if report not in {None, *DOCUMENTS, *LEGACY_DOCUMENTS}:
            refuse(f"report {report!r} is unknown; there are {', '.join((*DOCUMENTS, *LEGACY_DOCUMENTS))}")
        if times is not None and (not isinstance(times, int) or times < 1):
            refuse(f"times must be a whole number from 1, or null for always, not {times!r}")
        team = order.get("team")
        store.faults.order(str(name), scope=None if team is None else str(team), report=report, times=times)
        return JSONResponse(order, 201)

    async def clear_faults(_request: Request) -> Response:
        store.faults.clear()
        return Response(status_code=204)

    async def advance_clock(request: Request) -> Response:
        seconds = (await _json(request, {"advance"})).get("advance")
        if not isinstance(seconds, int | float) or seconds < 0:
            refuse(f"advance must be a number of seconds from 0, not {seconds!r}")
        clock.advance(seconds)
        return JSONResponse({"now": clock.now()})

    routes = [
        Route("/requests", requests),
        Route("/summary", summary),
        Route("/exports", exports),
        Route("/reports", reports),
        Route("/bytes/{id}", sent_bytes),
        Route("/faults", order_fault, methods=["POST"]),
        Route("/faults", clear_faults, methods=["DELETE"]),
        Route("/clock", advance_clock, methods=["POST"]),
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
