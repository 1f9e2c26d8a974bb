"""Batch of slices that are published together into one table, and the report of what that has come to.

Plain values. Reads and puts nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from sei_provider.lake.errors import LakeError
from sei_provider.lake.model import Manifest, Published, Restated, SliceId, SliceKey, Superseded
from sei_provider.lake.storage.backend import LakePath
from sei_provider.lake.tables.layout import object_path
from sei_provider.lake.tables.ledger import AlreadyPublished
from sei_provider.lake.tables.ledger_entry import LedgerEntry
from sei_provider.lake.tables.schema import TableSchema
from sei_provider.lake.tables.staged_slices import SlicesInHand
from sei_provider.lake.tables.team_ids import TeamIds


@dataclass(slots=True)
class Batch:
    """Slices of one table that are published together, and what their publishing has come to so far."""

    folder: LakePath
    published_at: datetime
    staged: SlicesInHand
    entries: Mapping[SliceKey, LedgerEntry]
    already: AlreadyPublished
    exports: frozenset[tuple[str, str]]
    """Scope and export id of all its slices, published by an earlier try or not."""
    unknown_columns: list[str]
    team_ids: Mapping[SliceKey, TeamIds]
    """Ids of the teams that the rows of each slice name, as far as they are certain."""
    gone: frozenset[tuple[str | None, SliceId]]
    """Slices that are staged no more, by the path of their file."""
    schema: TableSchema | None = None
    """Schema with the columns of the batch, once planned."""
    unfit: dict[tuple[str, str], LakeError] = field(default_factory=dict)
    """Slices, by scope and export, that do not fit the table: none of their rows is published."""
    refused: dict[tuple[str, str], LakeError] = field(default_factory=dict)
    """Slices, by scope and export, of which some months cannot be published, because their objects are damaged."""
    new_columns: list[str] = field(default_factory=list)
    missing_columns: list[str] = field(default_factory=list)
    in_files: Mapping[str, frozenset[SliceId]] = field(default_factory=dict)
    """All slices of each staged file that may hold others, in this batch or not, by its path."""
    _published: dict[date, Published] = field(default_factory=dict)

    def note(self, month: date, ledger: Sequence[LedgerEntry], superseded: Sequence[Superseded] = ()) -> None:
        """Record what a month holds now; what was superseded there is added to what was noted before."""
        own = [entry for entry in ledger if entry.export in self.exports]
        before = self._published.get(month)
        told = before["superseded"] if before else self.already.months.get(month, [])
        self._published[month] = Published(
            table=self.folder.name,
            month=f"{month:%Y-%m}",
            rows=sum(entry.rows for entry in ledger),
            slices=len(own),
            superseded=[*told, *(lost for lost in superseded if lost not in told)],
            quarantined=sum(entry.quarantined for entry in own),
            restated=before["restated"] if before else None,
            new_columns=self.new_columns,
            unknown_columns=self.unknown_columns,
            missing_columns=self.missing_columns,
            path=str(object_path(self.folder, month)),
        )

    def note_restated(self, month: date, restated: Restated | None) -> None:
        """Record which figures of a month that is over have changed, unless none has."""
        if restated:
            self._published[month]["restated"] = restated

    @property
    def months(self) -> list[date]:
        """Return the months that were noted."""
        return sorted(self._published)

    def report(self) -> list[Published]:
        """Return what was noted last of each month, in their order."""
        return [self._published[month] for month in self.months]

    def error(self, manifest: Manifest) -> LakeError | None:
        """Return the error that keeps a slice out of its table or out of some months; None if there is none."""
        errors = self.refused | self.unfit
        return errors.get((manifest["scope"], manifest["export_id"] or ""))
