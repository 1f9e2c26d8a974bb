"""Wait of an export task: the shorter of two limits, exports that are given up, and Airflow's own choice."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from sei_provider.operators._base import SeiExportError, SeiPermanentExportError
from sei_provider.operators.export import SeiExportOperator
from sei_provider.sandbox.control import SandboxControl
from tests.operators.conftest import Task
from tests.tasks import TaskState


def deadline(lake: Path, **arguments: Any) -> float:
    """Return the seconds until the trigger of a deferred task stops waiting."""
    with pytest.raises(TaskDeferred) as deferred:
        Task(lake, state=None, deferrable=True, **arguments).run()
    trigger: Any = deferred.value.trigger
    return float(trigger.deadline) - time.time()


@pytest.mark.parametrize(
    ("timeout", "execution_timeout"),
    [(7200, timedelta(hours=1)), (3600, timedelta(hours=2)), (timedelta(hours=1), None)],
)
def test_the_shorter_of_timeout_and_execution_timeout_is_the_deadline(
    sandbox: SandboxControl, lake: Path, timeout: Any, execution_timeout: timedelta | None
) -> None:
    left = deadline(lake, timeout=timeout, execution_timeout=execution_timeout)
    assert 3600 - 300 < left <= 3600


def test_a_task_that_waits_in_its_worker_hands_on_what_has_ended_before_its_execution_timeout(
    sandbox: SandboxControl, lake: Path
) -> None:
    sandbox.fault("never", team="12")
    task = Task(lake, state=None, timeout=3600, execution_timeout=timedelta(seconds=2))
    with pytest.raises(SeiExportError, match="1 of 3 scopes"):
        task.run()
    assert [bool(manifest["path"]) for manifest in task.pushed["return_value"]] == [True, False, True]


def test_an_export_is_given_up_after_its_time_and_the_others_are_handed_on_without_a_retry(
    sandbox: SandboxControl, lake: Path, state: TaskState
) -> None:
    sandbox.fault("never", team="12")
    task = Task(lake, state=state, timeout=3600, give_up_after=timedelta(seconds=1))
    with pytest.raises(SeiPermanentExportError, match=r"1 of 3 scopes .*give_up_after"):
        task.run()
    assert [bool(manifest["path"]) for manifest in task.pushed["return_value"]] == [True, False, True]
    sandbox.advance(60)
    asked = len(sandbox.exports())
    task.clear()
    with pytest.raises(SeiPermanentExportError, match="give_up_after"):
        task.run()
    assert len(sandbox.exports()) == asked, "the export is resumed, not created anew"


def test_without_give_up_after_a_retry_waits_for_an_export_that_still_runs(
    sandbox: SandboxControl, lake: Path, state: TaskState
) -> None:
    sandbox.fault("never", team="12")
    with pytest.raises(SeiExportError, match="the next try resumes it") as failed:
        Task(lake, state=state, timeout=1).run()
    assert not isinstance(failed.value, SeiPermanentExportError)


@pytest.mark.parametrize(
    ("said", "argument", "defers"),
    [
        (None, None, True),
        ("False", None, False),
        ("false", None, False),
        ("True", None, True),
        ("False", True, True),
        (None, False, False),
    ],
)
def test_default_deferrable_of_airflow_decides_where_the_argument_does_not(
    monkeypatch: pytest.MonkeyPatch, lake: Path, said: str | None, argument: bool | None, defers: bool
) -> None:
    if said:
        monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", said)
    operator = SeiExportOperator(
        task_id="export", report="sprint", scopes=["11"], start="2026-01-01", end="2026-01-31", lake=str(lake),
        deferrable=argument,
    )  # fmt: skip
    assert operator.deferrable is defers
