"""Tables as they lie in the lake: one object per month, its ledger in the footer, `_schema.json` beside it.

Reads and writes them; what belongs into them is decided elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from upath import UPath

from sei_provider.lake.columns import DERIVED, LINEAGE
from sei_provider.lake.errors import UnknownColumnError, UnknownTableError
from sei_provider.lake.owners import Entry
from sei_provider.lake.reading import ARROW_TYPES
from sei_provider.lake.schema import TableSchema
from sei_provider.lake.slices import next_month
from sei_provider.lake.staged_files import HEADER_KEY, ROW_GROUP_BYTES
from sei_provider.lake.store import lake_path, put, put_bytes, scratch_file

LEDGER_KEY = b"sei.ledger"
_SCHEMA_FILE = "_schema.json"

_COMPUTED = {
    "team_depth": pa.int32(),
    "is_leaf": pa.bool_(),
    "_scope": pa.string(),
    "_export_id": pa.string(),
    "_exported_at": pa.timestamp("us", "UTC"),
    "_run_id": pa.string(),
}


@dataclass(frozen=True, slots=True)
class Month:
    """One month of a table: its rows and the slices they are from, oldest slice first."""

    rows: pa.Table
    ledger: tuple[Entry, ...]


def read_table(
    lake: UPath | Path | str,
    table: str,
    *,
    start: date | None = None,
    end: date | None = None,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """Give the rows of a table with `start` <= start_date <= `end`, both inclusive and optional.

    All months come with the table's types; a column that a month lacks is null there. `month` (string, `2026-01`)
    is the partition. `columns` picks and orders. Raises `UnknownTableError`, naming the tables there are, or
    `UnknownColumnError`.
    """
    root = lake_path(lake)
    folder = root / table
    schema = arrow_schema(_known(root, table)).append(pa.field("month", pa.string()))
    unknown = [name for name in columns or () if name not in schema.names]
    if unknown:
        msg = f"table {table} has no column {', '.join(unknown)}; it has {', '.join(schema.names)}"
        raise UnknownColumnError(msg)
    parts = [schema.empty_table()]
    for month in months(folder):
        if (end and month > end) or (start and next_month(month) <= start):
            continue
        rows = _read(folder, month).rows
        parts.append(conform(rows.append_column("month", pa.repeat(f"{month:%Y-%m}", len(rows))), schema))
    whole = pa.concat_tables(parts)
    if start:
        whole = whole.filter(pc.greater_equal(whole["start_date"], start))
    if end:
        whole = whole.filter(pc.less_equal(whole["start_date"], end))
    return whole.select(columns) if columns else whole


def ledger(lake: UPath | Path | str, table: str) -> dict[str, list[dict[str, Any]]]:
    """Give the slices that each month of a table holds: month (`2026-01`) → entries, oldest export first.

    An entry has `scope`, `start`, `end`, `export_id`, `created_at`, `teams`, `clears`, `rows` and
    `published_at`; where periods are sprints also `sprints`.
    """
    root = lake_path(lake)
    _known(root, table)
    folder = root / table
    return {f"{month:%Y-%m}": [entry.to_json() for entry in read_ledger(folder, month)] for month in months(folder)}


def months(folder: UPath) -> list[date]:
    """The first days of the months that a table has objects for, in order."""
    if not folder.exists():
        return []
    names = (path.name.removeprefix("month=") for path in folder.iterdir() if path.name.startswith("month="))
    found = (date.fromisoformat(f"{name}-01") for name in names)
    return sorted(month for month in found if object_path(folder, month).exists())


def object_path(folder: UPath, month: date) -> UPath:
    """Where a month's object lies."""
    return folder / f"month={month:%Y-%m}" / "data.parquet"


def read_month(folder: UPath, month: date) -> Month | None:
    """Give rows and ledger from one open object, so they belong together; None if there is no object."""
    return _read(folder, month) if object_path(folder, month).exists() else None


def read_ledger(folder: UPath, month: date) -> tuple[Entry, ...]:
    """Give the ledger alone; empty if there is no object."""
    if not object_path(folder, month).exists():
        return ()
    with object_path(folder, month).open("rb") as data:
        return _entries(pq.ParquetFile(data))


def put_month(folder: UPath, month: date, content: Month) -> UPath:
    """Put rows and ledger in one atomic put."""
    rows = content.rows
    group = max(1, int(len(rows) * ROW_GROUP_BYTES / max(rows.nbytes, 1)))
    target = object_path(folder, month)
    with scratch_file() as scratch:
        with pq.ParquetWriter(scratch, rows.schema, compression="zstd") as writer:
            writer.write_table(rows, row_group_size=group)
            writer.add_key_value_metadata({LEDGER_KEY: json.dumps([entry.to_json() for entry in content.ledger])})
        put(target, scratch)
    return target


def read_schema(folder: UPath) -> TableSchema:
    """Give what the table remembers; a table that does not exist yet remembers nothing."""
    path = folder / _SCHEMA_FILE
    return TableSchema.from_bytes(path.read_bytes()) if path.exists() else TableSchema()


def put_schema(folder: UPath, schema: TableSchema) -> None:
    """Put `_schema.json`; to be done before the data that needs it."""
    put_bytes(folder / _SCHEMA_FILE, schema.to_bytes())


def arrow_schema(schema: TableSchema) -> pa.Schema:
    """The columns of an object. A column that nobody knows the type of yet is text, and null throughout."""
    known = [
        pa.field(column.name, ARROW_TYPES[column.type or "string"], metadata={HEADER_KEY: column.header})
        for column in schema.ordered()
    ]
    return pa.schema([*known, *(pa.field(name, _COMPUTED[name]) for name in (*DERIVED, *LINEAGE))])


def conform(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Give rows written under an older schema the columns and types of this one; what is missing is null."""
    arrays = [
        rows[name].cast(kind) if name in rows.schema.names else pa.nulls(len(rows), kind)
        for name, kind in zip(schema.names, schema.types, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _read(folder: UPath, month: date) -> Month:
    with object_path(folder, month).open("rb") as data:
        file = pq.ParquetFile(data)
        return Month(file.read(), _entries(file))


def _entries(file: pq.ParquetFile) -> tuple[Entry, ...]:
    return tuple(Entry.from_json(value) for value in json.loads(file.metadata.metadata[LEDGER_KEY]))


def _known(root: UPath, table: str) -> TableSchema:
    schema = read_schema(root / table)
    if not schema.columns:
        there = ", ".join(_tables(root)) or "none yet"
        msg = f"the lake {root} has no table {table!r}; tables: {there}"
        raise UnknownTableError(msg)
    return schema


def _tables(root: UPath) -> Iterator[str]:
    if root.exists():
        yield from sorted(path.name for path in root.iterdir() if (path / _SCHEMA_FILE).exists())
