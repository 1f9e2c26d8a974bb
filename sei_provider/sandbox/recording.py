"""What was sent to the sandbox and what it answered, kept for `/_sandbox`.

Keys are not recorded, nor are request headers but the user agent.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sei_provider.sandbox.weather import CUT

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from sei_provider.sandbox.clock import SandboxClock

PREFIX = "/_sandbox"


Kind = Literal["create", "status", "list", "download", "trees", "report", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRequest:
    """One request to the API: `kind` is what its call is, or other; `at` is seconds since 1970.

    `status` is the HTTP status that was sent, None if the connection was cut without an answer; `fault` the name of
    what was made to go wrong with the call, else with the export that it is about.
    """

    method: str
    path: str
    kind: Kind
    report: str | None
    status: int | None
    fault: str | None
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
        """Counts of requests: by status and by fault, and by kind for all, each status, report and user agent."""
        return {
            "requests": len(self.requests),
            "by_kind": Counter(request.kind for request in self.requests),
            "by_status": Counter(str(request.status or "none") for request in self.requests),
            "by_fault": Counter(request.fault for request in self.requests if request.fault),
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


def name_fault(request: Request, fault: str) -> None:
    """Say what was made to go wrong with what a request asks for; weather that befalls the call itself goes first."""
    if not hasattr(request.state, "fault"):
        request.state.fault = fault


class RecordRequests:
    """Middleware that puts every request but those to `/_sandbox` into a recorder."""

    def __init__(self, app: ASGIApp, *, recorder: Recorder) -> None:
        self._app = app
        self._recorder = recorder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and record it with the status of its answer, if it gets one."""
        if scope["type"] != "http" or scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})

        is_recorded = False

        async def record(message: Message) -> None:
            nonlocal is_recorded
            if not is_recorded and message["type"] in {"http.response.start", CUT}:
                # Before it is sent: whoever has the answer, or none, finds the request recorded.
                self._recorder.requests.append(self._recorded(scope, state, message.get("status")))
                is_recorded = True
            await send(message)

        await self._app(scope, receive, record)

    def _recorded(self, scope: Scope, state: dict[str, Any], status: int | None) -> RecordedRequest:
        agents = [value for name, value in scope["headers"] if name == b"user-agent"]
        return RecordedRequest(
            method=scope["method"],
            path=scope["path"],
            kind=state.get("kind", "other"),
            report=state.get("report"),
            status=status,
            fault=state.get("fault") or None,
            user_agent=agents[0].decode("latin-1") if agents else "",
            export_id=state.get("export_id"),
            at=self._recorder.clock.now(),
        )
