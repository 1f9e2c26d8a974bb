"""A CSV's bytes to typed Arrow batches, block by block; what does not fit is an error, never a null.

Arrow reads every block that can be read in one way only. What it refuses, and every other block, is read record by
record, which is slow and exact: a valid row lands all the same, and a fault is named with line and column.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.csv import ConvertOptions, ParseOptions, ReadOptions, read_csv

from sei_provider.lake.arrow_values import EMPTY_TEXT, empty_batch, to_array, to_scalar
from sei_provider.lake.bounds import MAX_COLUMNS
from sei_provider.lake.columns import NULL_NUMBER, arrow_type
from sei_provider.lake.errors import CsvError, TooManyError
from sei_provider.lake.model import Slice
from sei_provider.lake.periods import YEARS
from sei_provider.lake.staging.csv_records import Block, QuotingError, Record, RecordStream
from sei_provider.lake.staging.csv_stream import BOM, CsvStream
from sei_provider.lake.staging.csv_validation import convert, quoting_fault, validate_record
from sei_provider.lake.staging.pii import FileColumns

_PARSERS = 2
_BLOCKS_AHEAD = 4
_EPOCH = date(1970, 1, 1).toordinal()
_MIN_DAY, _MAX_DAY = date.min.toordinal() - _EPOCH, date.max.toordinal() - _EPOCH

OnFault = Callable[[Record, CsvError], None]
"""Called for a row that does not fit, with its first fault: raises it, or keeps the row elsewhere."""


class CsvReader:
    """The header of one CSV, read at once, and its rows. `columns_of` tells the columns that a header gives.

    Raises the errors of `columns_of`, and `CsvError` if the header cannot be read.
    """

    def __init__(self, stream: CsvStream, slice_: Slice, columns_of: Callable[[Sequence[str]], FileColumns]) -> None:
        self._records = RecordStream(stream)
        self._slice = slice_
        headers = _headers(self._records)
        if len(headers) > MAX_COLUMNS:
            msg = f"the file has {len(headers):,} columns, and the lake takes {MAX_COLUMNS:,}: request fewer metrics"
            raise TooManyError(msg, line=1)
        self.file = columns_of(headers)
        self.columns = self.file.columns
        self._names = [column.name for column in self.columns]
        # `strings_can_be_null` stays off: teams named NA or null would vanish, and one named like NULL_NUMBER.
        self._conversion = ConvertOptions(
            column_types={column.name: arrow_type(column) for column in self.columns},
            null_values=["", NULL_NUMBER],
            quoted_strings_can_be_null=True,
        )

    def batches(self, on_fault: OnFault) -> Generator[pa.RecordBatch]:
        """Yield the rows under the header, undeclared columns as text; those that do not fit go to `on_fault`.

        Raises what `on_fault` raises, `CsvError` where quoting is broken, `TruncatedError` at a damaged end, which may
        come after many batches.
        """
        blocks = self._records.blocks()
        for block in islice(blocks, 1):  # nearly always the only one, and threads take longer than its rows
            yield self._read(block, self._read_fast(block), on_fault)
        if self._records.is_at_end:
            return
        with (
            ThreadPoolExecutor(1, thread_name_prefix="sei-csv-cut") as cutting,
            ThreadPoolExecutor(_PARSERS, thread_name_prefix="sei-csv-parse") as parsing,
        ):

            def cut() -> tuple[Block, Future[pa.RecordBatch | None]] | None:
                block = next(blocks, None)
                return (block, parsing.submit(self._read_fast, block)) if block else None

            # In order, and a few ahead, so that neither reading nor parsing waits for what is done with the rows.
            ahead = deque(cutting.submit(cut) for _ in range(_BLOCKS_AHEAD))
            while found := ahead.popleft().result():
                ahead.append(cutting.submit(cut))
                block, batch = found
                yield self._read(block, batch.result(), on_fault)

    def _read(self, block: Block, rows: pa.RecordBatch | None, on_fault: OnFault) -> pa.RecordBatch:
        return self._read_exactly(block, on_fault) if rows is None else rows

    def _read_fast(self, block: Block) -> pa.RecordBatch | None:
        """Return the rows if every one fits as Arrow reads it."""
        if not block.is_regular or block.data.startswith(BOM):  # Arrow drops a byte order mark, here a team's
            return None
        try:
            table = read_csv(
                pa.BufferReader(block.data),
                # One block, so that Arrow does not look for row ends by itself: at its own block edges it loses line
                # feeds inside cells.
                ReadOptions(block_size=len(block.data) + 1, column_names=self._names, use_threads=False),
                ParseOptions(newlines_in_values=True),
                self._conversion,
            )
        except pa.ArrowInvalid:  # its message quotes the row, which may name a person (CONTRACT row 27)
            return None
        batches = table.combine_chunks().to_batches()
        batch = batches[0] if batches else empty_batch(table.schema)
        arrays = [_empty_as_null(array) if pa.types.is_string(array.type) else array for array in batch.columns]
        rows = pa.RecordBatch.from_arrays(arrays, schema=batch.schema)
        return rows if self._fits(rows) else None

    def _fits(self, rows: pa.RecordBatch) -> bool:
        for array in rows.columns:
            # Arrow takes nan and inf for numbers; SEI has none, so they are another system's way to say "unknown".
            if pa.types.is_floating(array.type) and pc.is_finite(array).false_count:
                return False
            if pa.types.is_date32(array.type) and not _between(array, _MIN_DAY, _MAX_DAY):
                return False
        if rows["team"].null_count or self.file.some_may_be_shifted(rows):
            return False
        if self._slice.replace_exact_range or not len(rows):
            return True
        if "start_date" not in rows.schema.names:
            return True
        last = starts = rows["start_date"]
        if self._slice.dates_rows:
            last = starts = pc.coalesce(starts, to_scalar(self._slice.start, pa.date32()))
        if self._slice.granularity == "sprint" and "end_date" in rows.schema.names:
            last = pc.coalesce(rows["end_date"], starts)
        return not starts.null_count and bool(
            pc.max(starts).as_py() <= self._slice.end
            and pc.min(starts).as_py().year in YEARS
            and pc.min(last).as_py() >= self._slice.start
        )

    def _read_exactly(self, block: Block, on_fault: OnFault) -> pa.RecordBatch:
        rows: list[Sequence[str]] = []
        try:
            for record in block.records():
                if fault := validate_record(record, self.file, self._slice):
                    on_fault(record, fault)
                else:
                    rows.append(record.cells)
        except QuotingError as error:
            raise quoting_fault(error, self.columns) from None
        cells = zip(*rows, strict=True) if rows else ((),) * len(self.columns)
        return pa.RecordBatch.from_arrays(
            [
                to_array(convert(values, column.type), arrow_type(column))
                for values, column in zip(cells, self.columns, strict=True)
            ],
            names=self._names,
        )


def _headers(records: RecordStream) -> Sequence[str]:
    try:
        found = records.read_header()
    except QuotingError as error:
        msg = f"the header cannot be read: line {error.line}, cell {error.cell + 1}: {error}"
        raise CsvError(msg, line=error.line) from None
    if found is None:
        msg = "the file has only blank lines and no header; an empty answer of SEI is a header without rows"
        raise CsvError(msg, line=1)
    record, raw = found
    if b"\0" in raw:
        nuls = raw.count(b"\0") / len(raw)
        like = "looks like UTF-32" if nuls > 0.6 else "looks like UTF-16" if nuls > 0.3 else "is damaged"  # noqa: PLR2004
        msg = f"line {record.line}: the header holds NUL bytes, so the file {like}: a CSV in UTF-8 was expected"
        raise CsvError(msg, line=record.line)
    for number, header in enumerate(record.cells, 1):
        if not header.isascii() and any("\udc80" <= character <= "\udcff" for character in header):
            msg = f"line {record.line}, cell {number}: the header is not UTF-8"
            raise CsvError(msg, line=record.line)
    if record.stray_quote is not None:
        msg = f"line {record.line}, cell {record.stray_quote + 1}: a header holds a quote and is not quoted itself"
        raise CsvError(msg, line=record.line)
    return record.cells


def _between(days: pa.Date32Array, first: int, last: int) -> bool:
    found = pc.min_max(days.view(pa.int32()))
    return not found["min"].is_valid or (found["min"].as_py() >= first and found["max"].as_py() <= last)


def _empty_as_null(text: pa.StringArray) -> pa.StringArray:
    # The same bytes under a mask: `if_else` would copy them, which takes a tenth of the time that staging takes.
    _, mask = pc.not_equal(text, EMPTY_TEXT).buffers()
    return pa.Array.from_buffers(text.type, len(text), [mask, *text.buffers()[1:]])
