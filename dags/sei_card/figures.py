"""The figures of one month's scorecard, one row per team, from the four tables. Knows pandas only."""

from __future__ import annotations

import pandas as pd

PRODUCTIVITY = ["coding_days", "pr_merged", "pr_cycle_time_days_avg", "work_completed", "rework_percent"]
SPRINT = [
    "sprint_commit",
    "total_work_delivered",
    "committed_work_delivered_percent",
    "churn_rate",
    "predictability_delivery_consistency",
    "predictability_reliability_of_commitment",
]
DORA = {
    "dora_lead_time": "^(lttc|lead_time)",
    "dora_deployments": "^(df|deploy)",
    "dora_time_to_restore": "^(mttr|mean_time_to_restore)",
    "dora_failure_rate": "^(cfr|change_failure)",
}
"""The four DORA figures, and how their columns begin: SEI documents none of them, so the first number counts. A rating
beside it has the same name with `_rating`."""
RATING = "_rating"
KEY = "team_hierarchy"
POINTS = "_story_points"
SHARE = "share_"

_TEAM = {"team": "first", "team_depth": "max", "is_leaf": "min", "end_date": "max"}


def card_of_month(
    productivity: pd.DataFrame, sprint: pd.DataFrame, alignment: pd.DataFrame, efficiency: pd.DataFrame
) -> pd.DataFrame:
    """One row for each team that any of the four tables names in the month, null where a table does not.

    A parent team's figures stand beside its children's: `is_leaf` tells them apart. Never sum over both.
    """
    reports = [report.set_index(KEY) for report in (productivity, sprint, alignment, efficiency)]
    # A table that lacks a team's children in this month takes the team for a leaf; one that has them knows better.
    teams = pd.concat([report[[*_TEAM]] for report in reports]).groupby(level=KEY).agg(_TEAM)
    figures = [
        reports[0].reindex(columns=PRODUCTIVITY),
        reports[1].reindex(columns=SPRINT),
        investment_mix(reports[2]),
        dora(reports[3]),
    ]
    return teams.join(figures).reset_index()


def dora(efficiency: pd.DataFrame) -> pd.DataFrame:
    """The four DORA figures of each team and their ratings, null where efficiency has none."""
    found = pd.DataFrame(index=efficiency.index)
    for name, beginning in DORA.items():
        columns = efficiency.filter(regex=beginning)
        ratings = [column for column in columns if column.endswith(RATING)]
        numbers = columns.select_dtypes("number").columns
        found[name] = columns[numbers[0]] if len(numbers) else float("nan")
        found[name + RATING] = columns[ratings[0]].astype(object) if ratings else None
    return found


def investment_mix(alignment: pd.DataFrame) -> pd.DataFrame:
    """Each category's story points in a month, and its share of the team's, 0 to 1."""
    points = alignment.filter(regex=f"{POINTS}$").dropna(axis="columns", how="all")
    shares = points.div(points.sum(axis="columns"), axis="index")
    shares.columns = pd.Index([SHARE + name.removesuffix(POINTS) for name in points.columns])
    return points.join(shares)
