"""The rows of one legacy report, as the text of a CSV (002). Knows nothing of HTTP."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from sei_provider.sandbox.figures import developer_figures, team_figures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sei_provider.sandbox.legacy_body import ReportRequest

NO_RATING = "—"


def legacy_csv_text(request: ReportRequest) -> str:
    """The header and one row per team, children included; the empty text if there is no row (row 21).

    A contributor report has a row per collection: the teams, and after each its manager or its developers (row 20).
    """
    rows = list(_rows(request))
    if not rows:
        return ""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["Collection Name", *_columns(request)])
    writer.writerows(rows)
    return text.getvalue()


def _columns(request: ReportRequest) -> Iterator[str]:
    for metric in request.metrics:
        heading = request.document.headings[metric]
        yield heading
        if request.include_ratings and metric in _BETTER_WHEN:
            yield f"{heading} Rating"


def _rows(request: ReportRequest) -> Iterator[list[str]]:
    asked = request.start, request.end, request.metrics, request.granularity
    for team in request.team.walk():
        if not team.developers:
            continue  # nobody works there, so there is nothing to report
        yield [team.name, *_with_ratings(request, team_figures(team, *asked))]
        for developer in team.developers if request.document.by_developer else ():
            yield [developer.name, *_with_ratings(request, developer_figures(team, developer, *asked))]


def _with_ratings(request: ReportRequest, figures: list[str]) -> Iterator[str]:
    for metric, figure in zip(request.metrics, figures, strict=True):
        yield figure
        if request.include_ratings and metric in _BETTER_WHEN:
            yield _rating(metric, figure)


def _rating(metric: str, figure: str) -> str:
    """The tier of a figure; none for no figure and for zero, as in 002's example."""
    if not figure or float(figure) == 0:
        return NO_RATING
    tiers = ("Low", "Medium", "High") if _BETTER_WHEN[metric] == "high" else ("High", "Medium", "Low")
    return tiers[int(float(figure) * len(tiers) / _MOST)]


# Ratings exist only where performance tiers do, and 002 does not say where: some metrics have none.
_BETTER_WHEN = {
    "PR_VELOCITY": "high",
    "WORK_TYPE_COMPLETED": "high",
    "CODING_DAYS": "high",
    "TIME_TO_FIRST_COMMENT": "low",
    "AVG_TIME_TO_COMPLETE": "low",
}
_MOST = 20.0  # above every made-up figure of these metrics, which are all means
