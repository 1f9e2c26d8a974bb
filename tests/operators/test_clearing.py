"""A cleared task, and a run made again: what they resume, what they export anew, and what they leave alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sei_provider.operators._base import SeiExportError
from sei_provider.sandbox.control import SandboxControl
from tests.operators.conftest import Task, asked_for, kinds, publish
from tests.tasks import REUSE, TaskState

TEAMS = ["11", "12", "13"]


def test_clearing_a_task_that_succeeded_exports_anew(sandbox: SandboxControl, lake: Path, state: TaskState) -> None:
    task = Task(lake, state=state)
    before = task.run()
    sandbox.advance(REUSE)
    task.clear()
    after = task.run()
    assert asked_for(sandbox) == {"11": 2, "12": 2, "13": 2}
    assert not {manifest["path"] for manifest in before} & {manifest["path"] for manifest in after}
    assert not any(Path(manifest["path"]).exists() for manifest in before)


def test_clearing_a_task_that_failed_resumes(sandbox: SandboxControl, lake: Path, state: TaskState) -> None:
    sandbox.fault("fail", team="12", times=1)
    task = Task(lake, state=state)
    with pytest.raises(SeiExportError):
        task.run()
    sandbox.advance(REUSE)
    task.clear()
    task.run()
    assert asked_for(sandbox) == {"11": 1, "12": 2, "13": 1}


def test_clearing_a_task_that_succeeded_exports_anew_after_publish_has_emptied_its_staging(
    sandbox: SandboxControl, lake: Path, state: TaskState
) -> None:
    task = Task(lake, state=state)
    staged = task.run()
    publish(lake, staged, TEAMS)
    sandbox.advance(REUSE)
    task.clear()
    assert all(manifest["path"] for manifest in task.run())
    assert asked_for(sandbox) == {"11": 2, "12": 2, "13": 2}


def test_clearing_a_task_that_staged_everything_and_died_before_its_end_asks_for_nothing(
    sandbox: SandboxControl, lake: Path, state: TaskState, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task(lake, state=state)

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(task.operator, "_hand_on", die)
        with pytest.raises(KeyboardInterrupt):
            task.run()
    task.clear()
    before = len(sandbox.requests())
    assert [manifest["error"] for manifest in task.run()] == [None] * 3
    assert kinds(sandbox, since=before) == {}


@pytest.mark.parametrize("keeps_ids", [True, False])
def test_clearing_a_failed_task_of_a_published_batch_fetches_only_what_was_not_published(
    sandbox: SandboxControl, lake: Path, keeps_ids: bool
) -> None:
    task = Task(lake, state=TaskState() if keeps_ids else None)
    sandbox.fault("fail", team="12")
    with pytest.raises(SeiExportError):
        task.run()
    result = publish(lake, task.pushed["return_value"], TEAMS)
    assert [lack["scope"] for lack in result["missing"]] == ["team:12"]
    sandbox.clear_faults()
    sandbox.advance(REUSE)
    task.clear()
    before = len(sandbox.requests())
    staged = task.run()
    assert asked_for(sandbox) == {"11": 1, "12": 2, "13": 1}
    assert kinds(sandbox, since=before)["download"] == 1
    result = publish(lake, staged, TEAMS)
    assert result["missing"] == []
    assert {(month["month"], month["slices"]) for month in result["published"]} == {("2026-01", 3), ("2026-02", 3)}


def test_a_run_made_again_under_the_id_of_a_deleted_one_exports_anew(sandbox: SandboxControl, lake: Path) -> None:
    deleted = Task(lake, state=TaskState())
    old = deleted.run()
    sandbox.advance(REUSE)
    new = Task(lake, state=TaskState()).run()
    assert asked_for(sandbox) == {"11": 2, "12": 2, "13": 2}
    assert not {manifest["export_id"] for manifest in old} & {manifest["export_id"] for manifest in new}


def test_a_run_made_again_does_not_take_what_a_deleted_one_had_published_for_its_own(
    sandbox: SandboxControl, lake: Path
) -> None:
    publish(lake, Task(lake, state=TaskState()).run(), TEAMS)
    sandbox.advance(REUSE)
    Task(lake, state=TaskState()).run()
    assert asked_for(sandbox) == {"11": 2, "12": 2, "13": 2}


def test_a_cleared_success_exports_anew_also_what_was_published_when_a_team_has_joined_the_batch(
    sandbox: SandboxControl, lake: Path, state: TaskState
) -> None:
    task = Task(lake, state=state, scopes=["11", "12"])
    publish(lake, task.run(), TEAMS)
    sandbox.advance(REUSE)
    task.clear()
    task.operator.scopes = ["11", "12", "13"]
    task.run()
    assert asked_for(sandbox) == {"11": 2, "12": 2, "13": 1}
