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
from sei_provider.lake.staging.pii import may_name_person

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
BATCH_CHARACTERS = 4 << 20
"""Rows wait in memory until they are this many, or have this many characters."""


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
        self._waiting_characters = 0
        self._writer = pq.ParquetWriter(file, SCHEMA, compression="zstd")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def add(self, record: Record, fault: CsvError) -> None:
        """Keep one row."""
        row = _put_aside(record, fault, self._columns, self._mask, self._people)
        self._waiting.append(row)
        self._waiting_characters += sum(len(value) for value in row.values() if isinstance(value, str))
        self.count += 1
        self.last = fault
        if len(self._waiting) == BATCH_ROWS or self._waiting_characters >= BATCH_CHARACTERS:
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
            self._waiting_characters = 0


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
    if len(cells) == len(columns) and (keeps_people or _cells_are_in_place(record, cells, columns, people)):
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


def _cells_are_in_place(
    record: Record, cells: Sequence[str], columns: Sequence[Column], people: frozenset[str]
) -> bool:
    """Return whether nothing of a person seems to stand outside the columns that name one."""
    return record.stray_quote is None and not any(
        may_name_person(cell, has_people=column.type in ("float64", "date32"))
        for cell, column in zip(cells, columns, strict=True)
        if column.name not in people
    )


def _readable(cells: Sequence[str]) -> Iterator[str]:
    for cell in cells:
        yield cell.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
