"""What was sent to the sandbox and what it answered, for tests and the demo: everything under `/_sandbox`.

None of it is part of SEI's API. Keys are not recorded, nor are request headers but the user agent.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from sei_provider.sandbox.documents import DOCUMENTS
from sei_provider.sandbox.exports import timestamp
from sei_provider.sandbox.faults import FAULTS
from sei_provider.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from sei_provider.sandbox.exports import Export, ExportStore

PREFIX = "/_sandbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRequest:
    """One request to the API: `kind` is create, status, download or other; `at` is seconds since 1970."""

    method: str
    path: str
    kind: str
    report: str | None
    status: int
    user_agent: str
    export_id: str | None
    at: float


class Recorder:
    """The requests in the order in which they were answered."""

    def __init__(self) -> None:
        self.requests: list[RecordedRequest] = []

    def summary(self) -> dict[str, object]:
        """Counts of requests: by HTTP status, and by kind for all, each report, and each user agent."""
        return {
            "requests": len(self.requests),
            "by_kind": Counter(request.kind for request in self.requests),
            "by_status": Counter(request.status for request in self.requests),
            "by_report": self._kinds_by("report"),
            "by_user_agent": self._kinds_by("user_agent"),
        }

    def _kinds_by(self, field: str) -> dict[str, Counter[str]]:
        kinds: dict[str, Counter[str]] = {}
        for request in self.requests:
            kinds.setdefault(getattr(request, field) or "none", Counter())[request.kind] += 1
        return kinds


class RecordRequests:
    """Middleware that puts every request but those to `/_sandbox` into a recorder."""

    def __init__(self, app: ASGIApp, *, recorder: Recorder, store: ExportStore) -> None:
        self._app = app
        self._recorder = recorder
        self._store = store

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

    def _recorded(self, scope: Scope, state: dict[str, str], status: int) -> RecordedRequest:
        agents = [value for name, value in scope["headers"] if name == b"user-agent"]
        return RecordedRequest(
            method=scope["method"],
            path=scope["path"],
            kind=state.get("kind", "other"),
            report=state.get("report"),
            status=status,
            user_agent=agents[0].decode("latin-1") if agents else "",
            export_id=state.get("export_id"),
            at=self._store.now(),
        )


def recording_routes(recorder: Recorder, store: ExportStore) -> Sequence[Mount]:
    """The routes under `/_sandbox`; they need no key."""

    async def requests(_request: Request) -> Response:
        return JSONResponse([asdict(request) for request in recorder.requests])

    async def summary(_request: Request) -> Response:
        return JSONResponse(recorder.summary() | {"exports": len(store.all())})

    async def exports(_request: Request) -> Response:
        return JSONResponse([_recorded_export(export, store.now()) for export in store.all()])

    async def sent_bytes(request: Request) -> Response:
        export = store.get(request.path_params["export_id"])
        if export is None or export.sent is None:
            raise Refusal(404, "RESOURCE_NOT_FOUND", "No such export, or nothing was downloaded yet")
        return Response(export.sent, media_type="application/octet-stream")

    async def order_fault(request: Request) -> Response:
        order = await _json(request, {"team", "report", "fault", "times"})
        name, report, times = order.get("fault"), order.get("report"), order.get("times")
        if name not in FAULTS:
            raise Refusal(400, "INVALID_REQUEST", f"fault {name!r} is unknown; there are {', '.join(FAULTS)}")
        if report not in {None, *DOCUMENTS}:
            raise Refusal(400, "INVALID_REQUEST", f"report {report!r} is unknown; there are {', '.join(DOCUMENTS)}")
        if times is not None and (not isinstance(times, int) or times < 1):
            raise Refusal(
                400, "INVALID_REQUEST", f"times must be a whole number from 1, or null for always, not {times!r}"
            )
        team = order.get("team")
        store.faults.order(str(name), scope=None if team is None else str(team), report=report, times=times)
        return JSONResponse(order, 201)

    async def clear_faults(_request: Request) -> Response:
        store.faults.clear()
        return Response(status_code=204)

    async def advance_clock(request: Request) -> Response:
        seconds = (await _json(request, {"advance"})).get("advance")
        if not isinstance(seconds, int | float) or seconds < 0:
            raise Refusal(400, "INVALID_REQUEST", f"advance must be a number of seconds from 0, not {seconds!r}")
        store.advance(seconds)
        return JSONResponse({"now": store.now()})

    routes = [
        Route("/requests", requests),
        Route("/summary", summary),
        Route("/exports", exports),
        Route("/exports/{export_id}/bytes", sent_bytes),
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


async def _json(request: Request, fields: set[str]) -> dict[str, Any]:
    try:
        body = json.loads(await request.body())
    except ValueError:
        body = None
    if not isinstance(body, dict) or not body.keys() <= fields:
        raise Refusal(
            400, "INVALID_REQUEST", f"The body must be a JSON object with no fields but {', '.join(sorted(fields))}"
        )
    return body
