"""The owner rule of DESIGN's decision 12 once more, slow and obvious, and written without reading the lake's code.

Each part of the rule is a method, so that a test can take the part away and see that it is missed.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import NamedTuple

from typing_extensions import override


class Row(NamedTuple):
    """Team and period of one row: `path` is the `Team_Hierarchy`, whose last part is `team`."""

    team: str
    path: str
    start: date
    end: date | None = None
    sprint: str | None = None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One slice: what one export, read in one way, says of one scope and range."""

    scope: str
    start: date
    end: date
    export_id: str
    created_at: datetime
    staged_at: datetime
    reading: str
    runs: frozenset[tuple[str, int]]
    """(Run id, how often the run had been cleared)."""
    rows: frozenset[Row]
    unknown_paths: bool = False
    """True if rows of unknown teams are in quarantine."""
    put_aside: frozenset[str] = frozenset()
    """Known teams of which all rows are in quarantine."""

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.scope, self.export_id, self.reading)


class Survivor(NamedTuple):
    scope: str
    export_id: str
    reading: str
    row: Row


def last_day(granularity: str, first: date) -> date:
    """Return the last day of the period that begins on `first`."""
    if granularity == "weekly":
        return first + timedelta(days=6)
    month = first.month + 2 if granularity == "quarterly" else first.month
    return date(first.year, month, calendar.monthrange(first.year, month)[1])


def as_a_set(entries: Iterable[Entry]) -> list[Entry]:
    """Return each slice once, of all the runs that handed it on."""
    found: dict[tuple[str, str, str], Entry] = {}
    for entry in entries:
        known = found.setdefault(entry.key, entry)
        found[entry.key] = replace(known, runs=known.runs | entry.runs, staged_at=max(known.staged_at, entry.staged_at))
    return list(found.values())


