"""A create whose answer is lost is sent again: an identical request gives the same export (CONTRACT, "Reuse")."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from sei_provider.api import (
    SeiAuthError,
    SeiConnectionError,
    SeiReplyError,
)
from sei_provider.sandbox.control import SandboxControl
from tests.api.conftest import MakeClient, answering, export_request
from tests.plain_http import NO_AUTHORITIES

REPORTS = ["productivity", "sprint", "business_alignment", "efficiency", "time_in_status"]
_days = itertools.count()

pytestmark = pytest.mark.usefixtures("no_waiting")


class Losing(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Passes all requests on to the sandbox; of `times` POSTs the answer is lost, or becomes another one."""

    def __init__(self, *instead: httpx.Response | Exception, times: int = 1, before: bool = False) -> None:
        self.left = times
        self.asked: list[httpx.Request] = []
        self._instead = itertools.cycle(instead or (httpx.ReadError("reset"),))
        self._before = before
        self._lock = threading.Lock()
        self._http = httpx.Client(trust_env=False, verify=NO_AUTHORITIES)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        lost = self._takes(request)
        if not (lost and self._before):
            answer = self._http.send(
                httpx.Request(request.method, request.url, headers=request.headers, content=request.read())
            )
        if not lost:
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        return self._lose()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        content = await request.aread()
        plain = httpx.Request(request.method, request.url, headers=request.headers, content=content)
        return await asyncio.to_thread(self.handle_request, plain)

    def _takes(self, request: httpx.Request) -> bool:
        with self._lock:
            self.asked.append(request)
            if request.method == "POST" and self.left:
                self.left -= 1
                return True
            return False

    def _lose(self) -> httpx.Response:
        instead = next(self._instead)
        if isinstance(instead, Exception):
            raise instead
        return httpx.Response(instead.status_code, headers=instead.headers, content=instead.content)

    @property
    def bodies(self) -> list[tuple[str, bytes]]:
        """Method and body of what was asked, in order."""
        return [(request.method, request.content) for request in self.asked]


def asked_for(report: str, **changed: Any) -> Any:
    """A request like no other of these tests."""
    end = date(2026, 7, 1) + timedelta(days=next(_days))
    return export_request(report, **{"end": end} | changed)


def made_for(sandbox: SandboxControl, request: Any) -> list[str]:
    span = {"start": request.start.isoformat(), "end": request.end.isoformat()}
    return [each["id"] for each in sandbox.exports() if each["body"]["dateRange"] == span]


LOSSES = {
    "reset": httpx.ReadError("reset"),
    "timeout": httpx.ReadTimeout(""),
    "500": httpx.Response(500),
    "502": httpx.Response(502, text="<html>Bad Gateway"),
    "504": httpx.Response(504),
    "cut": httpx.Response(202, text='{"exportId": "exp'),
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("report", REPORTS)
def test_a_create_whose_answer_was_lost_is_sent_again_and_gives_the_same_export(
    client_to: MakeClient, sandbox: SandboxControl, report: str, loss: httpx.Response | Exception
) -> None:
    request, transport = asked_for(report), Losing(loss)
    export = client_to(sandbox.base_url, transport=transport).create_export(request)
    assert made_for(sandbox, request) == [export.id]
    assert transport.bodies == [transport.bodies[0]] * 2


@pytest.mark.parametrize("report", REPORTS)
def test_it_is_sent_again_twice_and_the_log_says_so_each_time(
    client_to: MakeClient, sandbox: SandboxControl, report: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sei_provider")
    request, transport = asked_for(report), Losing(times=2)
    export = client_to(sandbox.base_url, transport=transport).create_export(request)
    assert made_for(sandbox, request) == [export.id]
    assert transport.bodies == [transport.bodies[0]] * 3
    assert caplog.text.count(f"No answer came when asked to create the {request.description}") == 2


@pytest.mark.parametrize("report", REPORTS)
def test_at_most_twice(client_to: MakeClient, sandbox: SandboxControl, report: str) -> None:
    request, transport = asked_for(report), Losing(times=99)
    with pytest.raises(SeiConnectionError, match=f"create the {report} export of team:1"):
        client_to(sandbox.base_url, transport=transport).create_export(request)
    assert len(transport.bodies) == 3
    assert len(made_for(sandbox, request)) == 1


@pytest.mark.parametrize("report", REPORTS)
def test_what_certainly_was_not_sent_is_simply_sent_again(
    client_to: MakeClient, sandbox: SandboxControl, report: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sei_provider")
    request = asked_for(report)
    transport = Losing(httpx.ConnectError("refused"), httpx.Response(429), before=True, times=4)
    export = client_to(sandbox.base_url, transport=transport).create_export(request)
    assert made_for(sandbox, request) == [export.id]
    assert transport.bodies == [transport.bodies[0]] * 5
    assert "No answer came" not in caplog.text


def test_the_wrong_key_is_still_an_error_of_the_key(client_to: MakeClient) -> None:
    answer, _ = answering(httpx.Response(502), httpx.Response(401))
    with pytest.raises(SeiAuthError):
        client_to(answer).create_export(asked_for("sprint"))


NOW = "Thu, 01 Jan 2026 00:00:30 GMT"


@pytest.mark.parametrize(
    ("status", "created_at", "date", "reused"),
    [
        (202, "2026-01-01T00:00:30Z", NOW, False),
        (202, "2026-01-01T00:00:25Z", NOW, False),
        (202, "2026-01-01T00:00:24.9Z", NOW, True),
        (202, "2026-01-01T01:00:24+01:00", NOW, True),
        (202, "2026-01-01T00:00:24", NOW, True),
        (202, "2025-12-31T00:00:00Z", None, False),
        (202, "2025-12-31T00:00:00Z", "yesterday", False),
        (202, "2025-12-31T00:00:00Z", "Thu, 01 Jan 2026 00:00:30 -0000", True),
        (200, "2026-01-01T00:00:30Z", NOW, True),
        (200, "2026-01-01T00:00:30Z", None, True),
    ],
)
def test_reused_is_what_is_answered_with_200_or_was_made_5_seconds_before_the_answers_own_date(
    client_to: MakeClient, status: int, created_at: str, date: str | None, reused: bool
) -> None:
    reply = {"exportId": "exp_1", "createdAt": created_at, "message": "Using existing export with identical parameters"}
    answer, _ = answering(httpx.Response(status, json=reply, headers={"Date": date} if date else {}))
    assert client_to(answer).create_export(export_request("sprint")).reused is reused


@pytest.mark.parametrize(
    ("created_at", "date", "refused"),
    [
        ("2099-12-31T23:59:59Z", NOW, True),
        ("2026-01-01T00:05:31Z", NOW, True),
        ("2026-01-01T00:05:30Z", NOW, False),
        ("2099-12-31T23:59:59Z", None, False),
    ],
)
@pytest.mark.parametrize("call", ["create", "status"])
def test_an_export_made_more_than_5_minutes_after_the_reply_about_it_is_refused(
    client_to: MakeClient, call: str, created_at: str, date: str | None, refused: bool
) -> None:
    reply = {"exportId": "exp_1", "createdAt": created_at, "status": "processing"}
    answer, _ = answering(httpx.Response(202, json=reply, headers={"Date": date} if date else {}))
    client = client_to(answer)

    def ask() -> object:
        if call == "create":
            return client.create_export(export_request("sprint"))
        return client.get_export("sprint", "exp_1")

    if refused:
        with pytest.raises(SeiReplyError, match="one of SEI's clocks is wrong"):
            ask()
    else:
        ask()
