"""A downloaded body on local disk, read as one stream of CSV bytes whose end has been checked.

Knows gzip, not CSV. Everything is read by blocks: a body may be far larger than memory.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isal import igzip, isal_zlib

from sei_provider.lake.errors import (
    CsvError,
    EmptyBodyError,
    NotCsvError,
    StoreError,
    TooLargeError,
    TruncatedError,
)

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_HEAD = 512

MAX_FILE_BYTES = 16 << 30
"""Bytes of CSV that a body may hold unless the caller says otherwise: forty times the 2.4 million developer rows of
`make bench-lake`. Without a bound a gzip of a few megabytes could fill the disk, or keep a worker busy for days."""


class Body(io.RawIOBase):
    """The decompressed bytes, without a byte order mark.

    Reading past a damaged or missing end raises `TruncatedError`, since `igzip` checks length and sum of every
    gzip member; a bare `zlib.decompressobj` returns a cut file as if it were whole (DESIGN, decision 10). Reading
    more than `max_file_bytes` raises `TooLargeError`.
    """

    def __init__(self, stream: Any, max_file_bytes: int) -> None:
        super().__init__()
        self._stream = stream
        self._max_file_bytes = self._left = max_file_bytes
        self._ahead = self._read(_HEAD).removeprefix(_BOM)
        self._quotes = 0

    @property
    def open_quote(self) -> bool:
        """Whether, at the end, a quote is still open: the rest of the file then hides in one cell."""
        return self._quotes % 2 == 1

    @property
    def head(self) -> bytes:
        """The first bytes, which are still to be read."""
        return self._ahead

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Give what comes next, up to `size` bytes; none only at the checked end."""
        data, self._ahead = self._ahead, b""
        if not data:
            data = self._read(size)
        elif 0 <= size < len(data):
            data, self._ahead = data[:size], data[size:]
        if b'"' in data:  # far quicker than to count what most files do not have
            self._quotes += data.count(b'"')
        return data

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill the buffer with what comes next, as `read` gives it."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def _read(self, size: int) -> bytes:
        try:
            data: bytes = self._stream.read(size)
        except (EOFError, OSError, isal_zlib.error) as error:  # type: ignore[misc]  # isal's stub calls the class a value
            if getattr(error, "errno", None) is not None:  # the disk's, not gzip's
                msg = f"the downloaded file cannot be read any more: {error}; download it again"
                raise StoreError(msg) from error
            msg = f"the gzip body is not whole or not all gzip ({error}): download it again"
            raise TruncatedError(msg) from None
        self._left -= len(data)
        if self._left < 0:
            msg = (
                f"the body holds more than {self._max_file_bytes:,} bytes of CSV, so it was read no further: "
                "ask for fewer teams or days, or allow more with max_file_bytes= if SEI really has that much to say"
            )
            raise TooLargeError(msg)
        return data


@dataclass(frozen=True, slots=True)
class Download:
    """A file as SEI sent it, on local disk, and how many bytes of CSV may be in it."""

    file: Path
    max_file_bytes: int = MAX_FILE_BYTES

    @contextmanager
    def open(self) -> Iterator[Body]:
        """Open it, gzip or plain by its first two bytes: nothing else is to be trusted (CONTRACT row 16).

        Raises `EmptyBodyError` for zero bytes and `NotCsvError` for HTML or JSON.
        """
        with self.file.open("rb") as raw:
            zipped = raw.read(2) == _GZIP
            raw.seek(0)
            stream = igzip.open(raw) if zipped else raw  # type: ignore[no-untyped-call]
            body = Body(stream, self.max_file_bytes)
            _refuse(body.head)
            yield body


def text_lines(body: Body, longest: int) -> Iterator[str]:
    """Give the body's lines as text, line ends kept; bytes that are no UTF-8 become lone surrogates.

    Raises `CsvError` at a line of more than `longest` characters: a gigabyte without a line end is no table.
    """
    text = io.TextIOWrapper(io.BufferedReader(body), encoding="utf-8", errors="surrogateescape", newline="")
    number = 0
    while line := text.readline(longest + 1):
        number += 1
        if len(line) > longest:
            msg = f"line {number} has more than {longest:,} characters, which is more than a row may have"
            raise CsvError(msg, line=number)
        yield line


def _refuse(head: bytes) -> None:
    if not head:
        msg = "the body has zero bytes; an empty answer of SEI is a header without rows, so this is a fault on the way"
        raise EmptyBodyError(msg)
    start = head.lstrip()[:1]
    if start in {b"<", b"{", b"["}:
        kind = "HTML or XML" if start == b"<" else "JSON"
        msg = (
            f"SEI answered with {kind} where the CSV of an export was expected: "
            "most likely a login page or a gateway's error; check base URL and key"
        )
        raise NotCsvError(msg)
