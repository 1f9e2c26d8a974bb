"""How a CSV becomes the bytes that are sent: compressed or not, whole or harmed. Knows nothing of its rows."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

from sei_provider.sandbox.documents import LARGE_EXPORT

if TYPE_CHECKING:
    from sei_provider.sandbox.faults import ExportFault

GZIP_START = b"\x1f\x8b"

LOGIN_PAGE = b"""<!DOCTYPE html>
<html><head><title>Sign in</title></head><body><h1>Sign in to continue</h1></body></html>
"""

BOMB_BYTES = 8 * 1024**3
"""About how large a gzip bomb is when unpacked; it is sent as some 30 MB."""


def packed(text: str, fault: ExportFault, *, always_gzip: bool) -> bytes:
    """The file that SEI made: gzip if its document says always or it is large (row 16); the same bytes every time."""
    content = text.encode()
    match fault.download:
        case "truncated_gzip":
            return _gzip(content)
        case "gzip_trailing_garbage":
            # In the file that SEI made, and so in its size: only its end tells.
            return _gzip(content) + b"trailing garbage"
        case "two_gzip_members":
            half = content.find(b"\n", len(content) // 2) + 1
            return _gzip(content[:half]) + _gzip(content[half:])
        case "gzip_bomb":
            return _bomb(content)
        case _:
            return _gzip(content) if always_gzip or len(content) >= LARGE_EXPORT else content


def harmed(whole: bytes, fault: ExportFault) -> tuple[str, bytes]:
    """What is sent for a file: its content type and its bytes, as the fault has it."""
    match fault.download:
        case "html":
            return "text/html; charset=utf-8", LOGIN_PAGE
        case "zero_bytes":
            return "text/csv", b""
        case "truncated_gzip":
            return "text/csv", whole[: len(whole) // 2]
        case _:
            return "text/csv", whole


def _bomb(content: bytes) -> bytes:
    """The content, and then its last row over and over: valid gzip, made of one small member, repeated as it is."""
    *_, row = content.splitlines(keepends=True) or [b"\n"]  # no name in the sandbox holds a line break
    member = row * (_MEMBER_BYTES // len(row))
    return _gzip(content) + _gzip(member) * (BOMB_BYTES // len(member))


def _gzip(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


_MEMBER_BYTES = 16 * 1024**2
