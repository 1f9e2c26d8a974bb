"""Heat map of a table: lines of scopes or of the teams above them, filtered, summed up and cut into pages.

Plain values, made from a grid of states. Knows no web page.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import NamedTuple

from sei_provider.lake.tables.coverage_grid import CoverageGrid, State

LINES = 50
"""Lines of a page."""
NAMES: Mapping[State, str] = {
    State.COMPLETE: "complete",
    State.TO_DATE: "to date",
    State.PARTLY: "partly",
    State.QUARANTINED: "quarantined",
    State.STALE: "stale",
    State.MISSING: "missing",
    State.UNREADABLE: "unreadable",
}
GLYPHS: Mapping[State, str] = {
    State.COMPLETE: "●",
    State.TO_DATE: "◐",
    State.PARTLY: "◔",
    State.QUARANTINED: "!",
    State.STALE: "×",
    State.MISSING: "○",
    State.UNREADABLE: "?",
}
"""Glyphs that tell the states apart without colour."""
GAPS = (State.PARTLY, State.MISSING, State.UNREADABLE)
"""States that an export of the month mends."""
NO_GAPS = (State.COMPLETE, State.QUARANTINED, State.STALE)
"""States of a month that `sei_backfill` may pass over as complete."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One month of a line."""

    state: State
    """Its state; where a line sums up several scopes, the worst of theirs."""
    mark: str
    """Its glyph; where the scopes differ, the number of those that are neither complete nor to date."""
    title: str
    """All of it in words, without the line's name."""
    gaps: int = 0
    """Number of its scopes that have a gap, also where their state is not the worst."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the heat map."""

    name: str
    """Its name for a person: the team's hierarchy, otherwise the scope."""
    scope: str
    """The scope, such as `team:456`; empty where the line sums up several."""
    below: str
    """Hierarchy of the team whose scopes it sums up; empty where it is one scope."""
    count: int
    """Number of its scopes."""
    cells: Sequence[Cell]


@dataclass(frozen=True, slots=True)
class Filter:
    """Part of a table that a person wants to see."""

    text: str = ""
    """Part of the name of a team or a scope, in any case."""
    below: str = ""
    """Hierarchy of a team: only its scopes and those of the teams below it."""
    summed: bool = True
    """True if the scopes below a team are one line."""
    first: date = date.min
    last: date = date.max
    page: int = 1


@dataclass(frozen=True, slots=True)
class HeatMap:
    """One page of lines, and the line that sums up all scopes that pass the filter."""

    months: Sequence[date]
    total: Line
    lines: Sequence[Line]
    page: int
    pages: int


def heat_map(grid: CoverageGrid, wanted: Filter) -> HeatMap:
    """Return one page; only its lines are summed up, whatever the number of scopes."""
    columns = [number for number, month in enumerate(grid.months) if wanted.first <= month <= wanted.last]
    chosen = matching(grid, wanted)
    parts = sorted(_parts(grid, wanted, chosen), key=lambda part: (part.name.casefold(), part.scopes))
    pages = max(1, -(-len(parts) // LINES))
    page = min(max(1, wanted.page), pages)
    shown = parts[(page - 1) * LINES : page * LINES]
    lines = [_line(grid, part, columns) for part in shown]
    total = replace(_line(grid, _Part("All", wanted.below, chosen), columns), scope="")
    return HeatMap([grid.months[number] for number in columns], total, lines, page, pages)


def matching(grid: CoverageGrid, wanted: Filter) -> list[int]:
    """Return the positions of the scopes that pass the filter."""
    text, below = wanted.text.casefold(), wanted.below
    return [
        number
        for number, (scope, line) in enumerate(zip(grid.scopes, grid.lineages, strict=True))
        if (not below or below in line)
        and (not text or text in scope.casefold() or (line and text in line[-1].casefold()))
    ]


def name_of(grid: CoverageGrid, scope: int) -> str:
    """Return what a person calls a scope."""
    line = grid.lineages[scope]
    return line[-1] if line else grid.scopes[scope]


def counts_in_words(counts: Mapping[State, int]) -> str:
    """Return how many scopes are in which state."""
    return ", ".join(f"{number:,} {NAMES[state]}" for state, number in counts.items() if number)


def cell_of(counts: Mapping[State, int]) -> Cell:
    """Return the cell of a month in which so many scopes are in each state."""
    states = [state for state in State if counts.get(state)]
    if not states:
        return Cell(State.MISSING, " ", "nothing known")
    worst = states[-1]
    total = sum(counts.values())
    gaps = sum(counts.get(state, 0) for state in GAPS)
    if len(states) == 1:
        return Cell(worst, GLYPHS[worst], NAMES[worst] if total == 1 else f"all {total:,} {NAMES[worst]}", gaps)
    rest = sum(counts.get(state, 0) for state in State if state > State.TO_DATE)
    title = counts_in_words({state: counts[state] for state in states})
    return Cell(worst, str(rest) if rest else GLYPHS[worst], title, gaps)


class _Part(NamedTuple):
    name: str
    below: str
    scopes: list[int]


def _parts(grid: CoverageGrid, wanted: Filter, chosen: Sequence[int]) -> list[_Part]:
    """Return the scopes one by one, or those below each team summed up, down from the first level that has several."""
    if not wanted.summed or wanted.text:
        return [_Part(name_of(grid, scope), "", [scope]) for scope in chosen]
    level = len(set.intersection(*(set(grid.lineages[scope]) for scope in chosen))) if chosen else 0
    groups: dict[str, list[int]] = defaultdict(list)
    parts = []
    for scope in chosen:
        line = grid.lineages[scope]
        if len(line) > level:
            groups[line[level]].append(scope)
        else:
            parts.append(_Part(name_of(grid, scope), "", [scope]))
    for below, scopes in groups.items():
        parts.append(_Part(below, below, scopes) if len(scopes) > 1 else _Part(name_of(grid, scopes[0]), "", scopes))
    return parts


def _line(grid: CoverageGrid, part: _Part, columns: Sequence[int]) -> Line:
    counts = grid.counts(part.scopes)[columns].tolist()
    cells = [cell_of(dict(zip(State, found, strict=True))) for found in counts]
    scope = grid.scopes[part.scopes[0]] if len(part.scopes) == 1 else ""
    return Line(part.name, scope, part.below, len(part.scopes), cells)
