"""Roles of a file's columns: which is the team's, the hierarchy, a date, told by documents or by what stands in it.

Plain values. The names of the columns of most reports are documented nowhere (CONTRACT, section 3).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from sei_provider.cli.shapes import cell_kind, has_calendar_words
from sei_provider.lake.columns import DIMENSIONS, Column, compact
from sei_provider.lake.header import declare

_HINTS = {
    "team": ("team", "squad", "collection", "group", "tribe", "chapter", "unit", "crew"),
    "team_hierarchy": ("path", "hierarchy", "tree", "parent", "breadcrumb"),
    "developer": ("developer", "employee", "contributor", "person", "user", "member", "engineer", "author", "name"),
    "sprint": ("sprint", "iteration", "cycle"),
}
"""Words in the header of a column of each role; they decide between columns that look the same."""
_OF_NAMES = {"text", "NA or null", "rating"}
"""Kinds of cells that may be names: a team may be called NA, or High."""
_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Roles:
    """Roles of one file's columns."""

    columns: Sequence[Column]
    """All columns, in the file's order."""
    places: dict[str, int]
    """Dimension → the number of its column, from 0."""
    guessed: Collection[str]
    """Dimensions that the provider does not find by the header, so `columns=` has to name them."""

    def cells(self, role: str, rows: Sequence[Sequence[str]]) -> list[str]:
        """Return the cells of a dimension; none if the file does not have it."""
        place = self.places.get(role)
        return [] if place is None else [row[place] for row in rows]


def find_roles(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    report: str,
    metrics: frozenset[str],
    level: str | None,
    names: frozenset[str],
) -> Roles:
    """Return the roles of a file's columns; `names` are the team's name and hierarchy, in every form."""
    columns = declare(header, report=report, metrics=metrics)
    known: dict[str, int] = {}
    for place, column in enumerate(columns):
        if column.name in DIMENSIONS:
            known.setdefault(column.name, place)
    free = [place for place, column in enumerate(columns) if column.type is None]
    guess = _Guess(header, rows, free, dict(known))
    guess.find_dates()
    guess.find("granularity", lambda cells: all(map(has_calendar_words, cells)))
    guess.find_teams(names)
    if level == "developer":
        guess.find("developer_email", lambda cells: {cell_kind(cell) for cell in cells} == {"e-mail address"})
        if "developer_email" not in known or "developer" not in known:
            guess.find_by_hint("developer")
    if level == "sprint":
        guess.find_by_hint("sprint")
    return Roles(columns, guess.places, frozenset(guess.places.keys() - known.keys()))


class _Guess:
    """Roles as far as they are known; `free` are the columns whose role is not."""

    def __init__(
        self, header: Sequence[str], rows: Sequence[Sequence[str]], free: list[int], places: dict[str, int]
    ) -> None:
        self.places = places
        self._header = header
        self._all = {place: [row[place] for row in rows] for place in range(len(header))}
        self._cells = {place: list(filter(None, self._all[place])) for place in free}

    def find(self, role: str, fits: Callable[[list[str]], bool]) -> None:
        """Give a role to the first column whose cells fit."""
        if role not in self.places:
            self._give(role, [place for place, cells in self._cells.items() if cells and fits(cells)])

    def find_by_hint(self, role: str) -> None:
        """Give a role to the first column of text whose header speaks for it, or to the only one of text."""
        if role in self.places:
            return
        taken = self.places.values()
        kinds = {each: set(map(cell_kind, cells)) for each, cells in self._cells.items() if each not in taken}
        texts = [each for each, found in kinds.items() if "text" in found]
        hinted = [each for each, found in kinds.items() if found & _OF_NAMES and self._speaks_for(role, each)]
        self._give(role, hinted or texts[: len(texts) == 1])

    def find_dates(self) -> None:
        """Find first and last day: columns of days, of which one is never after the other."""
        self.find("start_date", _are_days)
        start = self.places.get("start_date")
        if start is None or "end_date" in self.places:
            return
        ends = [
            place
            for place, cells in self._cells.items()
            if place != start
            and _are_days(cells)
            and all(first <= last for first, last in zip(self._all[start], self._all[place], strict=True))
        ]
        self._give("end_date", ends)

    def find_teams(self, names: frozenset[str]) -> None:
        """Find the columns of the team and its hierarchy, which hold the same where a hierarchy starts at the scope."""
        named = [place for place, cells in self._cells.items() if cells and names and names >= set(cells)]
        if "team_hierarchy" not in self.places:
            long = list(filter(self._ends_with_another, named))
            hinted = [place for place in named if self._speaks_for("team_hierarchy", place)]
            self._give("team_hierarchy", long or hinted or (named if "team" in self.places else named[1:]))
        if "team" not in self.places:
            self._give("team", named)
        if not names:  # no tree told the team's name
            self.find_by_hint("team_hierarchy")
            self.find_by_hint("team")

    def _ends_with_another(self, place: int) -> bool:
        mine = self._all[place]
        return any(
            other != place
            and any(cells)
            and all(len(short) < len(long) and long.endswith(short) for long, short in zip(mine, cells, strict=True))
            for other, cells in self._all.items()
        )

    def _speaks_for(self, role: str, place: int) -> bool:
        return any(word in compact(self._header[place]) for word in _HINTS[role])

    def _give(self, role: str, places: list[int]) -> None:
        taken = set(self.places.values())
        place = next((place for place in places if place not in taken), None)
        if place is not None:
            self.places[role] = place


def _are_days(cells: list[str]) -> bool:
    return bool(cells) and all(map(_DAY.fullmatch, cells))
