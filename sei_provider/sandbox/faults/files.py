"""Turns the text of a CSV into the bytes that are sent: as documented, in an unusual form, or broken.

Each function is one step that a fault can replace: the content of the file or its packing.
"""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
from itertools import cycle, islice
from typing import TYPE_CHECKING

from sei_provider.sandbox.data.csv import format_csv
from sei_provider.sandbox.data.spec import LARGE_EXPORT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sei_provider.sandbox.faults.table import ExportFault

GZIP_START = b"\x1f\x8b"

LOGIN_PAGE = b"""<!DOCTYPE html>
<html><head><title>Sign in</title></head><body><h1>Sign in to continue</h1></body></html>
"""

BOMB_BYTES = 8 * 1024**3
"""About how large a gzip bomb is when unpacked; it is sent as some 30 MB."""


def build_file(text: str, fault: ExportFault, *, always_gzip: bool) -> bytes:
    """Return the file that SEI made: gzip if its document says always or it is large (CONTRACT row 16).

    The same text and fault give the same bytes every time. A text without a header stays empty.
    """
    content = fault.content(text) if text else b""
    if fault.pack is not None:
        return fault.pack(content)
    return gzip_file(content) if always_gzip or len(content) >= LARGE_EXPORT else content


# Content: the text of a CSV → the bytes of a CSV.


def header_only(text: str) -> bytes:
    """Leave out all rows."""
    return text[: text.index("\n") + 1].encode()


def header_of(length: int) -> Callable[[str], bytes]:
    """Make the header line `length` bytes long: the last columns go if they do not fit, columns of counts are added."""

    def content(text: str) -> bytes:
        header, *rows = _parse(text)
        while len(_join(header).encode()) > length - _LEAST_ADDED:
            header.pop()
        missing = length - len(_join(header).encode())
        count = max(1, missing // 100)
        sizes = [missing // count + (number < missing % count) for number in range(count)]
        added = [f"Added_{number}_".ljust(size - len(",_count"), "x") + "_count" for number, size in enumerate(sizes)]
        counts = [[str((place * 7 + number) % 1000) for number in range(count)] for place in range(len(rows))]
        kept = [row[: len(header)] for row in rows]
        return format_csv([header + added, *(row + more for row, more in zip(kept, counts, strict=True))]).encode()

    return content


def crlf_every_512_bytes(text: str) -> bytes:
    """Add columns of notes with a CRLF across every multiple of 512 bytes, so that every edge of a block may cut one.

    The first rows' notes are long enough that two such rows reach over 512 KiB; the other rows' are short.
    """
    header, *rows = _parse(text)
    content = bytearray(format_csv([[*header, *_NOTES]]).encode())
    for place, row in enumerate(rows):
        content += _join(row).encode()
        for _ in _NOTES:
            content += b',"'
            end = len(content) + (_NOTE_BYTES if place < _LONG_ROWS else 1)
            while len(content) < end:
                content += b"." * (-len(content) % 512 or 512)
                content[-1:] = b"\r\n"
            content += b'."'
        content += b"\n"
    return bytes(content)


def stray_opening_quotes(text: str) -> bytes:
    """Leave four rows, of which the first and the last begin with a quote that nothing closes."""
    header, *rows = _parse(text)
    lines = [_join(row) for row in islice(cycle(rows), 4)]
    lines[::3] = [f'"{line}' for line in lines[::3]]
    return "\n".join([_join(header), *lines, ""]).encode()


def raw_cell(cell: str, *, is_metric: bool = False) -> Callable[[str], bytes]:
    """Write the team, or the last metric, of the first row as it stands, its quotes included."""

    def content(text: str) -> bytes:
        header, *rows = _parse(text)
        for first in rows[:1]:
            names = [name.lower() for name in header]
            first[-1 if is_metric else names.index("team") if "team" in names else 0] = _MARK
        return format_csv([header, *rows]).replace(_MARK, cell, 1).encode()

    return content


def nul_in_header(text: str) -> bytes:
    """Put a NUL into the last column's name."""
    end = text.index("\n")
    return f"{text[: end - 1]}\0{text[end - 1 :]}".encode()


# Packing: the bytes of a CSV → the file that SEI made.


def gzip_file(content: bytes) -> bytes:
    """Compress as gzip without a time, which would differ."""
    return gzip.compress(content, mtime=0)


def gzip_with_garbage(content: bytes) -> bytes:
    """Append what is no gzip to the file itself, and so to its size: only its end tells."""
    return gzip_file(content) + b"trailing garbage"


def gzip_of_two_members(content: bytes) -> bytes:
    """Compress both halves of the rows by themselves."""
    half = content.find(b"\n", len(content) // 2) + 1
    return gzip_file(content[:half]) + gzip_file(content[half:])


def gzip_bomb(content: bytes) -> bytes:
    """Repeat the last row over and over: valid gzip, made of one small member, repeated as it is."""
    *_, row = content.splitlines(keepends=True) or [b"\n"]  # no name in the sandbox holds a line break
    member = row * (_MEMBER_BYTES // len(row))
    return gzip_file(content) + gzip_file(member) * (BOMB_BYTES // len(member))


def zip_file(content: bytes) -> bytes:
    """Put the CSV into a zip archive."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as files:
        files.writestr(zipfile.ZipInfo("export.csv"), content)
    return archive.getvalue()


_LEAST_ADDED = 32
_NOTES = ("Notes_1", "Notes_2", "Notes_3")
_NOTE_BYTES = 100_000
_LONG_ROWS = 4
_MEMBER_BYTES = 16 * 1024**2
_MARK = "@@"


def _parse(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def _join(row: Sequence[str]) -> str:
    return format_csv([row]).removesuffix("\n")
