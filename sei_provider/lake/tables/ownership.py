"""Which slices a month holds, and whose row survives: the owner rule (DESIGN, decision 12).

Plain values; knows no Parquet and no files.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One slice in the ledger of one month, empty ones too."""

    scope: str
    start: date
    end: date
    export_id: str
    created_at: datetime
    """By SEI's clock."""
    teams: frozenset[str]
    """The hierarchies that its rows name, in any month."""
    clears: frozenset[str] = frozenset()
    """The hierarchies that its scope covered when last published and does not name any more."""
    sprints: frozenset[tuple[str, str]] | None = None
    """The (hierarchy, sprint, or first day if it has no name) of its rows; None unless periods are sprints."""
    replace_exact_range: bool = False
    """Whether it replaces its own scope and range only, as legacy reports do."""
    rows: int = 0
    """How many rows of this month are its own now."""
    quarantined: int = 0
    """How many rows of its export, of any month, went to quarantine instead."""
    published_at: datetime

    @property
    def identity(self) -> tuple[str, str]:
        """What marks its rows, in their columns `_scope` and `_export_id`."""
        return self.scope, self.export_id

    @property
    def age(self) -> tuple[datetime, str, str]:
        """Newer is greater: by the server's `createdAt`, then id; the scope only makes the order total."""
        return self.created_at, self.export_id, self.scope

    def overlaps(self, other: Entry) -> bool:
        """Whether the two ask for a common day."""
        return self.start <= other.end and other.start <= self.end

    def has_range_of(self, other: Entry) -> bool:
        """Whether the two ask for the same days."""
        return (self.start, self.end) == (other.start, other.end)

    def to_json(self) -> dict[str, Any]:
        """Everything, as values that `json.dumps` takes."""
        value: dict[str, Any] = {
            "scope": self.scope,
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "export_id": self.export_id,
            "created_at": self.created_at.isoformat(),
            "teams": sorted(self.teams),
            "clears": sorted(self.clears),
            "rows": self.rows,
            "quarantined": self.quarantined,
            "published_at": self.published_at.isoformat(),
        }
        value |= {"exact": True} if self.replace_exact_range else {}
        return value if self.sprints is None else value | {"sprints": sorted(self.sprints)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Entry:
        """Read what `to_json` wrote."""
        sprints = value.get("sprints")
        return cls(
            scope=value["scope"],
            start=date.fromisoformat(value["start"]),
            end=date.fromisoformat(value["end"]),
            export_id=value["export_id"],
            created_at=datetime.fromisoformat(value["created_at"]),
            teams=frozenset(value["teams"]),
            clears=frozenset(value["clears"]),
            sprints=None if sprints is None else frozenset((team, sprint) for team, sprint in sprints),
            replace_exact_range=value.get("exact", False),
            rows=value["rows"],
            quarantined=value["quarantined"],
            published_at=datetime.fromisoformat(value["published_at"]),
        )


@dataclass(frozen=True, slots=True)
class Place:
    """What decides the owner of a row: where it came from, and whose period it is about."""

    entry: Entry
    path: str
    start: date
    end: date | None = None
    sprint: str | None = None


def covers(newer: Entry, row: Place) -> bool:
    """Whether an entry that is newer than the row's own takes the row's place.

    It must have asked for the row's period, and for its team: by scope, or by naming the team now or when its scope
    was last published. Sprints may lie across the borders of a request. Nobody documents whether SEI picks those by
    first day, last day or overlap, so the absence of one tells nothing unless it lies whole within the range, or
    the older request was no wider; one that is named again is replaced even if its dates have moved.
    """
    if newer.replace_exact_range:
        return newer.scope == row.entry.scope and newer.has_range_of(row.entry)
    if newer.sprints is None:
        in_range = newer.start <= row.start <= newer.end
    else:
        last = row.end or row.start
        if (row.path, sprint_name(row.sprint, row.start)) in newer.sprints:
            return row.start <= newer.end and newer.start <= last
        whole = newer.start <= row.start and last <= newer.end
        in_range = whole or (newer.start <= row.entry.start and row.entry.end <= newer.end)
    return in_range and (newer.scope == row.entry.scope or row.path in newer.teams or row.path in newer.clears)


def sprint_name(sprint: str | None, start: date) -> str:
    """What tells a team's sprints apart; at team level SEI may give none but the days."""
    return sprint or start.isoformat()


class Owners:
    """The owner rule over one ledger, for many rows."""

    def __init__(self, ledger: Iterable[Entry]) -> None:
        self._by_scope: dict[str, list[Entry]] = defaultdict(list)
        self._by_path: dict[str, list[Entry]] = defaultdict(list)
        for entry in ledger:
            self._by_scope[entry.scope].append(entry)
            for path in entry.teams | entry.clears:
                self._by_path[path].append(entry)

    def keeps(self, row: Place) -> bool:
        """Whether the row survives: no newer entry covers it. Rows of one export are never compared."""
        candidates = (*self._by_scope[row.entry.scope], *self._by_path[row.path])
        return not any(entry.age > row.entry.age and covers(entry, row) for entry in candidates)


def entered(same_scope: Sequence[Entry], entry: Entry) -> Entry:
    """Give the entry with what it clears: what its scope covered when last published, and no longer names.

    An entry that arrives after a newer one of its scope inherits nothing: the newer has already had its say.
    """
    if entry.replace_exact_range:
        return entry
    same = [other for other in same_scope if other.overlaps(entry)]
    last = max(same, key=lambda other: other.age, default=None)
    if last is None or last.age > entry.age:
        return entry
    return replace(entry, clears=(last.teams or last.clears) - entry.teams)


def without_dominated(ledger: Sequence[Entry], first: date, last: date) -> list[Entry]:
    """Leave out what can decide nothing any more in the month `first` to `last`, oldest first.

    An entry may go only if a newer one of its scope covers every row that it covers or holds; else an older export
    that arrives late would bring back rows that are gone.
    """
    by_scope: dict[str, list[Entry]] = defaultdict(list)
    for entry in sorted(ledger, key=lambda entry: entry.age, reverse=True):
        kept = by_scope[entry.scope]
        if not any(_dominates(newer, entry, first, last) for newer in kept):
            kept.append(entry)
    return sorted((entry for kept in by_scope.values() for entry in kept), key=lambda entry: entry.age)


def _dominates(newer: Entry, entry: Entry, first: date, last: date) -> bool:
    if entry.replace_exact_range:
        return newer.has_range_of(entry)
    if entry.sprints is None:
        within = newer.start <= max(entry.start, first) and min(entry.end, last) <= newer.end
    else:  # sprints are judged by whole ranges, see `covers`
        within = newer.start <= entry.start and entry.end <= newer.end
    named = entry.teams | entry.clears <= newer.teams | newer.clears
    return within and named and (entry.sprints or frozenset()) <= (newer.sprints or frozenset())
