"""Owner rule: which rows of a set of slices survive, and which slices a ledger can forget (DESIGN, decision 12).

Pure functions of the set of ledger entries; their order means nothing. Knows no Parquet and no files.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from datetime import date, datetime
from typing import NamedTuple, TypeAlias

from sei_provider.lake.periods import period_end, sprint_name
from sei_provider.lake.tables.hierarchy import Parents, parent_path
from sei_provider.lake.tables.ledger_entry import LedgerEntry, parents_of

__all__ = ["LedgerEntry", "Owners", "RowPlace", "prune", "surviving_rows", "with_names"]

Precedence: TypeAlias = tuple[date, datetime, str, datetime]


class RowPlace(NamedTuple):
    """Team and period of rows of one slice. Rows of two people in one team share a place."""

    team: str
    """The `Team` cell, which is the last part of the path."""
    path: str
    """The hierarchy, e.g. `Eng/CI/CD` for the team `CI/CD` below `Eng`."""
    start: date
    """First day of the period."""
    end: date | None = None
    """Last day of a sprint; other periods have theirs from the granularity of the table."""
    sprint: str | None = None
    """Name of a sprint."""


def surviving_rows(
    slices: Iterable[tuple[LedgerEntry, Collection[RowPlace]]],
    granularity: str,
) -> frozenset[tuple[str, str, str, RowPlace]]:
    """Return the places of the rows that survive, as (scope, export id, reading, place), in a table of these slices.

    A function of the set: the order of `slices` means nothing. Each is an entry with the places of all rows that its
    export has. Of the entry, the fields `scope`, `start`, `end`, `export_id`, `created_at`, `staged_at`, `reading`,
    `runs`, `unknown_paths` and `replace_exact_range` (legacy reports) count; those that follow from the rows, which are
    `teams`, `parents`, `sprints` and `sprint_days`, are filled in here. An entry without places is an empty answer. The
    same slice twice, handed on by two runs, is one slice of both runs. `granularity` is `weekly`, `monthly`,
    `quarterly` or `sprint`.
    """
    entries: dict[tuple[str, str, str], LedgerEntry] = {}
    rows: dict[tuple[str, str, str], Collection[RowPlace]] = {}
    for entry, places in slices:
        named = with_names(entry, places, granularity)
        held = entries.get(entry.identity)
        entries[entry.identity] = held.joined(named) if held else named
        rows[entry.identity] = places
    owners = Owners(entries.values(), granularity)
    return frozenset(
        (*identity, place)
        for identity, places in rows.items()
        for place in places
        if owners.survives(entries[identity], place)
    )


def with_names(entry: LedgerEntry, places: Collection[RowPlace], granularity: str) -> LedgerEntry:
    """Fill in the fields of an entry that follow from its rows."""
    entry = replace(
        entry,
        teams=frozenset(place.path for place in places),
        parents=parents_of((place.team, place.path) for place in places),
    )
    if granularity != "sprint":
        return entry
    names = [(place.path, sprint_name(place.sprint, place.start), place.start, place.end) for place in places]
    return replace(
        entry,
        sprints=frozenset((path, sprint) for path, sprint, *_ in names),
        sprint_days=frozenset((path, sprint, first, last) for path, sprint, first, last in names if last),
    )


class Owners:
    """Owner rule for one ledger and many rows."""

    def __init__(self, ledger: Iterable[LedgerEntry], granularity: str) -> None:
        self._granularity = granularity
        self._ledger = list(ledger)
        self._periods: dict[tuple[date, ...], _Period] = {}
        self._by_sprint: dict[tuple[str, str], list[LedgerEntry]] = defaultdict(list)
        self._sprint_ends: dict[tuple[str, str], list[tuple[LedgerEntry, date]]] = defaultdict(list)
        for entry in self._ledger:
            for sprint in entry.sprints or ():
                self._by_sprint[sprint].append(entry)
            for path, name, _, end in entry.sprint_days:
                self._sprint_ends[path, name].append((entry, end))
        self._by_exact_range: dict[tuple[str, date, date], list[LedgerEntry]] = defaultdict(list)
        for entry in self._ledger:
            if entry.replace_exact_range:
                self._by_exact_range[entry.scope, entry.start, entry.end].append(entry)

    def survives(self, entry: LedgerEntry, place: RowPlace) -> bool:
        """Whether no entry supersedes rows of this one at a place."""
        return next(self.superseded_by(entry, place), None) is None

    def superseded_by(self, entry: LedgerEntry, place: RowPlace) -> Iterator[tuple[LedgerEntry, bool]]:
        """Yield the entries that supersede rows of this one at a place, and whether they reach further into the period.

        An entry may come twice.
        """
        if entry.replace_exact_range:
            same = self._by_exact_range[entry.scope, entry.start, entry.end]
            yield from ((other, False) for other in same if other.age > entry.age)
            return
        moved: dict[tuple[str, str, str], date] = {}
        if self._granularity == "sprint":
            period, naming, moved = self._sprint(entry, place)
            last = place.end or place.start
        else:
            period, naming, last = self._dated(place.start), [], period_end(place.start, self._granularity)

        def precedence(of: LedgerEntry, last: date = last) -> Precedence:
            return min(last, of.end), *of.age

        def asked(start: date, end: date) -> bool:
            if self._granularity != "sprint":
                return start <= place.start <= end
            return start <= (place.end or place.start) and place.start <= end

        for other in period.covering(entry, place, precedence, asked, naming):
            # A sprint's dates may have moved. The last day for two entries is the same whichever row is judged.
            common = max(last, moved.get(other.identity, last))
            mine, others = precedence(entry, common), precedence(other, common)
            if others > mine and not _is_one_reading(entry, other):
                yield other, others[0] > mine[0]

    def _dated(self, start: date) -> _Period:
        if (start,) not in self._periods:
            self._periods[start,] = _Period([entry for entry in self._ledger if entry.overlaps(start, start)])
        return self._periods[start,]

    def _sprint(
        self, entry: LedgerEntry, place: RowPlace
    ) -> tuple[_Period, list[LedgerEntry], dict[tuple[str, str, str], date]]:
        """Return the entries that asked for a sprint, those of them that name it, and its last day as they tell.

        How SEI picks sprints is not documented, so an entry asked for one only if it names it, if the sprint lies
        whole within its request, or if its request includes the row's request.
        """
        first, last = place.start, place.end or place.start
        key = (first, last, entry.start, entry.end)
        if key not in self._periods:
            self._periods[key] = _Period(
                [
                    other
                    for other in self._ledger
                    if (other.start <= first and last <= other.end) or other.includes(entry)
                ]
            )
        name = (place.path, sprint_name(place.sprint, first))
        naming = [other for other in self._by_sprint[name] if other.overlaps(first, last)]
        return self._periods[key], naming, {other.identity: end for other, end in self._sprint_ends[name]}


class _Period:
    """Entries that asked for one period."""

    def __init__(self, entries: Iterable[LedgerEntry]) -> None:
        self._by_scope: dict[str, list[LedgerEntry]] = defaultdict(list)
        self._by_path: dict[str, list[LedgerEntry]] = defaultdict(list)
        self._by_tombstone: dict[str, list[LedgerEntry]] = defaultdict(list)
        self._by_root: dict[str, list[LedgerEntry]] = defaultdict(list)
        entries = list(entries)
        self._parents = Parents(pair for entry in entries for pair in entry.parents)
        contains_children = False
        for entry in entries:
            self._by_scope[entry.scope].append(entry)
            for path in entry.teams:
                self._by_path[path].append(entry)
            for path in entry.tombstones:
                self._by_tombstone[path].append(entry)
            root = self._root(entry)
            if root is not None:
                contains_children = contains_children or len(entry.teams) > 1
                if not entry.unknown_paths:
                    self._by_root[root].append(entry)
        if not contains_children:  # only seed 002 says that exports contain child teams; this report's do not
            self._by_root.clear()

    def _root(self, entry: LedgerEntry) -> str | None:
        """Return the hierarchy of the entry that lies above all its others."""
        first = min(entry.teams, key=len, default=None)
        below = {path for path, parent in entry.parents if path == first or first in self._parents.above(parent)}
        return first if below == entry.teams else None

    def covering(
        self,
        entry: LedgerEntry,
        place: RowPlace,
        precedence: Callable[[LedgerEntry], Precedence],
        asked: Callable[[date, date], bool],
        naming: Collection[LedgerEntry],
    ) -> Iterator[LedgerEntry]:
        """Yield the entries that cover rows of a team, of whatever precedence; `naming` name a sprint of the team.

        `asked` tells whether a range asks for the period.
        """
        path = place.path
        yield from self._by_scope[entry.scope]
        yield from naming
        yield from self._by_path[path]
        yield from self._by_tombstone[path]
        for above in self._parents.above(parent_path(place.team, path)):
            yield from (other for other in self._by_root[above] if path not in other.teams)
        own = precedence(entry)
        for named in (*self._by_path[path], *naming):
            if own > precedence(named) and not entry.runs & _runs(named, asked):
                continue
            # A later answer of its scope does not name the team any more: a tombstone. It does not bury what another
            # scope brought later, unless in the same run, since teams may have swapped names in between.
            for other in self._by_scope[named.scope]:
                buries = path not in other.teams and not other.unknown_paths
                if buries and precedence(other) > precedence(named):
                    yield other


def prune(ledger: Iterable[LedgerEntry], granularity: str, first: date, last: date) -> list[LedgerEntry]:
    """Prune the entries without which every row of the month `first` to `last` fares alike, whatever is published next.

    An entry is pruned if a later one of its scope says all that it says; its runs are kept there, for tombstones.
    Returns the rest, oldest first.
    """
    by_scope: dict[str, list[LedgerEntry]] = defaultdict(list)
    for entry in sorted(ledger, key=lambda entry: (entry.age, entry.end)):
        by_scope[entry.scope].append(entry)
    for kept in by_scope.values():
        for entry in tuple(kept):
            # Looked up again, because it may hold the runs of others by now.
            entry = next(other for other in kept if other.identity == entry.identity)  # noqa: PLW2901
            heirs = (other for other in kept if other is not entry)
            heir = next((other for other in heirs if _says_all(other, entry, granularity, first, last)), None)
            if heir:
                kept[kept.index(heir)] = _with_runs_of(heir, entry, granularity, first, last) if entry.teams else heir
                kept.remove(entry)
    return sorted((entry for kept in by_scope.values() for entry in kept), key=lambda entry: (entry.age, entry.scope))


def _says_all(later: LedgerEntry, entry: LedgerEntry, granularity: str, first: date, last: date) -> bool:
    """Whether `later` has precedence in every period that `entry` asked for, and covers all that `entry` covers."""
    if entry.replace_exact_range:
        return later.has_range_of(entry) and later.age > entry.age
    if granularity == "sprint":
        wins = later.includes(entry) and later.age > entry.age
    else:
        begins, ends = max(entry.start, first), min(entry.end, last)
        reaches_as_far = later.end >= min(entry.end, period_end(ends, granularity))
        reaches_further = later.end > entry.end and entry.end < period_end(begins, granularity)
        wins = later.start <= begins <= ends <= later.end
        wins = wins and (reaches_further or (reaches_as_far and later.age > entry.age))
    return (
        wins
        and (not entry.teams or (later.teams == entry.teams and entry.parents <= later.parents))
        and (entry.unknown_paths or not later.unknown_paths)
        and entry.tombstones <= later.teams | later.tombstones
        and (entry.sprints or frozenset()) <= (later.sprints or frozenset())
        and entry.sprint_days <= later.sprint_days
    )


def _with_runs_of(later: LedgerEntry, entry: LedgerEntry, granularity: str, first: date, last: date) -> LedgerEntry:
    def asked(start: date, end: date) -> tuple[date, date]:
        return (start, end) if granularity == "sprint" else (max(start, first), min(end, last))

    runs = {(run, *asked(entry.start, entry.end)) for run in entry.runs} | entry.earlier_runs | later.earlier_runs
    own = asked(later.start, later.end)
    needed = {
        (run, start, end)
        for run, start, end in runs
        if not (run in later.runs and own[0] <= start and end <= own[1])
        and not any(r == run and s <= start and end <= e and (s, e) != (start, end) for r, s, e in runs)
    }
    return replace(later, earlier_runs=frozenset(needed))


def _is_one_reading(entry: LedgerEntry, other: LedgerEntry) -> bool:
    return (entry.export_id, entry.reading) == (other.export_id, other.reading)


def _runs(entry: LedgerEntry, asked: Callable[[date, date], bool]) -> frozenset[str]:
    return entry.runs | {run for run, start, end in entry.earlier_runs if asked(start, end)}
