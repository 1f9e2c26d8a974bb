"""One export for each request, over tries and deaths: later tries resume exports, or create new ones."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from sei_provider.api import Export, ExportRequest, SeiAuthError, SeiClient
from sei_provider.operators._base import SeiExportError
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.data.organisation import Organisation
from sei_provider.sandbox.server import serve
from sei_provider.testing import connect
from tests.operators.conftest import Task, asked_for, publish
from tests.tasks import REUSE, TaskState


def first_try(task: Task) -> list[str]:
    """Run a try that creates exports and defers; returns their ids."""
    with pytest.raises(TaskDeferred) as deferred:
        task.run()
    return sorted(deferred.value.trigger.export_ids)


def new_exports_from(sandbox: SandboxControl, team: str) -> str:
    """The time from which SEI creates a new export of a team's last request (CONTRACT, "Reuse")."""
    created = [export for export in sandbox.exports() if export["body"]["scope"]["teamId"] == team][-1]["created_at"]
    return (datetime.fromisoformat(created) + timedelta(minutes=30)).isoformat(timespec="seconds")


def test_a_retry_asks_only_for_what_did_not_land(sandbox: SandboxControl, lake: Path, state: TaskState) -> None:
    sandbox.fault("fail", team="12", times=1)
    task = Task(lake, state=state)
    with pytest.raises(SeiExportError):
        task.run()
    first = len(sandbox.requests())
    sandbox.advance(REUSE)
    manifests = task.run()
    assert asked_for(sandbox) == {"11": 1, "12": 2, "13": 1}
    assert [request["kind"] for request in sandbox.requests()[first:]] == ["status", "create", "status", "download"]
    assert [bool(manifest["path"]) for manifest in manifests] == [True] * 3


def test_a_retry_resumes_the_exports_that_the_try_before_created(
    sandbox: SandboxControl, lake: Path, state: TaskState
) -> None:
    task = Task(lake, state=state, deferrable=True)
    with pytest.raises(TaskDeferred) as first:
        task.run()
    with pytest.raises(TaskDeferred) as second:
        task.run()
    assert asked_for(sandbox) == {"11": 1, "12": 1, "13": 1}
    assert sorted(second.value.trigger.export_ids) == sorted(first.value.trigger.export_ids)


def test_an_export_that_sei_does_not_know_is_created_anew(
    sandbox: SandboxControl, lake: Path, state: TaskState
) -> None:
    task = Task(lake, state=state, deferrable=True)
    with pytest.raises(TaskDeferred):
        task.run()
    exports = state["checkpoint"]["exports"]
    exports[next(iter(exports))] = "exp_gone"
    sandbox.advance(REUSE)
    with pytest.raises(TaskDeferred) as deferred:
        task.run()
    assert sum(asked_for(sandbox).values()) == 4
    assert "exp_gone" not in [*deferred.value.trigger.export_ids, *state.export_ids]


def test_row_28_a_failed_export_that_sei_gives_back_is_not_waited_for(
    sandbox: SandboxControl, lake: Path, state: TaskState
) -> None:
    """CONTRACT row 28: an identical request within 30 minutes gets the export that failed."""
    sandbox.fault("fail", team="12", report="productivity")
    task = Task(lake, state=state, report="productivity")
    with pytest.raises(SeiExportError, match=r"team:12: export exp_\w+ failed: ") as first:
        task.run()
    with pytest.raises(SeiExportError, match=r"team:12: SEI gave back export exp_\w+, which had failed") as second:
        task.run()
    for error in (first, second):
        assert f"until {new_exports_from(sandbox, '12')}; a try after that can help" in str(error.value)
    sandbox.advance(REUSE)
    sandbox.clear_faults()
    assert [bool(manifest["path"]) for manifest in task.run()] == [True] * 3


def test_an_export_that_sei_gives_back_and_an_earlier_run_published_is_told_in_log_and_result(
    sandbox: SandboxControl, lake: Path, state: TaskState, caplog: pytest.LogCaptureFixture
) -> None:
    task = Task(lake, state=state, report="productivity", scopes=["11", "12"])
    staged = task.run()
    assert not any("fresh_from" in manifest for manifest in staged)
    publish(lake, staged, ["11", "12"])
    task.clear()
    again = task.run()
    assert [manifest["export_id"] for manifest in again] == [manifest["export_id"] for manifest in staged]
    for manifest, team in zip(again, ("11", "12"), strict=True):
        fresh_from = new_exports_from(sandbox, team)
        assert manifest["fresh_from"] == fresh_from
        assert f"team:{team} {manifest['export_id']}, fresh figures from {fresh_from}" in caplog.text
    sandbox.advance(REUSE)
    task.clear()
    assert not any("fresh_from" in manifest for manifest in task.run())


@pytest.mark.parametrize("cleared", [False, True])
def test_a_task_that_died_or_was_cleared_while_it_waited_resumes_what_it_created(
    sandbox: SandboxControl, lake: Path, state: TaskState, cleared: bool
) -> None:
    task = Task(lake, state=state, deferrable=True, report="business_alignment")
    made = first_try(task)
    if cleared:
        task.clear()
    assert first_try(task) == made
    assert asked_for(sandbox) == {"11": 1, "12": 1, "13": 1}


