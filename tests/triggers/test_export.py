"""The trigger, run on a loop of its own against a sandbox."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.server import serve
from sei_provider.triggers.export import SeiExportTrigger
from tests.connections import connect
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
