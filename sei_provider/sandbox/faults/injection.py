"""Faults of single calls: other responses, and responses that do not arrive whole.

A fault is chosen after all checks, so a wrong request is refused anyway, and carried out around the call's response.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from sei_provider.sandbox.faults.files import LOGIN_PAGE
from sei_provider.sandbox.faults.table import OTHER_HOST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from sei_provider.sandbox.clock import SandboxClock
    from sei_provider.sandbox.faults.rules import FaultPlan
    from sei_provider.sandbox.faults.table import CallFault

CUT = "sandbox.cut"
"""An ASGI message of the sandbox's own: close the connection, by a reset if `reset`. See `connection`."""

SECONDS_PER_BYTE = 1.0
RETRY_AFTER_SECONDS = 2


def inject_fault(request: Request, plan: FaultPlan, team: str | None = None) -> None:
    """Choose the fault of this call, if a rule has one; a route calls this just before it does anything.

    An exception that the middleware catches ends the call if the fault comes before its work.
    """
    fault = plan.for_call(request.state.kind, request.state.report, team)
    if fault is None:
        return
    request.state.call_fault = fault
    request.state.fault = fault.name
    if fault.before_work:
        raise _NotDone


class _NotDone(Exception):  # noqa: N818 - not an error, but the end of a call before its work
    """Ends a call before its work."""


class FaultMiddleware:
    """Middleware that carries out the fault that `inject_fault` chose for a call."""

    def __init__(self, app: ASGIApp, *, clock: SandboxClock) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and its response back as the fault has it."""
        state = scope.setdefault("state", {})
        held: list[Message] = []

        async def hold(message: Message) -> None:
            if "call_fault" in state:
                held.append(message)
            else:
                await send(message)

        with suppress(_NotDone):
            await self._app(scope, receive, hold)
        fault: CallFault | None = state.get("call_fault")
        if fault is not None:
            response = _instead(fault, self._clock.now()) if fault.status else _damaged(fault, _joined(held))
            await _deliver(response, fault, receive, send)


def _joined(held: Sequence[Message]) -> Response:
    """Return the response that a call gave."""
    if not held:  # the call was not done
        return Response()
    start, *rest = held
    response = Response(b"".join(message.get("body", b"") for message in rest), start["status"])
    response.raw_headers = list(start["headers"])
    return response


def _instead(fault: CallFault, now: float) -> Response:
    """Return an error in one of the shapes of CONTRACT row 25, or a login page (row 24)."""
    assert fault.status is not None  # noqa: S101 - asked by the caller, for the type checker
    headers = {}
    if fault.status == HTTPStatus.FOUND:
        headers["location"] = f"{OTHER_HOST}/signin?returnUrl=%2F"
    if fault.retry_after == "seconds":
        headers["retry-after"] = str(RETRY_AFTER_SECONDS)
    elif fault.retry_after == "date":  # counted from the Date header, which is by the same clock
        headers["retry-after"] = formatdate(int(now) + RETRY_AFTER_SECONDS, usegmt=True)
    message = f"Made to fail by the sandbox's fault {fault.name}"
    match fault.body:
        case "code":
            body = {"status": "ERROR", "code": "TOO_MANY_REQUESTS", "message": message, "correlationId": "sandbox"}
            return JSONResponse(body, fault.status, headers)
        case "error":
            error = {"status": fault.status, "error": "Internal Server Error", "message": message}
            return JSONResponse(error, fault.status, headers)
        case "text":
            return PlainTextResponse(message, fault.status, headers)
        case "gateway_page":
            return HTMLResponse(_GATEWAY_PAGE, fault.status, headers)
        case "login_page":
            return HTMLResponse(LOGIN_PAGE, fault.status, headers)


def _damaged(fault: CallFault, response: Response) -> Response:
    match fault.damage:
        case "cut_short":
            half = response.body[: len(response.body) // 2]
            return Response(half, response.status_code, media_type="application/json")
        case "of_another_shape":
            # Nothing is where the documents have it, neither in objects nor in lists.
            return JSONResponse({"data": json.loads(bytes(response.body))}, response.status_code)
        case "none":
            return response


async def _deliver(response: Response, fault: CallFault, receive: Receive, send: Send) -> None:
    body = bytes(response.body)
    start: Message = {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
    match fault.delivery:
        case "none":
            await send({"type": CUT, "reset": True})
        case "half":
            await send(start)
            await send(_part(body[: len(body) // 2], more=True))
            await send({"type": CUT, "reset": True})
        case "short":
            missing = [(b"content-length", b"%d" % (len(body) + 100))]
            kept = [(name, value) for name, value in response.raw_headers if name != b"content-length"]
            await send({**start, "headers": kept + missing})
            await send(_part(body, more=True))
            await send({"type": CUT, "reset": False})
        case "slow":
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
    """Return when the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass


_GATEWAY_PAGE = b"""<html><head><title>502 Bad Gateway</title></head>
<body><center><h1>502 Bad Gateway</h1></center><hr><center>nginx</center></body></html>
"""
