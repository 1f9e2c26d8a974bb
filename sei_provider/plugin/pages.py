"""Values of the pages and their templates: what the lake's summaries and Airflow's asset events tell, put together."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from functools import cache
from typing import Any
from urllib.parse import urlencode

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from sei_provider.api.reports import REPORTS
from sei_provider.lake.periods import period_end, previous_month
from sei_provider.lake.tables.coverage_grid import CoverageGrid, State
from sei_provider.lake.tables.coverage_summary import CoverageSummary
from sei_provider.plugin.asset_events import MonthPublished, newest_by_month, read_events
from sei_provider.plugin.heat_map import GAPS, GLYPHS, NAMES, NO_GAPS, Filter, cell_of, heat_map, matching, name_of
from sei_provider.plugin.lake_reader import LakeReader

MONTHS = 12
"""Months that are shown unless a person asks for others."""
MOST_MONTHS = 120
"""Months that one page shows at most."""
FIRST_MONTH, LAST_MONTH = date(1900, 1, 1), date(2999, 12, 1)
"""Months that a person may ask for."""
MAX_TEAMS = 1000
"""Teams that the form is filled in with."""
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Control characters, and those that turn the direction of all text behind them. Joiners stay: names need them."""


def render(template: str, values: Mapping[str, Any]) -> str:
    """Return a page as HTML, in which every value is escaped."""
    return _environment().get_template(template).render(values)


def seen(text: object) -> str:
    """Return a name that others chose with its characters that steer a screen, or the direction of text, escaped."""
    return _STEERING.sub(lambda char: char[0].encode("unicode_escape").decode(), str(text))


def tables_page(today: date) -> dict[str, Any]:
    """Return the values of the list of tables."""
    reader, events = LakeReader.open(), newest_by_month(read_events())
    names = sorted({*reader.tables(), *(table for table, _ in events)})
    shown = [_months_before(today, ago) for ago in reversed(range(MONTHS))]
    lines = []
    for table in names:
        _, grid = reader.coverage(table, today)
        told = _by_month(table, grid, events)
        lines.append(
            {
                "name": table,
                "scopes": len(grid.scopes) if grid else None,
                "published_at": grid.published_at if grid else _newest(table, events),
                "cells": [(month, cell_of(told.get(month, {}))) for month in shown],
            }
        )
    return _common(reader) | {"tables": lines, "months": shown}


def table_page(table: str, wanted: Filter, today: date) -> dict[str, Any]:
    """Return the values of the heat map of one table."""
    reader, events = LakeReader.open(), newest_by_month(read_events())
    summary, grid = reader.coverage(table, today)
    told = _by_month(table, grid, events)
    wanted = replace(wanted, first=_first_shown(wanted, max(told, default=today), today))
    values = _common(reader) | {
        "table": table,
        "wanted": wanted,
        "behind": _behind(table, summary, events, reader),
        "map": heat_map(grid, wanted) if grid else None,
        "published_at": grid.published_at if grid else _newest(table, events),
        "told": [
            (month, cell_of(told[month]), events.get((table, month)))
            for month in sorted(told)
            if wanted.first <= month <= wanted.last
        ],
    }
    return values | {
        "first": f"{wanted.first:%Y-%m}",
        "last": "" if wanted.last == date.max else f"{wanted.last:%Y-%m}",
    }


def cell_page(table: str, scope: str, month: date, today: date) -> dict[str, Any]:
    """Return what is known of one month of one scope."""
    reader, events = LakeReader.open(), read_events()
    summary, grid = reader.coverage(table, today, details=True)
    state, name = _state(grid, scope, month)
    of_month = [event for event in events if (event.table, event.month) == (table, month)]
    dags = {event.run_id: event.dag_id for event in of_month}
    found = _cell(summary, scope, month)
    return _common(reader) | {
        "table": table,
        "scope": scope,
        "name": name,
        "month": month,
        "state": state,
        "found": found,
        "runs": [(run, dags.get(run, "")) for run in (found or {}).get("runs") or ()],
        "restated": [event for event in of_month if event.restated],
        "gap": state in GAPS,
    }


