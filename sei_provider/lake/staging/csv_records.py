"""Blocks of whole records, cut from a CSV's bytes, and the strict rule on quotes that every block is held against.

The rule (DESIGN, decision 10): a file is valid if Python's `csv` reads it with `strict=True` and no unquoted cell holds
a quote. Knows nothing of columns and types.

A block whose quotes all stand where the rule has them is read by Arrow, which then cannot mistake it. Any other is
taken apart here, record by record. `csv` itself cannot do this: it does not tell which cells were quoted, and its
limit for a cell is one setting of the whole process, so raising it here would change it for other threads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from sei_provider.lake.errors import CsvError
from sei_provider.lake.staging.csv_stream import CsvStream

BLOCK_BYTES = 1 << 20
"""Bytes read at a time, which sets the peak memory: some blocks are parsed at once."""

MAX_RECORD_BYTES = 2 << 20
"""Bytes that one record, the header too, may have: a gigabyte without a line end is no table."""

_QUOTED = re.compile(rb'"([^"]*+(?:""[^"]*+)*+)"')
_UNQUOTED = re.compile(rb"[^,\r\n]*+")
_CELL_ENDS = (b"", b",", b"\r", b"\n")

_Bits: TypeAlias = "npt.NDArray[np.uint64]"
"""One bit for each byte of a block; the first byte's is the lowest of the first word."""


