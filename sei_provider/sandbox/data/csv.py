"""The CSV of one export."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sei_provider.sandbox.data.efficiency import efficiency_cells
from sei_provider.sandbox.data.metrics import (
    CATEGORIES,
    UNCATEGORIZED,
    categories,
    category_metrics,
    developer_metrics,
    team_metrics,
)
from sei_provider.sandbox.data.periods import period_label, sprints
from sei_provider.sandbox.data.time_in_status import time_in_status_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import date

    from sei_provider.sandbox.data.organisation import Team
    from sei_provider.sandbox.data.periods import Period
    from sei_provider.sandbox.data.request import ExportRequest


def csv_text(request: ExportRequest) -> str:
    """Return the header and the rows of the scope's team and all teams below it, parents first, then by date."""
    if request.spec.report == "time_in_status":
        return format_csv(time_in_status_rows(request))
    columns, spans, cells = _CONTENT[request.spec.report](request)
    header = ["Granularity", "Team", "Team_Hierarchy", "Start_Date", "End_Date", *columns]
    header = [request.spec.other_columns.get(name, name) for name in header]
    rows = (
        [label, team.name, request.hierarchy(team), start.isoformat(), end.isoformat(), *of_row]
        for team in request.team.walk()
        for label, start, end in spans
        for of_row in cells(team, start, end)
    )
    return format_csv([header, *rows])


def format_csv(rows: Iterable[Sequence[str]]) -> str:
    """Return rows as CSV, quoted where a cell needs it."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


Content = tuple[Sequence[str], "list[Period]", "Callable[[Team, date, date], Iterable[list[str]]]"]
"""The columns after the dimensions, the periods or sprints that have rows, and the cells of each row of both."""


def _productivity(request: ExportRequest) -> Content:
    asked = request.metrics, request.calculation

    def cells(team: Team, start: date, end: date) -> Iterator[list[str]]:
        if not by_developer:
            yield team_metrics(team, start, end, *asked)
            return
        for developer in team.developers:
            yield [developer.name, developer.email, *developer_metrics(team, developer, start, end, *asked)]

    by_developer = request.level == "developer"
    people = ("Developer", "Developer_Email") if by_developer else ()
    return (*people, *request.metrics), request.periods(), cells


def _sprint(request: ExportRequest) -> Content:
    by_sprint = request.level == "sprint" or request.granularity == "SPRINT"
    found = list(sprints(request.start, request.end)) if by_sprint else []
    names = {(start, end): [name] for name, start, end in found}

    def cells(team: Team, start: date, end: date) -> list[list[str]]:
        values = team_metrics(team, start, end, request.metrics, request.calculation)
        return [names.get((start, end), []) + values]

    if not by_sprint:
        return request.metrics, request.periods(), cells
    if request.granularity != "SPRINT":
        found = [
            sprint._replace(
                label=period_label(request.granularity, sprint.start, first_weekday=request.spec.first_weekday)
            )
            for sprint in found
        ]
    return ("Sprint", *request.metrics), found, cells


def _business_alignment(request: ExportRequest) -> Content:
    """Return columns only for the categories that occur in this export, so exports differ in their columns (003)."""
    groups = request.metric_groups or ("CATEGORIZED", "UNCATEGORIZED")
    wanted = (CATEGORIES if "CATEGORIZED" in groups else ()) + ((UNCATEGORIZED,) if "UNCATEGORIZED" in groups else ())
    spans = request.periods()
    occurring = set().union(*(categories(team, start) for team in request.team.walk() for _, start, _ in spans))
    columns = [(category, unit) for category in wanted if category in occurring for unit in ("story_points", "tickets")]
    names = [f"{category}_{unit}" for category, unit in columns]
    return names, spans, lambda team, start, end: [category_metrics(team, start, end, columns)]


def _efficiency(request: ExportRequest) -> Content:
    variant, metrics = " ".join([request.calculation, *request.filters]), request.metrics
    return metrics, request.periods(), lambda *row: [efficiency_cells(*row, metrics=metrics, variant=variant)]


_CONTENT = {
    "productivity": _productivity,
    "sprint": _sprint,
    "business_alignment": _business_alignment,
    "efficiency": _efficiency,
}
