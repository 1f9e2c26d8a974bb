"""Files of a table: one Parquet object per month with its ledger in the footer, and `_schema.json` beside them.

`snapshot` reads them and `commit` puts them; `plan`, `merge` and `schema` decide what they hold. Another table format
would come behind these two calls.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sei_provider.lake.column_metadata import HEADER_KEY, field_metadata
from sei_provider.lake.columns import DERIVED, LINEAGE, arrow_type
from sei_provider.lake.errors import ConflictError, UnknownColumnError, UnknownTableError
from sei_provider.lake.periods import next_month
from sei_provider.lake.staging.staged_file import DICTIONARY_BYTES, by_bytes
from sei_provider.lake.storage.backend import Lake, LakePath
from sei_provider.lake.storage.scratch import scratch_folder
from sei_provider.lake.storage.store import fetch, lake_path, names, put, put_bytes, read, read_each
from sei_provider.lake.tables.ledger_entry import LedgerEntry
from sei_provider.lake.tables.schema import TableSchema

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
class Footer:
    """What a month's object tells without its rows."""

    ledger: tuple[LedgerEntry, ...] = ()
    """Its slices, oldest first."""
    schema: pa.Schema | None = None
    """Its columns; None if the object does not exist."""


_NO_FOOTER = Footer()


@dataclass(frozen=True, slots=True)
class Partition:
    """One version of a month's object on local disk: the slices it holds, oldest first, and its rows."""

    file: Path
    ledger: tuple[LedgerEntry, ...]

    def tables(self) -> Iterator[pa.Table]:
        """Yield the rows, one row group at a time."""
        with pq.ParquetFile(self.file) as file:
            for number in range(file.num_row_groups):
                yield file.read_row_group(number)


class Content(Protocol):
    """New content of a month."""

    @property
    def ledger(self) -> Sequence[LedgerEntry]:
        """Return its ledger, oldest first."""

    def pieces(self) -> Iterable[pa.Table]:
        """Yield its rows, once, in their order."""


@dataclass(slots=True)
class Snapshot:
    """One version of a table: its schema, and of each month the ledger and the rows, read when first asked for."""

    folder: LakePath
    months: tuple[date, ...]
    """Months that exist, in order."""
    schema: TableSchema
    """Empty if the table does not exist."""
    schema_version: str
    _footers: dict[date, Footer] = field(default_factory=dict)
    _versions: dict[date, str] = field(default_factory=dict)

    def footers(self, wanted: Iterable[date]) -> Mapping[date, Footer]:
        """Return ledger and columns of some months without reading rows; those of a month that is missing are empty."""
        wanted = list(wanted)
        unread = [month for month in wanted if month not in self._footers and month in self.months]
        self._footers |= read_footers(self.folder, unread)
        return {month: self._footers.get(month, _NO_FOOTER) for month in wanted}

    def ledger(self, month: date) -> tuple[LedgerEntry, ...]:
        """Return the ledger of a month; empty if there is no such month."""
        return self.footers([month])[month].ledger

    def rows(self, month: date, scratch: Path) -> Partition | None:
        """Fetch the rows of a month with their ledger; None if there is no such month.

        Raises `ConflictError` if another writer has put the month since its ledger or the schema was read.
        """
        fetched = fetch(object_path(self.folder, month), scratch / "before")
        self._versions[month] = fetched.version
        footer = _NO_FOOTER
        if fetched.file is not None:
            with pq.ParquetFile(fetched.file) as file:
                footer = _footer(file)
        if footer.ledger != self.ledger(month) or _is_newer(footer.schema, self.schema):
            msg = f"{object_path(self.folder, month)} was changed by another writer since this publisher read the table"
            raise ConflictError(msg)
        return Partition(fetched.file, _upgraded(footer.ledger, fetched.file)) if fetched.file is not None else None

    def version(self, month: date) -> str:
        """Return the version of a month's object that `rows` fetched."""
        return self._versions[month]


def snapshot(folder: LakePath) -> Snapshot:
    """Return the current version of a table. Months are read before the schema, which is put before data needs it."""
    existing = tuple(months(folder))
    schema, version = fetch_schema(folder)
    return Snapshot(folder, existing, schema, version)