def test_export_ids_are_saved_in_chunks_by_the_main_thread(
    sandbox: SandboxControl, lake: Path, state: TaskState
) -> None:
    """Airflow's calls are not made for many threads, and one for each id would be the slowest part."""
    with serve(teams=60, seconds=0) as larger, pytest.MonkeyPatch.context() as patch:
        connect(patch, larger.base_url)
        teams = [team.id for team in Organisation(60).leaves]
        made = first_try(Task(lake, state=state, scopes=teams, deferrable=True))
    assert sorted(state.export_ids) == made
    assert set(state.saved_by) == {"MainThread"}
    assert len(state.saved_by) < 10


def test_the_exports_created_before_the_key_was_refused_are_saved(
    sandbox: SandboxControl, lake: Path, state: TaskState, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_export = SeiClient.create_export

    def create(client: SeiClient, request: ExportRequest) -> Export:
        if request.scope.team_id == "12":
            message = "the key was revoked"
            raise SeiAuthError(message, status=401)
        return create_export(client, request)

    monkeypatch.setattr(SeiClient, "create_export", create)
    with pytest.raises(AirflowFailException, match="the key was revoked"):
        Task(lake, state=state).run()
    assert sorted(state.export_ids) == sorted(export["id"] for export in sandbox.exports())
    assert len(state.export_ids) == 2


@pytest.mark.parametrize("keeps_state", [True, False])
def test_an_export_whose_id_was_not_saved_is_given_back_by_sei(
    sandbox: SandboxControl, lake: Path, keeps_state: bool
) -> None:
    state = TaskState() if keeps_state else None
    task = Task(lake, state=state, deferrable=True, report="productivity")
    made = first_try(task)
    if state:
        state.lose_export_ids()
    assert first_try(task) == made


def test_without_task_state_a_cleared_task_says_what_it_cannot_know_and_exports_anew(
    sandbox: SandboxControl, lake: Path, caplog: pytest.LogCaptureFixture
) -> None:
    task = Task(lake, state=None, deferrable=True)
    first_try(task)
    sandbox.advance(REUSE)
    task.clear()
    first_try(task)
    assert "This Airflow has no task state store (Airflow 3.3 has)" in caplog.text
    assert asked_for(sandbox) == {"11": 2, "12": 2, "13": 2}


def test_without_task_state_what_is_staged_is_remembered_all_the_same(sandbox: SandboxControl, lake: Path) -> None:
    sandbox.fault("fail", team="12", times=1)
    task = Task(lake, state=None)
    with pytest.raises(SeiExportError):
        task.run()
    sandbox.advance(REUSE)
    task.run()
    assert asked_for(sandbox) == {"11": 1, "12": 2, "13": 1}


def test_after_the_timeout_a_retry_resumes_what_was_still_running(
    sandbox: SandboxControl, lake: Path, state: TaskState
) -> None:
    sandbox.fault("never", team="12")
    task = Task(lake, state=state, timeout=0.5)
    still = r"team:12: export (\S+) was still processing at \S+, when the task's timeout was up; "
    kept = r"it keeps running at SEI, since 20\S+\+00:00, and the next try resumes it"
    with pytest.raises(SeiExportError, match=still + kept) as first:
        task.run()
    with pytest.raises(SeiExportError) as second:
        task.run()
    assert str(first.value).split()[13] == str(second.value).split()[13]
    assert asked_for(sandbox) == {"11": 1, "12": 1, "13": 1}


@pytest.mark.parametrize("report", ["business_alignment", "sprint"])
def test_an_export_whose_file_is_broken_twice_is_created_anew_once_sei_no_longer_gives_it_back(
    sandbox: SandboxControl, lake: Path, state: TaskState, no_waiting: None, report: str
) -> None:
    sandbox.fault("truncated_gzip", team="12", times=1)
    task = Task(lake, state=state, report=report)
    for _ in range(2):
        with pytest.raises(SeiExportError, match=r"team:12: .*(gzip|\d+ bytes of \d+)"):
            task.run()
        assert asked_for(sandbox)["12"] == 1, "it may have been broken on its way"
    sandbox.advance(REUSE)
    assert all(manifest["path"] for manifest in task.run())
    assert asked_for(sandbox) == {"11": 1, "12": 2, "13": 1}


@pytest.mark.parametrize(
    ("account", "words"), [("acme", "cannot be split further"), (None, "its child teams cannot be listed")]
)
def test_a_failed_export_that_cannot_be_split_is_created_anew(
    sandbox: SandboxControl, lake: Path, state: TaskState, monkeypatch: pytest.MonkeyPatch, account: Any, words: str
) -> None:
    connect(monkeypatch, sandbox.base_url, account_identifier=account)
    sandbox.fault("time_out", team="12", times=1)
    task = Task(lake, state=state, end="2026-01-31")
    with pytest.raises(SeiExportError, match=words):
        task.run()
    sandbox.advance(REUSE)
    assert all(manifest["path"] for manifest in task.run())
    assert asked_for(sandbox) == {"11": 1, "12": 2, "13": 1}
