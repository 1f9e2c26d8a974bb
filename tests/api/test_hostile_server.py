"""Every call of both clients against a server that means harm: only our errors, within bounds, and nothing leaks."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sei_provider.api import AsyncSeiClient, Export, SeiClient, SeiError
from sei_provider.api.polling import ExportPoller
from tests.api.conftest import DONE, SETTINGS, export_request
from tests.api.hostile_answers import KEY, answers, leaks
from tests.api.raw_server import Answer, raw_server
from tests.examples import examples

CASES = 200
MAX_CPU_SECONDS = 10.0
MAX_MEMORY = 300 << 20
"""Bytes by which a case may raise this process's peak: what its server sends is among them."""
MAX_FILE_BYTES = 400_000
SECONDS = {
    "REPLY_SECONDS": 0.2,
    "REPORT_SECONDS": 0.2,
    "DOWNLOAD_SECONDS": 0.2,
    "ERROR_SECONDS": 0.2,
    "SILENCE_SECONDS": 0.2,
    "GRACE_SECONDS": 0.2,
}
SIGNED = DONE | {"download": {"url": "/v2/x", "hasQuery": True}}

CALLS: dict[str, Callable[[Any], Any]] = {
    "create": lambda client: client.create_export(export_request()),
    "create sprint": lambda client: client.create_export(export_request("sprint")),
    "status": lambda client: client.get_export("productivity", "exp_1"),
    "download": lambda client: client.download_export(
        Export.from_reply("sprint", DONE), io.BytesIO(), max_bytes=MAX_FILE_BYTES
    ),
    "download signed": lambda client: client.download_export(
        Export.from_reply("sprint", SIGNED), io.BytesIO(), max_bytes=MAX_FILE_BYTES
    ),
    "report": lambda client: client.run_report(export_request("team_report"), io.BytesIO(), max_bytes=MAX_FILE_BYTES),
    "list": lambda client: client.list_exports("productivity"),
    "trees": lambda client: client.list_org_trees(),
    "teams": lambda client: client.list_teams(1),
    "teams by name": lambda client: client.list_teams("T"),
}


class FreeLimit:
    """A rate limit that is used up for a minute after the third 429."""

    def __init__(self) -> None:
        self._penalties = 0

    def try_acquire(self) -> float:
        return 60.0 if self._penalties >= 3 else 0.0

    def penalize(self) -> None:
        self._penalties += 1


class Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(f"{record.getMessage()} {record.exc_info and record.exc_info[1]!r}")


@contextmanager
def debug_logs() -> Iterator[list[str]]:
    """All that is logged; pytest's own handlers, which keep it until the test ends, get nothing."""
    records, root = Records(), logging.getLogger()
    handlers, level = root.handlers, root.level
    root.handlers = [records]
    root.setLevel(logging.DEBUG)
    try:
        yield records.texts
    finally:
        root.handlers = handlers
        root.setLevel(level)


def ask(name: str, base_url: str, *, is_async: bool) -> tuple[bool, list[str]]:
    """Make one call; tell whether it failed, and everything that its result or its error shows."""
    changed = {"api_key": KEY, "account_identifier": "acme", "deadline": time.time() + 2.0}
    given_to = {**SETTINGS, **changed, "base_url": base_url}

    async def ask_async() -> Any:
        async with AsyncSeiClient(**given_to) as client:
            if name == "poll":
                poller = ExportPoller("productivity", ["exp_1", "exp_2"], interval=1.0, deadline=1e12)
                await client.poll(poller)
                return poller.result()
            answer = CALLS[name](client)
            return [item async for item in answer] if isinstance(answer, AsyncIterator) else await answer

    def ask_sync() -> Any:
        with SeiClient(**given_to) as client:
            if name == "poll":
                poller = ExportPoller("productivity", ["exp_1", "exp_2"], interval=1.0, deadline=1e12)
                client.poll(poller)
                return poller.result()
            answer = CALLS[name](client)
            return list(answer) if isinstance(answer, Iterator) else answer

    try:
        result = asyncio.run(ask_async()) if is_async else ask_sync()
    except SeiError as error:
        return True, [*told_by(error)]
    items = result if isinstance(result, list) else [result]
    travels = [item.to_reply() for item in items if isinstance(item, Export)]
    return False, [repr(result), json.dumps(travels), *([json.dumps(result)] if name == "poll" else [])]


def told_by(error: BaseException) -> Iterator[str]:
    """Tell all that an error shows: words, attributes, causes, and the variables of the frames in the provider."""
    yield from (str(error), repr(error), repr(vars(error)))
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if "/tests/" not in frame.f_code.co_filename:
            yield from (f"{name} = {value!r}" for name, value in frame.f_locals.items())
    for other in (error.__cause__, error.__context__):
        if other is not None:
            yield from told_by(other)


@pytest.fixture(scope="module")
def worst() -> Iterator[dict[str, float]]:
    """The worst case's figures; `make fuzz` shows them."""
    seen = {"cases": 0.0, "errors": 0.0, "seconds": 0.0, "CPU seconds": 0.0, "MiB": 0.0}
    yield seen
    print(f"\nhostile server: {seen}")  # noqa: T201 - seen with --capture no


def memory(kind: str) -> int:
    """Return bytes of this process that are in memory now (`VmRSS`), or at most since `forget_peak` (`VmHWM`)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(kind))


def forget_peak() -> None:
    """Let the peak begin anew, because hypothesis keeps more with each case."""
    Path("/proc/self/clear_refs").write_text("5")


@pytest.mark.fuzz
@pytest.mark.filterwarnings("ignore:Generating overly large repr:hypothesis.errors.HypothesisWarning")
@pytest.mark.timeout(7200)
@pytest.mark.usefixtures("no_waiting")
@settings(max_examples=examples(CASES), suppress_health_check=list(HealthCheck))
@given(
    name=st.sampled_from([*CALLS, "poll"]),
    is_async=st.booleans(),
    given_answers=st.lists(answers(), min_size=1, max_size=3),
)
def test_no_answer_raises_anything_but_our_errors_or_costs_more_than_its_bound_or_gets_the_key_out(
    worst: dict[str, float], name: str, is_async: bool, given_answers: list[Answer]
) -> None:
    limits = [patch(f"sei_provider.api.bounds.{bound}", seconds) for bound, seconds in SECONDS.items()]
    limits.append(patch("sei_provider.api.base_client.shared_rate_limit", lambda *_: FreeLimit()))
    for each in limits:
        each.start()
    forget_peak()
    started, started_cpu, before = time.monotonic(), time.process_time(), memory("VmRSS")
    try:
        with raw_server(*given_answers) as server, debug_logs() as logged:
            failed, told = ask(name, server.base_url, is_async=is_async)
            told += logged
    finally:
        for each in limits:
            each.stop()
    worst["cases"] += 1
    worst["errors"] += failed
    worst["seconds"] = max(worst["seconds"], time.monotonic() - started)
    worst["CPU seconds"] = max(worst["CPU seconds"], time.process_time() - started_cpu)
    grown = memory("VmHWM") - before
    worst["MiB"] = max(worst["MiB"], grown >> 20)
    assert time.process_time() - started_cpu < MAX_CPU_SECONDS
    assert grown < MAX_MEMORY
    found = {text[:2000]: leak for text in told if (leak := leaks(text[:20_000]))}
    assert not found
