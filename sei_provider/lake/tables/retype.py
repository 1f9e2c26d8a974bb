"""Retype a column of a table once: every month is rewritten, and what does not fit the new type goes to quarantine."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TypedDict

import pyarrow as pa
import pyarrow.parquet as pq
import stamina

from sei_provider.lake.column_mapping import TYPE_NAMES, TYPES
from sei_provider.lake.columns import DERIVED, DIMENSIONS, LINEAGE, TEAM_ID, Column, arrow_type
from sei_provider.lake.errors import ColumnsError, ConflictError, UnknownColumnError
from sei_provider.lake.staging.quarantine import SCHEMA
from sei_provider.lake.storage.backend import Lake, LakePath
from sei_provider.lake.storage.scratch import scratch_folder
from sei_provider.lake.storage.store import lake_path, locked, put, require_safe_writes
from sei_provider.lake.tables.conversion import unfit
from sei_provider.lake.tables.layout import FORMAT, table_folder
from sei_provider.lake.tables.month_schema import arrow_schema
from sei_provider.lake.tables.schema import TableSchema
from sei_provider.lake.tables.stored_schema import fetch_schema, known_table, put_schema
from sei_provider.lake.tables.table import Content, Partition, Rewritten, Snapshot, commit, snapshot

_PLACE = ("team", "team_hierarchy", "start_date", "end_date", "sprint")
"""Columns that tell which row a value stood in; none of them names a developer."""


class Retyped(TypedDict):
    """A month in which a column was retyped."""

    month: str
    """`YYYY-MM`."""
    rows: int
    quarantined: int
    """Values that do not fit the new type: null in the table, and kept in quarantine."""


def retype(lake: Lake, table: str, column: str, new_type: str, *, single_writer: bool = False) -> list[Retyped]:
    """Give a column of a table another type, `string`, `float64` or `date`, and return the months that had another.

    Each month changes by one atomic put, before which its values that do not fit are put into
    `<lake>/_quarantine/<table>/`, with team, period, scope and export; in the table they are null. If it dies, the rest
    is done by calling it again. Idempotent. Raises `UnknownTableError`, `UnknownColumnError`, and `ColumnsError` for
    an unknown type, a dimension, a column of the lake's own or one of hashes.
    """
    root = lake_path(lake)
    require_safe_writes(root, single_writer=single_writer)
    target = _checked(known_table(root, table), table, column, new_type)
    done: dict[date, Retyped] = {}
    with locked(table_folder(root, table)):
        for attempt in stamina.retry_context(on=ConflictError, attempts=10, timeout=None):
            with attempt:
                _Retyping(table_folder(root, table), target, root / "_quarantine" / table, done).run()
    return [done[month] for month in sorted(done)]


def _checked(schema: TableSchema, table: str, column: str, new_type: str) -> Column:
    if new_type not in TYPES:
        msg = f"unknown type {new_type!r}; the types are {', '.join(TYPES)}"
        raise ColumnsError(msg)
    if column in (*DIMENSIONS, TEAM_ID, *DERIVED, *LINEAGE, "month"):
        msg = f"column {column!r} is a dimension or the lake's own, and its type is the same in every table"
        raise ColumnsError(msg)
    known = {each.name: each for each in schema.columns}
    if column not in known:
        msg = f"table {table} has no column {column!r}; it has {', '.join(known)}"
        raise UnknownColumnError(msg)
    if known[column].hashed:
        msg = f"column {column!r} of table {table} holds hashes of names, which are text"
        raise ColumnsError(msg)
    return replace(known[column], type=TYPES[new_type])


@dataclass(frozen=True, slots=True)
class _Retyping:
    folder: LakePath
    column: Column
    quarantine: LakePath
    done: dict[date, Retyped]

    def run(self) -> None:
        before = snapshot(self.folder)
        schema = replace(
            before.schema,
            columns=tuple(self.column if each.name == self.column.name else each for each in before.schema.columns),
            format=FORMAT,
        )
        footers = before.footers(before.months)
        others = [month for month, footer in footers.items() if self._differs(footer.schema)]
        # Before the schema: once it is put, a publisher may rewrite a month.
        for month in others:
            with scratch_folder() as scratch:
                self._quarantine(before.rows(month, scratch), month, scratch)
        behind = tuple(sorted({*before.schema.behind, *others}))
        put_months = commit(before, self._changes(before, others, schema), replace(schema, behind=behind))
        after, version = fetch_schema(self.folder)
        if put_months and after.columns == schema.columns:
            rest = tuple(month for month in after.behind if month not in put_months)
            put_schema(self.folder, replace(after, behind=rest), if_match=version)

    def _differs(self, month: pa.Schema | None) -> bool:
        name = self.column.name
        return month is not None and name in month.names and month.field(name).type != arrow_type(self.column)

    def _changes(self, before: Snapshot, months: list[date], schema: TableSchema) -> Iterator[tuple[date, Content]]:
        target = arrow_schema(schema)
        for month in months:
            with scratch_folder() as scratch:
                current = before.rows(month, scratch)
                rows, lost = self._quarantine(current, month, scratch)
                if current:
                    yield month, Rewritten(current, target)
                    self.done[month] = Retyped(month=f"{month:%Y-%m}", rows=rows, quarantined=lost)

    def _quarantine(self, current: Partition | None, month: date, scratch: Path) -> tuple[int, int]:
        """Put what does not fit into quarantine; returns the rows of the month, and how many of them do not fit."""
        rows = lost = 0
        file = scratch / "unfit"
        with pq.ParquetWriter(file, SCHEMA, compression="zstd") as writer:
            for table in current.tables() if current else ():
                rows += len(table)
                bad = table.filter(unfit(table[self.column.name], arrow_type(self.column)))
                lost += len(bad)
                if len(bad):
                    writer.write_table(pa.Table.from_pylist([self._put_aside(row) for row in bad.to_pylist()], SCHEMA))
        if lost:
            put(self.quarantine / f"retype-{self.column.name}-{month:%Y-%m}.parquet", file)
        return rows, lost

    def _put_aside(self, row: Mapping[str, object]) -> Mapping[str, object]:
        place = {name: str(row[name]) for name in _PLACE if row.get(name) is not None}
        value = str(row[self.column.name])
        return {
            "column": self.column.name,
            "text": value,
            "reason": f"no {TYPE_NAMES[self.column.type or 'string']}, which the column was given as its type",
            "row": json.dumps({**place, self.column.name: value}, ensure_ascii=False),
            "scope": row["_scope"],
            "export_id": row["_export_id"],
        }
