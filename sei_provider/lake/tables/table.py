"""Files of a table: one Parquet object per month with its ledger in the footer, and the schema outside the folder.

`snapshot` reads them and `commit` puts them; `plan`, `merge` and `schema` decide what they hold. Another table format
would come behind these two calls.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sei_provider.lake.arrow_values import empty_table, to_scalar
from sei_provider.lake.columns import LINEAGE
from sei_provider.lake.damage import damaged_object, parsing
from sei_provider.lake.distinct import factorize
from sei_provider.lake.errors import ConflictError, DamagedObjectError, UnknownColumnError, UnknownTableError
from sei_provider.lake.parquet import read_rows
from sei_provider.lake.periods import next_month
from sei_provider.lake.staging.staged_file import DICTIONARY_BYTES, by_bytes
from sei_provider.lake.storage.backend import Lake, LakePath
from sei_provider.lake.storage.scratch import scratch_folder
from sei_provider.lake.storage.store import fetch, lake_path, names, put, read, remove_each
from sei_provider.lake.tables.external_sort import release_unused
from sei_provider.lake.tables.footer import NO_FOOTER, Footer, footer_entries, footer_of, read_footers
from sei_provider.lake.tables.layout import DATA, OLD_NAMES, months, months_among, object_path, table_folder
from sei_provider.lake.tables.ledger_entry import LedgerEntry, parents_of
from sei_provider.lake.tables.month_schema import arrow_schema, cast_to_schema, conflicting, is_newer, require_castable
from sei_provider.lake.tables.row_keys import SHARED
from sei_provider.lake.tables.schema import TableSchema
from sei_provider.lake.tables.stored_schema import fetch_schema, known_table, put_schema
from sei_provider.lake.tables.teams import read_teams

_PLACED_BY = frozenset({"team_hierarchy", "start_date"})
_ARROW_SCHEMA = b"ARROW:schema"
"""Footer entry by which Arrow keeps the schema of a table: metadata of fields and time zones."""


@dataclass(frozen=True, slots=True)
class Partition:
    """One version of a month's object on local disk: the slices it holds, oldest first, and its rows."""

    path: LakePath
    file: Path
    ledger: tuple[LedgerEntry, ...]

    def tables(self, columns: Collection[str] | None = None) -> Iterator[pa.Table]:
        """Yield the rows, one row group with rows at a time, or some of their columns, as far as there are such.

        Text that many rows share is dictionary-encoded then.
        """
        with pq.ParquetFile(self.file) as file:
            schema, metadata = file.schema_arrow, file.metadata
        names = None if columns is None else [name for name in schema.names if name in columns]
        shared = [name for name in names or () if name in SHARED and pa.types.is_string(schema.field(name).type)]
        with pq.ParquetFile(self.file, metadata=metadata, read_dictionary=shared) as file:
            filled = [number for number in range(file.num_row_groups) if metadata.row_group(number).num_rows]
            for number in filled:
                with parsing(self.path):
                    rows = file.read_row_group(number, columns=names, use_threads=False)
                yield rows
                del rows
                release_unused()

    def placed(self, columns: Collection[str]) -> Iterator[pa.Table]:
        """Yield what `tables` yields; raises `DamagedObjectError` if a row does not tell its team or its period.

        No owner can be found for it, and only another program leaves such rows.
        """
        for rows in self.tables(columns):
            for name in sorted(_PLACED_BY.intersection(columns)):
                if name not in rows.schema.names or rows[name].null_count:
                    raise damaged_object(self.path, ValueError(f"it has rows without {name}"))
            yield rows

    def require_castable(self, schema: pa.Schema) -> None:
        """Raise `SchemaError` if a value does not fit the type of its column, because a retype was interrupted."""
        if conflicting(pq.read_schema(self.file), schema):
            for rows in self.tables():
                require_castable(rows, schema, self.path.parent.parent.name)


