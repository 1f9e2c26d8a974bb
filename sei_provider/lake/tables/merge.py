"""Merge of one month: the rows that are there and those of new slices give the rows that the owner rule keeps.

Writes temporary files only, so a put that lost a race can read and merge again (DESIGN, decision 14). Rows are
processed in pieces and sorted on disk: a month may exceed memory.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sei_provider.lake.model import SliceKey, Superseded, Superseding
from sei_provider.lake.periods import next_month, sprint_name
from sei_provider.lake.tables.external_sort import ExternalSorter
from sei_provider.lake.tables.hierarchy import depths_and_leaves
from sei_provider.lake.tables.ledger_entry import LedgerEntry
from sei_provider.lake.tables.month_schema import cast_to_schema
from sei_provider.lake.tables.ownership import Owners, RowPlace, prune

_MAX_NAMED = 10
_CLOCK_TOLERANCE = timedelta(minutes=5)

_SORTED_BY = ("team_hierarchy", "team", "start_date", "sprint", "developer", "developer_email")


@dataclass(frozen=True, slots=True)
class Merged:
    """New content of a month, and the slices whose rows newer exports superseded."""

    ledger: list[LedgerEntry]
    rows: int
    superseded: list[Superseded]
    _sorter: ExternalSorter
    _teams: frozenset[tuple[str, str]]

    def pieces(self) -> Iterator[pa.Table]:
        """Yield the rows sorted, once, with `team_depth` and `is_leaf`, which depend on all teams of the month."""
        known = depths_and_leaves(self._teams)
        for rows in self._sorter.pieces():
            codes, teams = factorize(rows, ["team", "team_hierarchy"])
            for name, values in (
                ("team_depth", pa.array([known[team][0] for team in teams], pa.int32())),
                ("is_leaf", pa.array([known[team][1] for team in teams], pa.bool_())),
            ):
                index = rows.schema.get_field_index(name)
                rows = rows.set_column(index, rows.schema.field(index), values.take(codes))  # noqa: PLW2901
            yield rows


def merge(
    before: Sequence[LedgerEntry],
    new: Sequence[LedgerEntry],
    tables: Iterable[pa.Table],
    *,
    schema: pa.Schema,
    granularity: str,
    month: date,
    scratch: Path,
    moving_on: frozenset[tuple[str, str]] = frozenset(),
) -> Merged:
    """Merge new slices into a month by the owner rule (DESIGN, decision 12).

    `tables` are the rows that are there and those of the new slices. Idempotent: a slice that the ledger holds already
    changes nothing, and must bring no rows.

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
    judge = _Judge(owners, joined.values(), fresh, moving_on, sprints=granularity == "sprint")
    sorter = ExternalSorter(scratch, [name for name in _SORTED_BY if name in schema.names])
    teams: set[tuple[str, str]] = set()
    stayed: Counter[SliceKey] = Counter()
    for table in tables:
        rows = cast_to_schema(table, schema)
        rows = rows.filter(judge.survive(rows))
        stayed += _counts(rows)
        teams.update(factorize(rows, ["team", "team_hierarchy"])[1] if len(rows) else ())
        sorter.add(rows)
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
            if (lost := judge.superseded(entry, stayed[entry.slice_key], month, held=entry.identity in rest))
        ],
        _sorter=sorter,
        _teams=frozenset(teams),
    )


def of_slices(rows: pa.Table, wanted: set[SliceKey], month: date) -> pa.Table:
    """Return the rows of some slices that start in a month."""
    rows = rows.filter(pc.equal(pc.floor_temporal(rows["start_date"], unit="month"), month))
    codes, keys = factorize(rows, ["_scope", "_export_id", "_exported_at"])
    return rows.filter(pa.array([key in wanted for key in keys], pa.bool_()).take(codes))


class _Judge:
    """Owner rule for the rows of a month, and what it has decided about those of new slices."""

    def __init__(
        self,
        owners: Owners,
        entries: Iterable[LedgerEntry],
        new: set[tuple[str, str, str]],
        moving_on: frozenset[tuple[str, str]],
        *,
        sprints: bool,
    ) -> None:
        self._owners = owners
        self._by_slice_key = {entry.slice_key: entry for entry in entries}
        self._new = new
        self._names = ["_scope", "_export_id", "_exported_at", "team", "team_hierarchy", "start_date"]
        self._names += ["end_date", "sprint"] if sprints else []
        self._came: Counter[SliceKey] = Counter()
        self._moving_on = moving_on
        self._lost_to: dict[SliceKey, set[tuple[LedgerEntry, bool]]] = defaultdict(set)

    def survive(self, rows: pa.Table) -> pa.Array:
        """Return the mask of surviving rows. The rule is applied once per key, because many rows share one."""
        self._came += _counts(rows)
        codes, keys = factorize(rows, [name for name in self._names if name in rows.schema.names])
        return pa.array([self._survives(*key) for key in keys], pa.bool_()).take(codes)

    def _survives(self, scope: str, export: str, staged_at: datetime, *place: Any) -> bool:
        entry = self._by_slice_key.get((scope, export, staged_at))
        if entry is None:  # the slice was staged again since
            return False
        team, path, *period = place
        row = RowPlace(team or "", path, *period)
        if (path, sprint_name(row.sprint, row.start)) in self._moving_on:
            return True
        if entry.identity not in self._new:
            return self._owners.survives(entry, row)
        others = set(self._owners.superseded_by(entry, row))
        self._lost_to[entry.slice_key] |= others
        return not others

    def superseded(self, entry: LedgerEntry, stayed: int, month: date, *, held: bool) -> Superseded | None:
        """Return what has become of a new slice whose rows other exports superseded, or that was forgotten."""
        came, others = self._came[entry.slice_key], self._lost_to[entry.slice_key]
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


def factorize(rows: pa.Table, names: Sequence[str]) -> tuple[pa.Array, list[tuple[Any, ...]]]:
    """Encode the distinct combinations of some columns: the code of each row, and the combination of each code."""
    combinations: list[tuple[Any, ...]] = [()] if len(rows) else []
    codes = pa.repeat(pa.scalar(0, pa.int64()), len(rows))
    for name in names:
        column = rows[name].combine_chunks().dictionary_encode(null_encoding="encode")
        values = column.dictionary.to_pylist()
        mixed = pc.add(pc.multiply(codes, len(values)), column.indices.cast(pa.int64())).dictionary_encode()
        pairs = (divmod(code, len(values)) for code in mixed.dictionary.to_pylist())
        combinations = [(*combinations[first], values[second]) for first, second in pairs]
        codes = mixed.indices.cast(pa.int64())
    return codes, combinations


def _counts(rows: pa.Table) -> Counter[SliceKey]:
    counted = rows.group_by(["_scope", "_export_id", "_exported_at"]).aggregate([([], "count_all")])
    columns = (counted[name].to_pylist() for name in counted.schema.names)
    return Counter(
        {(scope, export, staged_at): count for scope, export, staged_at, count in zip(*columns, strict=True)}
    )
