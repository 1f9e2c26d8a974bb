"""All triggers of a machine share one event loop: nothing of ours may block it."""

from __future__ import annotations

import asyncio
import sqlite3
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from blockbuster import BlockingError, blockbuster_ctx

from sei_provider.api import AsyncSeiClient
from sei_provider.api.polling import ExportPoller
from sei_provider.api.rate_limit import RateLimit
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.data.organisation import Organisation
from sei_provider.sandbox.server import serve
from sei_provider.testing import connect
from sei_provider.triggers.export import SeiExportTrigger
from tests.triggers.exports import made

MANY = [team.id for team in Organisation(20).leaves]


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxControl]:
    with serve(teams=len(MANY), seconds=0.5) as control:
        connect(monkeypatch, control.base_url)
        yield control


@pytest.fixture
def no_blocking() -> Iterator[None]:
    """Have each blocking call of our code raise `BlockingError` on the thread of an event loop."""
    with blockbuster_ctx("sei_provider", excluded_modules=["sei_provider.sandbox"]):
        yield


async def event_of(export_ids: list[str]) -> dict[str, Any]:
    following = SeiExportTrigger(
        report="sprint",
        export_ids=export_ids,
        deadline=time.time() + 20,
        polling={"interval": 0.1},
        sei_conn_id="sei_default",
    )
    [event] = [event async for event in following.run()]
    return event.payload  # type: ignore[no-any-return]


@pytest.mark.usefixtures("no_blocking")
@pytest.mark.parametrize("teams", [MANY[:1], MANY], ids=["by status", "by list"])
async def test_following_exports_does_not_block(sandbox: SandboxControl, teams: list[str]) -> None:
    ids = await asyncio.to_thread(made, sandbox, *teams)
    event = await event_of(ids)
    assert set(event["ended"]) == set(ids)
    asked = [request for request in sandbox.requests() if "Async" in request["user_agent"]]
    by_list = [request["kind"] for request in asked].count("list")
    singly = asked[by_list:]
    if len(teams) == 1:
        assert asked == singly != []
    else:
        assert by_list
    assert {request["kind"] for request in singly} <= {"status"}
    assert len({request["export_id"] for request in singly}) <= 1, "only the last that still runs is asked about singly"


@pytest.mark.usefixtures("no_blocking", "no_waiting")
async def test_bad_weather_does_not_make_it_block(sandbox: SandboxControl) -> None:
    ids = await asyncio.to_thread(made, sandbox, "11", "12")
    for fault in ("429", "500", "502_html", "reset_before_answer", "json_cut_short"):
        sandbox.fault(fault, call="status", times=1)
    assert set((await event_of(ids))["ended"]) == set(ids)


@pytest.mark.usefixtures("no_blocking")
async def test_an_error_for_everybody_does_not_make_it_block(
    sandbox: SandboxControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await asyncio.to_thread(made, sandbox, "11")
    connect(monkeypatch, sandbox.base_url, password="sesame-open")
    assert "HTTP 401" in (await event_of(ids))["error"]


@pytest.mark.usefixtures("no_blocking")
@pytest.mark.parametrize(
    "blocking",
    [
        pytest.param(lambda _: time.sleep(0), id="sleeping"),
        pytest.param(lambda folder: (folder / "file").read_text(), id="reading a file"),
        pytest.param(lambda folder: sqlite3.connect(folder / "database").execute("SELECT 1"), id="a database"),
    ],
)
async def test_a_blocking_call_would_be_noticed(
    sandbox: SandboxControl, blocking: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    ids = await asyncio.to_thread(made, sandbox, "11")
    next_pause = ExportPoller.next_pause

    def pause_after_blocking(poller: ExportPoller) -> float:
        blocking(tmp_path)
        return next_pause(poller)

    monkeypatch.setattr(ExportPoller, "next_pause", pause_after_blocking)
    with pytest.raises(BlockingError):
        await event_of(ids)


async def test_what_is_slow_inside_libraries_happens_in_threads(
    sandbox: SandboxControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No patched call shows these: opening the limit's database, waiting for its file lock, reading certificates."""
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
    ):
        monkeypatch.setattr(owner, name, watched(name, getattr(owner, name)))
    await event_of(ids)
    assert {"connect", "try_acquire", "__init__"} <= set(blocking), "these are called, elsewhere"
    assert blocking.total() == 0