class QuotingError(Exception):
    """Quoting leaves open what a record is, so the file cannot be read from here on."""

    def __init__(self, line: int, cell: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line
        self.cell = cell
        """The cell's number in its record, counted from 0."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record."""

    line: int
    """The line of the file it begins at; the first is 1."""
    cells: Sequence[str]
    """Bytes that are not UTF-8 stand in them as lone surrogates."""
    stray_quote: int | None
    """The number of the first unquoted cell that holds a quote, counted from 0."""
    is_blank: bool
    """It is an empty line, which holds no cell."""


@dataclass(frozen=True, slots=True)
class Block:
    """Whole records, one after another."""

    data: bytes
    line: int
    """The line of the file it begins at."""
    is_regular: bool
    """Every quote stands where the rule has it, so `data` can be read in one way only."""

    def records(self) -> Iterator[Record]:
        """Yield the records in order, blank lines left out. Raises `QuotingError` at the first with broken quoting."""
        position, line = 0, self.line
        while position < len(self.data):
            record, end = _read_record(self.data, position, line, is_last=True)
            if record and not record.is_blank:
                yield record
            line += _count_lines(self.data[position:end])
            position = end


class RecordStream:
    """The header and the blocks of one CSV. All methods raise `CsvError` at a record longer than one may be."""

    def __init__(self, stream: CsvStream, block_bytes: int | None = None) -> None:
        self._stream = stream
        self._block_bytes = block_bytes or BLOCK_BYTES
        self._rest = b""
        self._line = 1
        self.is_at_end = False
        """True if all of the file has been read, so that the block in hand is the last."""

    def read_header(self) -> tuple[Record, bytes] | None:
        """Return the first record that is not blank, parsed and as it was sent; None if there is none.

        Raises `QuotingError` where its quoting is broken.
        """
        while True:
            self._skip_blank_lines()
            if self.is_at_end and not self._rest:
                return None
            record, end = _read_record(self._rest, 0, self._line, is_last=self.is_at_end)
            if record is None:
                self._read_more()
                continue
            self._require_bounded(end)
            raw, self._rest = self._rest[:end], self._rest[end:]
            self._line += _count_lines(raw)
            return record, raw

    def blocks(self) -> Iterator[Block]:
        """Yield what follows the header."""
        while self._rest or not self.is_at_end:
            self._read_more()
            end, is_regular = _last_record_end(self._rest, is_last=self.is_at_end)
            if not is_regular:
                end = self._last_record_end_one_by_one()
            if end > MAX_RECORD_BYTES and is_regular:  # then its first record may be too long, the others are not
                self._require_bounded(_read_record(self._rest, 0, self._line, is_last=True)[1])
            if end:
                data, self._rest = self._rest[:end], self._rest[end:]
                yield Block(data, self._line, is_regular)
                self._line += _count_lines(data)

    def _skip_blank_lines(self) -> None:
        """Drop the blank lines that `_rest` begins with, all at once: there may be a gigabyte of them."""
        blank = len(self._rest) - len(self._rest.lstrip(b"\r\n"))
        if not self.is_at_end and blank == len(self._rest) and self._rest.endswith(b"\r"):
            blank -= 1  # an LF may follow
        self._line += _count_lines(self._rest[:blank])
        self._rest = self._rest[blank:]

    def _read_more(self) -> None:
        self._require_bounded(len(self._rest))
        data = self._stream.read(self._block_bytes)
        self.is_at_end = not data
        self._rest += data

    def _require_bounded(self, record_bytes: int) -> None:
        if record_bytes > MAX_RECORD_BYTES:
            msg = (
                f"the record that begins at line {self._line} has more than {MAX_RECORD_BYTES:,} bytes, which is more "
                "than one may have: is a quote not closed?"
            )
            raise CsvError(msg, line=self._line)

    def _last_record_end_one_by_one(self) -> int:
        """Return where the last whole record ends; where quoting is broken, the end, so that `records` meets it."""
        position = 0
        while position < len(self._rest):
            try:
                record, end = _read_record(self._rest, position, self._line, is_last=self.is_at_end)
            except QuotingError:
                return len(self._rest)
            if record is None:
                break
            self._require_bounded(end - position)
            position = end
        return position


def _read_record(data: bytes, position: int, line: int, *, is_last: bool) -> tuple[Record | None, int]:
    """Return the record at `position` and where it ends; None if more must be read to know that."""
    start = position
    is_quoted = data.startswith(b'"', position)
    cells: list[str] = []
    stray_quote = None
    while True:
        if data.startswith(b'"', position):
            match = _QUOTED.match(data, position)
            if not is_last and (match is None or match.end() == len(data)):  # the last quote may be the first of two
                return None, start
            if match is None:
                problem = "a quote is opened and never closed"
                raise QuotingError(line, len(cells), problem)
            cell = match[1].replace(b'""', b'"')
            if data[match.end() : match.end() + 1] not in _CELL_ENDS:
                problem = "a closing quote is followed by text (a quote inside a quoted cell is written twice)"
                raise QuotingError(line, len(cells), problem)
        else:
            match = _UNQUOTED.match(data, position)
            cell = match[0] if match else b""
            if stray_quote is None and b'"' in cell:
                stray_quote = len(cells)
        cells.append(cell.decode("utf-8", "surrogateescape"))
        position = match.end() if match else position
        if not data.startswith(b",", position):
            break
        position += 1
    if position >= len(data) - 1 and not is_last and not data.startswith(b"\n", position):
        return None, start  # no line end yet, or a CR that an LF may follow
    position += 2 if data.startswith(b"\r\n", position) else 1
    return Record(line, cells, stray_quote, is_blank=cells == [""] and not is_quoted), min(position, len(data))


def _count_lines(data: bytes) -> int:
    lines = int(np.count_nonzero(np.frombuffer(data, np.uint8) == ord("\n")))  # a tenth of the time of `bytes.count`
    return lines + data.count(b"\r") - data.count(b"\r\n") if b"\r" in data else lines


def _last_record_end(data: bytes, *, is_last: bool) -> tuple[int, bool]:
    """Return where the last whole record ends, and whether all quotes before it stand where the rule has them.

    A quote that opens a cell follows a comma, a line end or, as the second of two, a quote; one that closes a cell is
    followed by one of these. Whether a quote opens or closes tells the number of quotes before it. Where this holds
    for every quote, the cells that begin with a quote are exactly the quoted ones, and no other holds a quote.
    """
    if b'"' not in data:
        # A CR at the end may be half of a line end.
        return (len(data) if is_last else max(data.rfind(b"\n"), data.rfind(b"\r", 0, -1)) + 1), True
    array = np.frombuffer(data, np.uint8)
    quotes = _pack(array == ord('"'))
    line_ends = _pack(array == ord("\n"))
    if b"\r" in data:
        line_ends |= _pack(array == ord("\r"))
    ends = line_ends | _pack(array == ord(","))
    ends[len(data) // 64] |= np.uint64(1) << np.uint64(len(data) % 64)  # what follows is checked when it is there
    quoted = _odd_so_far(quotes)
    opening, closing = quotes & quoted, quotes & ~quoted
    misplaced = (opening & ~_shifted_up(ends | quotes)) | (closing & ~_shifted_down(ends | quotes))
    if misplaced.any() or (is_last and quoted[-1] >> np.uint64(63)):
        return 0, False
    if is_last:
        return len(data), True
    if data.endswith(b"\r"):
        line_ends[(len(data) - 1) // 64] &= ~(np.uint64(1) << np.uint64((len(data) - 1) % 64))
    line_ends &= ~quoted
    words = np.flatnonzero(line_ends)
    return (int(words[-1]) * 64 + int(line_ends[words[-1]]).bit_length() if len(words) else 0), True


def _pack(flags: npt.NDArray[np.bool_]) -> _Bits:
    """Return one bit for each flag, and at least one more that is 0."""
    words = np.zeros(len(flags) // 64 + 1, np.uint64)
    packed = np.packbits(flags, bitorder="little")
    words.view(np.uint8)[: len(packed)] = packed
    return words


def _odd_so_far(bits: _Bits) -> _Bits:
    """Return, for each bit, whether the number of ones up to it, itself included, is odd."""
    odd = bits.copy()
    for distance in (1, 2, 4, 8, 16, 32):
        odd ^= odd << np.uint64(distance)
    odd_words = np.bitwise_xor.accumulate(odd >> np.uint64(63))
    odd[1:] ^= np.uint64(0) - odd_words[:-1]
    return odd


def _shifted_up(bits: _Bits) -> _Bits:
    """Return each byte's predecessor's bit; what stands before the first byte counts as a line end."""
    shifted = bits << np.uint64(1)
    shifted[1:] |= bits[:-1] >> np.uint64(63)
    shifted[0] |= np.uint64(1)
    return shifted


def _shifted_down(bits: _Bits) -> _Bits:
    """Return each byte's successor's bit."""
    shifted = bits >> np.uint64(1)
    shifted[:-1] |= bits[1:] << np.uint64(63)
    return shifted
