"""A CSV's bytes to typed Arrow batches, block by block; anything that does not fit is an error, never a null.

The fast path reads with the declared types. What it cannot take is read again by `explain`, which names the line.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.csv import ConvertOptions, ParseOptions, ReadOptions, open_csv

from sei_provider.lake.columns import NULL_NUMBER, Column, arrow_type, declare
from sei_provider.lake.errors import CsvError
from sei_provider.lake.model import Slice
from sei_provider.lake.staging.csv_stream import Body, Download, text_lines
from sei_provider.lake.staging.csv_validation import explain

BLOCK = 512 << 10
"""Bytes parsed at a time; one row cannot be longer. Arrow reads some ahead, so this is what sets the peak memory."""


class _UnfitError(Exception):
    """Some row of a block breaks a rule; which one, `explain` finds out."""


@dataclass(frozen=True, slots=True)
class Header:
    """The first row of a CSV that is not blank."""

    columns: Sequence[Column]
    records: int
    """How many records end with it: one, and the blank lines before it."""
    alone: bool
    """Whether nothing stands below it."""


def read_header(source: Download, slice_: Slice, aliases: Mapping[str, Sequence[str]] | None = None) -> Header:
    """Read the header; raises `HeaderError` if it does not give the columns that a table needs."""
    with source.open() as body:
        lines = text_lines(body, BLOCK)
        try:
            records, headers = next(((count, row) for count, row in enumerate(csv.reader(lines), 1) if row), (0, []))
        except csv.Error as error:  # "field larger than field limit (131072)": never a value
            msg = f"the header cannot be read: {error}; is a quote not closed?"
            raise CsvError(msg, line=1) from None
        columns = declare(headers, report=slice_.report, metrics=slice_.metrics, aliases=aliases)
        return Header(columns, records, alone=not any(line.strip() for line in lines))


def read_batches(source: Download, header: Header, slice_: Slice) -> Iterator[pa.RecordBatch]:
    """Give the rows under the header, undeclared columns as text.

    Raises `CsvError` with line and column, or `TruncatedError` at a damaged end, which may come after many batches.
    """
    if header.alone:
        return
    columns = header.columns
    try:
        with source.open() as body:
            for batch in _open_csv(body, header):
                rows = _with_nulls(batch)
                _check_rules(rows, slice_)
                yield rows
            suspicious = body.open_quote
    except (pa.ArrowInvalid, _UnfitError):
        # Arrow's message quotes the row, and a row may name a person: it goes no further (CONTRACT row 27).
        msg = (
            f"the CSV of {slice_.scope} cannot be read, and no line of it is wrong by itself; one longer than 512 KiB?"
        )
        raise _explained(source, columns, slice_) or CsvError(msg) from None
    if suspicious:  # it may also be plain text, such as 5" in an unquoted cell
        error = _explained(source, columns, slice_)
        if error:
            raise error


def _open_csv(body: Body, header: Header) -> Iterator[pa.RecordBatch]:
    names = [column.name for column in header.columns]
    return iter(
        open_csv(
            pa.PythonFile(body, "r"),
            # The header is skipped as a row and not by name: names are ours, and a header may hold a line break.
            ReadOptions(block_size=BLOCK, column_names=names, skip_rows_after_names=header.records),
            ParseOptions(newlines_in_values=True),
            # `strings_can_be_null` stays off, else teams named NA or null vanish, or one named like NULL_NUMBER.
            ConvertOptions(
                column_types={column.name: arrow_type(column) for column in header.columns},
                null_values=["", NULL_NUMBER],
                quoted_strings_can_be_null=True,
            ),
        )
    )


def _with_nulls(batch: pa.RecordBatch) -> pa.RecordBatch:
    arrays = [_empty_as_null(array) if pa.types.is_string(array.type) else array for array in batch.columns]
    return pa.RecordBatch.from_arrays(arrays, schema=batch.schema)


def _empty_as_null(text: pa.StringArray) -> pa.StringArray:
    # The same bytes under a mask: `if_else` would copy them, which takes a tenth of the time that staging takes.
    _, mask = pc.not_equal(text, "").buffers()
    return pa.Array.from_buffers(text.type, len(text), [mask, *text.buffers()[1:]])


def _check_rules(rows: pa.RecordBatch, slice_: Slice) -> None:
    # Arrow takes nan and inf for numbers; SEI has none, so they are some other system's way to say "unknown".
    numbers = (array for array in rows.columns if pa.types.is_floating(array.type))
    if rows["team"].null_count or any(pc.is_finite(array).false_count for array in numbers):
        raise _UnfitError
    if slice_.replace_exact_range or not len(rows):
        return
    last = starts = rows["start_date"]
    if slice_.granularity == "sprint" and "end_date" in rows.schema.names:
        last = pc.coalesce(rows["end_date"], starts)
    if starts.null_count or pc.max(starts).as_py() > slice_.end or pc.min(last).as_py() < slice_.start:
        raise _UnfitError


def _explained(source: Download, columns: Sequence[Column], slice_: Slice) -> CsvError | None:
    with source.open() as body:
        return explain(text_lines(body, BLOCK), columns, slice_, longest=BLOCK)
