"""Parquet files whose row groups hold rows of one month each, so that publish reads those of the month in hand only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sei_provider.lake.arrow_values import to_scalar
from sei_provider.lake.staging.staged_file import DICTIONARY_BYTES, row_group_bytes

Month: TypeAlias = date | None
"""First day of a month; None for rows without a first day."""

_1, _12 = (to_scalar(number, pa.int64()) for number in (1, 12))
_FEW_BYTES = 64 << 10
ALONE_BYTES = 64 * (1 << 20) // 25
"""Size in memory from which a slice is a file of its own: a chunk of 25 smaller ones has 64 MB at most."""


def parquet_writer(file: Path, schema: pa.Schema, size: int) -> pq.ParquetWriter:
    """Open a staged file for about `size` bytes of rows."""
    # Compressing a few rows saves almost nothing and doubles the time to open the file; there may be thousands.
    packed = size > _FEW_BYTES
    # The month of a row group is told by the statistics of its first days; nothing else is looked up by statistics. A
    # stored Arrow schema would say what Parquet's own types say already.
    return pq.ParquetWriter(
        file,
        schema,
        dictionary_pagesize_limit=DICTIONARY_BYTES,
        compression="zstd" if packed else "none",
        use_dictionary=packed,
        write_statistics=["start_date"],
        store_schema=False,
    )


def by_month(rows: pa.Table) -> Iterator[tuple[Month, pa.Table]]:
    """Split rows by the month of their first day, months in order. A part does not keep the memory of the others."""
    days = rows["start_date"].combine_chunks()
    months = pc.add(pc.multiply(pc.year(days), _12), pc.subtract(pc.month(days), _1))
    counts = {count["values"]: count["counts"] for count in pc.value_counts(months).to_pylist()}
    order, first = pc.sort_indices(months), 0  # stable, null last
    for number in sorted(counts, key=lambda number: (number is None, number)):
        month = None if number is None else date(number // 12, number % 12 + 1, 1)
        yield month, rows if len(counts) == 1 else rows.take(order.slice(first, counts[number]))
        first += counts[number]


class MonthWriter:
    """Rows of one slice, kept in memory by month until they are many, then written to a file as they come."""

    def __init__(self, file: Path, schema: pa.Schema) -> None:
        self._file, self._schema = file, schema
        self._waiting: dict[Month, list[pa.Table]] = {}
        self._sizes: dict[Month, int] = {}
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _where: TracebackType | None
    ) -> None:
        if self._writer:
            self._writer.close()

    @property
    def is_large(self) -> bool:
        """Return whether rows were written to the file."""
        return self._writer is not None

    def add(self, rows: pa.Table) -> None:
        """Add rows of any months."""
        for month, part in by_month(rows):
            self._waiting.setdefault(month, []).append(part)
            self._sizes[month] = self._sizes.get(month, 0) + part.nbytes
        size = sum(self._sizes.values())
        if self._writer is None and size > ALONE_BYTES:
            self._writer = parquet_writer(self._file, self._schema, size)
        if self._writer:
            full = row_group_bytes(len(self._schema))
            for month in [month for month, size in self._sizes.items() if size >= full]:
                self._write(month)
            # A few bytes of each of many months take as much memory as many bytes of one.
            while sum(self._sizes.values()) >= 2 * full:
                self._write(max(self._sizes, key=lambda month: self._sizes[month]))

    def kept(self) -> Mapping[Month, Sequence[pa.Table]]:
        """Return the rows that are in memory, by month in order."""
        return {month: self._waiting[month] for month in sorted(self._waiting, key=month_order)}

    def finish(self, footer: Mapping[str, str]) -> None:
        """Write the rest of a large slice, and the footer."""
        for month in sorted(self._waiting, key=month_order):
            self._write(month)
        if self._writer:
            self._writer.add_key_value_metadata(footer)

    def _write(self, month: Month) -> None:
        rows = pa.concat_tables(self._waiting.pop(month))
        del self._sizes[month]
        if self._writer:
            self._writer.write_table(rows, row_group_size=len(rows))


def month_order(month: Month) -> date:
    """Return a key that sorts months, rows without one last."""
    return month or date.max
