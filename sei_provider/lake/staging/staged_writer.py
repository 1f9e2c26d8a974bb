"""Rows of one export: typed batches, completed by the columns that every staged row has, with their footer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sei_provider.lake.arrow_values import EMPTY_TEXT, to_scalar
from sei_provider.lake.bounds import MAX_FOOTER_BYTES, MAX_HIERARCHY_CHARS, MAX_HIERARCHY_LEVELS
from sei_provider.lake.columns import LABELLED, Column, arrow_type
from sei_provider.lake.distinct import distinct
from sei_provider.lake.errors import TooManyError
from sei_provider.lake.model import Slice
from sei_provider.lake.periods import sprint_name
from sei_provider.lake.staging.month_writer import Month, MonthWriter, parquet_writer
from sei_provider.lake.staging.period_labels import PeriodLabels
from sei_provider.lake.staging.staged_file import by_bytes
from sei_provider.lake.staging.staged_footer import COLUMNS_KEY, PATHS_KEY, PERIODS_KEY, SLICE_KEY, SPRINTS_KEY
from sei_provider.lake.staging.team_rows import TeamRows

_SMALL_BYTES = 256 << 10
"""Size in memory below which a row group is packed at once, because a thread takes longer: nearly always the only one.
"""


def with_added(columns: Sequence[Column]) -> list[Column]:
    """Add the columns that every staged row has, also if SEI does not send them."""
    columns = list(columns)
    for name, kind in (("team_hierarchy", "string"), ("start_date", "date32"), ("end_date", "date32")):
        if all(column.name != name for column in columns):
            columns.append(Column(name, "", kind))  # type: ignore[arg-type]  # both are column types
    return columns


def _completed(batch: pa.RecordBatch, schema: pa.Schema, slice_: Slice, root: str, labels: PeriodLabels) -> pa.Table:
    arrays = {name: batch[name] for name in batch.schema.names}
    team = arrays["team"]
    # The owner rule needs a path in every row. Without any hierarchy the scope is the root, because teams of two scopes
    # may have one name; beside rows with a hierarchy, a team without one is a root itself.
    path = pc.binary_join_element_wise(to_scalar(root, pa.string()), team, EMPTY_TEXT)
    arrays["team_hierarchy"] = pc.coalesce(arrays["team_hierarchy"], path) if "team_hierarchy" in arrays else path
    if slice_.report in LABELLED:
        arrays |= labels.dates(arrays)
    elif slice_.dates_rows:
        arrays |= _dates(arrays, slice_)
    arrays.setdefault("end_date", pa.nulls(len(team), pa.date32()))
    return pa.Table.from_arrays([arrays[name] for name in schema.names], schema=schema)


def _dates(arrays: Mapping[str, pa.Array], slice_: Slice) -> dict[str, pa.Array]:
    """Return the date columns of a batch, in which rows without a first day have the range of the request."""
    start, end = (pa.repeat(to_scalar(day, pa.date32()), len(arrays["team"])) for day in slice_.range.values())
    if slice_.replace_exact_range:
        return {"start_date": start, "end_date": end}
    none = pa.nulls(len(start), pa.date32())
    starts, ends = arrays.get("start_date", none), arrays.get("end_date", none)
    return {
        "start_date": pc.coalesce(starts, start),
        "end_date": pc.if_else(pc.is_null(starts), pc.coalesce(ends, end), ends),
    }


@dataclass(frozen=True)
class StagedRows:
    """The typed rows of one slice, with their footer: in memory if these are few, otherwise in a file of their own."""

    entries: Mapping[bytes, Any]
    """Footer entries as JSON values."""
    schema: pa.Schema
    rows: int
    months: Mapping[Month, Sequence[pa.Table]]
    """Rows by month, of a slice that is in memory."""
    size: int
    """Bytes of these rows in memory."""
    file: Path | None

    @classmethod
    def of(
        cls, entries: Mapping[bytes, Any], schema: pa.Schema, months: Mapping[Month, Sequence[pa.Table]]
    ) -> StagedRows:
        """Return rows that are in memory, by month in order."""
        there = {month: tables for month, tables in months.items() if sum(map(len, tables))}
        tables = [table for of_month in there.values() for table in of_month]
        size = sum(table.nbytes for table in tables)
        return cls(entries, schema, sum(map(len, tables)), there, size, None)

    @property
    def footer(self) -> Mapping[str, str]:
        """Return the footer of a file that holds this slice alone."""
        return {key.decode(): json.dumps(value) for key, value in self.entries.items()}

    @cached_property
    def footer_bytes(self) -> int:
        """Return the size of its footer."""
        return sum(map(len, self.footer.values()))

    def write(self, file: Path) -> None:
        """Write a file of this slice alone."""
        with parquet_writer(file, self.schema, self.size) as writer:
            for tables in self.months.values():
                rows = pa.concat_tables(tables)
                writer.write_table(rows, row_group_size=len(rows))
            writer.add_key_value_metadata(self.footer)


def read_rows(
    file: Path,
    columns: Sequence[Column],
    batches: Iterable[pa.RecordBatch],
    slice_: Slice,
    export: Mapping[str, Any],
    root: str,
) -> StagedRows:
    """Read the rows of one export; those of a large one are written to `file` as they come, with their footer.

    Raises `CsvError` if rows are of another level than requested, `TooManyError` if the footer would be too large or a
    hierarchy is too deep or too long.
    """
    rows = 0
    team_rows = TeamRows(slice_)
    schema = pa.schema([(column.name, arrow_type(column)) for column in columns])
    paths, periods, sprints = _Names(), _Names(), _Names()
    period_columns = ["start_date"]
    if slice_.granularity == "sprint":
        period_columns = [name for name in ("team_hierarchy", "start_date", "sprint") if name in schema.names]
    labels = PeriodLabels(slice_)
    groups = by_bytes(_completed(batch, schema, slice_, root, labels) for batch in batches)
    with MonthWriter(file, schema) as writer, ThreadPoolExecutor(1) as packing:

        def pack(table: pa.Table) -> None:
            team_rows.add(table)
            writer.add(table)
            paths.add(_distinct(table, ["team", "team_hierarchy"]))
            _check_hierarchies(table["team_hierarchy"])
            periods.add(_distinct(table, period_columns))
            if slice_.granularity == "sprint":
                found = _distinct(table, [*period_columns, "end_date"])
                sprints.add({(path, *name, start, end) for path, start, *name, end in found if end})
            if (size := paths.size + periods.size + sprints.size) > MAX_FOOTER_BYTES:
                raise _too_many(len(paths.found), size)
            pa.default_memory_pool().release_unused()  # memory that this thread freed but kept: a tenth of the peak

        # One row group is compressed while the next is read: both take about the same time.
        packed_before: Future[None] | None = None
        for table in groups:
            if not len(table):
                continue
            rows += len(table)
            if packed_before:
                packed_before.result()
            if table.nbytes < _SMALL_BYTES:
                pack(table)
            else:
                packed_before = packing.submit(pack, table)
        if packed_before:
            packed_before.result()
        team_rows.check()
        entries: dict[bytes, Any] = {
            SLICE_KEY: {**slice_.to_json(), **export},
            COLUMNS_KEY: [
                (column.name, column.header, column.type, column.hashed, column.is_named) for column in columns
            ],
            PATHS_KEY: sorted(paths.found),
            PERIODS_KEY: sorted(periods.found, key=str),
        }
        if slice_.granularity == "sprint":
            entries[SPRINTS_KEY] = sorted(
                (path, sprint_name(name[0] if name else None, date.fromisoformat(str(start))), start, end)
                for path, *name, start, end in sprints.found
            )
        if writer.is_large:
            found = StagedRows(entries, schema, rows, {}, 0, file)
        else:
            found = StagedRows.of(entries, schema, writer.kept())
        if (size := found.footer_bytes) > MAX_FOOTER_BYTES:
            raise _too_many(len(paths.found), size)
        if writer.is_large:
            writer.finish(found.footer)
    return found


class _Names:
    """Distinct names of rows, and how many characters they have."""

    def __init__(self) -> None:
        self.found: set[tuple[str | None, ...]] = set()
        self.size = 0

    def add(self, found: set[tuple[str | None, ...]]) -> None:
        new = found - self.found
        self.found |= new
        self.size += sum(len(name) for names in new for name in names if name)


def _check_hierarchies(paths: pa.ChunkedArray) -> None:
    levels = pc.max(pc.count_substring(paths, "/")).as_py()
    longest = pc.max(pc.utf8_length(paths)).as_py()
    if (levels or 0) > MAX_HIERARCHY_LEVELS or (longest or 0) > MAX_HIERARCHY_CHARS:
        msg = (
            f"a team's hierarchy has {levels:,} slashes and {longest:,} characters at most, and the lake takes "
            f"{MAX_HIERARCHY_LEVELS:,} and {MAX_HIERARCHY_CHARS:,}: SEI's org tree is not what it should be"
        )
        raise TooManyError(msg)


def _too_many(teams: int, size: int) -> TooManyError:
    msg = (
        f"the export names {teams:,} teams, whose paths and periods take {size >> 20} MB, and the lake "
        f"takes {MAX_FOOTER_BYTES >> 20} MB of one export: request child teams, or a shorter range"
    )
    return TooManyError(msg)


def _distinct(table: pa.Table, names: Sequence[str]) -> set[tuple[Any, ...]]:
    _, found = distinct(table, names)
    return set(zip(*(column.cast(pa.string()).to_pylist() for column in found.columns), strict=True))
