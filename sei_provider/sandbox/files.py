"""How a CSV becomes the bytes that are sent: compressed or not, whole or harmed. Knows nothing of its rows."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

from sei_provider.sandbox.documents import LARGE_EXPORT

if TYPE_CHECKING:
    from sei_provider.sandbox.faults import Fault

GZIP_START = b"\x1f\x8b"


def packed(text: str, fault: Fault, *, always_gzip: bool) -> bytes:
    """The file that SEI made: gzip if its document says always or it is large (row 16); the same bytes every time."""
    content = text.encode()
    compresses = always_gzip or fault.download == "truncated_gzip" or len(content) >= LARGE_EXPORT
    return gzip.compress(content, mtime=0) if compresses else content


def harmed(whole: bytes, fault: Fault) -> tuple[str, bytes]:
    """What is sent for a file: its content type and its bytes, as the fault has it."""
    match fault.download:
        case "html":
            return "text/html; charset=utf-8", _LOGIN_PAGE
        case "zero_bytes":
            return "text/csv", b""
        case "truncated_gzip":
            return "text/csv", whole[: len(whole) // 2]
        case _:
            return "text/csv", whole


_LOGIN_PAGE = b"""<!DOCTYPE html>
<html><head><title>Sign in</title></head><body><h1>Sign in to continue</h1></body></html>
"""
