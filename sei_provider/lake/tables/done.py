"""Slices whose staging is gone: an earlier try has published them, or they are lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from upath import UPath

from sei_provider.lake.errors import StagingError
from sei_provider.lake.model import Manifest, Skipped
from sei_provider.lake.tables.ledger import spanned
from sei_provider.lake.tables.ownership import Entry
from sei_provider.lake.tables.table import months, read_ledgers


@dataclass(slots=True)
class Done:
    """Slices that an earlier try has published: in which months they are, or what took their place."""

    identities: set[tuple[str, str]] = field(default_factory=set)
    months: dict[date, list[Skipped]] = field(default_factory=dict)

    @classmethod
    def find(cls, folder: UPath, gone: Sequence[Manifest]) -> Done:
        """Look the manifests up in the ledgers of all months; raises `StagingError` if one is in none."""
        done = cls()
        ledgers = read_ledgers(folder, months(folder)) if gone else {}
        lost = [manifest for manifest in gone if not done._holds(manifest, ledgers)]
        if lost:
            names = ", ".join(f"{m['scope']} {m['start']} to {m['end']} (export {m['export_id']})" for m in lost)
            msg = (
                f"{len(lost)} staged slices of table {folder.name} are gone and no ledger holds them: {names}; "
                "clear the export tasks they came from, so that these are exported again"
            )
            raise StagingError(msg)
        return done

    def _holds(self, manifest: Manifest, ledgers: Mapping[date, Sequence[Entry]]) -> bool:
        identity = (manifest["scope"], manifest["export_id"] or "")
        inside = [month for month, entries in ledgers.items() if any(entry.identity == identity for entry in entries)]
        if inside:
            self.identities.add(identity)
            self.months |= {month: self.months.get(month, []) for month in inside}
            return True
        newer = {month: [entry for entry in held if _newer(entry, manifest)] for month, held in ledgers.items()}
        start, end = date.fromisoformat(manifest["start"]), date.fromisoformat(manifest["end"])
        if not spanned((entry for held in newer.values() for entry in held), start, end):
            return False
        skipped = Skipped(
            scope=manifest["scope"],
            start=manifest["start"],
            end=manifest["end"],
            export_id=manifest["export_id"] or "",
            reason="newer exports cover all of it",
        )
        self.months.setdefault(next(month for month, held in newer.items() if held), []).append(skipped)
        return True


def _newer(entry: Entry, manifest: Manifest) -> bool:
    made = datetime.fromisoformat(manifest["created_at"] or "")
    return entry.scope == manifest["scope"] and (entry.created_at, entry.export_id) > (made, manifest["export_id"])
