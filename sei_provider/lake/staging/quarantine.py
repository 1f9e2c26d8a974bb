"""Rows that do not fit, put aside with the place and the reason, so that the others can be taken.

Knows the CSV and its columns, not the tables. Read what was put aside with any Parquet reader.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from sei_provider.lake.columns import Column, personal_columns
from sei_provider.lake.errors import CsvError
from sei_provider.lake.model import Slice
from sei_provider.lake.staging.csv_records import Record

SCHEMA = pa.schema(
    [
        pa.field("line", pa.int64()),  # of the CSV, the header's first is 1
        pa.field("column", pa.string()),  # the lake's name; null if the row as a whole does not fit
        pa.field("text", pa.string()),  # the cell; null if the column names a person
        pa.field("reason", pa.string()),
        pa.field("row", pa.string()),  # JSON, {SEI's header: cell}; a list of cells if they are not as many as headers
        pa.field("scope", pa.string()),
        pa.field("export_id", pa.string()),
    ]
)

BATCH_ROWS = 10_000


class Quarantine:
    """The rows of one export that do not fit, as a Parquet file.

    `mask` returns the text that may be kept of a cell, by its column and text.
    """

    def __init__(
        self,
        file: Path,
        columns: Sequence[Column],
        slice_: Slice,
        export_id: str,
        mask: Callable[[str, str], str | None],
    ) -> None:
        self.count = 0
        self.last: CsvError | None = None
        """The fault of the last row."""
        self._columns = columns
        self._slice = slice_
        self._export_id = export_id
        self._mask = mask
        self._people = personal_columns(slice_.report)
        self._waiting: list[Mapping[str, object]] = []
        self._writer = pq.ParquetWriter(file, SCHEMA, compression="zstd")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def add(self, record: Record, fault: CsvError) -> None:
        """Keep one row."""
        self._waiting.append(_put_aside(record, fault, self._columns, self._mask, self._people))
        self.count += 1
        self.last = fault
        if len(self._waiting) == BATCH_ROWS:
            self._flush()

    def close(self) -> None:
        """Finish the file; a second call does nothing."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._waiting:
            lineage = {"scope": self._slice.scope, "export_id": self._export_id}
            self._writer.write_table(pa.Table.from_pylist([{**row, **lineage} for row in self._waiting], SCHEMA))
            self._waiting = []


def _put_aside(
    record: Record,
    fault: CsvError,
    columns: Sequence[Column],
    mask: Callable[[str, str], str | None],
    people: frozenset[str],
) -> Mapping[str, object]:
    cells = list(_readable(record.cells))
    row: object = None
    text = None
    keeps_people = all(mask(name, "x") == "x" for name in people.intersection(column.name for column in columns))
    if len(cells) == len(columns) and (keeps_people or record.stray_quote is None):
        by_name = {column.name: mask(column.name, cell) for column, cell in zip(columns, cells, strict=True)}
        row = {column.header: by_name[column.name] for column in columns}
        text = by_name[fault.column] if fault.column and fault.column not in people else None
    elif keeps_people:
        row = cells
    # Otherwise the row's cells may stand in other columns than their own, so any of them may be a person's.
    return {
        "line": fault.line,
        "column": fault.column,
        "text": text,
        "reason": str(fault),  # no error shows a person
        "row": None if row is None else json.dumps(row, ensure_ascii=False),
    }


def _readable(cells: Sequence[str]) -> Iterator[str]:
    for cell in cells:
        yield cell.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
