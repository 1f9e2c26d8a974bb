"""The groups, metrics and ratings of efficiency (CONTRACT 1a), which documents three of the metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sei_provider.sandbox.data.metrics import team_metrics

if TYPE_CHECKING:
    from datetime import date

    from sei_provider.sandbox.data.organisation import Team

NO_RATING = "—"

EFFICIENCY_METRICS = {
    "Overall_Rating": "LTTC_DAYS_AVG",
    "LTTC_Rating": "LTTC_DAYS_AVG",
    "DF_Rating": "DF_COUNT",
    "MTTR_Rating": "MTTR_DAYS_AVG",
    "CFR_Rating": "CFR_PERCENT",
    "LTTC_Mean_Days": "LTTC_DAYS_AVG",
    "DF_Deployment_Count": "DF_COUNT",
    "MTTR_Mean_Days": "MTTR_DAYS_AVG",
    "CFR_Failure_Rate_Percent": "CFR_PERCENT",
    "Total_Work_Items_Count": "WORK_ITEMS_COUNT",
    "PR_Associated_Percent": "PR_ASSOCIATED_PERCENT",
}
"""Metric, in the order of the columns → the made-up figure that it or its rating is of."""

_DEPLOYMENTS = ("DF_Deployment_Count", "DF_Rating")
EFFICIENCY_GROUPS = {
    "lttc": ("LTTC_Mean_Days", "LTTC_Rating"),
    "df": _DEPLOYMENTS,
    "mttr": ("MTTR_Mean_Days", "MTTR_Rating"),
    "cfr": ("CFR_Failure_Rate_Percent", "CFR_Rating"),
    "summary": ("Overall_Rating",),
    "work_items": ("Total_Work_Items_Count", "PR_Associated_Percent"),
    "deployment_frequency": _DEPLOYMENTS,
    "rating": ("Overall_Rating",),
}
"""Group, in both of the documented spellings → its metrics."""

MOST = {"LTTC_DAYS_AVG": 20.0, "MTTR_DAYS_AVG": 20.0, "CFR_PERCENT": 100.0, "DF_COUNT": 400.0}
_LESS_IS_BETTER = ("Elite", "High", "Medium", "Low")


def efficiency_cells(team: Team, start: date, end: date, *, metrics: tuple[str, ...], variant: str) -> list[str]:
    """Return one cell per metric of one team and period; a rating is none where the figure is none."""
    figures = list(dict.fromkeys(EFFICIENCY_METRICS[metric] for metric in metrics))
    values = dict(zip(figures, team_metrics(team, start, end, figures, variant), strict=True))
    cells = []
    for metric in metrics:
        figure = EFFICIENCY_METRICS[metric]
        cells.append(rating(values[figure], MOST[figure], figure) if metric.endswith("_Rating") else values[figure])
    return cells


def rating(value: str, most: float, figure: str) -> str:
    """Return the level of a value between 0 and `most`, or of more."""
    if not value:
        return NO_RATING
    level = min(int(float(value) * len(_LESS_IS_BETTER) / most), len(_LESS_IS_BETTER) - 1)
    return _LESS_IS_BETTER[-1 - level if figure == "DF_COUNT" else level]
