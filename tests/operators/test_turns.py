"""No worker waits for the key's limit: a task whose turns are far away defers until they come."""

from __future__ import annotations

import asyncio
import math
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from sei_provider.api import ExportRequest, Scope
from sei_provider.api.client import SeiClient
from sei_provider.api.errors import SeiTurnError
from sei_provider.operators._base import SeiExportError
from sei_provider.operators._state import MAX_WORKERS, BatchState
from sei_provider.operators._turns import PATIENCE_SECONDS, TURNS, Turns
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.server import serve
from sei_provider.testing import connect
from sei_provider.triggers.export import SeiExportTrigger
from tests.operators.conftest import Task
from tests.tasks import TaskState

WINDOW_SECONDS = 61.0
SCOPES = ["11", "12", "13", "14", "15", "16"]


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxControl]:
    with serve(teams=6, seconds=0) as control:
        yield control


def pass_time(seconds: float) -> None:
    """Move all that was counted into the past, as if the time had passed since."""
    for file in Path(os.environ["TMPDIR"]).glob("sei-provider-*/*.sqlite"):
        with closing(sqlite3.connect(file)) as bucket, bucket:
            bucket.execute("UPDATE rate_bucket SET item_timestamp = item_timestamp - ?", (int(seconds * 1000),))


def fire(deferred: TaskDeferred, *, after: float = WINDOW_SECONDS) -> dict[str, Any]:
    """Run the trigger of a deferred task, stored and loaded, after so many seconds: at once where it has a time."""
    trigger = cast("SeiExportTrigger", deferred.trigger)
    pass_time(after)
    _, kwargs = trigger.serialize()
    kwargs |= {"resume_at": kwargs["resume_at"] and time.time()}

    async def event() -> dict[str, Any]:
        async for event in SeiExportTrigger(**kwargs).run():
            return cast("dict[str, Any]", event.payload)
        raise AssertionError

    return asyncio.run(event())


def finish(task: Task, deferred: TaskDeferred) -> tuple[list[Any], int]:
    """Resume a task until it ends; returns its manifests, and how often it deferred for the limit."""
    for_limit = 0
    while True:
        for_limit += cast("SeiExportTrigger", deferred.trigger).resume_at is not None
        try:
            return task.resume(deferred, fire(deferred)), for_limit
        except TaskDeferred as again:
            deferred = again


def first_deferral(task: Task) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as deferred:
        task.run()
    return deferred.value


def per_scope(sandbox: SandboxControl) -> Counter[str]:
    return Counter(export["body"]["scope"]["teamId"] for export in sandbox.exports())


@pytest.mark.parametrize("report", ["sprint", "business_alignment"])
def test_a_task_without_turns_defers_until_they_come_and_makes_each_export_once(
    monkeypatch: pytest.MonkeyPatch, sandbox: SandboxControl, lake: Path, state: TaskState, report: str
) -> None:
    connect(monkeypatch, sandbox.base_url, requests_per_minute=4)
    task = Task(lake, state=state, report=report, scopes=SCOPES, deferrable=True, timeout=7200)
    began = time.time()
    deferred = first_deferral(task)
    trigger = cast("SeiExportTrigger", deferred.trigger)
    assert len(sandbox.exports()) == len(state.export_ids) == len(trigger.export_ids) == 4
    assert trigger.resume_at is not None
    assert 61 - 3 <= trigger.resume_at - began <= 61 + 10, "when the first two have left the window"
    assert trigger.resume_at < trigger.deadline
    manifests, for_limit = finish(task, deferred)
    assert [manifest["error"] for manifest in manifests] == [None] * 6
    assert per_scope(sandbox) == Counter(SCOPES)
    assert {export["reused"] for export in sandbox.exports()} == {0}
    assert 2 <= for_limit <= len(SCOPES) // TURNS + 3


def test_a_task_that_has_no_turns_for_its_last_downloads_defers_with_what_has_ended(
    monkeypatch: pytest.MonkeyPatch, sandbox: SandboxControl, lake: Path, state: TaskState
) -> None:
    connect(monkeypatch, sandbox.base_url, requests_per_minute=9)
    task = Task(lake, state=state, scopes=SCOPES, deferrable=True, timeout=7200)
    waiting = first_deferral(task)
    with pytest.raises(TaskDeferred) as deferred:  # six were created, one list page was read: two downloads are left
        task.resume(waiting, fire(waiting, after=0))
    trigger = cast("SeiExportTrigger", deferred.value.trigger)
    assert trigger.resume_at is not None
    assert trigger.export_ids == [], "they have ended, so nobody asks about them again"
    assert len(trigger.state["ended"]) == 4
    assert Counter(request["kind"] for request in sandbox.requests())["download"] == 2
    manifests, for_limit = finish(task, deferred.value)
    assert [manifest["error"] for manifest in manifests] == [None] * 6
    assert for_limit == 1
    assert Counter(request["kind"] for request in sandbox.requests()) == {"create": 6, "list": 1, "download": 6}


