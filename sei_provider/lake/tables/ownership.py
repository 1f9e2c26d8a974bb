"""Owner rule: which slices a month holds, and which of their rows survive (DESIGN, decision 12).

Plain values. Knows no Parquet and no files.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, NamedTuple

from sei_provider.lake.model import SliceKey


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One slice in the ledger of one month. A slice without rows has an entry too."""

    scope: str
    start: date
    end: date
    export_id: str
    created_at: datetime
    """When SEI made the export, by SEI's clock."""
    teams: frozenset[str]
    """Hierarchies that its rows name, in any month."""
    tombstones: frozenset[str] = frozenset()
    """Hierarchies that its scope named when last published and that it no longer names."""
    sprints: frozenset[tuple[str, str]] | None = None
    """(Hierarchy, sprint) of its rows, or first day if the sprint has no name; None unless periods are sprints."""
    replace_exact_range: bool = False
    """Whether it replaces its own scope and range only, as legacy reports do."""
    rows: int = 0
    """Rows of this month that it owns now."""
    quarantined: int = 0
    """Rows of its export, of any month, that went to quarantine."""
    published_at: datetime
    staged_at: datetime | None = None
    """When it was staged, by our clock; decides between two readings of one export only."""
    reading: str = ""
    """How the export was read (columns, policy, version of the reader), as a hash."""
    runs: frozenset[str] = frozenset()
    """Runs that handed it on; several if SEI reused the export."""
    unknown_paths: bool = False
    """Whether rows of it went to quarantine whose path is not known."""

    @property
    def slice_key(self) -> SliceKey:
        """Return what marks its rows: scope and export id."""
        return self.scope, self.export_id

    @property
    def precedence(self) -> tuple[datetime, str, str]:
        """Return the order in which newer exports win: `createdAt`, then id; the scope only makes it total."""
        return self.created_at, self.export_id, self.scope

    def overlaps(self, other: LedgerEntry) -> bool:
        """Whether the two ranges have a day in common."""
        return self.start <= other.end and other.start <= self.end

    def has_range_of(self, other: LedgerEntry) -> bool:
        """Whether the two ranges are equal."""
        return (self.start, self.end) == (other.start, other.end)

    def to_json(self) -> dict[str, Any]:
        """Return the entry as JSON values. The keys are a file format and not these names."""
        value: dict[str, Any] = {
            "scope": self.scope,
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "export_id": self.export_id,
            "created_at": self.created_at.isoformat(),
            "teams": sorted(self.teams),
            "clears": sorted(self.tombstones),
            "rows": self.rows,
            "quarantined": self.quarantined,
            "published_at": self.published_at.isoformat(),
        }
        value |= {"exact": True} if self.replace_exact_range else {}
        return value if self.sprints is None else value | {"sprints": sorted(self.sprints)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> LedgerEntry:
        """Parse what `to_json` returned."""
        sprints = value.get("sprints")
        return cls(
            scope=value["scope"],
            start=date.fromisoformat(value["start"]),
            end=date.fromisoformat(value["end"]),
            export_id=value["export_id"],
            created_at=datetime.fromisoformat(value["created_at"]),
            teams=frozenset(value["teams"]),
            tombstones=frozenset(value["clears"]),
            sprints=None if sprints is None else frozenset((team, sprint) for team, sprint in sprints),
            replace_exact_range=value.get("exact", False),
            rows=value["rows"],
            quarantined=value["quarantined"],
            published_at=datetime.fromisoformat(value["published_at"]),
        )


@dataclass(frozen=True, slots=True)
class RowKey:
    """What the owner rule needs to know of a row: its slice, its team's hierarchy and its period."""

    entry: LedgerEntry
    path: str
    start: date
    end: date | None = None
    sprint: str | None = None


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
    `teams` and `sprints`, are filled in here. An entry without places is an empty answer. The same slice twice, handed
    on by two runs, is one slice of both runs. `granularity` is `weekly`, `monthly`, `quarterly` or `sprint`.
    """
    filled = [
        (
            replace(
                entry,
                teams=frozenset(place.path for place in places),
                sprints=frozenset((place.path, sprint_name(place.sprint, place.start)) for place in places)
                if granularity == "sprint"
                else None,
            ),
            places,
        )
        for entry, places in slices
    ]
    owners = Owners(entry for entry, _ in filled)
    return frozenset(
        (entry.scope, entry.export_id, entry.reading, place)
        for entry, places in filled
        for place in places
        if owners.survives(RowKey(entry, place.path, place.start, place.end, place.sprint))
    )


def supersedes(newer: LedgerEntry, row: RowKey) -> bool:
    """Whether an entry that is newer than the row's own supersedes the row.

    It must include the row's period, and the row's team: by scope, by naming the team, or by a tombstone. A sprint may
    cross the borders of a request. SEI does not document whether it selects sprints by first day, last day or overlap,
    so a sprint that is absent was removed only if it lies within the range, or if the older request was no wider. A
    sprint that is named again is replaced even if its dates have moved.
    """
    if newer.replace_exact_range:
        return newer.scope == row.entry.scope and newer.has_range_of(row.entry)
    if newer.sprints is None:
        in_range = newer.start <= row.start <= newer.end
    else:
        last = row.end or row.start
        if (row.path, sprint_name(row.sprint, row.start)) in newer.sprints:
            return row.start <= newer.end and newer.start <= last
        inside = newer.start <= row.start and last <= newer.end
        in_range = inside or (newer.start <= row.entry.start and row.entry.end <= newer.end)
    return in_range and (newer.scope == row.entry.scope or row.path in newer.teams or row.path in newer.tombstones)


def sprint_name(sprint: str | None, start: date) -> str:
    """Return what tells the sprints of a team apart: the name, or the first day where SEI gives no name."""
    return sprint or start.isoformat()


class Owners:
    """Owner rule for one ledger and many rows."""

    def __init__(self, ledger: Iterable[LedgerEntry]) -> None:
        self._by_scope: dict[str, list[LedgerEntry]] = defaultdict(list)
        self._by_path: dict[str, list[LedgerEntry]] = defaultdict(list)
        for entry in ledger:
            self._by_scope[entry.scope].append(entry)
            for path in entry.teams | entry.tombstones:
                self._by_path[path].append(entry)

    def survives(self, row: RowKey) -> bool:
        """Whether no newer entry supersedes the row. Rows of one export are never compared."""
        candidates = (*self._by_scope[row.entry.scope], *self._by_path[row.path])
        return not any(entry.precedence > row.entry.precedence and supersedes(entry, row) for entry in candidates)


def with_tombstones(same_scope: Sequence[LedgerEntry], entry: LedgerEntry) -> LedgerEntry:
    """Return the entry with its tombstones: the teams that its scope named when last published and it no longer names.

    An entry that arrives after a newer one of its scope gets none, because the newer one already has them.
    """
    if entry.replace_exact_range:
        return entry
    same = [other for other in same_scope if other.overlaps(entry)]
    last = max(same, key=lambda other: other.precedence, default=None)
    if last is None or last.precedence > entry.precedence:
        return entry
    return replace(entry, tombstones=(last.teams or last.tombstones) - entry.teams)


def prune(ledger: Sequence[LedgerEntry], first: date, last: date) -> list[LedgerEntry]:
    """Prune the entries that can no longer supersede any row of the month `first` to `last`; oldest first.

    An entry is pruned only if a newer one of its scope supersedes every row that it supersedes or holds. Otherwise an
    older export that arrives late would bring back rows that are gone.
    """
    by_scope: dict[str, list[LedgerEntry]] = defaultdict(list)
    for entry in sorted(ledger, key=lambda entry: entry.precedence, reverse=True):
        kept = by_scope[entry.scope]
        if not any(_dominates(newer, entry, first, last) for newer in kept):
            kept.append(entry)
    return sorted((entry for kept in by_scope.values() for entry in kept), key=lambda entry: entry.precedence)


def _dominates(newer: LedgerEntry, entry: LedgerEntry, first: date, last: date) -> bool:
    if entry.replace_exact_range:
        return newer.has_range_of(entry)
    if entry.sprints is None:
        within = newer.start <= max(entry.start, first) and min(entry.end, last) <= newer.end
    else:  # sprints are judged by their requests' ranges, see `supersedes`
        within = newer.start <= entry.start and entry.end <= newer.end
    named = entry.teams | entry.tombstones <= newer.teams | newer.tombstones
    return within and named and (entry.sprints or frozenset()) <= (newer.sprints or frozenset())
