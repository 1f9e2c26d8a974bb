"""The log of requests and of what was sent, kept for `/_sandbox`.

It holds no key, and of the request headers only the user agent.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Literal

from sei_provider.sandbox.faults.injection import CUT

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from sei_provider.sandbox.clock import SandboxClock

PREFIX = "/_sandbox"

Kind = Literal["create", "status", "list", "download", "trees", "report", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedReport:
    """One legacy report; it has no export, so its id is the sandbox's own."""

    id: str
    report: str
    body: object
    sent: bytes
    at: float


class RequestLog:
    """All requests in the order of their responses, as `SandboxControl.requests` has them, and all legacy reports."""

    def __init__(self, clock: SandboxClock) -> None:
        self.clock = clock
        self.requests: list[dict[str, Any]] = []
        self.reports: dict[str, LoggedReport] = {}

    def report_sent(self, report: str, body: object, sent: bytes) -> str:
        """Keep a legacy report, and return its id."""
        report_id = f"rep_{len(self.reports) + 1:08x}"
        self.reports[report_id] = LoggedReport(id=report_id, report=report, body=body, sent=sent, at=self.clock.now())
        return report_id

    def summary(self) -> dict[str, object]:
        """Return counts of requests by status and fault, and by kind for all, each status, report and user agent."""
        return {
            "requests": len(self.requests),
            "by_kind": Counter(request["kind"] for request in self.requests),
            "by_status": Counter(str(request["status"] or "none") for request in self.requests),
            "by_fault": Counter(request["fault"] for request in self.requests if request["fault"]),
            "by_status_and_kind": self._kinds_by("status"),
            "by_report": self._kinds_by("report"),
            "by_user_agent": self._kinds_by("user_agent"),
        }

    def _kinds_by(self, field: str) -> dict[str, Counter[str]]:
        kinds: dict[str, Counter[str]] = {}
        for request in self.requests:
            kinds.setdefault(str(request[field] or "none"), Counter())[request["kind"]] += 1
        return kinds


def log_call(request: Request, kind: Kind, report: str | None = None) -> None:
    """Note which call a request is, so that it is logged as that, however it ends."""
    request.state.kind = kind
    request.state.report = report


def log_fault(request: Request, fault: str) -> None:
    """Note the fault of the export or the read that a request is about; a fault of the call itself goes first."""
    if not hasattr(request.state, "fault"):
        request.state.fault = fault


class RequestLogMiddleware:
    """Middleware that logs every request but those to `/_sandbox`, and dates every response by the sandbox's clock."""

    def __init__(self, app: ASGIApp, *, log: RequestLog) -> None:
        self._app = app
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and log it with the status of its response, if it gets one."""
        state = scope.setdefault("state", {})
        is_logged = scope["path"].startswith(PREFIX)

        async def log(message: Message) -> None:
            nonlocal is_logged
            if not is_logged and message["type"] in {"http.response.start", CUT}:
                # Before it is sent: a client that has the response, or none, finds the request in the log.
                self._log.requests.append(self._logged(scope, state, message.get("status")))
                is_logged = True
            if message["type"] == "http.response.start":
                date = formatdate(self._log.clock.now(), usegmt=True)
                message = {**message, "headers": [(b"date", date.encode()), *message["headers"]]}
            await send(message)

        await self._app(scope, receive, log)

    def _logged(self, scope: Scope, state: dict[str, Any], status: int | None) -> dict[str, Any]:
        agents = [value.decode("latin-1") for name, value in scope["headers"] if name == b"user-agent"]
        return {
            "method": scope["method"],
            "path": scope["path"],
            "kind": state.get("kind", "other"),
            "report": state.get("report"),
            "status": status,
            "fault": state.get("fault") or None,
            "user_agent": agents[0] if agents else "",
            "export_id": state.get("export_id"),
            "at": self._log.clock.now(),
        }
