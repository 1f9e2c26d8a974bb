"""`sei_nightly` as it stands, run twice by Airflow's own scheduler, workers and triggerer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from dev.expected import TABLES, rows_in, rows_sent
from sei_provider.lake import read_table
from tests.tasks import REUSE
from tests.whole.conftest import TEAM_IDS, TEAMS, Whole

MONTHS = ["2026-02", "2026-03"]
"""Months that the nights cover; other tests put other months into the same lake."""
RUN_AFTER = datetime(2026, 3, 18, 2, 30, tzinfo=UTC)


@dataclass
class Night:
    state: str
    run_id: str
    exports: list[dict[str, Any]]
    requests: list[dict[str, Any]]
    rows: dict[str, Counter[Any]] = field(default_factory=dict)


def run_nightly(whole: Whole, start: Callable[..., str]) -> Night:
    before = len(whole.sandbox.exports())
    run_id = start("sei_nightly", run_after=RUN_AFTER)
    state = whole.airflow.wait("sei_nightly", run_id, timeout=180)
    exports = whole.sandbox.exports()[before:]
    ids = {export["id"] for export in exports}
    requests = [request for request in whole.sandbox.requests() if request["export_id"] in ids]
    night = Night(state, run_id, exports, requests)
    night.rows = {report: rows_in(whole.stack.lake, table, MONTHS) for report, table in TABLES.items()}
    return night


@pytest.fixture(scope="module")
def nights(whole: Whole) -> list[Night]:
    first = run_nightly(whole, whole.airflow.trigger_only)
    whole.sandbox.advance(REUSE)
    return [first, run_nightly(whole, whole.airflow.trigger)]


def test_every_task_succeeded(whole: Whole, nights: list[Night]) -> None:
    for night in nights:
        assert night.state == "success"
        states = whole.states("sei_nightly", night.run_id)
        assert set(states.values()) == {"success", "skipped"}
        assert {state for task, state in states.items() if "time_in_status" in task} == {"skipped"}, "no Variable"
        assert {state for task, state in states.items() if "time_in_status" not in task} == {"success"}


def test_every_team_was_exported_once_per_report_over_whole_months(nights: list[Night]) -> None:
    for night in nights:
        asked = Counter((export["report"], export["body"]["scope"]["teamId"]) for export in night.exports)
        assert asked == Counter((report, team) for report in TABLES for team in TEAM_IDS)
        ranges = {tuple(export["body"]["dateRange"].values()) for export in night.exports}
        assert ranges == {("2026-02-01", "2026-03-18")}  # to the day of the run, not to the end of its month


def test_the_lake_holds_row_for_row_what_was_sent(whole: Whole, nights: list[Night]) -> None:
    for report, rows in nights[1].rows.items():
        sent = rows_sent(whole.sandbox, (export["id"] for export in nights[1].exports if export["report"] == report))
        assert sum(rows.values()) == 2 * TEAMS
        assert rows == sent


def test_the_teams_landed_and_every_row_of_the_night_has_the_id_of_its_scopes_team(
    whole: Whole, nights: list[Night]
) -> None:
    assert set(TEAM_IDS) < set(read_table(whole.stack.lake, "teams")["id"].to_pylist())
    for report, table in TABLES.items():
        ids = {export["id"] for export in nights[1].exports if export["report"] == report}
        rows = [row for row in read_table(whole.stack.lake, table).to_pylist() if row["_export_id"] in ids]
        assert {row["_scope"] for row in rows} == {f"team:{team}" for team in TEAM_IDS}
        assert [row["_scope"] for row in rows if row["_scope"] != f"team:{row['team_id']}"] == []


def test_teams_called_na_and_null_are_there(whole: Whole, nights: list[Night]) -> None:
    for table in TABLES.values():
        teams = set(read_table(whole.stack.lake, table)["team"].to_pylist())
        assert {"NA", "null"} <= teams
        assert None not in teams


def test_a_second_run_changes_no_rows(nights: list[Night]) -> None:
    assert nights[0].rows == nights[1].rows
    assert not {export["id"] for export in nights[0].exports} & {export["id"] for export in nights[1].exports}


def test_the_export_tasks_were_deferred_and_the_triggerer_made_the_status_calls(
    whole: Whole, nights: list[Night]
) -> None:
    deferred = {(key.run_id, key.task_id) for key in whole.stack.sampler.ever_deferred if key.dag_id == "sei_nightly"}
    assert deferred >= {(night.run_id, f"export_{report}") for night in nights for report in TABLES}
    for night in nights:
        by = Counter((request["kind"], request["user_agent"].split()[-1]) for request in night.requests)
        exports = len(TABLES) * TEAMS
        assert by[("create", "SeiClient")] == by[("download", "SeiClient")] == exports
        assert by[("status", "AsyncSeiClient")] >= 2 * TEAMS  # business alignment and efficiency have no list to ask
        assert set(by) == {("create", "SeiClient"), ("download", "SeiClient"), ("status", "AsyncSeiClient")}
    lists = [request["user_agent"].split()[-1] for request in whole.sandbox.requests() if request["kind"] == "list"]
    assert set(lists) == {"AsyncSeiClient"}


@pytest.mark.parametrize("report", TABLES)
def test_months_are_read_back_by_pandas_pyarrow_and_duckdb(whole: Whole, nights: list[Night], report: str) -> None:
    folder = Path(whole.stack.lake) / TABLES[report]
    expected = dict.fromkeys(MONTHS, TEAMS)
    files = [str(folder / f"month={month}" / "data.parquet") for month in MONTHS]
    assert {path.name for path in folder.glob("month=*")} >= {f"month={month}" for month in MONTHS}
    frame = pd.read_parquet(folder, filters=[("month", "in", MONTHS)])
    assert frame.groupby("month", observed=True).size().to_dict() == expected
    dataset = ds.dataset(folder, partitioning="hive").to_table(filter=ds.field("month").isin(MONTHS))
    assert Counter(dataset["month"].to_pylist()) == expected
    relation = duckdb.read_parquet(files, hive_partitioning=True)
    assert dict(relation.aggregate("month::VARCHAR, count(*)").fetchall()) == expected
    ours = Counter(read_table(whole.stack.lake, TABLES[report])["month"].to_pylist())
    assert {month: ours[month] for month in MONTHS} == expected


def test_the_row_of_a_month_stands_in_its_partition(whole: Whole, nights: list[Night]) -> None:
    for table in TABLES.values():
        for row in read_table(whole.stack.lake, table).to_pylist():
            assert f"{row['start_date']:%Y-%m}" == row["month"]
    march = read_table(whole.stack.lake, TABLES["sprint"], start=date(2026, 3, 1), end=date(2026, 3, 31))
    assert set(march["month"].to_pylist()) == {"2026-03"}


def test_the_nights_metrics_came_from_workers_and_triggerer(whole: Whole, nights: list[Night]) -> None:
    counts, exports = whole.statsd.counts(), 2 * len(TABLES) * TEAMS
    for report, table in TABLES.items():
        assert whole.statsd.counts(report=report)["sei.exports.staged"] >= 2 * TEAMS
        assert whole.statsd.counts(table=table)["sei.rows.published"] >= 2 * 2 * TEAMS
        assert len(whole.statsd.times("sei.export_to_lake", table=table)) >= 2 * TEAMS
    assert counts["sei.exports.created"] >= exports
    made = Counter(request["user_agent"].split()[-1] for request in whole.sandbox.requests())
    assert whole.statsd.counts(process="worker")["sei.requests"] >= 2 * exports
    assert 2 * TEAMS <= whole.statsd.counts(process="triggerer")["sei.requests"] <= made["AsyncSeiClient"]
    assert whole.stack.sandbox_key not in whole.statsd.text


def test_mapped_tasks_have_readable_names(whole: Whole, nights: list[Night]) -> None:
    tasks = whole.airflow.task_instances("sei_nightly", nights[0].run_id)
    names = {task["rendered_map_index"] for task in tasks if task["map_index"] >= 0}
    assert names == {f"{TEAMS} scopes, {TEAM_IDS[0]} to {TEAM_IDS[-1]}"}


def test_the_scorecard_was_made_from_what_was_published(whole: Whole, nights: list[Night]) -> None:
    assert {run["state"] for run in whole.runs_by_assets("sei_scorecard")} == {"success"}
    for month in MONTHS:
        card = pq.read_table(Path(whole.stack.lake) / "scorecard" / f"month={month}" / "data.parquet").to_pylist()
        merged = {
            row["team_hierarchy"]: row["pr_merged"]
            for row in read_table(whole.stack.lake, TABLES["productivity"]).to_pylist()
            if row["month"] == month
        }
        assert len(card) == TEAMS
        assert {row["team_hierarchy"]: row["pr_merged"] for row in card} == merged
        shares = [sum(value or 0 for name, value in row.items() if name.startswith("share_")) for row in card]
        assert shares == pytest.approx([1.0] * TEAMS)


def test_nothing_is_left_in_staging_but_readings_of_the_org_trees_which_go_by_age(
    whole: Whole, nights: list[Night]
) -> None:
    left = list((Path(whole.stack.lake) / "_staging").glob("**/*.parquet"))
    assert [path for path in left if not path.name.startswith("teams-")] == []
