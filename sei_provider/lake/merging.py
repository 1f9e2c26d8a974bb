"""One month: what is there and what is new give what shall be there.

Pure, so that a put that lost a race can read and merge again (DESIGN, decision 14).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sei_provider.lake.hierarchy import depths_and_leaves
from sei_provider.lake.owners import Entry, Owners, Place, entered, without_dominated
from sei_provider.lake.slices import Skipped, next_month
from sei_provider.lake.tables import Month, conform

_SORTED_BY = ("team_hierarchy", "team", "start_date", "sprint", "developer", "developer_email")


@dataclass(frozen=True, slots=True)
class Merged:
    """What a month shall hold, and what that did to the slices."""

    month: Month
    changed: bool
    """False if the object is already as it should be."""
    skipped: list[Skipped]


def merge(existing: Month | None, new: Month, schema: pa.Schema, month: date) -> Merged:
    """Put new slices into a month by the owner rule (DESIGN, decision 12).

    A slice that the ledger holds already changes nothing; slices enter by age, each clearing what it covers.
    """
    before = existing or Month(schema.empty_table(), ())
    there = {entry.identity for entry in before.ledger}
    ledger = list(before.ledger)
    for entry in sorted(new.ledger, key=lambda entry: entry.age):
        if entry.identity not in there:
            ledger.append(entered(ledger, entry))
    added = _rows_of(new.rows, [entry for entry in new.ledger if entry.identity not in there])
    rows = pa.concat_tables([conform(before.rows, schema), added])
    came = _counts(rows)
    rows = rows.filter(_kept(rows, ledger))
    stayed = _counts(rows)
    counted = [replace(entry, rows=stayed.get(entry.identity, 0)) for entry in ledger]
    ledger = without_dominated(counted, month, next_month(month) - timedelta(days=1))
    changed = existing is None or tuple(ledger) != existing.ledger
    rest = {entry.identity for entry in ledger}
    return Merged(
        month=Month(_finished(rows) if changed else before.rows, tuple(ledger)),
        changed=changed,
        skipped=list(_skipped(new.ledger, rest, came, stayed)),
    )


def _rows_of(rows: pa.Table, entries: Sequence[Entry]) -> pa.Table:
    wanted = {entry.identity for entry in entries}
    codes, pairs = _encoded(rows, ["_scope", "_export_id"])
    return rows.filter(pa.array([pair in wanted for pair in pairs], pa.bool_()).take(codes))


def _kept(rows: pa.Table, ledger: Iterable[Entry]) -> pa.Array:
    """The mask of surviving rows; decided once per place, since many rows share one."""
    by_identity = {entry.identity: entry for entry in ledger}
    owners = Owners(by_identity.values())
    names = ["_scope", "_export_id", "team_hierarchy", "start_date", "end_date"]
    if "sprint" in rows.schema.names:
        names.append("sprint")
    codes, places = _encoded(rows, names)
    keeps = [owners.keeps(Place(by_identity[scope, export], *place)) for scope, export, *place in places]
    return pa.array(keeps, pa.bool_()).take(codes)


def _encoded(rows: pa.Table, names: Sequence[str]) -> tuple[pa.Array, list[tuple[Any, ...]]]:
    """Number the distinct combinations of some columns: each row's number, and the combinations."""
    combinations: list[tuple[Any, ...]] = [()]
    codes = pa.array([0] * len(rows), pa.int64())
    for name in names:
        column = rows[name].combine_chunks().dictionary_encode(null_encoding="encode")
        values = column.dictionary.to_pylist()
        mixed = pc.add(pc.multiply(codes, len(values)), column.indices.cast(pa.int64())).dictionary_encode()
        pairs = (divmod(code, len(values)) for code in mixed.dictionary.to_pylist())
        combinations = [(*combinations[first], values[second]) for first, second in pairs]
        codes = mixed.indices.cast(pa.int64())
    return codes, combinations


def _counts(rows: pa.Table) -> dict[tuple[str, str], int]:
    counted = rows.group_by(["_scope", "_export_id"]).aggregate([([], "count_all")])
    return {
        (scope, export): count
        for scope, export, count in zip(*(counted[name].to_pylist() for name in counted.schema.names), strict=True)
    }


def _finished(rows: pa.Table) -> pa.Table:
    """Sort, and compute what depends on all teams of the month."""
    rows = rows.sort_by([(name, "ascending") for name in _SORTED_BY if name in rows.schema.names])
    codes, teams = _encoded(rows, ["team", "team_hierarchy"])
    known = depths_and_leaves(teams)
    for name, values in (
        ("team_depth", pa.array([known[team][0] for team in teams], pa.int32())),
        ("is_leaf", pa.array([known[team][1] for team in teams], pa.bool_())),
    ):
        index = rows.schema.get_field_index(name)
        rows = rows.set_column(index, rows.schema.field(index), values.take(codes))
    return rows


def _skipped(
    new: Iterable[Entry],
    rest: Iterable[tuple[str, str]],
    came: dict[tuple[str, str], int],
    stayed: dict[tuple[str, str], int],
) -> Iterable[Skipped]:
    for entry in new:
        all_rows, own_rows = came.get(entry.identity, 0), stayed.get(entry.identity, 0)
        if own_rows == all_rows and entry.identity in rest:
            continue
        yield Skipped(
            scope=entry.scope,
            start=entry.start.isoformat(),
            end=entry.end.isoformat(),
            export_id=entry.export_id,
            reason=f"a newer export covers {all_rows - own_rows} of its {all_rows} rows of this month",
        )
