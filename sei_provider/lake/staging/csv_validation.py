"""Which lines and columns of a CSV cannot be taken, and why: the slow path, run only after the fast one failed.

It holds the same rules as `csv_reader`, row by row in plain Python. Values of people's columns are never shown.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

from sei_provider.lake.columns import NULL_NUMBER, NUMBER, Column, ColumnType
from sei_provider.lake.errors import CsvError
from sei_provider.lake.model import Slice

_NOT_UTF8 = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True, slots=True)
class Record:
    """One record below the header, and what is wrong with it."""

    cells: Sequence[str]
    """Empty if the record cannot be told from what follows; then it is the last."""
    fault: CsvError | None


def explain(lines: Iterable[str], columns: Sequence[Column], slice_: Slice, *, longest: int) -> CsvError | None:
    """Find the first fault below the header, or None. `longest` is the greatest length of a cell."""
    return next((record.fault for record in examine(lines, columns, slice_, longest=longest) if record.fault), None)


def examine(lines: Iterable[str], columns: Sequence[Column], slice_: Slice, *, longest: int) -> Iterator[Record]:
    """Give all records below the header, each with its first fault."""
    for line, row in _records(lines, longest):
        if isinstance(row, CsvError):
            yield Record((), row)
            return
        fault = (
            _wrong_shape(line, row, columns)
            or _wrong_cell(line, row, columns)
            or _wrong_row(line, row, columns, slice_)
        )
        yield Record(row, fault)


def _records(lines: Iterable[str], longest: int) -> Iterator[tuple[int, list[str] | CsvError]]:
    with _cells_up_to(longest):
        rows = csv.reader(lines, strict=True)
        header = True
        while True:
            line = rows.line_num + 1
            try:
                row = next(rows, None)
            except csv.Error as error:  # "unexpected end of data", "',' expected after '\"'": never a value
                msg = f"line {line}: {error}; is a quote not closed?"
                yield line, CsvError(msg, line=line)
                return
            if row is None:
                return
            if row and not header:
                yield line, row
            header = header and not row


@contextmanager
def _cells_up_to(longest: int) -> Iterator[None]:
    before = csv.field_size_limit(longest)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _wrong_shape(line: int, row: Sequence[str], columns: Sequence[Column]) -> CsvError | None:
    if len(row) == len(columns):
        return None
    msg = f"line {line} has {len(row)} cells, the header has {len(columns)}"
    return CsvError(msg, line=line)


def _wrong_cell(line: int, row: Sequence[str], columns: Sequence[Column]) -> CsvError | None:
    for cell, column in zip(row, columns, strict=True):
        if _NOT_UTF8.search(cell):
            msg = f"line {line}, column {column.header!r}: not UTF-8"
            return CsvError(msg, line=line, column=column.name)
        fits, expected = _CHECKS.get(column.type or "string", (_any, ""))
        if not fits(cell):
            msg = f"line {line}, column {column.header!r}: {cell[:40]!r} is not {expected}"
            return CsvError(msg, line=line, column=column.name)
    return None


def _wrong_row(line: int, row: Sequence[str], columns: Sequence[Column], slice_: Slice) -> CsvError | None:
    cells = {column.name: cell for column, cell in zip(columns, row, strict=True)}
    for name in ("team",) if slice_.replace_exact_range else ("team", "start_date"):
        if not cells[name] or (name == "start_date" and cells[name] == NULL_NUMBER):
            msg = f"line {line}: the {name} is empty"
            return CsvError(msg, line=line, column=name)
    if slice_.replace_exact_range:
        return None
    start = date.fromisoformat(cells["start_date"])
    until = _last_day(cells) if slice_.granularity == "sprint" else start
    if start > slice_.end or (until or start) < slice_.start:
        msg = f"line {line}: start date {start} lies outside the range asked for, {slice_.start} to {slice_.end}"
        return CsvError(msg, line=line, column="start_date")
    return None


def _last_day(cells: Mapping[str, str]) -> date | None:
    end = cells.get("end_date", "")
    return None if end in {"", NULL_NUMBER} else date.fromisoformat(end)


def _any(_cell: str) -> bool:
    return True


def _is_number(cell: str) -> bool:
    if cell in {"", NULL_NUMBER}:
        return True
    return re.fullmatch(NUMBER, cell.strip(" \t")) is not None and math.isfinite(float(cell))


def _is_date(cell: str) -> bool:
    if cell in {"", NULL_NUMBER}:
        return True
    try:
        return re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", cell) is not None and bool(date.fromisoformat(cell))
    except ValueError:
        return False


_CHECKS: Mapping[ColumnType, tuple[Callable[[str], bool], str]] = {
    "float64": (_is_number, "a number"),
    "date32": (_is_date, "a date written yyyy-MM-dd"),
}
