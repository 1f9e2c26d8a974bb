"""Entry of a ledger: one slice that a month holds, and the JSON form in which a footer keeps it.

Plain values. Knows no rule and no files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from itertools import chain
from typing import Any, NamedTuple

from sei_provider.lake.model import SliceKey
from sei_provider.lake.tables.hierarchy import parent_path, usual_parent

_UNKNOWN_TIME = datetime.min.replace(tzinfo=UTC)


class EarlierRun(NamedTuple):
    """Run that handed on an older slice, which is pruned."""

    run: str
    start: date
    end: date
    """First and last day that the slice asked for."""
    created_at: datetime
    """Time at which SEI made its export."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One slice in the ledger of one month. A slice without rows has an entry too."""

    scope: str
    start: date
    end: date
    export_id: str
    created_at: datetime
    """Time at which SEI made the export, by SEI's clock."""
    teams: frozenset[str]
    """Hierarchies that its rows name, in any month."""
    parents: frozenset[tuple[str, str]] = frozenset()
    """(Hierarchy, that of the team above it) as the `Team` cells of its rows tell; "" above a root. Not known of the
    entries that 751f940 wrote."""
    tombstones: frozenset[str] = frozenset()
    """Hierarchies that it clears whatever the other entries hold. Only 751f940 stored these."""
    sprints: frozenset[tuple[str, str]] | None = None
    """(Hierarchy, sprint) of its rows, or first day if the sprint has no name; None unless periods are sprints."""
    sprint_days: frozenset[tuple[str, str, date, date]] = frozenset()
    """(Hierarchy, sprint, first day, last day), where the last day is known. Not known of what 751f940 wrote."""
    replace_exact_range: bool = False
    """True if it replaces its own scope and range only, as legacy reports do."""
    rows: int = 0
    """Rows of this month that it owns now."""
    quarantined: int = 0
    """Rows of its export, of any month, that went to quarantine."""
    unknown_paths: bool = False
    """True if rows of it went to quarantine whose team is not known."""
    put_aside: frozenset[str] = frozenset()
    """Hierarchies of which all rows went to quarantine. It replaces no rows of these, and does not tell that they are
    gone."""
    published_at: datetime
    staged_at: datetime | None = None
    """Time at which it was staged, by our clock. Marks its rows, and decides between two readings of one export."""
    reading: str = ""
    """Hash of the way in which it was read (columns, policy, version of the reader); "" if 751f940 read it."""
    runs: frozenset[str] = frozenset()
    """Runs that handed it on, as `run_key` names them; several if SEI reused the export."""
    earlier_runs: frozenset[EarlierRun] = frozenset()
    """Runs of older entries of the scope that named the same teams and are pruned."""

    @property
    def identity(self) -> tuple[str, str, str]:
        """Return what makes two entries one slice: scope, export and reading."""
        return self.scope, self.export_id, self.reading

    @property
    def export(self) -> tuple[str, str]:
        """Return scope and export id, which it has in common with other readings of the same export."""
        return self.scope, self.export_id

    @property
    def shown(self) -> frozenset[str]:
        """Return the hierarchies that its export shows, those in quarantine too."""
        return self.teams | self.put_aside

    def shows(self, path: str) -> bool:
        """Return whether a hierarchy is one of `shown`, which takes as long as there are teams to put together."""
        return path in self.teams or path in self.put_aside

    @property
    def slice_key(self) -> SliceKey:
        """Return what marks its rows: scope, export id and time of staging."""
        return self.scope, self.export_id, self.staged_at or _UNKNOWN_TIME

    @property
    def age(self) -> tuple[datetime, str, datetime]:
        """Return the order among entries that reach equally far: `createdAt`, export id, time of staging."""
        return self.created_at, self.export_id, self.staged_at or _UNKNOWN_TIME

    @property
    def bytes(self) -> int:
        """Return about how many bytes its names take in a footer, where other letters than ASCII's are escaped."""
        sprints = ((path, name) for path, name, *_ in self.sprint_days)
        names = chain(self.teams, self.tombstones, *(self.sprints or ()), *sprints)
        return sum(4 + (len(name) if name.isascii() else 6 * len(name)) for name in names)

    def overlaps(self, first: date, last: date) -> bool:
        """Return whether its range and another one have a day in common."""
        return self.start <= last and first <= self.end

    def has_range_of(self, other: LedgerEntry) -> bool:
        """Return whether the two ranges are equal."""
        return (self.start, self.end) == (other.start, other.end)

    def includes(self, other: LedgerEntry) -> bool:
        """Return whether its range includes the other's."""
        return self.start <= other.start and other.end <= self.end

    def joined(self, other: LedgerEntry) -> LedgerEntry:
        """Return the one slice that two entries of one identity are: staged when the later was, of all their runs."""
        last = max(self, other, key=lambda entry: entry.age)
        if self.staged_at is None or other.staged_at is None:
            # 751f940 did not record when it staged a slice, and staged each once.
            last = replace(self, staged_at=self.staged_at or other.staged_at)
        return replace(
            last,
            runs=self.runs | other.runs,
            earlier_runs=self.earlier_runs | other.earlier_runs,
            tombstones=self.tombstones | other.tombstones,
        )

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
            "staged_at": self.staged_at and self.staged_at.isoformat(),
            "reading": self.reading,
            "runs": sorted(self.runs),
            "parents": unusual_parents(self.teams, self.parents),
        }
        value |= {"exact": True} if self.replace_exact_range else {}
        value |= {"unknown_paths": True} if self.unknown_paths else {}
        value |= {"put_aside": sorted(self.put_aside)} if self.put_aside else {}
        if self.earlier_runs:
            value["earlier_runs"] = [
                (run, f"{start}", f"{end}", created_at.isoformat())
                for run, start, end, created_at in sorted(self.earlier_runs)
            ]
        if self.sprints is not None:
            value["sprints"] = sorted(self.sprints)
            value["sprint_days"] = sorted((*names, f"{start}", f"{end}") for *names, start, end in self.sprint_days)
        return value

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> LedgerEntry:
        """Parse what `to_json` returned, now or at 751f940."""
        sprints = value.get("sprints")
        staged_at = value.get("staged_at")
        return cls(
            scope=value["scope"],
            start=date.fromisoformat(value["start"]),
            end=date.fromisoformat(value["end"]),
            export_id=value["export_id"],
            created_at=datetime.fromisoformat(value["created_at"]),
            teams=frozenset(value["teams"]),
            parents=all_parents(value["teams"], value.get("parents")),
            tombstones=frozenset(value["clears"]),
            sprints=None if sprints is None else frozenset((team, sprint) for team, sprint in sprints),
            sprint_days=frozenset(
                (path, sprint, date.fromisoformat(first), date.fromisoformat(last))
                for path, sprint, first, last in value.get("sprint_days", ())
            ),
            replace_exact_range=value.get("exact", False),
            rows=value["rows"],
            quarantined=value["quarantined"],
            unknown_paths=value.get("unknown_paths", bool(value["quarantined"] and "reading" not in value)),
            put_aside=frozenset(value.get("put_aside", ())),
            published_at=datetime.fromisoformat(value["published_at"]),
            staged_at=datetime.fromisoformat(staged_at) if staged_at else None,
            reading=value.get("reading", ""),
            runs=frozenset(value.get("runs", ())),
            earlier_runs=frozenset(
                EarlierRun(run, date.fromisoformat(start), date.fromisoformat(end), datetime.fromisoformat(created_at))
                for run, start, end, created_at in value.get("earlier_runs", ())
            ),
        )


def unusual_parents(teams: Iterable[str], parents: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the parents that differ from the path up to its last slash: very few."""
    found: dict[str, list[str]] = {path: [] for path in teams}
    for path, parent in parents:
        found[path].append(parent)
    return {path: sorted(above) for path, above in sorted(found.items()) if above != [usual_parent(path)]}


def all_parents(teams: Iterable[str], unusual: Mapping[str, list[str]] | None) -> frozenset[tuple[str, str]]:
    """Return the parents of all paths from those that `unusual_parents` returned; none if these were not recorded."""
    if unusual is None:
        return frozenset()
    return frozenset((path, parent) for path in teams for parent in unusual.get(path, [usual_parent(path)]))


def parents_of(teams: Iterable[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    """Return (hierarchy, that of the team above) for each (team, hierarchy) whose team is the hierarchy's last part."""
    found = ((path, parent_path(team, path)) for team, path in teams)
    return frozenset((path, parent) for path, parent in found if parent is not None)