def test_exports_that_still_run_when_the_turns_come_are_waited_for(
    monkeypatch: pytest.MonkeyPatch, lake: Path, state: TaskState
) -> None:
    with serve(teams=6, seconds=3000) as sandbox:
        connect(monkeypatch, sandbox.base_url, requests_per_minute=4)
        task = Task(lake, state=state, scopes=SCOPES, deferrable=True, timeout=7200)
        deferred = first_deferral(task)
        event = fire(deferred)
        assert (event["ended"], len(event["running"])) == ({}, 4)
        with pytest.raises(TaskDeferred) as again:
            task.resume(deferred, event)
        sandbox.advance(4000)
        manifests, _ = finish(task, again.value)
        assert [manifest["error"] for manifest in manifests] == [None] * 6
        assert per_scope(sandbox) == Counter(SCOPES)


def test_a_worker_that_dies_after_the_limit_let_it_resume_leaves_one_export_for_each_scope(
    monkeypatch: pytest.MonkeyPatch, sandbox: SandboxControl, lake: Path, state: TaskState
) -> None:
    connect(monkeypatch, sandbox.base_url, requests_per_minute=4)
    task = Task(lake, state=state, scopes=SCOPES, deferrable=True, timeout=7200)
    deferred = first_deferral(task)
    fire(deferred, after=0)  # and nobody resumes with its event
    again = first_deferral(task)  # the next try, which has no turns either
    assert cast("SeiExportTrigger", again.trigger).resume_at is not None
    manifests, _ = finish(task, again)
    assert [manifest["error"] for manifest in manifests] == [None] * 6
    assert per_scope(sandbox) == Counter(SCOPES)


@pytest.mark.parametrize(("timeout", "until_all"), [(30, None), (80, 100.0)], ids=["the first", "the last"])
def test_a_task_whose_turns_come_after_its_timeout_fails_these_scopes_at_once(
    monkeypatch: pytest.MonkeyPatch,
    sandbox: SandboxControl,
    lake: Path,
    state: TaskState,
    timeout: int,
    until_all: float | None,
) -> None:
    connect(monkeypatch, sandbox.base_url, requests_per_minute=4)
    if until_all:  # the first is free after 61 seconds
        monkeypatch.setattr(SeiClient, "seconds_until", lambda *_: until_all)
    task = Task(lake, state=state, scopes=SCOPES, deferrable=True, timeout=timeout)
    deferred = first_deferral(task)
    assert cast("SeiExportTrigger", deferred.trigger).resume_at is None
    with pytest.raises(SeiExportError, match=r"2 of 6 scopes .*requests per minute are used up"):
        finish(task, deferred)


def test_a_later_try_whose_turns_come_after_its_timeout_waits_no_longer_for_what_an_earlier_one_made(
    monkeypatch: pytest.MonkeyPatch, sandbox: SandboxControl, lake: Path, state: TaskState
) -> None:
    connect(monkeypatch, sandbox.base_url, requests_per_minute=4)
    first_deferral(Task(lake, state=state, scopes=SCOPES, deferrable=True, timeout=7200))
    monkeypatch.setattr(SeiClient, "seconds_until", lambda *_: 100.0)  # the first turn is free after 61 seconds
    again = Task(lake, state=state, scopes=SCOPES, deferrable=True, timeout=80)
    again.tries = 1
    deferred = first_deferral(again)
    trigger = cast("SeiExportTrigger", deferred.trigger)
    assert (trigger.resume_at, sorted(trigger.export_ids)) == (None, sorted(state.export_ids))
    assert trigger.deadline <= time.time() + 80
    assert len(trigger.state["errors"]) == 2, "those that it could not make"
    with pytest.raises(SeiExportError, match=r"2 of 6 scopes .*requests per minute are used up"):
        finish(again, deferred)
    assert len(sandbox.exports()) == 4


def test_a_task_that_waits_in_its_worker_waits_there_for_the_limit_too(
    monkeypatch: pytest.MonkeyPatch, sandbox: SandboxControl, lake: Path, state: TaskState
) -> None:
    connect(monkeypatch, sandbox.base_url, requests_per_minute=4)
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        pass_time(seconds)

    monkeypatch.setattr("sei_provider.api.client.time.sleep", sleep)
    manifests = Task(lake, state=state, scopes=SCOPES, deferrable=False, timeout=3600).run()
    assert [manifest["error"] for manifest in manifests] == [None] * 6
    assert max(waits) > PATIENCE_SECONDS


