"""The maintenance DAG's tasks on a lake that needs them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest
from upath import UPath

from sei_provider import lake as sei_lake
from sei_provider.lake.tables.maintenance import sweep_staging
from sei_provider.sandbox.control import SandboxControl
from tests.operators.conftest import Task, publish


@pytest.fixture
def maintenance(load: Callable[[str], ModuleType]) -> ModuleType:
    return load("sei_maintenance")


def test_abandoned_staging_is_swept_and_a_running_tasks_is_not(
    sandbox: SandboxControl, maintenance: ModuleType, tmp_path: Path
) -> None:
    (old,) = Task(tmp_path, state=None, scopes=["11"]).run()
    folder = Path(old["path"]).parent
    assert maintenance.sweep.function(str(tmp_path)) == []
    assert Path(old["path"]).exists()
    eight_days_ago = time.time() - 8 * 86400
    for path in folder.iterdir():
        os.utime(path, (eight_days_ago, eight_days_ago))
    assert maintenance.sweep.function(str(tmp_path)) == [folder.name]
    assert not folder.exists()


def test_there_is_nothing_to_sweep_in_a_new_lake(tmp_path: Path) -> None:
    assert sweep_staging(UPath(tmp_path), older_than=datetime.now(UTC)) == []


def test_gaps_of_every_table_and_rows_put_aside_are_reported(
    sandbox: SandboxControl, maintenance: ModuleType, tmp_path: Path
) -> None:
    for scopes, start in (
        (["11", "12"], "2025-12-01"),
        (["12"], "2026-01-01"),
        (["11", "12"], "2026-02-01"),
        (["12", "13"], "2026-03-01"),
    ):
        staged = Task(tmp_path, state=None, scopes=scopes, start=start, end=start).run()
        publish(tmp_path, staged, scopes)
        publish(tmp_path, Task(tmp_path, state=None, scopes=["13"], start=start, end=start).run(), scopes, table="mine")
    (tmp_path / "scorecard").mkdir()
    assert maintenance.report.function(str(tmp_path)) == {
        "quarantined": [],
        "gaps": {"mine": [], "sprint_team_monthly": ["team:11 2026-01"]},
        "stale": {"mine": [], "sprint_team_monthly": []},
        "foreign": [],
    }
    (tmp_path / "mine" / "month=2026-02" / "data.parquet~").write_text("an editor's backup")
    (tmp_path / "mine" / "month=2026-03_$folder$").write_text("")
    assert maintenance.report.function(str(tmp_path))["foreign"] == [
        {"table": "mine", "names": ["month=2026-03_$folder$", "month=2026-02/data.parquet~"]}
    ]
    assert maintenance.rewrite.function(str(tmp_path)) == {"mine": [], "sprint_team_monthly": []}
    bad = tmp_path / "body"
    bad.write_text("Team,Start_Date,SPRINT_COMMIT\nA,2026-02-01,3\nB,2026-02-01,three\n")
    sei_lake.stage(
        bad,
        folder=UPath(tmp_path) / "_staging" / "task",
        slice=sei_lake.Slice(
            table="sprint_team_monthly",
            report="sprint",
            scope="team:1",
            start=datetime(2026, 2, 1).date(),  # noqa: DTZ001 - a day
            end=datetime(2026, 2, 28).date(),  # noqa: DTZ001 - a day
            granularity="monthly",
            metrics=frozenset({"SPRINT_COMMIT"}),
            definition={},
        ),
        request="f00d",
        export_id="exp_1",
        created_at=datetime.now(UTC),
        run_id="run",
        exported_at=datetime.now(UTC),
        on_bad_value="quarantine",
    )
    (aside,) = maintenance.report.function(str(tmp_path))["quarantined"]
    assert (aside["table"], aside["rows"]) == ("sprint_team_monthly", 1)
