"""What becomes of single calls in bad weather: other answers, and answers that do not arrive whole.

It comes after all checks, so that a wrong request is refused in any weather, and around the answer of every call.
Knows no call's content.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from sei_provider.sandbox.faults import OTHER_HOST
from sei_provider.sandbox.files import LOGIN_PAGE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from sei_provider.sandbox.clock import SandboxClock
    from sei_provider.sandbox.fault_plan import FaultPlan
    from sei_provider.sandbox.faults import CallFault

CUT = "sandbox.cut"
"""An ASGI message of the sandbox's own: close the connection, by a reset if `reset`. See `connection`."""

SECONDS_PER_BYTE = 1.0
RETRY_AFTER_SECONDS = 2


def meet_weather(request: Request, plan: FaultPlan, team: str | None = None) -> None:
    """Have the fault that is due, if any, befall this call; `request` says already which call it is.

    For calls to make just before they do anything: a fault may keep them from it, by an exception that is none of
    theirs.
    """
    fault = plan.at_call(request.state.kind, request.state.report, team)
    if fault is None:
        return
    request.state.weather = fault
    request.state.fault = fault.name
    if fault.before_work:
        raise _NotDone


class _NotDone(Exception):  # noqa: N818 - not an error, but the end of a call before its work
    """The call shall do nothing; what is answered is the weather's."""


class BadWeather:
    """Middleware that has a call's answer suffer what `meet_weather` found for it."""

    def __init__(self, app: ASGIApp, *, clock: SandboxClock) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and its answer back as the weather has it."""
        state = scope.setdefault("state", {})
        held: list[Message] = []

        async def hold(message: Message) -> None:
            if "weather" in state:
                held.append(message)
            else:
                await send(message)

        with suppress(_NotDone):
            await self._app(scope, receive, hold)
        fault: CallFault | None = state.get("weather")
        if fault is not None:
            answer = _answer(fault, self._clock.now()) if fault.status else _harmed(fault, _joined(held))
            await _deliver(answer, fault, receive, send)


def _joined(held: Sequence[Message]) -> Response:
    """The answer that a call gave."""
    if not held:  # it was not done, and is not answered
        return Response()
    start, *rest = held
    answer = Response(b"".join(message.get("body", b"") for message in rest), start["status"])
    answer.raw_headers = list(start["headers"])
    return answer


def _answer(fault: CallFault, now: float) -> Response:
    """What is answered instead: an error in one of the shapes of CONTRACT row 25, or a login page (row 24)."""
    assert fault.status is not None  # noqa: S101 - asked by the caller, for the type checker
    headers = {}
    if fault.status == HTTPStatus.FOUND:
        headers["location"] = f"{OTHER_HOST}/signin?returnUrl=%2F"
    match fault.retry_after:
        case "seconds":
            headers["retry-after"] = str(RETRY_AFTER_SECONDS)
        case "date":
            # So long after the Date header, which is by the same clock.
            headers["retry-after"] = formatdate(int(now) + RETRY_AFTER_SECONDS, usegmt=True)
    message = f"Made to fail by the sandbox's fault {fault.name}"
    match fault.says:
        case "code":
            body: dict[str, object] = {
                "status": "ERROR",
                "code": "TOO_MANY_REQUESTS",
                "message": message,
                "correlationId": "sandbox",
            }
            return JSONResponse(body, fault.status, headers)
        case "error":
            body = {"status": fault.status, "error": "Internal Server Error", "message": message}
            return JSONResponse(body, fault.status, headers)
        case "text":
            return PlainTextResponse(message, fault.status, headers)
        case "gateway_page":
            return HTMLResponse(_GATEWAY_PAGE, fault.status, headers)
        case "login_page":
            return HTMLResponse(LOGIN_PAGE, fault.status, headers)


def _harmed(fault: CallFault, answer: Response) -> Response:
    match fault.reply:
        case "cut_short":
            return Response(answer.body[: len(answer.body) // 2], answer.status_code, media_type="application/json")
        case "of_another_shape":
            # Nothing is where the documents have it, neither in objects nor in lists.
            return JSONResponse({"data": json.loads(bytes(answer.body))}, answer.status_code)
        case "whole":
            return answer


async def _deliver(answer: Response, fault: CallFault, receive: Receive, send: Send) -> None:
    body = bytes(answer.body)
    start: Message = {"type": "http.response.start", "status": answer.status_code, "headers": answer.raw_headers}
    match fault.travels:
        case "not":
            await send({"type": CUT, "reset": True})
        case "half":
            await send(start)
            await send(_part(body[: len(body) // 2], more=True))
            await send({"type": CUT, "reset": True})
        case "short_of_its_length":
            missing = [(b"content-length", b"%d" % (len(body) + 100))]
            kept = [(name, value) for name, value in answer.raw_headers if name != b"content-length"]
            await send({**start, "headers": kept + missing})
            await send(_part(body, more=True))
            await send({"type": CUT, "reset": False})
        case "slowly":
            await send(start)
            gone = asyncio.create_task(_gone(receive))
            for place in range(len(body)):
                await send(_part(body[place : place + 1], more=True))
                await asyncio.wait({gone}, timeout=SECONDS_PER_BYTE)
                if gone.done():
                    return
            gone.cancel()
            await send(_part(b"", more=False))
        case "whole":
            await send(start)
            await send(_part(body, more=False))


def _part(body: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def _gone(receive: Receive) -> None:
    """Returns when the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass


_GATEWAY_PAGE = b"""<html><head><title>502 Bad Gateway</title></head>
<body><center><h1>502 Bad Gateway</h1></center><hr><center>nginx</center></body></html>
"""
