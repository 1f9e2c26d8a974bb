"""Merge of one month: the rows that are there and those of new slices give the rows that the owner rule keeps.

Writes temporary files only, so a put that lost a race can read and merge again (DESIGN, decision 14). Rows are
processed in pieces and sorted on disk: a month may exceed memory.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sei_provider.lake.arrow_values import to_array, to_scalar
from sei_provider.lake.distinct import factorize
from sei_provider.lake.model import SliceKey, Superseded, Superseding
from sei_provider.lake.periods import next_month, sprint_name
from sei_provider.lake.tables.ledger_entry import LedgerEntry
from sei_provider.lake.tables.month_rows import MonthRows, ReadTables
from sei_provider.lake.tables.ownership import Owners, RowPlace, prune
from sei_provider.lake.tables.restatement import Figures

_MAX_NAMED = 10
_CLOCK_TOLERANCE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Merged:
    """New content of a month, and the slices whose rows newer exports superseded."""

    ledger: list[LedgerEntry]
    rows: int
    superseded: list[Superseded]
    figures: tuple[Figures, Figures] | None
    """Figures that the month had and those that it has now, of the teams and periods that rows of new slices, or rows
    that went, belong to. Complete once all pieces were taken."""
    _rows: MonthRows

    def pieces(self) -> Iterator[pa.Table]:
        """Yield the rows sorted, once, with `team_depth` and `is_leaf`, which depend on all teams of the month."""
        return self._rows.pieces(self.figures)


def merge(
    before: Sequence[LedgerEntry],
    new: Sequence[LedgerEntry],
    stored: ReadTables | None,
    staged: Iterable[pa.Table],
    *,
    schema: pa.Schema,
    granularity: str,
    month: date,
    scratch: Path,
    moving_on: frozenset[tuple[str, str]] = frozenset(),
    figures: bool = False,
) -> Merged:
    """Merge new slices into a month by the owner rule (DESIGN, decision 12).

    `stored` reads the rows that are there, None if there are none, and `staged` are those of the new slices. What is
    stored is read twice: first the columns that decide, and all of them once the pieces of the result are taken. It is
    neither sorted nor held in memory if it is in order, as publish has left it. Idempotent: a slice that the ledger
    holds already changes nothing, and must bring no rows.

    The rows of sprints that are `moving_on` to a month that is put later stay, so that a reader, or a death in between,
    finds them twice but never nowhere. The new slices then stand in the ledger without their runs, so that they still
    count as new and the next merge removes these rows.
    """
    joined = {entry.identity: entry for entry in before}
    for entry in new:
        held = joined.get(entry.identity)
        joined[entry.identity] = held.joined(entry) if held else entry
    owners = Owners(joined.values(), granularity)
    fresh = {entry.identity for entry in new}
    judge = _Judge(owners, joined.values(), fresh, moving_on)
    rows = MonthRows(schema, judge, stored, scratch, sprints=granularity == "sprint")
    for table in staged:
        rows.add(table)
    came, stayed = rows.count()
    counted = [replace(entry, rows=stayed[entry.slice_key]) for entry in joined.values()]
    last = next_month(month) - timedelta(days=1)
    if moving_on:
        ledger = [replace(entry, runs=frozenset()) if entry.identity in fresh else entry for entry in counted]
    else:
        ledger = prune(counted, granularity, month, last)
    rest = {entry.identity for entry in ledger}
    return Merged(
        ledger=ledger,
        rows=stayed.total(),
        superseded=[
            lost
            for entry in (joined[entry.identity] for entry in new)
            if (
                lost := judge.superseded(
                    entry, came[entry.slice_key], stayed[entry.slice_key], month, held=entry.identity in rest
                )
            )
        ],
        figures=(Figures(schema), Figures(schema)) if figures else None,
        _rows=rows,
    )


def of_slices(rows: pa.Table, wanted: set[SliceKey], month: date) -> pa.Table:
    """Return the rows of some slices that start in a month."""
    first = to_scalar(month, pa.date32())
    inside = pc.equal(pc.floor_temporal(rows["start_date"].unique(), unit="month"), first)
    if not pc.all(inside, skip_nulls=False).as_py():
        rows = rows.filter(pc.equal(pc.floor_temporal(rows["start_date"], unit="month"), first))
    codes, keys = factorize(rows, ["_scope", "_export_id", "_exported_at"])
    if wanted.issuperset(keys):
        return rows
    return rows.filter(to_array((key in wanted for key in keys), pa.bool_()).take(codes))


class _Judge:
    """Owner rule for the rows of a month, and what it has decided about those of new slices."""

    def __init__(
        self,
        owners: Owners,
        entries: Iterable[LedgerEntry],
        new: set[tuple[str, str, str]],
        moving_on: frozenset[tuple[str, str]],
    ) -> None:
        self._owners = owners
        self._by_slice_key = {entry.slice_key: entry for entry in entries}
        self._new = new
        self._moving_on = moving_on
        self._lost_to: dict[SliceKey, set[tuple[LedgerEntry, bool]]] = defaultdict(set)

    def is_new(self, slice_key: SliceKey) -> bool:
        entry = self._by_slice_key.get(slice_key)
        return entry is not None and entry.identity in self._new

    def survives(self, slice_key: SliceKey, place: tuple[Any, ...]) -> bool:
        entry = self._by_slice_key.get(slice_key)
        if entry is None:  # the slice was staged again since
            return False
        team, path, *period = place
        row = RowPlace(team or "", path, *period)
        if self._moving_on and (path, sprint_name(row.sprint, row.start)) in self._moving_on:
            return True
        if entry.identity not in self._new:
            return self._owners.survives(entry, row)
        others = set(self._owners.superseded_by(entry, row))
        self._lost_to[entry.slice_key] |= others
        return not others

    def superseded(self, entry: LedgerEntry, came: int, stayed: int, month: date, *, held: bool) -> Superseded | None:
        """Return what has become of a new slice whose rows other exports superseded, or that was forgotten."""
        others = self._lost_to[entry.slice_key]
        if stayed == came and held:
            return None
        if not others:  # an empty answer: what covers its range counts
            place = RowPlace("", "", max(entry.start, month), entry.end)
            others = set(self._owners.superseded_by(entry, place))
        further = all(reaches_further for _, reaches_further in others)
        what = "an export that reaches further into the period" if further and others else "a newer export"
        return Superseded(
            scope=entry.scope,
            start=entry.start.isoformat(),
            end=entry.end.isoformat(),
            export_id=entry.export_id,
            reason=f"{what} covers {came - stayed} of its {came} rows of this month",
            by=superseding(other for other, _ in others),
            clock_went_back=any(_clock_went_back(entry, other) for other, further in others if not further),
        )


def superseding(entries: Iterable[LedgerEntry]) -> list[Superseding]:
    """Return the exports of some entries, newest first, up to ten of them."""
    found = {(entry.created_at, entry.export_id, entry.scope) for entry in entries}
    return [
        Superseding(scope=scope, export_id=export, created_at=created_at.isoformat())
        for created_at, export, scope in sorted(found, reverse=True)[:_MAX_NAMED]
    ]


def _clock_went_back(entry: LedgerEntry, other: LedgerEntry) -> bool:
    """Return whether an export that SEI made later was staged well before: SEI's clock, or ours, is wrong."""
    if entry.staged_at is None or other.staged_at is None or other.created_at <= entry.created_at:
        return False
    return entry.staged_at - other.staged_at > _CLOCK_TOLERANCE
