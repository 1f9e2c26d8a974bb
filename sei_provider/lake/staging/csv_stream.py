"""A downloaded file on local disk as one stream of CSV bytes, unpacked, without a byte order mark, its end checked.

Knows gzip and the signatures of other formats, not CSV. Reads piece by piece: a file may be far larger than memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isal import igzip, isal_zlib

from sei_provider.lake.errors import (
    CsvError,
    EmptyBodyError,
    NotCsvError,
    StoreError,
    TooLargeError,
    TruncatedError,
)

_GZIP = b"\x1f\x8b"
BOM = b"\xef\xbb\xbf"
_HEAD_BYTES = 512
_PIECE_BYTES = 1 << 20

MAX_FILE_BYTES = 16 << 30
"""Bytes of CSV that a file may hold unless the caller says otherwise: forty times the 2.4 million developer rows of
`make bench-lake`. Without a bound a gzip of a few megabytes could fill the disk, or keep a worker busy for days."""

_PAGES = {b"<": "HTML or XML", b"{": "JSON", b"[": "JSON"}
_SIGNATURES = {
    b"PK\x03\x04": "a zip archive (an Excel workbook is one too)",
    b"PK\x05\x06": "an empty zip archive",
    _GZIP: "packed twice by gzip",
    b"\xfd7zXZ\0": "packed by xz",
    b"\x28\xb5\x2f\xfd": "packed by Zstandard",
    b"]\0\0": "packed by LZMA",
    b"\x04\x22\x4d\x18": "packed by LZ4",
    b"\xff\x06\0\0sNaPpY": "packed by Snappy",
    b"\x1f\x9d": "packed by compress",
    b"\x78\x01": "packed by zlib without the header of gzip",
    b"\x78\x9c": "packed by zlib without the header of gzip",
    b"\x78\xda": "packed by zlib without the header of gzip",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"Rar!\x1a": "a RAR archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"PAR1\x15": "a Parquet file",
    b"ARROW1\0": "an Arrow file",
    b"Obj\x01": "an Avro file",
    b"%PDF-": "a PDF document",
    b"\xff\xfe\0\0": "text in UTF-32",
    b"\0\0\xfe\xff": "text in UTF-32",
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
}
"""First bytes that no CSV with a readable header has."""
_BZIP2 = re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)")
_TAR_AT = 257
_SEPARATOR_LINE = re.compile(rb'"?sep=.?"?\s', re.IGNORECASE)


class CsvStream:
    """The unpacked bytes of one file, without a byte order mark.

    Reading past a damaged or missing end raises `TruncatedError`, because `igzip` checks length and checksum of every
    gzip member; a bare `zlib.decompressobj` returns a cut file as if it were whole (DESIGN, decision 10). Reading
    more than `max_file_bytes` bytes raises `TooLargeError`.
    """

    def __init__(self, file: Any, max_file_bytes: int) -> None:
        self._file = file
        self._max_file_bytes = self._left = max_file_bytes
        self._ahead = b""
        head = self.read(_HEAD_BYTES)
        _require_csv(head)
        self._ahead = head.removeprefix(BOM)

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, or fewer at the checked end only."""
        data, self._ahead = self._ahead[:size], self._ahead[size:]
        while len(data) < size and (more := self._read(size - len(data))):
            data = data + more if data else more
        return data

    def require_whole(self) -> None:
        """Read what is left, as far as `max_file_bytes` allows, and drop it. Raises `TruncatedError`."""
        with suppress(TooLargeError):
            while self.read(_PIECE_BYTES):
                pass

    def _read(self, size: int) -> bytes:
        try:
            data: bytes = self._file.read(size)
        except (EOFError, OSError, isal_zlib.error) as error:  # type: ignore[misc]  # isal's stub calls the class a value
            if getattr(error, "errno", None) is not None:  # the disk's, not gzip's
                msg = f"the downloaded file cannot be read any more: {error}; download it again"
                raise StoreError(msg) from error
            msg = f"the gzip body is not whole or not all gzip ({error}): download it again"
            raise TruncatedError(msg) from None
        self._left -= len(data)
        if self._left < 0:
            msg = (
                f"the file holds more than {self._max_file_bytes:,} bytes of CSV, so it was read no further: ask for "
                "fewer teams or days, or raise max_file_bytes= if SEI really has that much data"
            )
            raise TooLargeError(msg)
        return data


@dataclass(frozen=True, slots=True)
class Download:
    """A file as SEI sent it, on local disk, and how many bytes of CSV may be in it."""

    file: Path
    max_file_bytes: int = MAX_FILE_BYTES

    @contextmanager
    def open(self) -> Iterator[CsvStream]:
        """Open the file, gzip or plain by its first two bytes, because no header can be trusted (CONTRACT row 16).

        Raises `EmptyBodyError` for zero bytes and `NotCsvError` for anything that is known to be something else: HTML,
        JSON, an archive, another packing, UTF-16, a line `sep=`. A `CsvError` of the caller becomes `TruncatedError` if
        the gzip is damaged: then the row at fault is not SEI's.
        """
        with self.file.open("rb") as raw:
            zipped = raw.read(2) == _GZIP
            raw.seek(0)
            stream = CsvStream(igzip.open(raw) if zipped else raw, self.max_file_bytes)  # type: ignore[no-untyped-call]
            try:
                yield stream
            except CsvError:
                if zipped:
                    stream.require_whole()
                raise


def _require_csv(head: bytes) -> None:
    if not head:
        msg = "the body has zero bytes; an empty answer of SEI is a header without rows, so this is a fault on the way"
        raise EmptyBodyError(msg)
    if kind := _PAGES.get(head.removeprefix(BOM).lstrip()[:1]):
        msg = (
            f"SEI answered with {kind} where the CSV of an export was expected: "
            "most likely a login page or a gateway's error; check base URL and key"
        )
        raise NotCsvError(msg)
    if kind := _other_format(head):
        msg = (
            f"the file is {kind}, where a CSV in UTF-8, plain or packed once by gzip, was expected: something between "
            "SEI and here has changed it, or the export's format is not csv"
        )
        raise NotCsvError(msg)


def _other_format(head: bytes) -> str | None:
    for signature, kind in _SIGNATURES.items():
        if head.startswith(signature):
            return kind
    if _BZIP2.match(head):
        return "packed by bzip2"
    if head[_TAR_AT:].startswith(b"ustar"):
        return "a tar archive"
    if _SEPARATOR_LINE.match(head.removeprefix(BOM)):
        return "a CSV made for Excel, whose first line 'sep=' is no header"
    return None
