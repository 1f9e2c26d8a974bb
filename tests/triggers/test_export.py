"""The trigger, run on a loop of its own against a sandbox."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.server import serve
from sei_provider.testing import connect
from sei_provider.triggers.export import SeiExportTrigger
from tests.triggers.exports import made


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxControl]:
    with serve(teams=6, seconds=0.5, reuse=False) as control:
        connect(monkeypatch, control.base_url)
        yield control


def trigger(export_ids: list[str], *, seconds: float = 20) -> SeiExportTrigger:
    return SeiExportTrigger(
        report="sprint",
        export_ids=export_ids,
        deadline=time.time() + seconds,
        polling={"interval": 0.1},
        sei_conn_id="sei_default",
    )


async def event_of(following: SeiExportTrigger) -> dict[str, Any]:
    events = [event async for event in following.run()]
    assert len(events) == 1
    return events[0].payload


async def test_it_fires_once_when_every_export_has_ended(sandbox: SandboxControl) -> None:
    sandbox.fault("fail", team="12")
    ids = await asyncio.to_thread(made, sandbox, "11", "12")
    event = await event_of(trigger(ids))
    assert {id_: reply["status"] for id_, reply in event["ended"].items()} == {ids[0]: "completed", ids[1]: "failed"}
    assert (event["lost"], event["running"], event["error"]) == ({}, {}, None)
    assert "Sandbox User" not in str(event)


async def test_where_the_limit_is_waited_for_it_fires_at_the_time_to_resume_and_not_when_all_have_ended(
    sandbox: SandboxControl,
) -> None:
    ids = await asyncio.to_thread(made, sandbox, "11")
    waiting = trigger(ids)
    waiting.resume_at = time.time() + 2
    event = await event_of(waiting)
    assert time.time() >= waiting.resume_at
    assert list(event["ended"]) == ids


async def test_where_the_limit_is_waited_for_it_leaves_the_next_turns_to_the_task(
    monkeypatch: pytest.MonkeyPatch, sandbox: SandboxControl
) -> None:
    ids = await asyncio.to_thread(made, sandbox, "11", "12")
    connect(monkeypatch, sandbox.base_url, requests_per_minute=3)  # two have been made
    waiting = trigger(ids)
    waiting.resume_at = time.time() + 1
    event = await event_of(waiting)
    assert (sorted(event["running"]), event["error"]) == (sorted(ids), None)
    assert "Async" not in str([request["user_agent"] for request in sandbox.requests()])


async def test_a_wait_for_the_limit_without_exports_needs_no_connection(sandbox: SandboxControl) -> None:
    waiting = trigger([])
    waiting.sei_conn_id = "missing"
    waiting.resume_at = time.time() + 0.1
    assert (await event_of(waiting))["error"] is None


async def test_it_only_reads(sandbox: SandboxControl) -> None:
    ids = await asyncio.to_thread(made, sandbox, "11")
    await event_of(trigger(ids))
    assert {request["kind"] for request in sandbox.requests() if "Async" in request["user_agent"]} == {"status"}


async def test_at_the_deadline_it_says_what_still_runs(sandbox: SandboxControl) -> None:
    sandbox.fault("never", team="12")
    ids = await asyncio.to_thread(made, sandbox, "11", "12")
    event = await event_of(trigger(ids, seconds=1.5))
    assert list(event["ended"]) == [ids[0]]
    assert event["running"] == {ids[1]: "processing"}


async def test_the_deadline_is_kept_by_a_trigger_that_is_started_again(sandbox: SandboxControl) -> None:
    sandbox.fault("never", team="12")
    ids = await asyncio.to_thread(made, sandbox, "12")
    _, kwargs = trigger(ids, seconds=-1).serialize()
    event = await event_of(SeiExportTrigger(**kwargs))
    assert list(event["running"]) == ids
    assert event["deadline"] == kwargs["deadline"]
    assert [request["kind"] for request in sandbox.requests()].count("status") == 1


async def test_what_ended_before_a_deadline_that_has_passed_is_found_out(sandbox: SandboxControl) -> None:
    """Making a batch's exports may take all the time there is, and the first of them be done by then."""
    ids = await asyncio.to_thread(made, sandbox, "11")
    sandbox.advance(1)
    event = await event_of(trigger(ids, seconds=-1))
    assert list(event["ended"]) == ids


async def test_an_export_that_is_gone_ends_the_watch_over_it(sandbox: SandboxControl) -> None:
    ids = await asyncio.to_thread(made, sandbox, "11")
    event = await event_of(trigger([*ids, "exp_gone"]))
    assert list(event["ended"]) == ids
    assert "HTTP 404" in event["lost"]["exp_gone"]


async def test_the_wrong_key_is_told_in_the_event(sandbox: SandboxControl, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = await asyncio.to_thread(made, sandbox, "11")
    connect(monkeypatch, sandbox.base_url, password="sesame-open")
    event = await event_of(trigger(ids))
    assert "HTTP 401" in event["error"]
    assert list(event["running"]) == ids


@pytest.mark.parametrize("key", ["sandbox", "sesame-open"])
async def test_it_does_not_fire_before_the_worker_has_seen_the_deferral_whatever_the_polling(
    sandbox: SandboxControl, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """Airflow fails a task that resumes while its worker's last heartbeat is under way ("state mismatch")."""
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "0")
    ids = await asyncio.to_thread(made, sandbox, "11")
    sandbox.advance(60)
    connect(monkeypatch, sandbox.base_url, password=key)
    eager = trigger(ids, seconds=-1)
    eager.polling = {"interval": 0.01, "initial_delay": 0}
    began = time.monotonic()
    await event_of(eager)
    assert time.monotonic() - began >= 1


async def test_the_line_that_airflow_logs_of_an_event_is_short_and_the_event_is_whole(sandbox: SandboxControl) -> None:
    ids = [f"exp_{number}" for number in range(200)]
    many = SeiExportTrigger(
        report="sprint", export_ids=ids, deadline=0.0, polling={"interval": 0.1}, sei_conn_id="sei_default",
        state={"exports": dict(zip(ids, ids, strict=True))},
    )  # fmt: skip
    [event] = [event async for event in many.run()]
    assert len(repr(event)) < 200
    assert len(str(event)) < 200
    assert list(event.payload["lost"]) == ids
    assert list(event.payload["state"]["exports"]) == ids


async def test_the_log_names_the_stragglers_every_few_minutes(
    sandbox: SandboxControl, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox.fault("never", team="12")
    ids = await asyncio.to_thread(made, sandbox, "11", "12")
    minutes = iter(range(0, 1_000_000, 400))
    monkeypatch.setattr("sei_provider.triggers.export.time", SimpleNamespace(monotonic=lambda: next(minutes)))
    polling = trigger(ids, seconds=2)
    polling.scopes = ["team:11", "team:12"]
    await event_of(polling)
    told = [line for line in capsys.readouterr().out.splitlines() if "still run" in line]
    assert len([line for line in told if f"1 of 2 exports still running: team:12 {ids[1]}" in line]) > 1
