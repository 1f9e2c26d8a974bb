"""A create whose answer is lost: one export per request all the same, wherever SEI lets us see what was made."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from sei_provider.api import (
    AsyncSeiClient,
    SeiAuthError,
    SeiClient,
    SeiConnectionError,
    SeiReplyError,
    SeiServerError,
)
from sei_provider.sandbox.control import SandboxControl
from tests.api.conftest import SETTINGS, answering, export_request

MakeClient = Callable[..., Any]
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
        self._http = httpx.Client(trust_env=False)

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
    def kinds(self) -> list[str]:
        """`create`, `list`, … of what was asked, in order."""
        return ["create" if request.method == "POST" else "list" for request in self.asked]


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
@pytest.mark.parametrize("report", ["productivity", "sprint"])
def test_of_a_report_that_reuses_or_is_listed_one_export_is_made(
    client_to: MakeClient, sandbox: SandboxControl, report: str, loss: httpx.Response | Exception
) -> None:
    request, transport = asked_for(report), Losing(loss)
    export = client_to(sandbox.base_url, transport=transport).create_export(request)
    assert made_for(sandbox, request) == [export.id]
    assert transport.kinds == ["create", "create" if report == "productivity" else "list"]


def test_a_sprint_export_that_was_not_made_is_asked_for_again(client_to: MakeClient, sandbox: SandboxControl) -> None:
    request, transport = asked_for("sprint"), Losing(before=True, times=2)
    export = client_to(sandbox.base_url, transport=transport).create_export(request)
    assert made_for(sandbox, request) == [export.id]
    assert transport.kinds == ["create", "list", "create", "list", "create"]


def test_a_sprint_export_whose_answers_are_all_lost_and_that_is_never_made_fails_after_five_attempts(
    client_to: MakeClient, sandbox: SandboxControl
) -> None:
    request, transport = asked_for("sprint"), Losing(before=True, times=99)
    with pytest.raises(SeiConnectionError, match="create the sprint export of team:1"):
        client_to(sandbox.base_url, transport=transport).create_export(request)
    assert transport.kinds == ["create", "list"] * 4 + ["create"]
    assert made_for(sandbox, request) == []


def test_of_another_report_it_is_asked_for_once_more_and_the_possible_duplicate_is_logged_once(
    client_to: MakeClient, sandbox: SandboxControl, caplog: pytest.LogCaptureFixture
) -> None:
    request, transport = asked_for("business_alignment"), Losing()
    export = client_to(sandbox.base_url, transport=transport).create_export(request)
    assert made_for(sandbox, request)[-1] == export.id
    assert transport.kinds == ["create", "create"]
    said = [each.message for each in caplog.records if each.levelno == logging.WARNING]
    (warning,) = said
    assert warning.endswith("asking again once, so there may be two such exports")
    assert request.description in warning


def test_of_another_report_at_most_two_exports_are_made_whatever_is_lost(
    client_to: MakeClient, sandbox: SandboxControl
) -> None:
    request, transport = asked_for("business_alignment"), Losing(times=99)
    with pytest.raises(SeiConnectionError):
        client_to(sandbox.base_url, transport=transport).create_export(request)
    assert len(made_for(sandbox, request)) == 2


@pytest.mark.parametrize("report", ["sprint", "business_alignment"])
def test_what_certainly_was_not_sent_is_simply_sent_again(
    client_to: MakeClient, sandbox: SandboxControl, report: str, caplog: pytest.LogCaptureFixture
) -> None:
    request = asked_for(report)
    transport = Losing(httpx.ConnectError("refused"), httpx.Response(429), before=True, times=4)
    export = client_to(sandbox.base_url, transport=transport).create_export(request)
    assert made_for(sandbox, request) == [export.id]
    assert transport.kinds == ["create"] * 5
    assert "two such exports" not in caplog.text


def test_a_list_that_fails_for_a_moment_is_one_of_the_five_attempts(client_to: MakeClient) -> None:
    answer, asked = answering(httpx.Response(503))
    with pytest.raises(SeiServerError):
        client_to(answer).create_export(asked_for("sprint"))
    assert [request.method for request in asked] == ["POST", "GET", "GET", "GET", "GET"]


@pytest.mark.parametrize("status", [403, 404])
def test_where_the_list_does_not_tell_nothing_is_made_twice(client_to: MakeClient, status: int) -> None:
    answer, asked = answering(httpx.Response(502), httpx.Response(status))
    with pytest.raises(
        SeiReplyError, match=r"No answer came when asked to create the sprint .* not asked for again: SEI"
    ):
        client_to(answer).create_export(asked_for("sprint"))
    assert [request.method for request in asked] == ["POST", "GET"]


def test_the_wrong_key_is_still_an_error_of_the_key(client_to: MakeClient) -> None:
    answer, _ = answering(httpx.Response(502), httpx.Response(401))
    with pytest.raises(SeiAuthError):
        client_to(answer).create_export(asked_for("sprint"))


def test_many_answers_lost_at_once_neither_wait_for_each_other_nor_take_each_others_exports(
    sandbox: SandboxControl,
) -> None:
    requests = [asked_for("sprint", scope=number % 6 + 1) for number in range(24)]
    transport = Losing(times=24)
    with (
        SeiClient(**SETTINGS, base_url=sandbox.base_url, transport=transport) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        exports = list(pool.map(client.create_export, requests))
    assert [made_for(sandbox, request) for request in requests] == [[export.id] for export in exports]


async def test_many_answers_lost_at_once_on_one_event_loop(sandbox: SandboxControl) -> None:
    requests = [asked_for("sprint", scope=number % 6 + 1) for number in range(24)]
    async with AsyncSeiClient(**SETTINGS, base_url=sandbox.base_url, transport=Losing(times=24)) as client:
        exports = await asyncio.gather(*map(client.create_export, requests))
    assert [made_for(sandbox, request) for request in requests] == [[export.id] for export in exports]
