"""Writer of staged files: typed batches, completed by the columns that every row has, and the footer beside them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sei_provider.lake.bounds import MAX_FOOTER_BYTES, MAX_HIERARCHY_CHARS, MAX_HIERARCHY_LEVELS
from sei_provider.lake.columns import LABELLED, Column, arrow_type
from sei_provider.lake.errors import TooManyError
from sei_provider.lake.model import Slice
from sei_provider.lake.periods import sprint_name
from sei_provider.lake.staging.period_labels import PeriodLabels
from sei_provider.lake.staging.staged_file import (
    COLUMNS_KEY,
    DICTIONARY_BYTES,
    PATHS_KEY,
    PERIODS_KEY,
    SLICE_KEY,
    SPRINTS_KEY,
    by_bytes,
)
from sei_provider.lake.staging.team_rows import TeamRows

_FEW_BYTES = 64 << 10


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
    path = pc.binary_join_element_wise(pa.scalar(root), team, "")
    arrays["team_hierarchy"] = pc.coalesce(arrays["team_hierarchy"], path) if "team_hierarchy" in arrays else path
    if slice_.report in LABELLED:
        arrays |= labels.dates(arrays)
    elif slice_.dates_rows:
        arrays |= _dates(arrays, slice_)
    arrays.setdefault("end_date", pa.nulls(len(team), pa.date32()))
    return pa.Table.from_arrays([arrays[name] for name in schema.names], schema=schema)


def _dates(arrays: Mapping[str, pa.Array], slice_: Slice) -> dict[str, pa.Array]:
    """Return the date columns of a batch, in which rows without a first day have the range of the request."""
    start, end = (pa.repeat(pa.scalar(day, pa.date32()), len(arrays["team"])) for day in slice_.range.values())
    if slice_.replace_exact_range:
        return {"start_date": start, "end_date": end}
    none = pa.nulls(len(start), pa.date32())
    starts, ends = arrays.get("start_date", none), arrays.get("end_date", none)
    return {
        "start_date": pc.coalesce(starts, start),
        "end_date": pc.if_else(pc.is_null(starts), pc.coalesce(ends, end), ends),
    }


def write_staged(
    file: Path,
    columns: Sequence[Column],
    batches: Iterable[pa.RecordBatch],
    slice_: Slice,
    export: Mapping[str, Any],
    root: str,
) -> int:
    """Write the rows of one export with their footer, and return how many these are.

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
    first = next(groups, schema.empty_table())
    # Compressing a few rows saves almost nothing and doubles the time to open the file; there may be thousands.
    packed = first.nbytes > _FEW_BYTES
    options = {"compression": "zstd" if packed else "none", "use_dictionary": packed}
    # No reader filters by the statistics, and Parquet's types already say what a stored Arrow schema would.
    options |= {"write_statistics": False, "store_schema": False}
    with (
        pq.ParquetWriter(file, schema, dictionary_pagesize_limit=DICTIONARY_BYTES, **options) as writer,
        ThreadPoolExecutor(1) as packing,
    ):

        def pack(table: pa.Table) -> None:
            team_rows.add(table)
            writer.write_table(table, row_group_size=len(table))
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
        for table in chain([first], groups) if len(first) else ():
            rows += len(table)
            if packed_before:
                packed_before.result()
            packed_before = packing.submit(pack, table)
        if packed_before:
            packed_before.result()
        team_rows.check()
        footer = {
            SLICE_KEY: {**slice_.to_json(), **export},
            COLUMNS_KEY: [
                (column.name, column.header, column.type, column.hashed, column.is_named) for column in columns
            ],
            PATHS_KEY: sorted(paths.found),
            PERIODS_KEY: sorted(periods.found, key=str),
        }
        if slice_.granularity == "sprint":
            footer[SPRINTS_KEY] = sorted(
                (path, sprint_name(name[0] if name else None, date.fromisoformat(str(start))), start, end)
                for path, *name, start, end in sprints.found
            )
        entries = {key: json.dumps(value) for key, value in footer.items()}
        if (size := sum(map(len, entries.values()))) > MAX_FOOTER_BYTES:
            raise _too_many(len(paths.found), size)
        writer.add_key_value_metadata(entries)
    return rows


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
    found = table.select(names).group_by(names).aggregate([])
    columns = (found[name].cast(pa.string()).to_pylist() for name in names)
    return set(zip(*columns, strict=True))