def fill_page(table: str, month: date, scope: str, wanted: Filter, today: date) -> dict[str, Any]:
    """Return the values of the form of `sei_backfill`: the report of the table, its month, and the scopes with gaps."""
    reader = LakeReader.open()
    summary, grid = reader.coverage(table, today)
    scopes = [scope] if scope else _with_gaps(grid, month, wanted)
    exported = [name for name, report in REPORTS.items() if not report.legacy]
    report = summary.report if summary else next((name for name in exported if table.startswith(name)), "")
    last = period_end(month, "quarterly" if summary and summary.granularity == "quarterly" else "monthly")
    return _common(reader) | {
        "table": table,
        "month": month,
        "reports": [(name, name == report) for name in exported],
        "is_export": report in exported,
        "gap": not scope or _state(grid, scope, month)[0] not in NO_GAPS,
        "no_gap": grid is not None and not scopes,
        "report": report,
        "teams": [_as_argument(each) for each in scopes[:MAX_TEAMS]],
        "left_out": max(0, len(scopes) - MAX_TEAMS),
        "first": month,
        "last": last,
    }


def _by_month(
    table: str, grid: CoverageGrid | None, events: Mapping[tuple[str, date], MonthPublished]
) -> dict[date, dict[State, int]]:
    """Return how many scopes are in which state, by month: from the lake, or else from the newest asset events."""
    if grid is not None:
        found: dict[date, Mapping[str, int]] = dict(grid.month_counts())
    else:
        found = {month: event.scopes for (name, month), event in events.items() if name == table}
    return {month: {state: counts.get(state.name.lower(), 0) for state in State} for month, counts in found.items()}


def _behind(
    table: str,
    summary: CoverageSummary | None,
    events: Mapping[tuple[str, date], MonthPublished],
    reader: LakeReader,
) -> list[date]:
    """Return the months of which a publish task told other rows, after all that the summary knows of."""
    if summary is None:
        return []
    by_month = summary.cells.group_by("month").aggregate([("rows", "sum"), ("seen_at", "max")]).to_pylist()
    known = {each["month"]: (each["rows_sum"], each["seen_at_max"]) for each in by_month}
    return sorted(
        month
        for (name, month), event in events.items()
        if name == table
        and reader.holds(event.place)
        and (month not in known or (known[month][0] != event.rows and known[month][1] < event.published_at))
    )


def _newest(table: str, events: Mapping[tuple[str, date], MonthPublished]) -> Any:
    return max((event.published_at for (name, _), event in events.items() if name == table), default=None)


def _state(grid: CoverageGrid | None, scope: str, month: date) -> tuple[State | None, str]:
    if grid is None or scope not in grid.scopes or month not in grid.months:
        return None, scope
    row = list(grid.scopes).index(scope)
    return State(int(grid.states[row, list(grid.months).index(month)])), name_of(grid, row)


def _cell(summary: CoverageSummary | None, scope: str, month: date) -> dict[str, Any] | None:
    import pyarrow.compute as pc

    if summary is None:
        return None
    of_month = summary.cells.filter(pc.equal(summary.cells["month"], month))
    rows = of_month.filter(pc.equal(of_month["scope"].cast("string"), scope)).to_pylist()
    return rows[0] if rows else None


def _with_gaps(grid: CoverageGrid | None, month: date, wanted: Filter) -> list[str]:
    if grid is None or month not in grid.months:
        return []
    has_gap = np.isin(grid.states[:, list(grid.months).index(month)], GAPS).tolist()
    return sorted(grid.scopes[row] for row in matching(grid, wanted) if has_gap[row])


def _as_argument(scope: str) -> str:
    """Return a scope as a line of the form: the id of a team, or JSON for an org tree."""
    kind, _, name = scope.partition(":")
    return name if kind == "team" else json.dumps({"orgTreeName": name}, ensure_ascii=False)


def _first_shown(wanted: Filter, newest: date, today: date) -> date:
    """Return the first month of a heat map: the one asked for, as far as that is not too many months.

    `newest` is the newest month that anything is known of.
    """
    if wanted.first == date.min:
        return max(FIRST_MONTH, _months_before(min(wanted.last, today), MONTHS - 1))
    return max(wanted.first, _months_before(min(wanted.last, max(newest, today)), MOST_MONTHS - 1))


def _months_before(day: date, months: int) -> date:
    month = day.replace(day=1)
    for _ in range(months):
        month = previous_month(month)
    return month


def _common(reader: LakeReader) -> dict[str, Any]:
    legend = [(state, GLYPHS[state], NAMES[state]) for state in State]
    return {"trouble": reader.trouble, "lake": reader.place, "legend": legend}


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("sei_provider.plugin"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["query"] = lambda values: urlencode({key: value for key, value in values.items() if value})
    environment.filters["seen"] = seen
    environment.globals["names"] = NAMES
    return environment
