"""Chunks: several small slices of one task in one staged file (DESIGN, decision 13).

Rows lie by month and, within a month, by slice. Row groups are cut at months, and at slices where these are not tiny: a
row group of a few rows costs more than the rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sei_provider.lake.arrow_values import empty_table
from sei_provider.lake.bounds import MAX_FOOTER_BYTES
from sei_provider.lake.staging.manifests import STAGED_FORMAT
from sei_provider.lake.staging.month_writer import Month, by_month, month_order, parquet_writer
from sei_provider.lake.staging.staged_footer import (
    CHUNK_KEY,
    COLUMNS_KEY,
    PATHS_KEY,
    PERIODS_KEY,
    SLICE_KEY,
    SPRINTS_KEY,
)
from sei_provider.lake.staging.staged_writer import StagedRows

CHUNK_SLICES = 25
"""Slices of a chunk, at most."""
_CUT_BYTES = 256 << 10
"""Size in memory from which a row group ends with a slice."""


def gather(slices: Iterable[StagedRows]) -> list[list[int]]:
    """Return the numbers of the slices that share a file.

    A large slice has a file of its own. So have slices whose columns differ in a type, or are mostly others.
    """
    found: list[_Chunk] = []
    for number, rows in enumerate(slices):
        chunk = next((chunk for chunk in found if chunk.takes(rows)), None)
        if chunk is None:
            chunk = _Chunk()
            found.append(chunk)
        chunk.add(number, rows)
    return [chunk.numbers for chunk in found]


def write_chunk(file: Path, slices: Sequence[StagedRows]) -> list[list[int]]:
    """Write a file of several slices, and return the row groups that hold rows of each."""
    schema = pa.unify_schemas([rows.schema for rows in slices])
    ranges: list[list[tuple[int, int]]] = [[] for _ in slices]
    groups: list[list[int]] = [[] for _ in slices]
    with parquet_writer(file, schema, sum(rows.size for rows in slices)) as writer:
        group = written = size = 0
        waiting: list[pa.Table] = []
        for month in sorted({month for rows in slices for month in rows.months}, key=month_order):
            in_month = [number for number, rows in enumerate(slices) if rows.months.get(month)]
            for number in in_month:
                rows = pa.concat_tables(slices[number].months[month])
                ranges[number].append((written, len(rows)))
                groups[number].append(group)
                waiting.append(_completed(rows, schema))
                written, size = written + len(rows), size + rows.nbytes
                if size >= _CUT_BYTES or number == in_month[-1]:
                    table = pa.concat_tables(waiting)
                    writer.write_table(table, row_group_size=len(table))
                    group, waiting, size = group + 1, [], 0
        writer.add_key_value_metadata({CHUNK_KEY.decode(): _footer(slices, ranges)})
    return groups


def read_chunk(file: Path) -> list[StagedRows]:
    """Read all slices of a chunk."""
    with pq.ParquetFile(file) as data:
        chunk = json.loads(data.metadata.metadata[CHUNK_KEY])
        rows = data.read() if data.num_row_groups else empty_table(data.schema_arrow)
    found = []
    for one in chunk["slices"]:
        columns = chunk["columns"][one["columns"]]
        own = rows.replace_schema_metadata().select([column[0] for column in columns])
        months: dict[Month, list[pa.Table]] = {}
        for first, count in one["rows"]:
            for month, part in by_month(own.slice(first, count)):
                months.setdefault(month, []).append(part)
        entries = {
            key: one[key.decode()] for key in (SLICE_KEY, PATHS_KEY, PERIODS_KEY, SPRINTS_KEY) if key.decode() in one
        }
        found.append(StagedRows.of(entries | {COLUMNS_KEY: columns}, own.schema, months))
    return found


class _Chunk:
    def __init__(self) -> None:
        self.numbers: list[int] = []
        self._types: dict[str, pa.DataType] = {}
        self._footer_bytes = 0
        self._is_large = False

    def takes(self, rows: StagedRows) -> bool:
        """Return whether a slice may join those that are here."""
        names = rows.schema.names
        together = len({*self._types, *names})
        return (
            rows.file is None
            and not self._is_large
            and len(self.numbers) < CHUNK_SLICES
            and self._footer_bytes + rows.footer_bytes <= MAX_FOOTER_BYTES
            and together <= 2 * min(len(self._types), len(names))
            and all(self._types.get(field.name, field.type) == field.type for field in rows.schema)
        )

    def add(self, number: int, rows: StagedRows) -> None:
        self.numbers.append(number)
        self._types |= dict(zip(rows.schema.names, rows.schema.types, strict=True))
        self._footer_bytes += rows.footer_bytes
        self._is_large = rows.file is not None


def _completed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return rows with the columns of the chunk, null where a slice has none of that name."""
    if table.schema.equals(schema):
        return table
    there = dict(zip(table.schema.names, table.columns, strict=True))
    arrays = [there.get(field.name, pa.nulls(len(table), field.type)) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _footer(slices: Sequence[StagedRows], ranges: Sequence[Sequence[tuple[int, int]]]) -> str:
    columns: dict[str, int] = {}
    described: list[Mapping[str, Any]] = []
    for rows, lie in zip(slices, ranges, strict=True):
        entries = {key.decode(): value for key, value in rows.entries.items() if key != COLUMNS_KEY}
        number = columns.setdefault(json.dumps(rows.entries[COLUMNS_KEY]), len(columns))
        described.append({**entries, "columns": number, "rows": lie})
    chunk = {"format": STAGED_FORMAT, "columns": [json.loads(each) for each in columns], "slices": described}
    return json.dumps(chunk)
