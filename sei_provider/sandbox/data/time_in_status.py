"""The rows of time in status (CONTRACT 1a): lower case, a label and no dates, hours by status."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sei_provider.sandbox.data.metrics import team_metrics
from sei_provider.sandbox.data.periods import Period, sprints

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sei_provider.sandbox.data.request import ExportRequest

_ALWAYS = ("in_progress", "to_do")
"""Statuses that the documented CSV has, although its example of a request does not name both."""


def time_in_status_rows(request: ExportRequest) -> Iterator[list[str]]:
    """Yield the header, and a row for each team and period, or for each team and sprint, labelled by the sprint's name.

    The hours of statuses add up to the total. A status that ends an issue takes no time and has no column.
    """
    statuses = dict.fromkeys([*_ALWAYS, *(_column(status) for status in request.filters)])
    columns = [status for status in statuses if status != "done"]
    yield ["granularity", "team", "team_hierarchy", "total_issues", *(f"{name}_hours" for name in columns), _TOTAL]
    figures = ["ISSUES_COUNT", *(f"{name.upper()}_HOURS" for name in columns)]
    for team in request.team.walk():
        for label, start, end in _spans(request):
            issues, *hours = team_metrics(team, start, end, figures, request.calculation)
            total = f"{sum(float(cell) for cell in hours if cell):.2f}" if any(hours) else ""
            decimals = (cell and f"{float(cell):.2f}" for cell in hours)
            yield [label, team.name, request.hierarchy(team), issues, *decimals, total]


_TOTAL = "total_lead_time_hours"


def _spans(request: ExportRequest) -> list[Period]:
    return list(sprints(request.start, request.end)) if request.level == "sprint" else request.periods()


def _column(status: str) -> str:
    return re.sub(r"\W+", "_", status).strip("_").lower()
