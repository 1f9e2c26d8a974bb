"""Which errors end a task at once, and which are tried again: the rule, and what Airflow gets to see of it."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from sei_provider.api import (
    SeiAuthError,
)
from sei_provider.lake import (
    StoreError,
)
from sei_provider.operators._base import SeiExportError, SeiPermanentExportError
from sei_provider.operators._staging import spool
from sei_provider.operators.report import SeiReportOperator
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.server import serve
from sei_provider.testing import connect
from tests.operators.conftest import Task
from tests.tasks import TaskState


def handed_on(task: Task) -> list[str]:
    return [manifest["scope"] for manifest in task.pushed["return_value"] if manifest["path"]]


@pytest.mark.parametrize(
    ("fault", "is_final"), [(None, True), ("fail", False), ("cancel", False), ("unknown_status", False)]
)
def test_a_task_fails_at_once_only_if_no_try_would_land_anything_more(
    sandbox: SandboxControl, lake: Path, fault: str | None, is_final: bool
) -> None:
    if fault:
        sandbox.fault(fault, team="12")
    task = Task(lake, state=None, scopes=["11", "12", "999"])  # SEI knows no team 999
    with pytest.raises(SeiExportError, match=r"team:999: .* HTTP 404") as failed:
        task.run()
    assert isinstance(failed.value, AirflowFailException) is is_final
    assert isinstance(failed.value, SeiPermanentExportError) is is_final
    assert ("clear the task" in str(failed.value)) is is_final
    assert handed_on(task) == ["team:11"] + ["team:12"] * (fault is None)


def test_the_verdict_of_a_scope_survives_the_wait(sandbox: SandboxControl, lake: Path, state: TaskState) -> None:
    task = Task(lake, state=state, scopes=["11", "999"], deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        task.run()
    event = {"ended": {}, "lost": {}, "running": {}, "deadline": 0.0, "error": None, "final": False}
    event["ended"] = {deferred.value.trigger.export_ids[0]: ended(sandbox)}
    with pytest.raises(SeiPermanentExportError, match="team:999"):
        task.resume(deferred.value, event)
    assert handed_on(task) == ["team:11"]


@pytest.mark.parametrize("final", [True, False])
def test_what_ended_is_staged_and_handed_on_when_the_wait_was_cut_short(
    sandbox: SandboxControl, lake: Path, state: TaskState, final: bool
) -> None:
    task = Task(lake, state=state, scopes=["11", "12"], deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        task.run()
    first, second = (export["id"] for export in sandbox.exports())
    event = {"ended": {first: ended(sandbox)}, "lost": {}, "running": {second: None}, "deadline": 0.0}
    with pytest.raises(SeiExportError, match=f"export {second}: the key was refused") as failed:
        task.resume(deferred.value, event | {"error": "the key was refused", "final": final})
    assert isinstance(failed.value, AirflowFailException) is final
    assert len(handed_on(task)) == 1


def test_an_event_of_an_older_version_is_understood(sandbox: SandboxControl, lake: Path, state: TaskState) -> None:
    task = Task(lake, state=state, scopes=["11"], deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        task.run()
    trigger: Any = deferred.value.trigger
    work = {name: trigger.state[name] for name in ("exports", "errors", "parts", "split")}
    event = {"ended": {}, "lost": {}, "running": {}, "deadline": 0.0, "error": "the key was refused"}
    with pytest.raises(SeiExportError, match="the key was refused"):
        task.operator.execute_complete(task.context(), event=event, work=work, deadline=0.0)


def ended(sandbox: SandboxControl) -> dict[str, Any]:
    export = sandbox.exports()[0]
    return {"exportId": export["id"], "status": "completed", "createdAt": export["created_at"]}


def test_a_wrong_key_met_late_hands_on_what_has_landed_and_is_final(
    sandbox: SandboxControl, lake: Path, state: TaskState, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.fault("fail", team="12")
    task = Task(lake, state=state)
    with pytest.raises(SeiExportError):
        task.run()
    connect(monkeypatch, sandbox.base_url, password="sesame-open")
    with pytest.raises(AirflowFailException, match="HTTP 401") as failed:
        task.run()
    assert isinstance(failed.value.__cause__, SeiAuthError)
    assert sorted(handed_on(task)) == ["team:11", "team:13"]


def test_sei_that_is_away_is_tried_again(lake: Path, monkeypatch: pytest.MonkeyPatch, no_waiting: None) -> None:
    with serve(teams=1) as sandbox:
        connect(monkeypatch, sandbox.base_url)
    with pytest.raises(SeiExportError, match="Could not reach SEI") as failed:
        Task(lake, state=None).run()
    assert not isinstance(failed.value, AirflowFailException)


def test_an_export_that_sei_may_not_show_any_more_is_final_at_the_next_try(
    sandbox: SandboxControl, lake: Path, state: TaskState
) -> None:
    task = Task(lake, state=state, scopes=["11"], deferrable=True)
    with pytest.raises(TaskDeferred):
        task.run()
    sandbox.fault("redirect_to_login", call="status")
    with pytest.raises(SeiPermanentExportError, match=r"team:11: export exp_\w+: .* HTTP 302"):
        task.run()
    assert len(sandbox.exports()) == 1


def test_what_keeps_every_file_out_of_the_lake_is_one_error_and_no_scopes(
    sandbox: SandboxControl, lake: Path, state: TaskState, tmp_path: Path
) -> None:
    raw = tmp_path / "raw"
    raw.write_text("a file where a folder should be")
    task = Task(lake, state=state, raw_path=str(raw))
    with pytest.raises(StoreError) as failed:
        task.run()
    assert not isinstance(failed.value, AirflowFailException), "somebody may free the disk"
    assert "team:" not in str(failed.value)
    assert task.pushed["return_value"] == []
    raw.unlink()
    assert [manifest["error"] for manifest in task.run()] == [None] * 3
    assert len(list(raw.rglob("*.csv.gz"))) == 3, "a file that could not be kept is not taken for staged"
    assert len(sandbox.exports()) == 3


def test_a_full_temporary_folder_is_named_with_what_to_do(tmp_path: Path) -> None:
    def fill(_file: IO[bytes]) -> None:
        Path("/dev/full").write_bytes(b"rows")

    with pytest.raises(OSError, match=r"temporary folder .*: No space left on device\. Free its disk, or set TMPDIR"):
        spool(tmp_path / "download", fill)


@pytest.mark.parametrize(
    ("team", "password", "kind"),
    [("999", "sandbox", SeiPermanentExportError), ("11", "wrong", AirflowFailException)],
)
def test_a_report_that_sei_refuses_is_final_too(
    sandbox: SandboxControl, lake: Path, monkeypatch: pytest.MonkeyPatch, team: str, password: str, kind: Any
) -> None:
    connect(monkeypatch, sandbox.base_url, password=password)
    week = {"start": "2026-03-02", "end": "2026-03-08"}
    operator = SeiReportOperator(task_id="report", report="team_report", scopes=[team], lake=str(lake), **week)
    with pytest.raises(kind):
        operator.execute(Task(lake, state=None).context())


def test_a_file_that_unpacks_to_more_than_is_allowed_is_final(sandbox: SandboxControl, lake: Path) -> None:
    with pytest.raises(SeiPermanentExportError, match=r"3 of 3 scopes .* raise max_file_bytes="):
        Task(lake, state=None, max_file_bytes=20).run()
