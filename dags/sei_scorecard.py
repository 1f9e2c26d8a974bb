"""A small consumer: one row per team and month from what was published, with pandas, whenever all reports are new."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow.sdk import DAG, task
from sei_common import ASSETS, LAKE

if TYPE_CHECKING:
    import pandas as pd

PRODUCTIVITY = ["coding_days", "pr_merged", "pr_cycle_time_days_avg", "work_completed", "rework_percent"]
SPRINT = ["sprint_commit", "total_work_delivered", "churn_rate", "predictability_delivery_consistency"]
KEY = ["team_hierarchy", "month"]


@task
def scorecard(lake: str) -> dict[str, object]:
    """Write `<lake>/scorecard/data.parquet`; gives its path, rows and columns.

    A parent team's figures stand beside its children's: `is_leaf` tells them apart. Never sum over both.
    """
    from io import BytesIO

    from airflow.sdk import ObjectStoragePath

    from sei_provider.lake import read_table
    from sei_provider.lake.store import put_bytes

    root = ObjectStoragePath(lake)
    productivity = read_table(root, "productivity_team_monthly").to_pandas()
    sprint = read_table(root, "sprint_team_monthly").to_pandas()
    alignment = read_table(root, "business_alignment_monthly").to_pandas()
    card = (
        productivity[[*KEY, "team", "team_depth", "is_leaf", *PRODUCTIVITY]]
        .merge(sprint[[*KEY, *SPRINT]], on=KEY, how="outer")
        .merge(investment_mix(alignment), on=KEY, how="outer")
        .sort_values(KEY, ignore_index=True)
    )
    parquet = BytesIO()
    card.to_parquet(parquet, index=False)
    target = root / "scorecard" / "data.parquet"
    put_bytes(target, parquet.getvalue())
    return {"path": str(target), "rows": len(card), "columns": list(card.columns)}


def investment_mix(alignment: pd.DataFrame) -> pd.DataFrame:
    """Each category's share of a team's story points in a month, 0 to 1."""
    points = alignment.filter(regex="_story_points$")
    shares = points.div(points.sum(axis="columns"), axis="index")
    shares.columns = [f"share_{name.removesuffix('_story_points')}" for name in shares.columns]
    return alignment[KEY].join(shares)


with DAG(
    "sei_scorecard",
    description=__doc__,
    schedule=list(ASSETS.values()),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["sei"],
):
    scorecard(LAKE)
