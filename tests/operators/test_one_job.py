"""One export for each request, over tries, clears and deaths: what a later try takes up, and what it makes anew."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from sei_provider.operators.base import SeiExportError
from sei_provider.operators.publish import SeiPublishOperator
from sei_provider.sandbox.control import SandboxControl
from tests.connections import connect
from tests.operators.conftest import Task
from tests.tasks import TaskState


def asked_for(sandbox: SandboxControl) -> Counter[str]:
    return Counter(export["body"]["scope"]["teamId"] for export in sandbox.exports())


def kinds(sandbox: SandboxControl, *, since: int = 0) -> Counter[str]:
    return Counter(request["kind"] for request in sandbox.requests()[since:])


def first_try(task: Task) -> list[str]:
    """A try that makes exports and defers; gives their ids."""
    with pytest.raises(TaskDeferred) as deferred:
        task.run()
    return sorted(deferred.value.trigger.export_ids)


def lose_ids(state: TaskState) -> None:
    """What is left when a worker dies after SEI's answers and before it could save any id."""
    for key in [key for key in state if key.startswith("export:")]:
        del state[key]


def test_a_retry_asks_only_for_what_did_not_land(sandbox: SandboxControl, lake: Path, state: TaskState) -> None:
    sandbox.fault("fail", team="12", times=1)
    task = Task(lake, state=state)
    with pytest.raises(SeiExportError):
        task.run()
    first = len(sandbox.requests())
    manifests = task.run()
    assert asked_for(sandbox) == {"11": 1, "12": 2, "13": 1}
    assert [request["kind"] for request in sandbox.requests()[first:]] == ["status", "create", "status", "download"]
    assert [bool(manifest["path"]) for manifest in manifests] == [True] * 3


def test_a_retry_takes_up_the_exports_that_the_try_before_made(
    sandbox: SandboxControl, lake: Path, state: TaskState
) -> None:
    task = Task(lake, state=state, deferrable=True)
    with pytest.raises(TaskDeferred) as first:
        task.run()
    with pytest.raises(TaskDeferred) as second:
        task.run()
    assert asked_for(sandbox) == {"11": 1, "12": 1, "13": 1}
    assert sorted(second.value.trigger.export_ids) == sorted(first.value.trigger.export_ids)


def test_an_export_that_sei_no_longer_knows_is_made_anew(sandbox: SandboxControl, lake: Path, state: TaskState) -> None:
    task = Task(lake, state=state, deferrable=True)
    with pytest.raises(TaskDeferred):
        task.run()
    state[next(key for key in state if key.startswith("export:"))] = "exp_gone"
    with pytest.raises(TaskDeferred) as deferred:
        task.run()
    assert sum(asked_for(sandbox).values()) == 4
    assert "exp_gone" not in [*deferred.value.trigger.export_ids, *state.values()]


def test_row_28_a_failed_export_that_sei_gives_again_is_not_waited_for(
    sandbox: SandboxControl, lake: Path, state: TaskState
) -> None:
    """CONTRACT row 28: an identical productivity request within 30 minutes gets the export that failed."""
    sandbox.fault("fail", team="12", report="productivity")
    task = Task(lake, state=state, report="productivity")
    with pytest.raises(SeiExportError, match=r"team:12: export exp_.* failed"):
        task.run()
    with pytest.raises(SeiExportError, match=r"team:12: SEI answers with export exp_\w+ again.*try again after that"):
        task.run()
    sandbox.advance(31 * 60)
    sandbox.clear_faults()
    assert [bool(manifest["path"]) for manifest in task.run()] == [True] * 3


def test_clearing_a_task_that_succeeded_exports_anew(sandbox: SandboxControl, lake: Path, state: TaskState) -> None:
    task = Task(lake, state=state)
    before = task.run()
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
    task.clear()
    task.run()
    assert asked_for(sandbox) == {"11": 1, "12": 2, "13": 1}


def test_clearing_a_task_that_succeeded_exports_anew_after_publish_has_emptied_its_staging(
    sandbox: SandboxControl, lake: Path, state: TaskState
) -> None:
    task = Task(lake, state=state)
    staged = task.run()
    publish = SeiPublishOperator(task_id="publish", staged=staged, expected=["11", "12", "13"], lake=str(lake))
    publish.execute({})  # type: ignore[arg-type]
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


