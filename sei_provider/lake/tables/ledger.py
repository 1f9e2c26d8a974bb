"""Ledgers of a table: which slices its months hold, and which of those that are gone they held. Reads no rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sei_provider.lake.errors import StagingError
from sei_provider.lake.model import Manifest, Superseded
from sei_provider.lake.periods import months_between
from sei_provider.lake.storage.backend import Lake, LakePath
from sei_provider.lake.storage.store import lake_path
from sei_provider.lake.tables.footer import read_ledgers
from sei_provider.lake.tables.layout import months, table_folder
from sei_provider.lake.tables.ledger_entry import LedgerEntry
from sei_provider.lake.tables.merge import superseding
from sei_provider.lake.tables.plan import months_to_look_at
from sei_provider.lake.tables.stored_schema import known_table, read_schema
from sei_provider.plural import plural


def ledger(lake: Lake, table: str) -> dict[str, list[dict[str, Any]]]:
    """Return the slices that each month of a table holds: month (`2026-01`) → entries, oldest export first.

    An entry has `scope`, `start`, `end`, `export_id`, `created_at`, `teams`, `clears`, `rows`,
    `quarantined` and `published_at`; where periods are sprints also `sprints`. Raises `UnknownTableError`.
    """
    root = lake_path(lake)
    known_table(root, table)
    ledgers = read_ledgers(table_folder(root, table), months(table_folder(root, table)))
    return {f"{month:%Y-%m}": [entry.to_json() for entry in entries] for month, entries in ledgers.items()}


@dataclass(slots=True)
class AlreadyPublished:
    """Slices whose staged files are gone because an earlier try published them."""

    exports: set[tuple[str, str]] = field(default_factory=set)
    """Scope and export id of those that a ledger holds."""
    months: dict[date, list[Superseded]] = field(default_factory=dict)
    """Months that hold them, each with the slices that newer exports have superseded there."""

    @classmethod
    def find(cls, folder: LakePath, gone: Sequence[Manifest]) -> AlreadyPublished:
        """Find the manifests in the ledgers of the months that they concern, or else of all months.

        Raises `StagingError` if one is in none of them.
        """
        found = cls()
        if not gone:
            return found
        existing = months(folder)
        granularity = str(read_schema(folder).definition.get("granularity"))
        near = months_to_look_at(existing, {month for manifest in gone for month in _months_of(manifest)}, granularity)
        first = [month for month in existing if month in near]
        ledgers: dict[date, tuple[LedgerEntry, ...]] = {}
        lost = list(gone)
        for some in (first, [month for month in existing if month not in near]):
            if lost and some:
                scopes = {manifest["scope"] for manifest in lost}
                ledgers |= read_ledgers(folder, some, scopes=scopes, damaged={})
                lost = [manifest for manifest in lost if not found._holds(manifest, ledgers)]
        lost = [manifest for manifest in lost if not manifest.get("published")]
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


def _months_of(manifest: Manifest) -> Iterable[date]:
    return months_between(date.fromisoformat(manifest["start"]), date.fromisoformat(manifest["end"]))


def spans(entries: Iterable[LedgerEntry], start: date, end: date) -> bool:
    """Return whether the ranges of the entries together include every day from `start` to `end`."""
    return include([(entry.start, entry.end) for entry in entries], start, end)


def include(ranges: Iterable[tuple[date, date]], start: date, end: date) -> bool:
    """Return whether ranges of days together include every day from `start` to `end`."""
    missing = start
    for first, last in sorted(ranges):
        if first <= missing:
            missing = max(missing, last + timedelta(days=1))
    return missing > end


def _newer(entry: LedgerEntry, manifest: Manifest) -> bool:
    """Return whether an entry of the same scope is newer, or reaches further."""
    made = datetime.fromisoformat(manifest["created_at"] or "")
    newer = (entry.created_at, entry.export_id) > (made, manifest["export_id"])
    return entry.scope == manifest["scope"] and (newer or entry.end > date.fromisoformat(manifest["end"]))
