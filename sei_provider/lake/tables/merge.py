"""One month: what is there and what is new give what shall be there.

Pure but for scratch files, so that a put that lost a race can read and merge again (DESIGN, decision 14). Rows
pass through by pieces: a month may be larger than memory.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from sei_provider.lake.model import Skipped
from sei_provider.lake.periods import next_month
from sei_provider.lake.tables.hierarchy import depths_and_leaves
from sei_provider.lake.tables.ownership import Entry, Owners, Place, entered, without_dominated
from sei_provider.lake.tables.sorting import Sorter
from sei_provider.lake.tables.table import conform

_SORTED_BY = ("team_hierarchy", "team", "start_date", "sprint", "developer", "developer_email")

Identity: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Merged:
    """What a month shall hold, and what that did to the slices."""

    ledger: list[Entry]
    rows: int
    skipped: list[Skipped]
    _sorter: Sorter
    _teams: frozenset[tuple[str, str]]

    def pieces(self) -> Iterator[pa.Table]:
        """Give the rows sorted, with what depends on all teams of the month; to be asked for once."""
        known = depths_and_leaves(self._teams)
        for rows in self._sorter.pieces():
            codes, teams = _encoded(rows, ["team", "team_hierarchy"])
            for name, values in (
                ("team_depth", pa.array([known[team][0] for team in teams], pa.int32())),
                ("is_leaf", pa.array([known[team][1] for team in teams], pa.bool_())),
            ):
                index = rows.schema.get_field_index(name)
                rows = rows.set_column(index, rows.schema.field(index), values.take(codes))  # noqa: PLW2901
            yield rows


def merge(
    before: Sequence[Entry],
    new: Sequence[Entry],
    tables: Iterable[pa.Table],
    *,
    schema: pa.Schema,
    month: date,
    scratch: Path,
) -> Merged:
    """Put new slices into a month by the owner rule (DESIGN, decision 12).

    `tables` are the rows that are there and those of the new slices. A slice that the ledger holds already changes
    nothing, and must bring no rows; slices enter by age, each clearing what it covers.
    """
    there = {entry.identity for entry in before}
    by_scope: dict[str, list[Entry]] = defaultdict(list)
    for entry in before:
        by_scope[entry.scope].append(entry)
    for entry in sorted(new, key=lambda entry: entry.age):
        if entry.identity not in there:
            by_scope[entry.scope].append(entered(by_scope[entry.scope], entry))
    ledger = [entry for entries in by_scope.values() for entry in entries]
    owners = Owners(ledger)
    by_identity = {entry.identity: entry for entry in ledger}
    sorter = Sorter(scratch, [name for name in _SORTED_BY if name in schema.names])
    teams: set[tuple[str, str]] = set()
    came: Counter[Identity] = Counter()
    stayed: Counter[Identity] = Counter()
    for table in tables:
        rows = conform(table, schema)
        came += _counts(rows)
        rows = rows.filter(_kept(rows, owners, by_identity))
        stayed += _counts(rows)
        teams.update(_encoded(rows, ["team", "team_hierarchy"])[1] if len(rows) else ())
        sorter.add(rows)
    counted = [replace(entry, rows=stayed[entry.identity]) for entry in ledger]
    ledger = without_dominated(counted, month, next_month(month) - timedelta(days=1))
    rest = {entry.identity for entry in ledger}
    return Merged(
        ledger=ledger,
        rows=stayed.total(),
        skipped=list(_skipped(new, rest, came, stayed)),
        _sorter=sorter,
        _teams=frozenset(teams),
    )


def of_slices(rows: pa.Table, wanted: set[Identity], month: date) -> pa.Table:
    """Pick the rows of some slices that start in a month."""
    rows = rows.filter(pc.equal(pc.floor_temporal(rows["start_date"], unit="month"), month))
    codes, pairs = _encoded(rows, ["_scope", "_export_id"])
    return rows.filter(pa.array([pair in wanted for pair in pairs], pa.bool_()).take(codes))


def _kept(rows: pa.Table, owners: Owners, by_identity: dict[Identity, Entry]) -> pa.Array:
    """The mask of surviving rows; decided once per place, since many rows share one."""
    names = ["_scope", "_export_id", "team_hierarchy", "start_date", "end_date"]
    if "sprint" in rows.schema.names:
        names.append("sprint")
    codes, places = _encoded(rows, names)
    keeps = [owners.keeps(Place(by_identity[scope, export], *place)) for scope, export, *place in places]
    return pa.array(keeps, pa.bool_()).take(codes)


def _encoded(rows: pa.Table, names: Sequence[str]) -> tuple[pa.Array, list[tuple[Any, ...]]]:
    """Number the distinct combinations of some columns: each row's number, and the combinations."""
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


def _counts(rows: pa.Table) -> Counter[Identity]:
    counted = rows.group_by(["_scope", "_export_id"]).aggregate([([], "count_all")])
    columns = (counted[name].to_pylist() for name in counted.schema.names)
    return Counter({(scope, export): count for scope, export, count in zip(*columns, strict=True)})


def _skipped(
    new: Iterable[Entry], rest: set[Identity], came: Counter[Identity], stayed: Counter[Identity]
) -> Iterator[Skipped]:
    for entry in new:
        all_rows, own_rows = came[entry.identity], stayed[entry.identity]
        if own_rows == all_rows and entry.identity in rest:
            continue
        yield Skipped(
            scope=entry.scope,
            start=entry.start.isoformat(),
            end=entry.end.isoformat(),
            export_id=entry.export_id,
            reason=f"a newer export covers {all_rows - own_rows} of its {all_rows} rows of this month",
        )
