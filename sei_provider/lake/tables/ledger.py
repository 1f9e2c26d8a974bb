"""Ledgers of a table: which slices its months hold, and which scopes and months that covers. Reads no rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple, TypedDict

from sei_provider.lake.errors import StagingError
from sei_provider.lake.model import Manifest, Superseded
from sei_provider.lake.periods import next_month, period_end, period_months
from sei_provider.lake.storage.backend import Lake, LakePath
from sei_provider.lake.storage.store import lake_path
from sei_provider.lake.tables.footer import read_ledger_tables, read_ledgers
from sei_provider.lake.tables.layout import months, table_folder
from sei_provider.lake.tables.ledger_entry import LedgerEntry
from sei_provider.lake.tables.merge import superseding
from sei_provider.lake.tables.stored_schema import known_table
from sei_provider.plural import plural


class ScopeCoverage(TypedDict):
    """Coverage of one month by one scope."""

    scope: str
    month: str
    """`YYYY-MM`. Counts the periods that start in it, also weeks and sprints that end in the next month."""
    published_at: datetime | None
    """Last time at which a slice of the scope with days of this month was published; None if none was."""
    complete: bool
    """True if the scope was asked for every period that starts in the month, to the period's last day, and that day was
    over (UTC) when SEI made the export; false for a month to date. Sprints: whether every day of the month was."""
    rows: int
    """Rows of the month that the scope owns now; 0 if its answer was empty, or a newer export of another scope owns
    them."""
    quarantined: int
    """Rows of these slices, of any month, that went to quarantine when they were staged."""
    stale: bool
    """True if rows of it are a scope's that is exported no more: nothing of the scope, in any month, was published in
    the last week in which anything of the table was. `retire` removes such rows."""


class CoveringSlice(NamedTuple):
    """Columns of a ledger that coverage is made of."""

    start: date
    end: date
    created_at: datetime
    published_at: datetime
    rows: int
    quarantined: int


STALE_AFTER = timedelta(days=7)
"""Time without a slice after which a scope counts as exported no more, if others had one since."""


def ledger(lake: Lake, table: str) -> dict[str, list[dict[str, Any]]]:
    """Return the slices that each month of a table holds: month (`2026-01`) → entries, oldest export first.

    An entry has `scope`, `start`, `end`, `export_id`, `created_at`, `teams`, `clears`, `rows`,
    `quarantined` and `published_at`; where periods are sprints also `sprints`. Raises `UnknownTableError`.
    """
    root = lake_path(lake)
    known_table(root, table)
    ledgers = read_ledgers(table_folder(root, table), months(table_folder(root, table)))
    return {f"{month:%Y-%m}": [entry.to_json() for entry in entries] for month, entries in ledgers.items()}


def coverage(
    lake: Lake,
    table: str,
    *,
    scopes: Collection[str] | None = None,
    start: date | None = None,
    end: date | None = None,
) -> list[ScopeCoverage]:
    """Return, by scope and month, when each was published, whether it is complete and how many rows it has.

    `scopes` (`team:456`, `org:Engineering`) defaults to every scope in the table's ledgers, `start` and `end` to its
    first and last month; only months in which a period of the table's granularity can start are listed. Raises
    `UnknownTableError`.
    """
    root = lake_path(lake)
    schema = known_table(root, table)
    existing = months(table_folder(root, table))
    if not existing:
        return []
    first, last = start or existing[0], end or next_month(existing[-1]) - timedelta(days=1)
    granularity = str(schema.definition.get("granularity"))
    listed = list(period_months(first.replace(day=1), last, granularity))
    found: dict[str, dict[date, ScopeCoverage]] = defaultdict(dict)
    last_published: dict[str, datetime] = {}
    ledgers = read_ledger_tables(table_folder(root, table), existing, ["scope", *CoveringSlice._fields])
    for month in existing:
        by_scope: dict[str, list[CoveringSlice]] = defaultdict(list)
        for scope, *values in zip(*ledgers.pop(month).to_pydict().values(), strict=True):
            by_scope[scope].append(CoveringSlice(*values))
        for scope, entries in by_scope.items():
            last_published[scope] = max(
                last_published.get(scope, entries[0].published_at), *(entry.published_at for entry in entries)
            )
            found[scope][month] = scope_coverage(scope, month, asked_for(month, entries), granularity)
    newest = max(last_published.values(), default=None)
    stale = {scope for scope, last in last_published.items() if newest and last < newest - STALE_AFTER}
    covered = []
    for scope in sorted(last_published if scopes is None else set(scopes)):
        for month in listed:
            one = found[scope].get(month) or scope_coverage(scope, month, (), granularity)
            one["stale"] = scope in stale and one["rows"] > 0
            covered.append(one)
    return covered


@dataclass(slots=True)
class AlreadyPublished:
    """Slices whose staged files are gone because an earlier try published them."""

    exports: set[tuple[str, str]] = field(default_factory=set)
    """Scope and export id of those that a ledger holds."""
    months: dict[date, list[Superseded]] = field(default_factory=dict)
    """Months that hold them, each with the slices that newer exports have superseded there."""

    @classmethod
    def find(cls, folder: LakePath, gone: Sequence[Manifest]) -> AlreadyPublished:
        """Find the manifests in the ledgers of all months; raises `StagingError` if one is in none of them."""
        found = cls()
        scopes = {manifest["scope"] for manifest in gone}
        ledgers = read_ledgers(folder, months(folder), scopes=scopes, damaged={}) if gone else {}
        lost = [manifest for manifest in gone if not (found._holds(manifest, ledgers) or manifest.get("published"))]
        if lost:
            names = ", ".join(f"{m['scope']} {m['start']} to {m['end']} (export {m['export_id']})" for m in lost)
            msg = (
                f"the staged files of {plural(len(lost), 'slice')} of table {folder.name} are gone, and no ledger "
                f"holds what they held: {names}; clear the export tasks they came from, so that they are exported again"
            )
            raise StagingError(msg)
        return found

    def _holds(self, manifest: Manifest, ledgers: Mapping[date, Sequence[LedgerEntry]]) -> bool:
        export = (manifest["scope"], manifest["export_id"] or "")
        inside = [
            month
            for month, entries in ledgers.items()
            if any((entry.scope, entry.export_id) == export for entry in entries)
        ]
        if inside:
            self.exports.add(export)
            self.months |= {month: self.months.get(month, []) for month in inside}
            return True
        newer = {month: [entry for entry in held if _newer(entry, manifest)] for month, held in ledgers.items()}
        start, end = date.fromisoformat(manifest["start"]), date.fromisoformat(manifest["end"])
        if not spans((entry for held in newer.values() for entry in held), start, end):
            return False
        superseded = Superseded(
            scope=manifest["scope"],
            start=manifest["start"],
            end=manifest["end"],
            export_id=manifest["export_id"] or "",
            reason="other exports of its scope cover all of it",
            by=superseding(entry for held in newer.values() for entry in held),
            clock_went_back=False,
        )
        self.months.setdefault(next(month for month, held in newer.items() if held), []).append(superseded)
        return True


def spans(entries: Iterable[LedgerEntry], start: date, end: date) -> bool:
    """Return whether the ranges of the entries together include every day from `start` to `end`."""
    return _spans([(entry.start, entry.end) for entry in entries], start, end)


def _spans(ranges: Iterable[tuple[date, date]], start: date, end: date) -> bool:
    missing = start
    for first, last in sorted(ranges):
        if first <= missing:
            missing = max(missing, last + timedelta(days=1))
    return missing > end


def _is_complete(entries: Collection[CoveringSlice], month: date, granularity: str) -> bool:
    """Return whether every period that starts in the month belongs to an export that was made when all of it was over.

    An export that reaches a period's last day owns it, before any that does not.
    """
    over = [(entry.start, min(entry.end, entry.created_at.date() - timedelta(days=1))) for entry in entries]
    last_day = next_month(month) - timedelta(days=1)
    if granularity in {"monthly", "quarterly"}:
        last_day = period_end(month, granularity)
        return any(start <= month and last_day <= end for start, end in over)
    if granularity == "weekly" and entries:
        # Requests are widened to whole weeks, so each starts with one (DESIGN, decision 4).
        first = month + timedelta(days=(min(entry.start for entry in entries) - month).days % 7)
        weeks = (first + timedelta(days=days) for days in range(0, (last_day - first).days + 1, 7))
        return all(any(start <= week and period_end(week, granularity) <= end for start, end in over) for week in weeks)
    return _spans(over, month, last_day)


def asked_for(month: date, entries: Iterable[CoveringSlice]) -> list[CoveringSlice]:
    """Return the slices that asked for days of a month.

    A sprint that began in it may belong to a slice that did not.
    """
    return [entry for entry in entries if entry.start < next_month(month) and month <= entry.end]


def scope_coverage(scope: str, month: date, entries: Collection[CoveringSlice], granularity: str) -> ScopeCoverage:
    """Return the coverage of a month by the slices of one scope that asked for it; `stale` is not known here."""
    return ScopeCoverage(
        scope=scope,
        month=f"{month:%Y-%m}",
        published_at=max((entry.published_at for entry in entries), default=None),
        complete=_is_complete(entries, month, granularity),
        rows=sum(entry.rows for entry in entries),
        quarantined=sum(entry.quarantined for entry in entries),
        stale=False,
    )


def _newer(entry: LedgerEntry, manifest: Manifest) -> bool:
    """Return whether an entry of the same scope is newer, or reaches further."""
    made = datetime.fromisoformat(manifest["created_at"] or "")
    newer = (entry.created_at, entry.export_id) > (made, manifest["export_id"])
    return entry.scope == manifest["scope"] and (newer or entry.end > date.fromisoformat(manifest["end"]))