def commit(before: Snapshot, changes: Iterable[tuple[date, Content]], schema: TableSchema) -> list[date]:
    """Put the schema if it differs from the snapshot's, then each changed month, rows and ledger in one atomic put.

    Return the months put. `changes` is consumed month by month, so that a month may be merged just before its put.
    Raises `ConflictError` if
    somebody committed since the snapshot was taken. The months before the one in conflict are put then: plan again
    from a new snapshot.
    """
    if schema != before.schema:
        put_schema(before.folder, schema, if_match=before.schema_version)
    target, done = arrow_schema(schema), []
    for month, content in changes:
        with scratch_folder() as scratch:
            put_month(
                before.folder,
                month,
                content.pieces(),
                content.ledger,
                schema=target,
                if_match=before.version(month),
                scratch=scratch,
            )
        done.append(month)
    return done


def read_table(
    lake: Lake,
    table: str,
    *,
    start: date | None = None,
    end: date | None = None,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """Return the rows of a table with `start` <= start_date <= `end`, both inclusive and optional.

    Every month has the types of the table; a column that a month lacks is null there. The column `month` (string,
    `2026-01`) is the partition. `columns` selects and orders. Raises `UnknownTableError`, which names the existing
    tables, or `UnknownColumnError`.
    """
    root = lake_path(lake)
    folder = root / table
    schema = arrow_schema(known_table(root, table)).append(pa.field("month", pa.string()))
    unknown = [name for name in columns or () if name not in schema.names]
    if unknown:
        msg = f"table {table} has no column {', '.join(unknown)}; it has {', '.join(schema.names)}"
        raise UnknownColumnError(msg)
    parts = [schema.empty_table()]
    for month in months(folder):
        if (end and month > end) or (start and next_month(month) <= start):
            continue
        rows = read(object_path(folder, month), pq.read_table)
        if rows is not None:
            parts.append(cast_to_schema(rows.append_column("month", pa.repeat(f"{month:%Y-%m}", len(rows))), schema))
    found = pa.concat_tables(parts)
    if start:
        found = found.filter(pc.greater_equal(found["start_date"], start))
    if end:
        found = found.filter(pc.less_equal(found["start_date"], end))
    return found.select(columns) if columns else found


def months(folder: LakePath) -> list[date]:
    """Return the first days of the months that a table has folders for, in order."""
    found = (name.removeprefix("month=") for name in names(folder) if name.startswith("month="))
    return [date.fromisoformat(f"{month}-01") for month in found]


def object_path(folder: LakePath, month: date) -> LakePath:
    """Return the path of a month's object."""
    return folder / f"month={month:%Y-%m}" / "data.parquet"


def read_ledgers(folder: LakePath, wanted: Sequence[date]) -> dict[date, tuple[LedgerEntry, ...]]:
    """Read the ledgers of some months without their rows; empty where there is no object."""
    return {month: footer.ledger for month, footer in read_footers(folder, wanted).items()}


def read_footers(folder: LakePath, wanted: Sequence[date]) -> dict[date, Footer]:
    """Read ledger and columns of some months without their rows; empty where there is no object."""
    paths = [object_path(folder, month) for month in wanted]
    found = read_each(paths, lambda data: _footer(pq.ParquetFile(data)))
    return {month: footer or _NO_FOOTER for month, footer in zip(wanted, found, strict=True)}


def put_month(
    folder: LakePath,
    month: date,
    rows: Iterable[pa.Table],
    ledger: Iterable[LedgerEntry],
    *,
    schema: pa.Schema,
    if_match: str,
    scratch: Path,
) -> None:
    """Put rows, in their order, and ledger in one atomic put.

    Raises `ConflictError` if the month no longer has the version `if_match`.
    """
    file = scratch / "after"
    with pq.ParquetWriter(file, schema, compression="zstd", dictionary_pagesize_limit=DICTIONARY_BYTES) as writer:
        for group in by_bytes(rows):
            writer.write_table(group, row_group_size=max(1, len(group)))
        writer.add_key_value_metadata({LEDGER_KEY: json.dumps([entry.to_json() for entry in ledger])})
    put(object_path(folder, month), file, if_match=if_match)


def known_table(root: LakePath, table: str) -> TableSchema:
    """Read the schema of a table; raises `UnknownTableError`, which names the existing tables."""
    schema = read_schema(root / table)
    if not schema.columns:
        existing = ", ".join(_tables(root)) or "none yet"
        msg = f"the lake {root} has no table {table!r}; tables: {existing}"
        raise UnknownTableError(msg)
    return schema


def read_schema(folder: LakePath) -> TableSchema:
    """Read the schema of a table; a table that does not exist yet has an empty one."""
    return read(folder / _SCHEMA_FILE, lambda data: TableSchema.from_bytes(data.read())) or TableSchema()


def fetch_schema(folder: LakePath) -> tuple[TableSchema, str]:
    """Fetch the schema of a table and its version."""
    with scratch_folder() as scratch:
        fetched = fetch(folder / _SCHEMA_FILE, scratch / "schema")
        return (TableSchema.from_bytes(fetched.file.read_bytes()) if fetched.file else TableSchema()), fetched.version


def put_schema(folder: LakePath, schema: TableSchema, *, if_match: str) -> None:
    """Put `_schema.json`, before the data that needs it. Raises `ConflictError` if it was put since."""
    put_bytes(folder / _SCHEMA_FILE, schema.to_bytes(), if_match=if_match)


def arrow_schema(schema: TableSchema) -> pa.Schema:
    """Return the Arrow schema of a month, with SEI's header and, where known, unit and source as field metadata.

    A column whose type is not known yet is text, and null in every row.
    """
    report, mode = str(schema.definition.get("report")), schema.definition.get("computation_mode")
    known = [
        pa.field(
            column.name,
            arrow_type(column),
            metadata={HEADER_KEY: column.header} | field_metadata(column, report, mode),
        )
        for column in schema.ordered()
    ]
    return pa.schema([*known, *(pa.field(name, _COMPUTED[name]) for name in (*DERIVED, *LINEAGE))])


def cast_to_schema(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Cast rows written under an older schema to the columns and types of this one; missing columns are null."""
    arrays = [
        rows[name].cast(kind) if name in rows.schema.names else pa.nulls(len(rows), kind)
        for name, kind in zip(schema.names, schema.types, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _footer(file: pq.ParquetFile) -> Footer:
    entries = json.loads(file.metadata.metadata[LEDGER_KEY])
    return Footer(tuple(LedgerEntry.from_json(value) for value in entries), file.schema_arrow)


def _upgraded(ledger: tuple[LedgerEntry, ...], file: Path) -> tuple[LedgerEntry, ...]:
    """Return the ledger with runs and times of staging, which 751f940 recorded in the rows alone."""
    if all(entry.staged_at for entry in ledger):
        return ledger
    lineage = pq.read_table(file, columns=list(LINEAGE)).group_by(list(LINEAGE)).aggregate([])
    known: dict[tuple[str, str], tuple[set[str], datetime]] = {}
    for scope, export_id, staged_at, run in zip(*(lineage[name].to_pylist() for name in LINEAGE), strict=True):
        runs, _ = known.get((scope, export_id), (set(), staged_at))
        known[scope, export_id] = {*runs, run}, staged_at
    return tuple(
        replace(entry, runs=entry.runs | known[export][0], staged_at=known[export][1])
        if entry.staged_at is None and (export := (entry.scope, entry.export_id)) in known
        else entry
        for entry in ledger
    )


def _is_newer(columns: pa.Schema | None, schema: TableSchema) -> bool:
    """Return whether a month was put under a newer schema, with a column or a type that this one lacks."""
    types = {column.name: column.type for column in schema.columns}
    return columns is not None and any(
        field.name not in types or (types[field.name] is None and not pa.types.is_string(field.type))
        for field in columns
        if field.name not in _COMPUTED
    )


def _tables(root: LakePath) -> list[str]:
    return [name for name in names(root) if not name.startswith("_") and read_schema(root / name).columns]
