"""The independent judge of what the lake may do with a CSV: Python's `csv` in strict mode, and the rule of quotes.

The rule (DESIGN, decision 10): a file is valid if `csv` reads it with `strict=True` and no unquoted cell holds a quote.
A row with such a quote is a bad row; broken quoting refuses the file; a header with NUL is refused.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

NUMBER_CHARACTERS = set("0123456789+-.eE")


@dataclass
class Verdict:
    """Right outcome for one file."""

    refused: bool = False
    """The header or the quoting is broken, so nothing may land, with quarantine neither."""
    broken_line: int | None = None
    """First line of the record whose quoting is broken."""
    headers: Sequence[str] = ()
    """Empty if the header is broken."""
    good: list[Sequence[str]] = field(default_factory=list)
    bad_lines: list[int] = field(default_factory=list)


def judge(text: str, numbers: frozenset[int], start: date, end: date) -> Verdict:
    """Read a file whose columns are team, hierarchy, start, end and others; `numbers` are those that hold numbers.

    `text` is the file's, without a byte order mark, its lone surrogates bytes that are no UTF-8.
    """
    verdict = Verdict()
    lines = _Lines(text)
    rows = csv.reader(lines, strict=True)
    while True:
        line = rows.line_num + 1
        lines.taken = ""
        try:
            cells = next(rows, None)
        except csv.Error:
            verdict.refused, verdict.broken_line = True, line
            return verdict
        if cells is None:
            break
        if not cells:
            continue
        stray = _has_stray_quote(lines.taken, cells)
        if not verdict.headers:
            if stray or "\0" in lines.taken or _is_not_utf8(lines.taken):
                verdict.refused, verdict.broken_line = True, line
                return verdict
            verdict.headers = cells
        elif stray or len(cells) != len(verdict.headers) or not _fits(cells, numbers, start, end):
            verdict.bad_lines.append(line)
        else:
            verdict.good.append(cells)
    verdict.refused = not verdict.headers
    return verdict


class _Lines(Iterator[str]):
    def __init__(self, text: str) -> None:
        self.lines = io.StringIO(text, newline="")
        self.taken = ""

    def __next__(self) -> str:
        line = next(self.lines)
        self.taken += line
        return line


def _has_stray_quote(raw: str, cells: Sequence[str]) -> bool:
    """Walk along the record as it was sent: `csv` has told where each cell ends."""
    at = 0
    for cell in cells:
        if raw.startswith('"', at):
            at += len(cell) + cell.count('"') + 2
        elif '"' in cell:
            return True
        else:
            at += len(cell)
        at += 1
    return False


def _is_not_utf8(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _fits(cells: Sequence[str], numbers: frozenset[int], start: date, end: date) -> bool:
    if len(cells) <= max(3, *numbers) or any(_is_not_utf8(cell) for cell in cells) or not cells[0]:
        return False
    first, last = _day(cells[2]), _day(cells[3])
    if (
        cells[2] in {"", "—"}
        or first is None
        or not start <= first <= end
        or (last is None and cells[3] not in {"", "—"})
    ):
        return False
    return all(cells[number] in {"", "—"} or number_of(cells[number]) is not None for number in numbers)


def _day(cell: str) -> date | None:
    cell = cell.strip(" \t")
    if len(cell) != 10 or not set(cell) <= set("0123456789-"):
        return None
    try:
        return date.fromisoformat(cell)
    except ValueError:
        return None


def number_of(cell: str) -> float | None:
    """Give the number that a cell is, None if it is none."""
    cell = cell.strip(" \t")
    if not set(cell) <= NUMBER_CHARACTERS:
        return None
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
