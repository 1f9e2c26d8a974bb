"""`dag.test()` and `airflow dags test` of the examples, deferrable as they stand: what people try first."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import pytest

from dev.stack import PROJECT
from sei_provider.sandbox.server import serve
from tests.whole.conftest import EXAMPLES, Whole

REBUILDS_API = not version("apache-airflow").startswith("3.3.")
"""Airflow 3.1 makes its execution API anew for each task under `dag.test()`, 3.5 seconds each on 3.1.8, so on older
versions only the README's DAG is tried."""
README = "sei_nightly"
OTHERS = (
    []
    if REBUILDS_API
    else sorted({*EXAMPLES, "sei_maintenance"} - {README}, key=lambda name: (name == "sei_scorecard", name))
)
"""The scorecard last: it reads what the others have published."""
ORDER = [README] if REBUILDS_API else [f"command:{README}", *OTHERS, "asked"]


@dataclass(frozen=True)
class Tried:
    """Result of `dag.test()`, and its output."""

    states: dict[str, Any]
    output: str


@pytest.fixture(scope="module")
def environment(whole: Whole, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Configures an Airflow of its own: a copy of the stack's database, in which no scheduler looks for runs."""
    home = tmp_path_factory.mktemp("home")
    with (
        closing(sqlite3.connect(whole.stack.database)) as source,
        closing(sqlite3.connect(home / "airflow.db")) as copy,
    ):
        source.backup(copy)
    with serve(teams=3, seconds=0) as sandbox:
        # Airflow masks each value of an extra, and warns of those of fewer than five letters.
        extra = {"org_identifier": "default", "project_identifier": "sandbox", "account_identifier": "sandbox"}
        connection = {"conn_type": "sei", "host": sandbox.base_url, "password": "sandbox", "extra": extra}
        yield {name: os.environ[name] for name in ("HOME", "LANG", "PATH", "TMPDIR") if name in os.environ} | {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(whole.stack.dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "-1",
            "AIRFLOW_CONN_SEI_DEFAULT": json.dumps(connection),
            "AIRFLOW_VAR_SEI_LAKE": str(home / "lake"),
            "AIRFLOW_VAR_SEI_ISSUE_STATUSES": '["In Progress"]',
            "PYTHONPATH": str(PROJECT),
        }


@pytest.fixture(scope="module")
def tried(whole: Whole, environment: dict[str, str]) -> Tried:
    done = subprocess.run(  # noqa: PLW1510 - the tests look at the code that it returns
        [sys.executable, "-m", "tests.whole.dag_test", str(whole.stack.dags), *ORDER],
        env=environment, cwd=PROJECT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=800,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return Tried(json.loads(done.stdout.splitlines()[-1]), done.stdout + done.stderr)


@pytest.mark.parametrize("name", [README, *OTHERS])
def test_every_example_runs_by_dag_test_as_it_stands(tried: Tried, name: str) -> None:
    assert tried.states[name]["run"] == "success"
    skipped = {"success", "skipped"} if name == "sei_backfill" else {"success"}
    assert set(tried.states[name]["tasks"].values()) <= skipped
    assert "too short" not in tried.output, "nothing of ours makes Airflow warn about masking"


if not REBUILDS_API:

    def test_airflow_dags_test_runs_the_dag_of_the_readme(tried: Tried) -> None:
        assert f"dag_id={README}" in tried.output
        assert "state=success" in tried.output
        assert tried.states[README]["run"] == "success"

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            (
                "asked_two_reports",
                "its export task productivity, for the report productivity, handed nothing on: it failed",
            ),
            ("asked_two_months", "missing from the lake: sprint_team_monthly, 2026-02-01 to 2026-02-28: team:11"),
        ],
    )
    def test_a_task_that_dies_before_it_hands_anything_on_turns_the_run_red(
        tried: Tried, name: str, words: str
    ) -> None:
        assert tried.states[name]["run"] == "failed"
        assert tried.states[name]["tasks"]["publish"] == "success"
        assert words in tried.output

    def test_a_branch_that_skips_the_exports_skips_publish_and_check(tried: Tried) -> None:
        tasks = {"is_a_working_day": "success", "sprint": "skipped", "publish": "skipped", "check": "skipped"}
        assert tried.states["asked_branch"] == {"run": "success", "tasks": tasks}
