"""The trigger, run on a loop of its own against a sandbox."""

from __future__ import annotations

import asyncio
import sqlite3
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sei_provider.api import AsyncSeiClient, ExportRequest, Scope, SeiClient
from sei_provider.api.limit import RateLimit
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.server import serve
from sei_provider.triggers.export import SeiExportTrigger
from tests.connections import connect


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxControl]:
    with serve(teams=6, seconds=0.5) as control:
        connect(monkeypatch, control.base_url)
        yield control


def made(sandbox: SandboxControl, *teams: str) -> list[str]:
    with SeiClient(
        base_url=sandbox.base_url, api_key="sandbox", org_identifier="acme", project_identifier="web"
    ) as client:
        requests = [
            ExportRequest(report="sprint", scope=Scope(team_id=team), start="2026-01-01", end="2026-01-31")  # type: ignore[arg-type]
            for team in teams
        ]
        return [client.create_export(request).id for request in requests]


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
    first = trigger(await asyncio.to_thread(made, sandbox, "12"), seconds=0.6)
    _, kwargs = first.serialize()
    await asyncio.sleep(0.7)
    began = time.monotonic()
    event = await event_of(SeiExportTrigger(**kwargs))
    assert list(event["running"].values()) == [None]
    assert time.monotonic() - began < 1


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


async def test_nothing_that_may_block_runs_on_the_event_loop(
    sandbox: SandboxControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit's file lock and database, certificates: all of that is for threads."""
    ids = await asyncio.to_thread(made, sandbox, "11", "12")
    the_loops = threading.get_ident()
    blocking: Counter[str] = Counter()

    def watched(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            blocking[name] += threading.get_ident() == the_loops
            return call(*args, **kwargs)

        return wrapper

    for owner, name in (
        (sqlite3, "connect"),
        (ssl, "create_default_context"),
        (RateLimit, "try_acquire"),
        (AsyncSeiClient, "__init__"),
        (time, "sleep"),
    ):
        monkeypatch.setattr(owner, name, watched(name, getattr(owner, name)))
    await event_of(trigger(ids))
    assert {"connect", "try_acquire", "__init__"} <= set(blocking), "these are called, elsewhere"
    assert blocking.total() == 0
