"""Rows that do not fit, put aside with the place and the reason, so that the others can be taken.

Knows the CSV and its columns, not the tables. Read what was put aside with any Parquet reader.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sei_provider.lake.columns import Column, personal_columns
from sei_provider.lake.errors import CsvError
from sei_provider.lake.model import Slice
from sei_provider.lake.staging.csv_reader import BLOCK, Header
from sei_provider.lake.staging.csv_stream import Download, text_lines
from sei_provider.lake.staging.csv_validation import Record, examine

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


def sift(
    source: Download,
    header: Header,
    slice_: Slice,
    export_id: str,
    *,
    mask: Callable[[str, str], str | None],
    good: Path,
    bad: Path,
) -> int:
    """Write the rows that fit as a CSV to `good`, the others as Parquet to `bad`; give how many those are.

    `mask` gives the text that may be kept of a cell, by its column and text. Raises `CsvError` if no row fits,
    since an export without rows would clear what the table holds, or where a quote is not closed, since nobody
    knows then what a row is.
    """
    kept = 0
    waiting: list[Mapping[str, object]] = []
    aside = 0
    people = personal_columns(slice_.report)
    with (
        source.open() as body,
        good.open("w", encoding="utf-8", newline="") as fitting,
        pq.ParquetWriter(bad, SCHEMA, compression="zstd") as writer,
    ):
        rows = csv.writer(fitting)
        rows.writerow([column.header for column in header.columns])
        for record in examine(text_lines(body, BLOCK), header.columns, slice_, longest=BLOCK):
            if record.fault is None:
                rows.writerow(record.cells)
                kept += 1
                continue
            if not record.cells:
                raise record.fault
            waiting.append(_put_aside(record, record.fault, header.columns, mask, people))
            aside += 1
            if len(waiting) == BATCH_ROWS:
                writer.write_table(_table(waiting, slice_, export_id))
                waiting = []
        writer.write_table(_table(waiting, slice_, export_id))
    if aside and not kept:
        msg = f"none of the {aside} rows fits, so none was put aside and nothing was staged; the last: {record.fault}"
        raise CsvError(msg)
    return aside


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
    if len(cells) == len(columns):
        by_name = {column.name: mask(column.name, cell) for column, cell in zip(columns, cells, strict=True)}
        row = {column.header: by_name[column.name] for column in columns}
        text = by_name[fault.column] if fault.column and fault.column not in people else None
    elif all(mask(name, "x") == "x" for name in people.intersection(column.name for column in columns)):
        row = cells  # which of them would be a person's, nobody knows
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


def _table(rows: Sequence[Mapping[str, object]], slice_: Slice, export_id: str) -> pa.Table:
    return pa.Table.from_pylist([{**row, "scope": slice_.scope, "export_id": export_id} for row in rows], schema=SCHEMA)