class OwnerRule:
    """Decision 12 over the set of a table's entries."""

    def __init__(self, entries: Iterable[Entry], granularity: str) -> None:
        self.entries = as_a_set(entries)
        self.granularity = granularity
        self._memo: dict[tuple[object, ...], object] = {}

    def survivors(self) -> set[Survivor]:
        """Return the rows that stay."""
        return {
            Survivor(*entry.key, row)
            for entry in self.entries
            for row in entry.rows
            if not any(self.supersedes(other, entry, row) for other in self.entries if other is not entry)
        }

    def supersedes(self, e: Entry, x: Entry, row: Row) -> bool:
        """True if the row of `x` falls to `e`."""
        if not self.asked(e, x, row) or not self.precedence(e, row) > self.precedence(x, row):
            return False
        return (
            e.scope == x.scope
            or row.path in self.paths(e, row)
            or self.lies_above(e, x, row)
            or self.has_tombstone(e, x, row)
        )

    # Which entries are compared, and which is the higher.

    def asked(self, e: Entry, x: Entry, row: Row) -> bool:
        """True if `e` asked for the period of this row of `x`."""
        if self.granularity != "sprint":
            return e.start <= row.start <= e.end
        assert row.end
        names_it = any(self.is_same_period(other, row) for other in e.rows)
        whole = e.start <= row.start and row.end <= e.end
        contains = e.start <= x.start and x.end <= e.end
        return names_it or whole or contains or self.shows_these_days(e, row)

    def shows_these_days(self, e: Entry, row: Row) -> bool:
        """True if `e` has another sprint of the same days: SEI would have shown this one too, but for its new path."""
        return any((other.start, other.end) == (row.start, row.end) for other in e.rows)

    def is_same_period(self, row: Row, other: Row) -> bool:
        if self.granularity != "sprint":
            return row.start == other.start
        return row.path == other.path and (row.sprint or row.start) == (other.sprint or other.start)

    def precedence(self, e: Entry, row: Row) -> tuple[object, ...]:
        return (self.reach(e, row), e.created_at, e.export_id, e.staged_at)

    def reach(self, e: Entry, row: Row) -> date:
        end = self.sprint_end(row) if self.granularity == "sprint" else last_day(self.granularity, row.start)
        return min(end, e.end)

    def sprint_end(self, row: Row) -> date:
        """Return the latest last day that any entry knows of the sprint, so that there is one order of all entries."""
        key = ("end", row.path, row.sprint or row.start)
        if key not in self._memo:
            rows = [other for entry in self.entries for other in entry.rows if self.is_same_period(other, row)]
            self._memo[key] = max(other.end for other in rows if other.end)
        return self._memo[key]  # type: ignore[return-value]

    # What an entry covers.

    def of_ledger(self, e: Entry, row: Row) -> list[Row]:
        """Return the entry's rows that lie in the ledger of the row's month; a sprint has no month of its own."""
        key = (e.key, row.start.year, row.start.month)
        if key not in self._memo:
            self._memo[key] = [
                other
                for other in e.rows
                if self.granularity == "sprint"
                or (other.start.year, other.start.month) == (row.start.year, row.start.month)
            ]
        return self._memo[key]  # type: ignore[return-value]

    def paths(self, e: Entry, row: Row) -> set[str]:
        """Return the teams that the entry names there."""
        return {other.path for other in self.of_ledger(e, row)}

    def parents(self, row: Row) -> dict[str, set[str]]:
        """Return path → that of the team above, as the `Team` cells of the ledger's rows tell."""
        key = ("parents", row.start.year, row.start.month)
        if key not in self._memo:
            found: dict[str, set[str]] = {}
            for entry in self.entries:
                for other in self.of_ledger(entry, row):
                    if other.path.endswith(f"/{other.team}"):
                        found.setdefault(other.path, set()).add(other.path.removesuffix(f"/{other.team}"))
            self._memo[key] = found
        return self._memo[key]  # type: ignore[return-value]

    def is_below(self, path: str, root: str, row: Row) -> bool:
        above = self.parents(row).get(path, set())
        return root in above or any(self.is_below(parent, root, row) for parent in above)

    def root(self, e: Entry, row: Row) -> str | None:
        """Return the entry's own team that is the ancestor of all its others."""
        key = ("root", e.key, row.start.year, row.start.month)
        if key not in self._memo:
            paths = self.paths(e, row)
            roots = [root for root in paths if all(self.is_below(path, root, row) for path in paths - {root})]
            self._memo[key] = roots[0] if roots else None
        return self._memo[key]  # type: ignore[return-value]

    def exports_contain_children(self, x: Entry, row: Row) -> bool:
        """True if an entry of the period names a team below its own root."""
        return any(
            self.asked(entry, x, row) and self.root(entry, row) and len(self.paths(entry, row)) > 1
            for entry in self.entries
        )

    def lies_above(self, e: Entry, x: Entry, row: Row) -> bool:
        root = self.root(e, row)
        return (
            root is not None
            and not e.unknown_paths
            and row.path not in e.put_aside
            and self.is_below(row.path, root, row)
            and self.exports_contain_children(x, row)
        )

    def has_tombstone(self, e: Entry, x: Entry, row: Row) -> bool:
        """True if an earlier entry of the scope of `e` named the row's team and `e` does not, as far as that holds."""
        if e.unknown_paths or row.path in self.paths(e, row) | e.put_aside:
            return False
        return any(
            d.scope == e.scope
            and row.path in self.paths(d, row) | d.put_aside
            and self.asked(d, x, row)
            and self.precedence(d, row) < self.precedence(e, row)
            and (self.precedence(x, row) <= self.precedence(d, row) or self.came_in_run_of(d, x, e))
            for d in self.entries
        )

    def came_in_run_of(self, d: Entry, x: Entry, e: Entry) -> bool:
        """True if `x` came in a run of `d`, and not with `e` when that run was cleared or in another run.

        A run is taken for one and the same for three days.
        """
        return any(
            of_x[0] == of_d[0] and e.runs & x.runs <= {of_d} and abs(x.created_at - d.created_at) <= timedelta(days=3)
            for of_d in d.runs
            for of_x in x.runs
        )


class WithoutReach(OwnerRule):
    @override
    def reach(self, e: Entry, row: Row) -> date:
        return date.min


class WithoutWhatLiesBelow(OwnerRule):
    @override
    def lies_above(self, e: Entry, x: Entry, row: Row) -> bool:
        return False


class WithoutTombstones(OwnerRule):
    @override
    def has_tombstone(self, e: Entry, x: Entry, row: Row) -> bool:
        return False


class WithEveryTombstone(OwnerRule):
    """Tombstones that hold for newer rows too, as those of 751f940."""

    @override
    def came_in_run_of(self, d: Entry, x: Entry, e: Entry) -> bool:
        return True


class WithoutClearNumber(OwnerRule):
    """A cleared run is not told from the run before, whose id it has."""

    @override
    def came_in_run_of(self, d: Entry, x: Entry, e: Entry) -> bool:
        return bool({run for run, _ in d.runs} & {run for run, _ in x.runs})


class WithSlashes(OwnerRule):
    """Tell what lies below by slashes, not by the `Team` cells."""

    @override
    def is_below(self, path: str, root: str, row: Row) -> bool:
        return path.startswith(f"{root}/")


class WithoutDaysOfSprints(OwnerRule):
    @override
    def shows_these_days(self, e: Entry, row: Row) -> bool:
        return False


MUTANTS = [
    WithoutReach,
    WithoutWhatLiesBelow,
    WithoutTombstones,
    WithEveryTombstone,
    WithoutClearNumber,
    WithSlashes,
    WithoutDaysOfSprints,
]