@pytest.mark.parametrize(
    ("call", "fault"), [("create", "429_seconds"), ("download", "429_date"), ("status", "429_seconds")]
)
def test_a_task_that_sei_asks_to_wait_for_long_defers_until_then(
    monkeypatch: pytest.MonkeyPatch, sandbox: SandboxControl, lake: Path, state: TaskState, call: str, fault: str
) -> None:
    """Somebody else uses the key too, so the bucket does not know of it."""
    monkeypatch.setattr("sei_provider.sandbox.faults.injection.RETRY_AFTER_SECONDS", 60)
    awake = SimpleNamespace(sleep=lambda seconds: pytest.fail(f"the worker slept for {seconds} seconds"))
    monkeypatch.setattr("tenacity.nap.time", awake)
    connect(monkeypatch, sandbox.base_url)
    task = Task(lake, state=state, scopes=SCOPES, deferrable=True, timeout=7200)
    if call == "status":  # a later try asks about what an earlier one made
        first_deferral(task)
    sandbox.fault(fault, call=call, times=1)
    began = time.time()
    deferred = first_deferral(task)
    if call == "download":
        with pytest.raises(TaskDeferred) as again:
            task.resume(deferred, fire(deferred))
        deferred = again.value
    resume_at = cast("SeiExportTrigger", deferred.trigger).resume_at
    assert resume_at is not None
    assert began + 60 - 5 <= resume_at <= time.time() + 60
    manifests, for_limit = finish(task, deferred)
    assert [manifest["error"] for manifest in manifests] == [None] * 6
    assert (for_limit, len(sandbox.exports())) == (1, 6)


class Key:
    """A client's limit of which others take every turn but one in `share`."""

    def __init__(self, share: float) -> None:
        self.turn_patience = math.inf
        self.waited = 0
        self.asked: list[int] = []
        self._share = share
        self.calls = 0

    def call(self, _: ExportRequest) -> str:
        self.calls += 1
        if self.calls * self._share % 1 >= self._share:
            if self.turn_patience < math.inf:
                msg = "no turn"
                raise SeiTurnError(msg, wait=60.0)
            self.waited += 1
        return "answer"

    def seconds_until(self, requests: int) -> float:
        self.asked.append(requests)
        return 60.0


def requests_of(count: int) -> list[ExportRequest]:
    return [
        ExportRequest(report="sprint", scope=Scope(team_id=str(team)), start="2026-01-01", end="2026-01-31")  # type: ignore[arg-type]
        for team in range(count)
    ]


@pytest.mark.parametrize("share", [0.0001, 0.05, 0.3])
@pytest.mark.parametrize("scopes", [1, 24, 100])
def test_a_try_defers_for_the_limit_a_bounded_number_of_times_and_then_waits(share: float, scopes: int) -> None:
    key, state, deferrals = Key(share), BatchState(), 0
    left = requests_of(scopes)
    while left:
        turns = Turns(cast("SeiClient", key), state, may_defer=True, vary=lambda low, _: low)
        done = {request.fingerprint for request, _ in turns.map(key.call, left, unfinished=len(left))}
        left = [request for request in left if request.fingerprint not in done]
        deferrals += state.resume_at is not None
        state = BatchState.from_json({"deferrals_left": state.deferrals_left})
    assert deferrals <= scopes // TURNS + 3
    if key.waited:
        assert deferrals == scopes // TURNS + 3


@pytest.mark.parametrize(("scopes", "fit"), [(6, 6), (25, 25), (100, 25)])
def test_a_task_resumes_when_its_next_25_requests_fit_somewhat_apart_from_others_and_calls_nothing_until_then(
    monkeypatch: pytest.MonkeyPatch, scopes: int, fit: int
) -> None:
    monkeypatch.setattr("sei_provider.operators._turns.time.time", lambda: 1000.0)
    for late in (0.0, 2.0):
        key, state = Key(0.0), BatchState()
        turns = Turns(cast("SeiClient", key), state, may_defer=True, vary=lambda _, high, late=late: min(late, high))
        assert list(turns.map(key.call, requests_of(scopes), unfinished=scopes)) == []
        assert key.asked == [fit]
        assert state.resume_at == 1000.0 + 60.0 - 3.0 + late, "its process starts in the meantime"
        assert key.calls <= MAX_WORKERS, "those under way when the first was refused"
        assert key.turn_patience == math.inf, "other calls of this client wait as before"
