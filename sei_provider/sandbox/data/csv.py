"""The CSV of one export. Knows nothing of packing or HTTP."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from sei_provider.sandbox.data.metrics import (
    CATEGORIES,
    UNCATEGORIZED,
    categories,
    category_metrics,
    developer_metrics,
    team_metrics,
)
from sei_provider.sandbox.data.periods import period_label, periods, sprints

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from sei_provider.sandbox.data.organisation import Team
    from sei_provider.sandbox.data.request import ExportRequest


def csv_text(request: ExportRequest) -> str:
    """Return the header and the rows of the scope's team and all teams below it, parents first, then by date."""
    header, rows = _CONTENT[request.spec.report](request)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


_DIMENSIONS = ("Granularity", "Team", "Team_Hierarchy", "Start_Date", "End_Date")


def _productivity(request: ExportRequest) -> tuple[list[str], Iterator[list[str]]]:
    by_developer = request.level == "developer"
    people = ["Developer", "Developer_Email"] if by_developer else []

    def rows() -> Iterator[list[str]]:
        asked = request.metrics, request.calculation
        for team in request.team.walk():
            for period in periods(request.granularity, request.start, request.end):
                row = _dimensions(period.label, team, period.start, period.end)
                if not by_developer:
                    yield row + team_metrics(team, period.start, period.end, *asked)
                    continue
                for developer in team.developers:
                    values = developer_metrics(team, developer, period.start, period.end, *asked)
                    yield [*row, developer.name, developer.email, *values]

    return [*_DIMENSIONS, *people, *request.metrics], rows()


def _sprint(request: ExportRequest) -> tuple[list[str], Iterator[list[str]]]:
    by_sprint = request.level == "sprint" or request.granularity == "SPRINT"
    asked = request.metrics, request.calculation

    def sprint_rows() -> Iterator[list[str]]:
        for team in request.team.walk():
            for sprint in sprints(request.start, request.end):
                is_sprint = request.granularity == "SPRINT"
                label = sprint.name if is_sprint else period_label(request.granularity, sprint.start)
                row = _dimensions(label, team, sprint.start, sprint.end)
                yield [*row, sprint.name, *team_metrics(team, sprint.start, sprint.end, *asked)]

    def period_rows() -> Iterator[list[str]]:
        for team in request.team.walk():
            for period in periods(request.granularity, request.start, request.end):
                row = _dimensions(period.label, team, period.start, period.end)
                yield row + team_metrics(team, period.start, period.end, *asked)

    if by_sprint:
        return [*_DIMENSIONS, "Sprint", *request.metrics], sprint_rows()
    return [*_DIMENSIONS, *request.metrics], period_rows()


def _business_alignment(request: ExportRequest) -> tuple[list[str], Iterator[list[str]]]:
    """Return columns only for the categories that occur in this export, so exports differ in their columns (003)."""
    groups = request.metric_groups or ("CATEGORIZED", "UNCATEGORIZED")
    wanted = (CATEGORIES if "CATEGORIZED" in groups else ()) + ((UNCATEGORIZED,) if "UNCATEGORIZED" in groups else ())
    teams, all_periods = list(request.team.walk()), periods(request.granularity, request.start, request.end)
    occurring = set().union(*(categories(team, period.start) for team in teams for period in all_periods))
    columns = [(category, unit) for category in wanted if category in occurring for unit in ("story_points", "tickets")]

    def rows() -> Iterator[list[str]]:
        for team in teams:
            for period in all_periods:
                row = _dimensions(period.label, team, period.start, period.end)
                yield row + category_metrics(team, period.start, period.end, columns)

    names = [f"{category}_{unit}" for category, unit in columns]
    return [*_DIMENSIONS, *names], rows()


_CONTENT = {
    "productivity": _productivity,
    "sprint": _sprint,
    "business_alignment": _business_alignment,
}


def _dimensions(label: str, team: Team, start: date, end: date) -> list[str]:
    return [label, team.name, team.hierarchy, start.isoformat(), end.isoformat()]
