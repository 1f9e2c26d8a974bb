"""The rules for rows, applied one by one in plain Python, for blocks that the fast path of `csv_reader` leaves over.

Same rules as the fast path, with line and column. A message shows a cell only if it looks like a number or a date,
because in a shifted row any other may be a name or an address (CONTRACT row 27).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from sei_provider.lake.columns import DIMENSIONS, NULL_NUMBER, NUMBER, NUMBER_SUFFIXES, Column, ColumnType
from sei_provider.lake.errors import CsvError, columns_argument, presented_header
from sei_provider.lake.model import Slice
from sei_provider.lake.periods import YEARS
from sei_provider.lake.staging.csv_records import QuotingError, Record
from sei_provider.lake.staging.pii import FileColumns

_NOT_UTF8 = re.compile("[\udc80-\udcff]")
_NUMBER = re.compile(NUMBER)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LIKE_A_NUMBER = re.compile(r"[+-]?[$€£]?[0-9][0-9., '_]*([eE][+-]?[0-9]+)?[%hd]?")
_LIKE_A_DATE = re.compile(r"[0-9]{1,4}([-/.][0-9]{1,4}){2}([T ][0-9:.+Z-]{2,})?")
_MAX_SHOWN = 40
_NULLS = frozenset({"", NULL_NUMBER})
_SPACES = " \t"
"""Arrow passes over these around numbers and dates."""


def validate_record(record: Record, file: FileColumns, slice_: Slice) -> CsvError | None:
    """Return the first fault of a record below the header, None if it fits."""
    columns = file.columns
    return (
        _quote_fault(record, columns)
        or _shape_fault(record, columns)
        or _cell_fault(record, columns)
        or _row_fault(record, columns, slice_)
        or _shift_fault(record, file)
    )


def quoting_fault(error: QuotingError, columns: Sequence[Column]) -> CsvError:
    """Return the error for a file whose records cannot be told apart any more."""
    msg = f"{_place(error.line, error.cell, columns)}: {error}, so nothing behind it can be read: export again"
    return CsvError(msg, line=error.line, column=_name(error.cell, columns))


def convert(cells: Sequence[str], type_: ColumnType | None) -> list[Any]:
    """Return the values of cells that fit, None for no value."""
    if type_ == "float64":
        return [None if cell in _NULLS else float(cell) for cell in cells]
    if type_ == "date32":
        return [None if cell in _NULLS else _date(cell) for cell in cells]
    return [cell or None for cell in cells]


def _quote_fault(record: Record, columns: Sequence[Column]) -> CsvError | None:
    if record.stray_quote is None:
        return None
    msg = (
        f"{_place(record.line, record.stray_quote, columns)}: the cell holds a quote and is not quoted itself, "
        "so it may be a part of another"
    )
    return CsvError(msg, line=record.line, column=_name(record.stray_quote, columns))


def _shape_fault(record: Record, columns: Sequence[Column]) -> CsvError | None:
    if len(record.cells) == len(columns):
        return None
    msg = f"line {record.line} has {len(record.cells)} cells, the header has {len(columns)}"
    return CsvError(msg, line=record.line)


def _cell_fault(record: Record, columns: Sequence[Column]) -> CsvError | None:
    for number, (cell, column) in enumerate(zip(record.cells, columns, strict=True)):
        if _NOT_UTF8.search(cell):
            msg = f"{_place(record.line, number, columns)}: not UTF-8"
            return CsvError(msg, line=record.line, column=column.name)
        fits, expected = _CHECKS.get(column.type or "string", (_any, ""))
        if cell not in _NULLS and not fits(cell):
            msg = f"{_place(record.line, number, columns)}: {_presented(cell)} is not {expected}"
            if column.name not in DIMENSIONS and (column.is_named or column.name.endswith(NUMBER_SUFFIXES)):
                msg = f"{msg}; if it is text, write {columns_argument({column.header: (column.name, 'string')})}"
            return CsvError(msg, line=record.line, column=column.name)
    return None


def looks_like(type_: ColumnType | None, cell: str) -> bool:
    """Return whether a cell looks like a number (`1,234`, `12%`) or a date (`01/02/2026`), and so names nobody."""
    pattern = {"float64": _LIKE_A_NUMBER, "date32": _LIKE_A_DATE}.get(type_ or "string")
    return pattern is not None and pattern.fullmatch(cell.strip()) is not None


def _presented(cell: str) -> str:
    if len(cell) <= _MAX_SHOWN and (looks_like("float64", cell) or looks_like("date32", cell)):
        return repr(cell)
    return f"a text of {len(cell)} characters (withheld, because it may name a person)"


def _row_fault(record: Record, columns: Sequence[Column], slice_: Slice) -> CsvError | None:
    cells = {column.name: cell for column, cell in zip(columns, record.cells, strict=True)}
    for name in ("team",) if slice_.dates_rows else ("team", "start_date"):
        if not cells[name] or (name == "start_date" and cells[name] == NULL_NUMBER):
            msg = f"line {record.line}: the {name} is empty"
            return CsvError(msg, line=record.line, column=name)
    if slice_.replace_exact_range:
        return None
    start = _day(cells, "start_date") or slice_.start
    until = _day(cells, "end_date") if slice_.granularity == "sprint" else start
    if start > slice_.end or (until or start) < slice_.start:
        msg = f"line {record.line}: start date {start} lies outside the requested range, {slice_.start} to {slice_.end}"
        return CsvError(msg, line=record.line, column="start_date")
    if start.year not in YEARS:  # of a sprint, that may begin before the range
        msg = f"line {record.line}: start date {start} lies beyond the years that the lake takes, from {YEARS[0]} on"
        return CsvError(msg, line=record.line, column="start_date")
    return None


def _shift_fault(record: Record, file: FileColumns) -> CsvError | None:
    if not file.may_be_shifted(record.cells):
        return None
    msg = (
        f"line {record.line}: a team's or sprint's cell holds an e-mail address, or a person's a date, so the cells "
        "seem to stand in other columns than their own"
    )
    return CsvError(msg, line=record.line)


def _place(line: int, cell: int, columns: Sequence[Column]) -> str:
    if cell < len(columns) and columns[cell].header:
        return f"line {line}, column {presented_header(columns[cell].header)}"
    return f"line {line}, cell {cell + 1}" + (f" (the header has {len(columns)})" if columns else "")


def _name(cell: int, columns: Sequence[Column]) -> str | None:
    return columns[cell].name if cell < len(columns) else None


def _day(cells: Mapping[str, str], name: str) -> date | None:
    day = cells.get(name, "")
    return None if day in _NULLS else _date(day)


def _any(_cell: str) -> bool:
    return True


def _is_number(cell: str) -> bool:
    return _NUMBER.fullmatch(cell.strip(_SPACES)) is not None and math.isfinite(float(cell))


def _is_date(cell: str) -> bool:
    try:
        return _DATE.fullmatch(cell.strip(_SPACES)) is not None and bool(_date(cell))
    except ValueError:
        return False


def _date(cell: str) -> date:
    return date.fromisoformat(cell.strip(_SPACES))


_CHECKS: Mapping[ColumnType, tuple[Callable[[str], bool], str]] = {
    "float64": (_is_number, "a number"),
    "date32": (_is_date, "a date written yyyy-MM-dd"),
}