class Content(Protocol):
    """New content of a month."""

    @property
    def ledger(self) -> Sequence[LedgerEntry]:
        """Return its ledger, oldest first."""

    def pieces(self) -> Iterable[pa.Table]:
        """Yield its rows, once, in their order."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """Content of a month as it is, in the columns of a newer schema."""

    partition: Partition
    schema: pa.Schema

    @property
    def ledger(self) -> Sequence[LedgerEntry]:
        """Return the ledger as it is."""
        return self.partition.ledger

    def pieces(self) -> Iterator[pa.Table]:
        """Yield the rows in their order."""
        return (cast_to_schema(table, self.schema) for table in self.partition.tables())


@dataclass(slots=True)
class Snapshot:
    """One version of a table: its schema, and of each month the ledger and the rows, read when first asked for."""

    folder: LakePath
    months: tuple[date, ...]
    """Months that exist, in order."""
    schema: TableSchema
    """Empty if the table does not exist."""
    schema_version: str
    holds_teams: bool
    """True if it is a table of teams, which cannot hold figures too."""
    damaged: dict[date, DamagedObjectError] = field(default_factory=dict)
    """Months read so far whose objects cannot be parsed."""
    _footers: dict[date, Footer] = field(default_factory=dict)
    _versions: dict[date, str] = field(default_factory=dict)

    def footers(self, wanted: Iterable[date]) -> Mapping[date, Footer]:
        """Return ledger and columns of some months without their rows, empty where one is missing or damaged."""
        wanted = list(wanted)
        unread = [month for month in wanted if month not in self._footers and month in self.months]
        self._footers |= read_footers(self.folder, unread, damaged=self.damaged)
        return {month: self._footers.get(month, NO_FOOTER) for month in wanted}

    def ledger(self, month: date) -> tuple[LedgerEntry, ...]:
        """Return the ledger of a month; empty if there is no such month."""
        return self.footers([month])[month].ledger

    def rows(self, month: date, scratch: Path) -> Partition | None:
        """Fetch the rows of a month with their ledger; None if there is no such month.

        Raises `ConflictError` if another writer has put the month since its ledger or the schema was read.
        """
        path = object_path(self.folder, month)
        fetched = fetch(path, scratch / "before")
        self._versions[month] = fetched.version
        known, footer = self.footers([month])[month], NO_FOOTER
        if fetched.file is not None:
            with parsing(path), pq.ParquetFile(fetched.file) as file:
                footer = footer_of(file, known)
        if footer.ledger != known.ledger or is_newer(footer.schema, self.schema):
            msg = f"{path} was changed by another writer since this publisher read the table"
            raise ConflictError(msg)
        if fetched.file is None:
            return None
        with parsing(path):
            return Partition(path, fetched.file, _upgraded(footer.ledger, fetched.file))

    def version(self, month: date) -> str:
        """Return the version of a month's object that `rows` fetched."""
        return self._versions[month]


def snapshot(folder: LakePath) -> Snapshot:
    """Return the current version of a table. Months are read before the schema, which is put before data needs it."""
    listed = names(folder)
    schema, version = fetch_schema(folder)
    return Snapshot(folder, tuple(months_among(listed)), schema, version, holds_teams=DATA in listed)


