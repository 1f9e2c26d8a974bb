"""`airflow backfill create` over `sei_history`, and the scorecard that follows; a whole year is in `make chaos`."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from tests.whole.backfilled import PARTITIONS, assert_backfilled, backfill
from tests.whole.conftest import TEAM_IDS, TEAMS, Whole

MONTHS = ["2025-11", "2025-12"]


def test_a_backfill_publishes_each_month_once_and_each_table_is_told(whole: Whole) -> None:
    backfill(whole.stack, MONTHS, timeout=300)
    assert_backfilled(whole.stack, MONTHS, TEAM_IDS)


def test_the_scorecard_follows_month_by_month(whole: Whole) -> None:
    runs = whole.runs_by_assets("sei_scorecard")
    assert {run["state"] for run in runs} == {"success"}
    if PARTITIONS:
        assert {run["partition_key"] for run in runs} >= set(MONTHS)
    folder = Path(whole.stack.lake) / "scorecard"
    # Before 3.3 a run takes the months of all events there are, though other tables may not have them yet.
    for month in MONTHS if PARTITIONS else ():
        card = pq.ParquetFile(folder / f"month={month}" / "data.parquet").read().to_pylist()
        assert len(card) == TEAMS
        # Made when all three reports of the month were there; no team has an empty cell in all of these.
        for name in ("pr_merged", "committed_work_delivered_percent", "ktlo_story_points"):
            assert any(row[name] is not None for row in card)
    assert "Team scorecard" in (folder / "scorecard.html").read_text()
