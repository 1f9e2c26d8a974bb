"""Retries: which errors, how often, and after how long."""

from __future__ import annotations

import time
from email.utils import formatdate

import httpx
import pytest

from sei_provider.api import (
    Export,
    SeiAuthError,
    SeiBadRequestError,
    SeiConnectionError,
    SeiError,
    SeiNotFoundError,
    SeiRateLimitError,
    SeiServerError,
)
from sei_provider.api.endpoints import get_export
from sei_provider.api.rate_limit import shared_rate_limit
from sei_provider.api.response import error_from_response
from sei_provider.api.retry import RetryState
from tests.api.conftest import BASE_URL, SETTINGS, MakeClient, answering, export_request

CREATED = {"exportId": "exp_1", "createdAt": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("status", "kind", "attempts"),
    [
        (400, SeiBadRequestError, 1),
        (401, SeiAuthError, 1),
        (403, SeiAuthError, 1),
        (404, SeiNotFoundError, 1),
        (422, SeiBadRequestError, 1),
        (500, SeiServerError, 5),
        (502, SeiServerError, 5),
        (503, SeiServerError, 5),
    ],
)
@pytest.mark.usefixtures("no_waiting")
def test_what_may_pass_is_asked_again_five_times_and_the_rest_once(
    client_to: MakeClient, status: int, kind: type[Exception], attempts: int
) -> None:
    answer, asked = answering(httpx.Response(status, json={"message": "no"}))
    with pytest.raises(kind, match=f"read the status of productivity export exp_1 with HTTP {status}: no"):
        client_to(answer).get_export("productivity", "exp_1")
    assert len(asked) == attempts


@pytest.mark.usefixtures("no_waiting")
def test_a_lost_connection_is_tried_again(client_to: MakeClient) -> None:
    reply = httpx.Response(200, json=CREATED | {"status": "completed"})
    answer, asked = answering(httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), reply)
    assert client_to(answer).get_export("productivity", "exp_1").id == "exp_1"
    assert len(asked) == 3


@pytest.mark.usefixtures("no_waiting")
def test_a_connection_that_stays_lost_is_an_error_that_says_what_was_asked(client_to: MakeClient) -> None:
    answer, asked = answering(httpx.ConnectError("refused"))
    with pytest.raises(SeiConnectionError, match=r"Could not reach SEI to create the sprint export of team:1.*refused"):
        client_to(answer).create_export(export_request("sprint"))
    assert len(asked) == 5


@pytest.mark.usefixtures("no_waiting")
def test_429_is_asked_again_as_long_as_there_is_time(client_to: MakeClient) -> None:
    reply = httpx.Response(200, json=CREATED | {"status": "completed"})
    answer, asked = answering(*[httpx.Response(429)] * 8, reply)
    assert client_to(answer).get_export("productivity", "exp_1").id == "exp_1"
    assert len(asked) == 9


@pytest.mark.usefixtures("no_waiting")
def test_429_halves_what_is_left_of_the_keys_limit_for_everyone(client_to: MakeClient) -> None:
    answer, _ = answering(httpx.Response(429), httpx.Response(200, json=CREATED | {"status": "completed"}))
    client_to(answer, requests_per_minute=20).get_export("productivity", "exp_1")
    others = shared_rate_limit(BASE_URL, SETTINGS["api_key"], 20)
    assert [others.try_acquire() == 0.0 for _ in range(20)].count(True) == 20 - 1 - 9 - 1


def test_429_is_an_error_once_the_deadline_is_past(client_to: MakeClient) -> None:
    answer, _ = answering(httpx.Response(429, headers={"retry-after": "0"}))
    with pytest.raises(SeiRateLimitError, match=r"HTTP 429.*requests_per_minute"):
        client_to(answer, deadline=0.0).get_export("productivity", "exp_1")


def attempts(deadline: float | None = None) -> RetryState[Export]:
    return RetryState(get_export("sprint", "exp_1"), deadline, clock=lambda: 1000.0)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("told", "seconds"),
    [("7", 7.0), ("0", 0.1), ("-3", 0.1), ("9999", 300.0), ("1e999", 300.0), ("nan", None), ("soon", None), ("", None)],
)
def test_seis_own_retry_after_is_waited_for_within_bounds(status: int, told: str, seconds: float | None) -> None:
    error = error_from_response("ask", status, {"retry-after": told}, b"")
    assert attempts().should_retry(error) == (seconds or True)


def test_a_retry_after_may_be_a_date() -> None:
    error = error_from_response("ask", 429, {"retry-after": formatdate(time.time() + 100, usegmt=True)}, b"")
    assert attempts().should_retry(error) == pytest.approx(100, abs=3)
    past = error_from_response("ask", 429, {"retry-after": "Mon, 01 Jan 2001 00:00:00 GMT"}, b"")
    assert attempts().should_retry(past) == 0.1
    for odd in ("Mon, 01 Jan 0001 00:00:00 -0000", "Mon, 99 Jan 2001 00:00:00 GMT"):
        assert attempts().should_retry(error_from_response("ask", 429, {"retry-after": odd}, b"")) in {0.1, True}


def test_nothing_is_waited_for_that_comes_after_the_deadline() -> None:
    busy = SeiRateLimitError("busy", status=429, retry_after=60.0)
    assert attempts(deadline=1061.0).should_retry(busy) == 60.0
    assert attempts(deadline=1059.0).should_retry(busy) is False


@pytest.mark.parametrize("deadline", [1.0, 3.0, 7.0, 100.0])
@pytest.mark.parametrize("error", [SeiRateLimitError("busy", status=429), SeiServerError("down", status=503)])
def test_line_13_no_pause_between_attempts_lasts_past_the_deadline(deadline: float, error: SeiError) -> None:
    now, attempts = 0.0, 1
    retry = RetryState(get_export("sprint", "exp_1"), deadline, clock=lambda: now)
    while again := retry.should_retry(error):
        longest = min(30.0, 0.5 * 2 ** (attempts - 1) + 1.0)  # stamina's, with all of its jitter
        now += longest if again is True else again
        attempts += 1
        assert now < deadline
    assert attempts >= 3
