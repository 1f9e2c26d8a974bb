"""Waiting for complete figures: the trigger, off the event loop, and whole DAGs under `dag.test()`."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, task
from blockbuster import blockbuster_ctx

from sei_provider import lake as sei_lake
from sei_provider.sensors.freshness import SeiFreshnessSensor
from sei_provider.triggers import freshness
from sei_provider.triggers.freshness import FreshnessCheck, SeiFreshnessTrigger
from tests.sensors.conftest import TABLE, Night

pytest_plugins = ["sei_provider.testing"]

DAGS = Path(__file__).parents[2] / "dags"


@pytest.fixture
def no_blocking() -> Iterator[None]:
    """Have each blocking call of our code raise `BlockingError` on the thread of an event loop."""
    with blockbuster_ctx("sei_provider"):
        yield


@pytest.fixture(autouse=True)
def no_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "-1")


def trigger(night: Night, *, seconds: float, scopes: tuple[str, ...] = ("team:11",)) -> SeiFreshnessTrigger:
    return SeiFreshnessTrigger(
        lake=str(night.lake), table=TABLE, scopes=scopes, start="2026-01-19", end="2026-01-19", zone="UTC",
        deadline=time.time() + seconds, poke_interval=0.05,
    )  # fmt: skip


async def event_of(following: SeiFreshnessTrigger) -> dict[str, Any]:
    [event] = [event async for event in following.run()]
    assert json.loads(json.dumps(event.payload)) == event.payload
    return event.payload  # type: ignore[no-any-return]


@pytest.mark.usefixtures("no_blocking")
async def test_it_fires_when_the_figures_have_come_and_never_blocks(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, look = threading.Semaphore(0), FreshnessCheck.look
    monkeypatch.setattr(FreshnessCheck, "look", lambda check: (look(check), looks.release())[0])
    waiting = asyncio.create_task(event_of(trigger(night, seconds=100)))
    for _ in range(2):
        assert await asyncio.to_thread(looks.acquire, timeout=60)
    assert not waiting.done()
    await asyncio.to_thread(night.export, "team:11")
    assert await waiting == {"lacking": None, "error": None}


@pytest.mark.usefixtures("no_blocking")
async def test_at_the_deadline_it_tells_what_is_lacking(night: Night) -> None:
    await asyncio.to_thread(night.export, "team:11")
    event = await event_of(trigger(night, seconds=-1, scopes=("team:11", "team:12")))
    assert event["lacking"].startswith("1 of 2 scopes lacks complete figures: sprint_team_monthly, 2026-01-01 to")


async def test_an_error_that_does_not_pass_ends_the_wait_at_once(night: Night) -> None:
    night.export("team:11")
    [month] = (night.lake / TABLE).glob("*/*.parquet")
    month.write_bytes(b"PAR1")
    event = await event_of(trigger(night, seconds=100))
    assert "damaged" in event["error"]


async def test_a_lake_that_cannot_be_read_for_a_while_is_read_again(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.export("team:11")
    errors: list[Exception] = [sei_lake.StoreError("cannot read"), OSError("unreachable")]
    incomplete = sei_lake.incomplete

    def failing(*args: Any, **arguments: Any) -> Any:
        if errors:
            raise errors.pop()
        return incomplete(*args, **arguments)

    monkeypatch.setattr(sei_lake, "incomplete", failing)
    assert await event_of(trigger(night, seconds=100)) == {"lacking": None, "error": None}
    assert errors == []


async def test_a_store_that_does_not_answer_does_not_silence_the_alarm(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = threading.Event()
    monkeypatch.setattr(FreshnessCheck, "look", lambda _: answer.wait(60))
    monkeypatch.setattr(freshness, "_SLOWEST_LOOK", 0.1)
    event = await event_of(trigger(night, seconds=-1))
    answer.set()
    assert "did not answer" in event["lacking"]


def freshness_dag(night: Night, scopes: Any, seconds: float) -> DAG:
    with DAG("waits", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:

        @task
        def teams() -> Any:
            return scopes

        SeiFreshnessSensor(
            task_id="fresh", lake=str(night.lake), table=TABLE, scopes=teams(), start="{{ params.day }}",
            end="{{ params.day }}", params={"day": "2026-01-19"}, poke_interval=0.05,
            deadline=datetime.fromtimestamp(time.time() + seconds, UTC),
        )  # fmt: skip
    return dag


def test_under_dag_test_it_waits_and_succeeds(night: Night, sei_dag: Callable[..., DAG]) -> None:
    night.export("team:11")
    dag = sei_dag(freshness_dag(night, [["11"], ["12"]], 200))
    coming = threading.Timer(1, night.export, ["team:12"])
    coming.start()
    assert dag.test().state == "success"
    coming.join()


def test_under_dag_test_it_fails_at_the_deadline(night: Night, sei_dag: Callable[..., DAG]) -> None:
    night.export("team:11")
    assert sei_dag(freshness_dag(night, ["11", "12"], 1)).test().state == "failed"