def commit(
    before: Snapshot,
    changes: Iterable[tuple[date, Content]],
    schema: TableSchema,
    *,
    damaged: dict[date, DamagedObjectError] | None = None,
) -> list[date]:
    """Put the schema if it differs from the snapshot's, then each changed month, rows and ledger in one atomic put.

    Return the months put. `changes` is consumed month by month, so that a month may be merged just before its put. With
    `damaged`, a month whose stored rows cannot be parsed is put there and stays as it is; otherwise it is an error.
    Raises `ConflictError` if somebody committed since the snapshot was taken. The months before the one in conflict are
    put then: plan again from a new snapshot.
    """
    if schema != before.schema:
        put_schema(before.folder, schema, if_match=before.schema_version)
    if before.schema.format != schema.format:
        remove_each([before.folder / name for name in OLD_NAMES])
    done = []
    for month, content in changes:
        with scratch_folder() as scratch:
            try:
                put_month(before.folder, month, content, schema=schema, if_match=before.version(month), scratch=scratch)
            except DamagedObjectError as error:
                if damaged is None:
                    raise
                damaged[month] = error
            else:
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

    Every month has the types of the table; a column that a month lacks is null there. A column without any value yet
    is text. The column `month` (string,
    `2026-01`) is the partition. A table of teams has no months, and all its rows are returned. `columns` selects and
    orders. Raises `UnknownTableError`, which names the existing
    tables, or `UnknownColumnError`.
    """
    root = lake_path(lake)
    folder = table_folder(root, table)
    try:
        known = known_table(root, table)
    except UnknownTableError:
        teams = read_teams(root, table)
        if teams is None:
            raise
        return _selected(teams, table, columns)
    schema = arrow_schema(known, known.ordered()).append(pa.field("month", pa.string()))
    _selected(empty_table(schema), table, columns)
    parts = [empty_table(schema)]
    for month in months(folder):
        if (end and month > end) or (start and next_month(month) <= start):
            continue
        path = object_path(folder, month)
        rows = read(path, partial(_rows_of, path))
        if rows is not None:
            name = to_scalar(f"{month:%Y-%m}", pa.string())
            parts.append(cast_to_schema(rows.append_column("month", pa.repeat(name, len(rows))), schema))
    found = pa.concat_tables(parts)
    if start:
        found = found.filter(pc.greater_equal(found["start_date"], to_scalar(start, pa.date32())))
    if end:
        found = found.filter(pc.less_equal(found["start_date"], to_scalar(end, pa.date32())))
    return _selected(found, table, columns)


def _rows_of(path: LakePath, data: BinaryIO) -> pa.Table:
    with parsing(path):
        return read_rows(data)


def _selected(rows: pa.Table, table: str, columns: Sequence[str] | None) -> pa.Table:
    """Return some columns, or all of them. Raises `UnknownColumnError`."""
    unknown = [name for name in columns or () if name not in rows.schema.names]
    if unknown:
        msg = f"table {table} has no column {', '.join(unknown)}; it has {', '.join(rows.schema.names)}"
        raise UnknownColumnError(msg)
    return rows.select(columns) if columns else rows


def put_month(
    folder: LakePath, month: date, content: Content, *, schema: TableSchema, if_match: str, scratch: Path
) -> None:
    """Put rows, in their order, and ledger in one atomic put.

    Raises `ConflictError` if the month no longer has the version `if_match`.
    """
    file, target = scratch / "after", arrow_schema(schema)
    groups = by_bytes(content.pieces())
    first = next(groups, empty_table(target))
    # Text may come dictionary-encoded, which saves half of the work. The schema that readers go by says plain text.
    told = {_ARROW_SCHEMA: base64.b64encode(target.serialize())}
    options: dict[str, Any] = {"compression": "zstd", "dictionary_pagesize_limit": DICTIONARY_BYTES}
    with pq.ParquetWriter(file, first.schema, store_schema=False, **options) as writer:
        _write_groups(writer, chain([first] if len(first) else [], groups))
        writer.add_key_value_metadata(told | footer_entries(content.ledger, schema))
    put(object_path(folder, month), file, if_match=if_match)


def _write_groups(writer: pq.ParquetWriter, groups: Iterable[pa.Table]) -> None:
    """Write row groups. One is compressed while the next is merged, which takes about as long."""

    def write(group: pa.Table) -> None:
        writer.write_table(group.unify_dictionaries(), row_group_size=max(1, len(group)))
        release_unused()

    with ThreadPoolExecutor(1, thread_name_prefix="sei-lake-write") as packing:
        packed: Future[None] | None = None
        for group in groups:
            if packed:
                packed.result()
            packed = packing.submit(write, group)
        if packed:
            packed.result()


def _upgraded(ledger: tuple[LedgerEntry, ...], file: Path) -> tuple[LedgerEntry, ...]:
    """Return the ledger with runs, times of staging and parents, which 751f940 recorded in the rows alone.

    An entry without rows left has none of its own to tell; a team's parent is told by the rows of any entry.
    """
    if all(entry.staged_at for entry in ledger):
        return ledger
    rows = read_rows(file, [*LINEAGE, "team", "team_hierarchy"])
    known: dict[tuple[str, str], tuple[set[str], datetime]] = {}
    for scope, export_id, staged_at, run in _distinct(rows, LINEAGE):
        runs, _ = known.get((scope, export_id), (set(), staged_at))
        known[scope, export_id] = {*runs, run}, staged_at
    parents = parents_of(_distinct(rows, ("team", "team_hierarchy")))
    return tuple(entry if entry.staged_at else _of_751f940(entry, known, parents) for entry in ledger)


def _of_751f940(
    entry: LedgerEntry,
    known: Mapping[tuple[str, str], tuple[set[str], datetime]],
    parents: frozenset[tuple[str, str]],
) -> LedgerEntry:
    runs, staged_at = known.get((entry.scope, entry.export_id), (set(), None))
    told = entry.parents | {(path, parent) for path, parent in parents if path in entry.teams}
    return replace(entry, runs=entry.runs | runs, staged_at=staged_at, parents=told)


def _distinct(rows: pa.Table, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    return iter(factorize(rows, names)[1])
