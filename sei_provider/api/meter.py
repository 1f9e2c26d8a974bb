"""An answer on its way: how much of it is believed, how long it may take, and what it means when it breaks off.

Reads nothing itself and knows neither client.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import httpx

from sei_provider.api.call import Call
from sei_provider.api.errors import SeiConnectionError, SeiDownloadError, SeiReplyError, sanitize
from sei_provider.api.export import Export
from sei_provider.api.refusal import page_instead_of_data

_WHOLE_REPLY_SECONDS = 120.0
_WHOLE_DOWNLOAD_SECONDS = 3600.0
_LARGEST_REPLY = 16 * 1024 * 1024
_REFUSAL_SECONDS = 10.0
_LARGEST_REFUSAL = 64 * 1024
_KNOWN_ENCODINGS = {"", "identity", "gzip", "deflate"}
"""What a JSON reply may be packed with. Its pieces unpack to a thousand times their size at most; what else httpx can
read, where a package for it is installed, knows no such bound."""


class Meter:
    """Counts the bytes of one answer as they pass, and stops it when it is no data, too long or too slow."""

    def __init__(
        self,
        call: Call[Any],
        *,
        seconds: float,
        at_most: int | None = None,
        exactly: int | None = None,
        may_be_empty: bool = False,
    ) -> None:
        self._call = call
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self._at_most = at_most
        self._exactly = exactly
        self._may_be_empty = may_be_empty
        self._passed = 0

    @classmethod
    def of_reply(cls, call: Call[Any]) -> Self:
        """For a JSON reply."""
        return cls(call, seconds=_WHOLE_REPLY_SECONDS, at_most=_LARGEST_REPLY)

    @classmethod
    def of_download(cls, call: Call[Any], export: Export) -> Self:
        """For a download, of which SEI may have told the size."""
        return cls(call, seconds=_WHOLE_DOWNLOAD_SECONDS, exactly=export.size_bytes)

    @classmethod
    def of_report(cls, call: Call[Any]) -> Self:
        """For a legacy report, whose empty body means no rows (CONTRACT row 21)."""
        return cls(call, seconds=_WHOLE_DOWNLOAD_SECONDS, may_be_empty=True)

    @classmethod
    def of_refusal(cls, call: Call[Any]) -> Self:
        """For the body of an error, of which the beginning will do."""
        return cls(call, seconds=_REFUSAL_SECONDS, at_most=_LARGEST_REFUSAL)

    def wants_more(self, piece: bytes) -> bool:
        """Count one piece of an error's body; whether it is worth reading on."""
        self._passed += len(piece)
        return self._passed < (self._at_most or 0) and time.monotonic() < self._end

    def pass_on(self, chunk: bytes, headers: Mapping[str, str]) -> bytes:
        """Count one piece and give it back.

        Raises `SeiAuthError` if the answer begins as an HTML page, `SeiConnectionError` if it took too long,
        `SeiReplyError` if it is too large.
        """
        if self._passed == 0 and (page := page_instead_of_data(self._call.description, 200, headers, chunk)):
            raise page
        self._passed += len(chunk)
        if time.monotonic() > self._end:
            msg = f"Asked to {self._call.description}, SEI's answer was not whole after {self._seconds:.0f} seconds"
            raise SeiConnectionError(msg)
        if self._at_most is not None and self._passed > self._at_most:
            msg = f"Asked to {self._call.description}, SEI's answer is larger than {self._at_most} bytes"
            raise SeiReplyError(msg)
        return chunk

    def total(self, headers: Mapping[str, str]) -> int:
        """The number of bytes of a whole download; raises `SeiDownloadError` if it is empty or not what SEI told.

        An empty page of HTML is no report without rows either: it raises `SeiAuthError`.
        """
        if self._passed == 0 and (page := page_instead_of_data(self._call.description, 200, headers, b"")):
            raise page
        if self._passed == 0 and not self._may_be_empty:  # CONTRACT row 21: an empty export still has its header line
            msg = (
                f"Asked to {self._call.description}, SEI sent an empty body; "
                "an export without rows still has a header line"
            )
            raise SeiDownloadError(msg)
        if self._exactly is not None and self._passed != self._exactly:
            msg = f"Asked to {self._call.description}, SEI sent {self._passed} bytes of {self._exactly}"
            raise SeiDownloadError(msg)
        return self._passed


def check_encoding(call: Call[Any], headers: Mapping[str, str]) -> None:
    """Raise `SeiReplyError` for an answer that is packed as we did not ask for and cannot unpack within bounds."""
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding not in _KNOWN_ENCODINGS:
        msg = f"Asked to {call.description}, SEI answered with the unknown Content-Encoding {sanitize(encoding)!r}"
        raise SeiReplyError(msg)


@contextmanager
def lost_answers(call: Call[Any]) -> Iterator[None]:
    """Turn httpx's errors into `SeiConnectionError`, knowing whether the request can have reached SEI."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        msg = f"Could not reach SEI to {call.description}: {_words(error)}. Check host and network"
        raise SeiConnectionError(msg, sent=False) from error
    except httpx.RequestError as error:
        msg = f"Asked to {call.description}, SEI's answer was lost: {_words(error)}"
        raise SeiConnectionError(msg) from error


def _words(error: Exception) -> str:
    return sanitize(str(error)) or type(error).__name__
