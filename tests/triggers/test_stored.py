"""Rows that an older version left in Airflow's database still load, so that an upgrade loses no deferred task.

`stored/751f940/` holds what commit 751f940 stored while a task waited for the parts of exports that had timed out:
columns of the tables `trigger` and `task_instance`, the trigger's event and the task's state. They were made by

    git worktree add ../751f940 751f940 && cd ../751f940 && PYTHONPATH=. python - FOLDER <<'END'
    import asyncio, json, sys
    from pathlib import Path
    import pytest
    from airflow.providers.common.compat.sdk import TaskDeferred
    from airflow.sdk.serde import serialize
    from sei_provider.sandbox.server import serve
    from tests.connections import connect
    from tests.operators.conftest import Task, TaskState

    def deferral(call, *args):
        try: call(*args)
        except TaskDeferred as deferred: return deferred

    async def event_of(trigger): return [event.payload async for event in trigger.run()][0]

    with serve(teams=6, seconds=0, timeout_days=40) as sandbox, pytest.MonkeyPatch.context() as patch:
        connect(patch, sandbox.base_url)
        task = Task(Path("lake"), state=TaskState(), scopes=["11", "12", "999"], deferrable=True)
        first = deferral(task.run)
        second = deferral(task.resume, first, asyncio.run(event_of(first.trigger)))
        classpath, kwargs = second.trigger.serialize()
        stored = {
            "trigger": {"classpath": classpath, "kwargs": serialize(kwargs)},
            "task_instance": {"next_method": second.method_name, "next_kwargs": serialize(second.kwargs)},
            "event": asyncio.run(event_of(second.trigger)),
            "task_state": dict(task.state),
        }
    for name, value in stored.items():
        Path(sys.argv[1], f"{name}.json").write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\\n")
    END
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from sei_provider.api import ExportRequest, Scope, SeiClient
from sei_provider.operators._base import SeiExportError
from sei_provider.operators._state import TaskCheckpoint
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.server import serve
from sei_provider.testing import connect
from tests.operators.conftest import Task
from tests.tasks import TaskState

STORED = Path(__file__).with_name("stored") / "751f940"
TEAMS = ["11", "12"]
RANGES = [("2026-01-01", "2026-02-28"), ("2026-01-01", "2026-01-31"), ("2026-02-01", "2026-02-28")]


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxControl]:
    with serve(teams=6, seconds=0, timeout_days=40) as control:
        connect(monkeypatch, control.base_url)
        yield control


@pytest.fixture
def stored(sandbox: SandboxControl) -> dict[str, Any]:
    """The stored values by file name, with the ids of the same exports in this test's sandbox."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in STORED.iterdir()}
    old_ids = json.loads(texts["task_state"])
    with SeiClient(
        base_url=sandbox.base_url, api_key="sandbox", org_identifier="acme", project_identifier="web"
    ) as client:
        for team in TEAMS:
            for start, end in RANGES:
                request = ExportRequest(report="sprint", scope=Scope(team), start=start, end=end)  # type: ignore[arg-type]
                old_id, new_id = old_ids[f"export:{request.fingerprint}"], client.create_export(request).id
                texts = {name: text.replace(old_id, new_id) for name, text in texts.items()}
    return {name: json.loads(text) for name, text in texts.items()}


def task(tmp_path: Path, stored: dict[str, Any], **arguments: Any) -> Task:
    """The task that was stored, after its first try."""
    state = TaskState(stored["task_state"])
    stored_task = Task(tmp_path / "lake", state=state, scopes=[*TEAMS, "999"], **arguments)
    stored_task.tries = 1
    return stored_task


async def test_a_stored_trigger_still_runs(stored: dict[str, Any]) -> None:
    module, name = stored["trigger"]["classpath"].rsplit(".", 1)
    trigger = getattr(import_module(module), name)(**stored["trigger"]["kwargs"])
    [event] = [event.payload async for event in trigger.run()]
    assert set(event["ended"]) == set(stored["trigger"]["kwargs"]["export_ids"])
    assert (event["lost"], event["running"], event["error"]) == ({}, {}, None)


def test_a_stored_trigger_is_serialized_anew_without_loss(stored: dict[str, Any]) -> None:
    module, name = stored["trigger"]["classpath"].rsplit(".", 1)
    trigger_class = getattr(import_module(module), name)
    classpath, kwargs = trigger_class(**stored["trigger"]["kwargs"]).serialize()
    assert classpath == stored["trigger"]["classpath"]
    assert trigger_class(**kwargs).serialize() == (classpath, kwargs)


def test_a_stored_task_resumes_with_its_stored_event(
    sandbox: SandboxControl, stored: dict[str, Any], tmp_path: Path
) -> None:
    resumed = task(tmp_path, stored)
    method = getattr(resumed.operator, stored["task_instance"]["next_method"])
    with pytest.raises(SeiExportError, match=r"1 of 7 scopes .* team:999: .* HTTP 404") as failed:
        method(resumed.context(), event=stored["event"], **stored["task_instance"]["next_kwargs"])
    assert isinstance(failed.value, AirflowFailException), "the stored verdict counts"
    landed = [manifest for manifest in resumed.pushed["return_value"] if manifest["path"]]
    assert sorted((manifest["scope"], manifest["start"]) for manifest in landed) == [
        (f"team:{team}", start) for team in TEAMS for start in ("2026-01-01", "2026-02-01")
    ]


def test_a_retry_takes_up_the_export_ids_in_the_stored_task_state(
    sandbox: SandboxControl, stored: dict[str, Any], tmp_path: Path
) -> None:
    before = len(sandbox.exports())
    retried = task(tmp_path, stored)
    with pytest.raises(SeiExportError, match=r"1 of 7 scopes .* team:999: .* HTTP 404"):
        retried.run()
    assert len(sandbox.exports()) == before
    assert sum(bool(manifest["path"]) for manifest in retried.pushed["return_value"]) == 4


def test_an_export_whose_stored_id_is_forgotten_is_not_resumed(
    sandbox: SandboxControl, stored: dict[str, Any], tmp_path: Path
) -> None:
    forgotten = ExportRequest(report="sprint", scope=Scope("11"), start="2026-01-01", end="2026-01-31")  # type: ignore[arg-type]
    lake = str(tmp_path / "lake")
    retried = task(tmp_path, stored)
    TaskCheckpoint(retried.context(), lake).forget(forgotten, unusable=False)
    retried.tries = 2
    assert TaskCheckpoint(retried.context(), lake).load([forgotten]) == {}
