"""Owner rule: which rows of a set of slices survive, and which slices a ledger can forget (DESIGN, decision 12).

Pure functions of the set of ledger entries; their order means nothing. Knows no Parquet and no files.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import chain
from typing import NamedTuple, TypeAlias

from sei_provider.lake.model import run_id_of
from sei_provider.lake.periods import period_end, sprint_name
from sei_provider.lake.tables.hierarchy import Parents, parent_path
from sei_provider.lake.tables.ledger_entry import EarlierRun, LedgerEntry, parents_of

__all__ = ["LedgerEntry", "Owners", "RowPlace", "prune", "surviving_rows", "with_names"]

Precedence: TypeAlias = tuple[date, datetime, str, datetime]

RUN_LASTS = timedelta(days=3)
"""Longest time between the exports of one run: from a failed Friday night to its clear on Monday. So a
ledger holds the runs of a few days and not of all nights."""


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
    `runs`, `unknown_paths`, `put_aside` and `replace_exact_range` (legacy reports) count; those that follow from the
    rows, which are `teams`, `parents`, `sprints` and `sprint_days`, are filled in here. An entry without places is an
    empty answer. The same slice twice, handed on by two runs, is one slice of both runs. `granularity` is `weekly`,
    `monthly`, `quarterly` or `sprint`.
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
        self._periods: dict[date | None, _Asking] = {}
        self._dates: dict[date, _Period] = {}
        self._highest: dict[tuple[date | None, date], Precedence] = {}
        self._exact: dict[tuple[str, date, date], list[LedgerEntry]] = defaultdict(list)
        self._sprint_ends: dict[tuple[str, str], date] = {}
        self._sprint_days: dict[tuple[str, str, str], set[tuple[date, date]]] = defaultdict(set)
        for entry in self._ledger:
            if entry.replace_exact_range:
                self._exact[entry.scope, entry.start, entry.end].append(entry)
            for path, name, first, end in sorted(entry.sprint_days):
                self._sprint_ends[path, name] = max(end, self._sprint_ends.get((path, name), end))
                self._sprint_days[entry.identity].add((first, end))

    def survives(self, entry: LedgerEntry, place: RowPlace) -> bool:
        """Return whether no entry supersedes rows of this one at a place."""
        return next(self.superseded_by(entry, place), None) is None

    def superseded_by(self, entry: LedgerEntry, place: RowPlace) -> Iterator[tuple[LedgerEntry, bool]]:
        """Yield the entries that supersede rows of this one at a place, and whether they reach further into the period.

        An entry may come twice.
        """
        if entry.replace_exact_range:
            same = self._exact[entry.scope, entry.start, entry.end]
            yield from ((other, False) for other in same if other.age > entry.age)
            return
        period = self._sprint(entry, place) if self._granularity == "sprint" else self._dated(place.start)
        mine = precedence(entry, period.last)
        if mine >= self._highest_asking(period, mine):  # as the only one, or the newest: the index is not needed then
            return
        for other in self._asking(period).covering(entry, place, period):
            if other is entry:
                continue
            others = precedence(other, period.last)
            if others > mine and not _is_one_reading(entry, other):
                yield other, others[0] > mine[0]

    def _dated(self, start: date) -> _Period:
        if start not in self._dates:
            end = period_end(start, self._granularity)
            self._dates[start] = _Period(start, end, lambda first, last, _: first <= start <= last)
        return self._dates[start]

    def _sprint(self, entry: LedgerEntry, place: RowPlace) -> _Period:
        """Return a sprint as the period of a row.

        How SEI picks sprints is not documented, so a request asked for one only if its answer names it or another of
        the same days (the team may have a new path), if the sprint lies whole within the request, or if the request
        includes the row's request. Its dates may have moved: the latest last day that any entry knows counts, so that
        all entries have one order.
        """
        first, last = place.start, place.end or place.start
        name = (place.path, sprint_name(place.sprint, first))

        def asked(start: date, end: date, other: LedgerEntry) -> bool:
            if start <= first and last <= end:
                return True
            if start <= entry.start and entry.end <= end:
                return True
            shown = name in (other.sprints or ()) or (first, last) in self._sprint_days[other.identity]
            # The request of an earlier answer, which is pruned, showed it only if it overlaps it.
            return shown and ((start, end) == (other.start, other.end) or (start <= last and first <= end))

        return _Period(None, max(last, self._sprint_ends.get(name, last)), asked)

    def _asking(self, period: _Period) -> _Asking:
        """Return the entries that asked for a period; for sprints all, since each row has a period of its own."""
        if period.start not in self._periods:
            self._periods[period.start] = _Asking(self._that_asked(period))
        return self._periods[period.start]

    def _highest_asking(self, period: _Period, default: Precedence) -> Precedence:
        """Return the highest precedence of the entries that asked for a period; nothing supersedes rows of that one."""
        key = period.start, period.last
        if key not in self._highest:
            found = (precedence(entry, period.last) for entry in self._that_asked(period))
            self._highest[key] = max(found, default=default)
        return self._highest[key]

    def _that_asked(self, period: _Period) -> Iterator[LedgerEntry]:
        start = period.start
        return (entry for entry in self._ledger if start is None or entry.overlaps(start, start))


def precedence(entry: LedgerEntry, last: date) -> Precedence:
    """Return the precedence of an entry in a period with this last day: reach first, then age."""
    return min(last, entry.end), *entry.age


class _Period(NamedTuple):
    """Period of one row."""

    start: date | None
    """None for a sprint."""
    last: date
    asked: Callable[[date, date, LedgerEntry], bool]
    """Tells if a request from one day to another asked for it, with an answer that names the sprints of an entry."""


class _Asking:
    """Entries that asked for one period, or all entries where periods are sprints."""

    def __init__(self, entries: Iterable[LedgerEntry]) -> None:
        self._by_scope: dict[str, list[LedgerEntry]] = defaultdict(list)
        self._by_path: dict[str, list[LedgerEntry]] = defaultdict(list)
        self._showing: dict[str, list[LedgerEntry]] = defaultdict(list)
        self._by_tombstone: dict[str, list[LedgerEntry]] = defaultdict(list)
        self._by_root: dict[str, list[LedgerEntry]] = defaultdict(list)
        entries = list(entries)
        for entry in entries:
            self._by_scope[entry.scope].append(entry)
        self._parents = Parents(pair for entry in entries for pair in entry.parents)
        contains_children = False
        for entry in entries:
            for path in entry.teams:
                self._by_path[path].append(entry)
            if len(self._by_scope[entry.scope]) > 1:  # nobody else's absence of a team tells that it is gone
                for path in entry.shown:
                    self._showing[path].append(entry)
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

    def covering(self, entry: LedgerEntry, place: RowPlace, period: _Period) -> Iterator[LedgerEntry]:
        """Yield the entries that asked for the period and cover rows of a team, of whatever precedence."""
        path = place.path
        above = self._parents.above(parent_path(place.team, path)) if self._by_root else ()
        candidates = chain(
            self._by_scope[entry.scope],
            self._by_path.get(path, ()),
            self._by_tombstone.get(path, ()),
            (other for root in above for other in self._by_root.get(root, ()) if not other.shows(path)),
            self._burying(entry, path, period),
        )
        yield from (other for other in candidates if period.asked(other.start, other.end, other))

    def _burying(self, entry: LedgerEntry, path: str, period: _Period) -> Iterator[LedgerEntry]:
        """Yield the entries with a tombstone for the team: an earlier answer of their scope named it, they do not.

        A tombstone does not bury what another scope brought after that answer, unless in the same run, because teams
        may have swapped names in between.
        """
        own = precedence(entry, period.last)
        for named in self._showing.get(path, ()):
            if not period.asked(named.start, named.end, named):
                continue
            buried = precedence(named, period.last)
            shared = _shared_runs(entry, named, period) if own > buried else frozenset()
            if own > buried and not shared:
                continue
            for other in self._by_scope[named.scope]:
                if other.shows(path) or other.unknown_paths or precedence(other, period.last) <= buried:
                    continue
                if own <= buried or any(entry.runs & other.runs <= {run} for run in shared):
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
    """Return whether `later` precedes `entry` in every period that this asked for, and covers all that it covers."""
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
        and entry.put_aside == later.put_aside
        and entry.tombstones <= later.teams | later.tombstones
        and (entry.sprints or frozenset()) <= (later.sprints or frozenset())
        and entry.sprint_days <= later.sprint_days
    )


def _with_runs_of(later: LedgerEntry, entry: LedgerEntry, granularity: str, first: date, last: date) -> LedgerEntry:
    def asked(start: date, end: date) -> tuple[date, date]:
        return (start, end) if granularity == "sprint" else (max(start, first), min(end, last))

    def says_all(run: EarlierRun, other: EarlierRun) -> bool:
        newer = run.created_at >= other.created_at
        return run.run == other.run and run.start <= other.start and other.end <= run.end and newer

    begins, ends = asked(entry.start, entry.end)
    runs = {EarlierRun(run, begins, ends, entry.created_at) for run in entry.runs}
    runs |= entry.earlier_runs | later.earlier_runs
    own = {EarlierRun(run, *asked(later.start, later.end), later.created_at) for run in later.runs}
    needed = {
        run
        for run in runs
        # Rows that are not newer than the later entry fall to a tombstone whatever their run.
        if later.created_at <= run.created_at + RUN_LASTS
        and not any(says_all(other, run) for other in (runs | own) - {run})
    }
    return replace(later, earlier_runs=frozenset(needed))


def _is_one_reading(entry: LedgerEntry, other: LedgerEntry) -> bool:
    return (entry.export_id, entry.reading) == (other.export_id, other.reading)


def _shared_runs(entry: LedgerEntry, named: LedgerEntry, period: _Period) -> frozenset[str]:
    """Return the runs in which an earlier answer of a scope came, if what another scope brought came in one of them.

    A run that was cleared brings things twice, maybe of two trees; the caller tells these apart.
    """
    runs = {EarlierRun(run, named.start, named.end, named.created_at) for run in named.runs} | named.earlier_runs
    run_ids = {run_id_of(run) for run in entry.runs}
    return frozenset(
        run.run
        for run in runs
        if run_id_of(run.run) in run_ids
        and abs(entry.created_at - run.created_at) <= RUN_LASTS
        and period.asked(run.start, run.end, named)
    )
