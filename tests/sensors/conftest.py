"""Sensors run in this process against a lake that is made by publishing; the context is made up, the rest is real."""

from __future__ import annotations

import gzip
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG

from sei_provider import lake as sei_lake
from sei_provider.sensors.freshness import SeiFreshnessSensor

TABLE = "sprint_team_monthly"
RUN_AFTER = datetime(2026, 1, 20, 3, 0, tzinfo=UTC)


class Night:
    """A lake, and short ways to fill it and to look into it."""

    def __init__(self, folder: Path) -> None:
        self.lake = folder / "lake"
        self._exports = 0

    def export(self, scope: str, *, end: str = "2026-01-19", made: str = "2026-01-20T02:30+00:00") -> None:
        """Publish an empty answer of this month to date."""
        self._exports += 1
        file = self.lake.with_name("body")
        file.write_bytes(gzip.compress(b"Team,Team Hierarchy,Start Date,Sprint Commit\n"))
        slice_ = sei_lake.Slice(
            table=TABLE, report="sprint", scope=scope, start=date(2026, 1, 1), end=date.fromisoformat(end),
            granularity="monthly", metrics=frozenset(), definition={},
        )  # fmt: skip
        made_at = datetime.fromisoformat(made)
        manifest = sei_lake.stage(
            file, folder=sei_lake.lake_path(self.lake) / "_staging" / "task", slice=slice_, request="f00d",
            export_id=f"exp_{self._exports}", created_at=made_at, run_id="run", exported_at=made_at,
        )  # fmt: skip
        sei_lake.publish(self.lake, [manifest], published_at=made_at)

    def sensor(self, **arguments: Any) -> SeiFreshnessSensor:
        given: dict[str, Any] = {"lake": str(self.lake), "table": TABLE, "scopes": ["11", "12"]}
        return SeiFreshnessSensor(task_id="fresh", **(given | arguments))

    def context(self, *, run_after: datetime = RUN_AFTER, zone: Any = UTC) -> Any:
        dag = DAG("freshness", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=zone))
        return {"dag": dag, "dag_run": SimpleNamespace(run_after=run_after), "ti": SimpleNamespace()}


@pytest.fixture
def night(tmp_path: Path) -> Night:
    return Night(tmp_path)
