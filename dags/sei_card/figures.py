"""The figures of one month's scorecard, one row per team, from the three tables. Knows pandas only."""

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
KEY = "team_hierarchy"
POINTS = "_story_points"
SHARE = "share_"

_TEAM = {"team": "first", "team_depth": "max", "is_leaf": "min", "end_date": "max"}


def card_of_month(productivity: pd.DataFrame, sprint: pd.DataFrame, alignment: pd.DataFrame) -> pd.DataFrame:
    """One row for each team that any of the three tables names in the month, null where a table does not.

    A parent team's figures stand beside its children's: `is_leaf` tells them apart. Never sum over both.
    """
    reports = [report.set_index(KEY) for report in (productivity, sprint, alignment)]
    # A table that lacks a team's children in this month takes the team for a leaf; one that has them knows better.
    teams = pd.concat([report[[*_TEAM]] for report in reports]).groupby(level=KEY).agg(_TEAM)
    figures = [reports[0].reindex(columns=PRODUCTIVITY), reports[1].reindex(columns=SPRINT), investment_mix(reports[2])]
    return teams.join(figures).reset_index()


def investment_mix(alignment: pd.DataFrame) -> pd.DataFrame:
    """Each category's story points in a month, and its share of the team's, 0 to 1."""
    points = alignment.filter(regex=f"{POINTS}$").dropna(axis="columns", how="all")
    shares = points.div(points.sum(axis="columns"), axis="index")
    shares.columns = pd.Index([SHARE + name.removesuffix(POINTS) for name in points.columns])
    return points.join(shares)
