"""Puts the API's calls together into one web application, and turns refusals into HTTP. Knows no call's content."""

from __future__ import annotations

import time
import uuid
from email.utils import formatdate
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, Response

from sei_provider.sandbox.access import Access
from sei_provider.sandbox.clock import SandboxClock
from sei_provider.sandbox.control_calls import control_routes
from sei_provider.sandbox.documents import DOCUMENTS
from sei_provider.sandbox.export_calls import ExportCalls
from sei_provider.sandbox.exports import ExportStore, SizeLimits
from sei_provider.sandbox.fault_plan import FaultPlan
from sei_provider.sandbox.legacy_calls import LegacyCalls
from sei_provider.sandbox.limit import SlidingWindow
from sei_provider.sandbox.organisation import Organisation
from sei_provider.sandbox.recording import Recorder, RecordRequests
from sei_provider.sandbox.refusal import Refusal
from sei_provider.sandbox.tree_calls import TreeCalls
from sei_provider.sandbox.weather import BadWeather

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


def create_app(
    organisation: Organisation | None = None,
    *,
    seconds: float = 3.0,
    clock: Callable[[], float] | None = None,
    clock_speed: float = 1.0,
    key: str = "sandbox",
    base_path: str = "/",
    timeout_teams: int | None = None,
    timeout_days: int | None = None,
    requests_per_minute: int | None = None,
    weather: float | None = None,
    seed: int | None = None,
) -> Starlette:
    """The SEI API for one organisation (40 teams by default), with all that was sent kept under `/_sandbox`.

    - `seconds`: how long an export takes.
    - `clock`: gives seconds since 1970; the machine's by default. The sandbox's own clock starts there and runs
      `clock_speed` times as fast, for exports and for the limit of requests alike.
    - `key`: the API key that is accepted.
    - `base_path`: stands before every documented path, but in no link (row 5).
    - `timeout_teams`, `timeout_days`: an export with more teams in its scope, or more days in its range, fails.
    - `requests_per_minute`: with more in 60 seconds of the sandbox's clock they are answered 429; None for no limit.
    - `weather`: how probable it is, 0 to 1, that a call meets one of `faults.WEATHER`; the same sequence of calls meets
      the same with the same `seed`. None for none.
    """
    own_clock = SandboxClock(clock or time.time, speed=clock_speed)
    organisation = organisation or Organisation()
    faults = FaultPlan(weather=weather, seed=seed)
    store = ExportStore(seconds, own_clock, faults, SizeLimits(teams=timeout_teams, days=timeout_days))
    recorder = Recorder(own_clock)
    access = Access(key, SlidingWindow(requests_per_minute, own_clock))
    prefix = base_path.rstrip("/")
    exports = [ExportCalls(document, access, store, faults, organisation, own_clock) for document in DOCUMENTS.values()]
    app = Starlette(
        routes=[
            *(route for calls in exports for route in calls.routes(prefix)),
            *LegacyCalls(access, organisation, faults, recorder).routes(prefix),
            *TreeCalls(access, organisation, faults).routes(prefix),
            *control_routes(recorder, store, faults),
        ],
        middleware=[
            Middleware(DateReplies, clock=own_clock),
            Middleware(RecordRequests, recorder=recorder),
            Middleware(BadWeather, clock=own_clock),
        ],
        exception_handlers={Refusal: _refused, HTTPException: _not_routed},
    )
    # Else a call with a slash too many would be redirected, and work.
    app.router.redirect_slashes = False
    return app


class DateReplies:
    """Middleware that dates every reply by the sandbox's clock: the server knows only the machine's."""

    def __init__(self, app: ASGIApp, *, clock: SandboxClock) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and its answer back with a date."""

        async def date(message: Message) -> None:
            if message["type"] == "http.response.start":
                now = formatdate(self._clock.now(), usegmt=True)
                message = {**message, "headers": [(b"date", now.encode()), *message["headers"]]}
            await send(message)

        await self._app(scope, receive, date)


def _refused(_request: Request, refusal: Exception) -> Response:
    """The errors of the API itself, in one of the shapes of CONTRACT row 25."""
    assert isinstance(refusal, Refusal)  # noqa: S101 - Starlette hands over only what this handler is registered for
    error = {"status": "ERROR", "code": refusal.code, "message": refusal.message, "correlationId": str(uuid.uuid4())}
    return JSONResponse(error, refusal.status)


def _not_routed(request: Request, error: Exception) -> Response:
    """What never reaches the API comes in the other shape of row 25."""
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    message = f"No {request.method} on {request.url.path}"
    body = {"status": error.status_code, "error": error.detail, "message": message}
    return JSONResponse(body, error.status_code, headers=error.headers)