@pytest.mark.parametrize("cleared", [False, True])
def test_a_task_that_died_or_was_cleared_while_it_waited_takes_up_what_it_made(
    sandbox: SandboxControl, lake: Path, state: TaskState, cleared: bool
) -> None:
    task = Task(lake, state=state, deferrable=True, report="business_alignment")
    made = first_try(task)
    if cleared:
        task.clear()
    assert first_try(task) == made
    assert asked_for(sandbox) == {"11": 1, "12": 1, "13": 1}


def test_an_id_is_saved_by_the_thread_that_got_it_so_that_no_other_scopes_error_comes_between(
    sandbox: SandboxControl, lake: Path
) -> None:
    class Watched(TaskState):
        def set(self, key: str, value: Any) -> None:
            savers.add((key.partition(":")[0], threading.current_thread() is threading.main_thread()))
            super().set(key, value)

    savers: set[tuple[str, bool]] = set()
    first_try(Task(lake, state=Watched(), deferrable=True))
    assert savers == {("begun", True), ("export", False)}


def test_productivity_is_asked_again_since_sei_gives_the_same_export(
    sandbox: SandboxControl, lake: Path, state: TaskState
) -> None:
    task = Task(lake, state=state, deferrable=True, report="productivity")
    made = first_try(task)
    lose_ids(state)
    assert first_try(task) == made
    assert "list" not in kinds(sandbox)


def test_without_task_state_a_cleared_task_says_what_it_cannot_know_and_exports_anew(
    sandbox: SandboxControl, lake: Path, caplog: pytest.LogCaptureFixture
) -> None:
    task = Task(lake, state=None, deferrable=True)
    first_try(task)
    task.clear()
    first_try(task)
    assert "This Airflow keeps no task state (it came with 3.3)" in caplog.text
    assert asked_for(sandbox) == {"11": 2, "12": 2, "13": 2}


def test_without_task_state_what_is_staged_is_remembered_all_the_same(sandbox: SandboxControl, lake: Path) -> None:
    sandbox.fault("fail", team="12", times=1)
    task = Task(lake, state=None)
    with pytest.raises(SeiExportError):
        task.run()
    task.run()
    assert asked_for(sandbox) == {"11": 1, "12": 2, "13": 1}


def test_after_the_timeout_a_retry_takes_up_what_was_still_running(
    sandbox: SandboxControl, lake: Path, state: TaskState
) -> None:
    sandbox.fault("never", team="12")
    task = Task(lake, state=state, timeout=0.5)
    still = r"team:12: export (\S+) was still processing at \S+, when the task's timeout was up; "
    kept = r"it keeps running at SEI, since 20\S+\+00:00, and the next try takes it up"
    with pytest.raises(SeiExportError, match=still + kept) as first:
        task.run()
    with pytest.raises(SeiExportError) as second:
        task.run()
    assert str(first.value).split()[13] == str(second.value).split()[13]
    assert asked_for(sandbox) == {"11": 1, "12": 1, "13": 1}


@pytest.mark.parametrize("report", ["business_alignment", "sprint"])
def test_a_file_that_is_broken_twice_is_asked_for_anew_though_sei_may_list_its_export(
    sandbox: SandboxControl, lake: Path, state: TaskState, no_waiting: None, report: str
) -> None:
    sandbox.fault("truncated_gzip", team="12", times=1)
    task = Task(lake, state=state, report=report)
    for _ in range(2):
        with pytest.raises(SeiExportError, match=r"team:12: .*(gzip|\d+ bytes of \d+)"):
            task.run()
        assert asked_for(sandbox)["12"] == 1, "it may have been broken on its way"
    assert all(manifest["path"] for manifest in task.run())
    assert asked_for(sandbox) == {"11": 1, "12": 2, "13": 1}


@pytest.mark.parametrize(
    ("account", "words"), [("acme", "cannot be split further"), (None, "its child teams cannot be listed")]
)
def test_a_failed_export_that_cannot_be_split_is_asked_for_anew(
    sandbox: SandboxControl, lake: Path, state: TaskState, monkeypatch: pytest.MonkeyPatch, account: Any, words: str
) -> None:
    connect(monkeypatch, sandbox.base_url, account_identifier=account)
    sandbox.fault("time_out", team="12", times=1)
    task = Task(lake, state=state, end="2026-01-31")
    with pytest.raises(SeiExportError, match=words):
        task.run()
    assert all(manifest["path"] for manifest in task.run())
    assert asked_for(sandbox) == {"11": 1, "12": 2, "13": 1}
