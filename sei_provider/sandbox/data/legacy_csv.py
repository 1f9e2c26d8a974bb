"""The CSV of one legacy report (002, CONTRACT 1a)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sei_provider.sandbox.data.csv import format_csv
from sei_provider.sandbox.data.efficiency import MOST, NO_RATING, rating
from sei_provider.sandbox.data.metrics import developer_metrics, team_metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sei_provider.sandbox.data.request import ReportRequest


def legacy_csv_text(request: ReportRequest) -> str:
    """Return the header and one row per team, children included; the empty text if there is no row (CONTRACT row 21).

    A contributor report has a row per collection: the teams, and after each its manager or its developers (row 20).
    """
    is_dora = request.spec.report == "dora_report"
    rows = list(_dora_rows(request) if is_dora else _rows(request))
    columns = _dora_columns(request) if is_dora else _columns(request)
    return format_csv([["Collection Name", *columns], *rows]) if rows else ""


def _columns(request: ReportRequest) -> Iterator[str]:
    for metric in request.metrics:
        heading = request.spec.headings[metric]
        yield heading
        if request.include_ratings and metric in _BETTER_WHEN:
            yield f"{heading} Rating"


def _dora_columns(request: ReportRequest) -> Iterator[str]:
    """Yield each metric's heading, times with their calculation, and its rating beside it; the overall one has none."""
    for metric in request.metrics:
        heading = request.spec.headings[metric]
        yield f"{heading} ({request.calculation.lower()})" if metric in _TIMES else heading
        if metric != OVERALL:
            yield f"{heading} Rating"


def _dora_rows(request: ReportRequest) -> Iterator[list[str]]:
    figures = list(_DORA_FIGURES.values())
    variant = f"{request.granularity} {request.calculation}"
    for team in request.team.walk():
        if not team.developers:
            continue
        values = dict(zip(_DORA_FIGURES, team_metrics(team, request.start, request.end, figures, variant), strict=True))
        ratings = {metric: rating(values[metric], MOST[figure], figure) for metric, figure in _DORA_FIGURES.items()}
        cells = (
            (ratings[_OVERALL_BY],) if metric == OVERALL else (values[metric] or NO_RATING, ratings[metric])
            for metric in request.metrics
        )
        yield [team.name, *(cell for pair in cells for cell in pair)]


OVERALL = "OVERALL_DORA"
_OVERALL_BY = "LEAD_TIME_FOR_CHANGES"
_TIMES = {"LEAD_TIME_FOR_CHANGES", "MEAN_TIME_TO_RESTORE"}
_DORA_FIGURES = {
    "LEAD_TIME_FOR_CHANGES": "LTTC_DAYS_AVG",
    "DEPLOYMENT_FREQUENCY": "DF_COUNT",
    "CHANGE_FAILURE_RATE": "CFR_PERCENT",
    "MEAN_TIME_TO_RESTORE": "MTTR_DAYS_AVG",
}
"""Metric → the made-up figure that it and its rating are of."""


def _rows(request: ReportRequest) -> Iterator[list[str]]:
    asked = request.start, request.end, request.metrics, request.granularity
    for team in request.team.walk():
        if not team.developers:
            continue  # a team without developers has no row
        yield [team.name, *_with_ratings(request, team_metrics(team, *asked))]
        for developer in team.developers if request.spec.by_developer else ():
            yield [developer.name, *_with_ratings(request, developer_metrics(team, developer, *asked))]


def _with_ratings(request: ReportRequest, values: list[str]) -> Iterator[str]:
    for metric, value in zip(request.metrics, values, strict=True):
        yield value
        if request.include_ratings and metric in _BETTER_WHEN:
            yield _rating(metric, value)


def _rating(metric: str, value: str) -> str:
    """Return the tier of a value; none for no value and for zero, as in 002's example."""
    if not value or float(value) == 0:
        return NO_RATING
    tiers = ("Low", "Medium", "High") if _BETTER_WHEN[metric] == "high" else ("High", "Medium", "Low")
    return tiers[int(float(value) * len(tiers) / _MOST)]


# Ratings exist only where performance tiers do. 002 does not list them: here some metrics have none.
_BETTER_WHEN = {
    "PR_VELOCITY": "high",
    "WORK_TYPE_COMPLETED": "high",
    "CODING_DAYS": "high",
    "TIME_TO_FIRST_COMMENT": "low",
    "AVG_TIME_TO_COMPLETE": "low",
}
_MOST = 20.0  # above every made-up value of these metrics, which are all means
