"""A downloaded body on local disk, read as one stream of CSV bytes whose end has been checked.

Knows gzip, not CSV. Everything is read by blocks: a body may be far larger than memory.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sei_provider.lake.errors import EmptyBodyError, NotCsvError, TruncatedError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_HEAD = 512


class Body(io.RawIOBase):
    """The decompressed bytes, without a byte order mark.

    Reading past a damaged or missing end raises `TruncatedError`, since Arrow checks length and sum of every
    gzip member; a bare `zlib.decompressobj` returns a cut file as if it were whole (DESIGN, decision 10).
    """

    def __init__(self, stream: Any) -> None:
        super().__init__()
        self._stream = stream
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

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill the buffer with what comes next; 0 only at the checked end."""
        view = memoryview(buffer).cast("B")
        data, self._ahead = self._ahead[: len(view)], self._ahead[len(view) :]
        data = data or self._read(len(view))
        self._quotes += data.count(b'"')
        view[: len(data)] = data
        return len(data)

    def _read(self, size: int) -> bytes:
        try:
            data: bytes = self._stream.read(size)
        except OSError as error:
            if error.errno is not None:  # the disk's, not gzip's
                raise
            msg = f"the gzip body is not whole ({error}): download it again"
            raise TruncatedError(msg) from None
        return data


@contextmanager
def open_body(file: Path) -> Iterator[Body]:
    """Open a body, gzip or plain by its first two bytes: nothing else is to be trusted (CONTRACT row 16).

    Raises `EmptyBodyError` for zero bytes and `NotCsvError` for HTML or JSON.
    """
    with pa.OSFile(str(file), "rb") as raw:
        zipped = raw.read(2) == _GZIP
        raw.seek(0)
        body = Body(pa.CompressedInputStream(raw, "gzip") if zipped else raw)
        _refuse(body.head)
        yield body


def text_lines(body: Body) -> Iterator[str]:
    """Give the body's lines as text, line ends kept; bytes that are no UTF-8 become lone surrogates."""
    return iter(io.TextIOWrapper(io.BufferedReader(body), encoding="utf-8", errors="surrogateescape", newline=""))


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
