"""Limits on one HTTP exchange: its time and bytes, and that its body is data and complete. Sends nothing.

httpx's timeouts count anew at each read, so a server that sends a byte now and then, or one `100 Continue` after
another, could hold a call for weeks. Here the time of the whole counts, wherever the client reads.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, Self

import httpcore

from sei_provider.api import bounds
from sei_provider.api.call import Call
from sei_provider.api.errors import SeiConnectionError, SeiDownloadError, SeiReplyError, SeiTooLargeError
from sei_provider.api.export import Export
from sei_provider.api.redaction import sanitize
from sei_provider.api.response import html_page_error

_PACKED = {"gzip", "deflate"}
"""Encodings that a JSON reply may have. zlib unpacks them no further than asked; others that httpx may decode have no
such bound."""
_GZIP_OR_ZLIB = zlib.MAX_WBITS + 32


class ExchangeLimits:
    """Limits on one exchange.

    - `head_seconds`: from now to the answer's headers
    - `body_seconds`: from the headers to the end; None if the whole has `head_seconds`
    - `max_bytes`, `exact_bytes`: of the body; the second where SEI told it
    - `unpacks`: whether a body with a Content-Encoding is unpacked; otherwise it is taken as it came
    """

    def __init__(
        self,
        call: Call[Any],
        *,
        head_seconds: float,
        max_bytes: int,
        body_seconds: float | None = None,
        exact_bytes: int | None = None,
        may_be_empty: bool = False,
        unpacks: bool = False,
    ) -> None:
        self._call = call
        self._body_seconds = body_seconds
        self._max_bytes = max_bytes
        self._exact_bytes = exact_bytes
        self._may_be_empty = may_be_empty
        self._unpacks = unpacks
        self._unpacker: Any = None
        self._packed = 0
        """Bytes received of a packed body: those that unpack to nothing count too."""
        self._head_bytes: int | None = 0
        """Bytes received so far if the headers have not come."""
        self._received = 0
        self._chunks = 0
        self._allow(head_seconds)

    @classmethod
    def for_reply(cls, call: Call[Any], deadline: float | None) -> Self:
        """Limits for a JSON reply; a call under way at `deadline` (Unix time) has only a little more time."""
        left = bounds.REPLY_SECONDS if deadline is None else max(bounds.GRACE_SECONDS, deadline - time.time())
        return cls(call, head_seconds=min(bounds.REPLY_SECONDS, left), max_bytes=call.max_bytes, unpacks=True)

    @classmethod
    def for_download(cls, call: Call[Any], export: Export, max_bytes: int) -> Self:
        """Limits for a download, whose size SEI may have told; raises `SeiTooLargeError` if that is too large."""
        limits = cls(
            call,
            head_seconds=bounds.REPLY_SECONDS,
            body_seconds=bounds.DOWNLOAD_SECONDS,
            max_bytes=max_bytes,
            exact_bytes=export.size_bytes,
        )
        if export.size_bytes is not None and export.size_bytes > max_bytes:
            raise limits._too_large()
        return limits

    @classmethod
    def for_report(cls, call: Call[Any], max_bytes: int) -> Self:
        """Limits for a legacy report; an empty body means no rows (CONTRACT row 21)."""
        return cls(
            call,
            head_seconds=bounds.REPORT_SECONDS,
            body_seconds=bounds.DOWNLOAD_SECONDS,
            max_bytes=max_bytes,
            may_be_empty=True,
        )

    @classmethod
    def for_error(cls, call: Call[Any]) -> Self:
        """Limits for the body of an error, of which the beginning is enough."""
        return cls(call, head_seconds=bounds.ERROR_SECONDS, max_bytes=bounds.ERROR_BYTES, unpacks=True)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Have these limits hold for what this thread or task reads within the block (see `limit_reads`)."""
        before = _current.set(self)
        try:
            yield
        finally:
            _current.reset(before)

    def start_body(self, headers: Mapping[str, str]) -> None:
        """Note that the headers have come.

        Raises an error if they announce a body that is too large, or packed in a way that knows no bounds.
        """
        self._head_bytes = None
        if self._body_seconds is not None:
            self._allow(self._body_seconds)
        self._start_unpacking(headers)
        length = headers.get("content-length", "")
        if length.isdecimal():  # h11 takes no more than 20 digits
            self._check_size(int(length))

    def feed(self, chunk: bytes, headers: Mapping[str, str]) -> bytes:
        """Count a chunk of the body and return it, unpacked.

        Raises `SeiAuthError` if the body starts as an HTML page, `SeiConnectionError` if it takes too long or is
        damaged, `SeiDownloadError` if it is longer than SEI told, and `SeiReplyError` if it is too large.
        """
        data = self._unpack(chunk)
        if self._received == 0 and (error := html_page_error(self._call.description, 200, headers, data)):
            raise error
        self._count(data)
        self._check_size(self._received)
        return data

    def feed_error(self, chunk: bytes, headers: Mapping[str, str]) -> bytes:
        """Count a chunk of an error's body and return it; raises `SeiReplyError` or `SeiConnectionError` at the end."""
        if self._unpacker is None and self._received == 0:
            self._start_unpacking(headers)
        if self._received >= self._max_bytes:
            raise self._too_large()
        data = self._unpack(chunk)
        self._count(data)
        return data

    def finish(self, headers: Mapping[str, str]) -> int:
        """Return the size of a complete download in bytes.

        Raises `SeiDownloadError` if it is empty or not as long as SEI told, and `SeiAuthError` for an empty HTML page.
        """
        if self._received == 0 and (error := html_page_error(self._call.description, 200, headers, b"")):
            raise error
        if self._received == 0 and not self._may_be_empty:  # CONTRACT row 21
            msg = (
                f"Asked to {self._call.description}, SEI sent an empty body; "
                "an export without rows still has a header line"
            )
            raise SeiDownloadError(msg)
        if self._exact_bytes is not None and self._received != self._exact_bytes:
            msg = f"Asked to {self._call.description}, SEI sent {self._received} bytes of {self._exact_bytes}"
            raise SeiDownloadError(msg)
        return self._received

    def clip(self, timeout: float | None) -> float:
        """Return the timeout of a read; raises `SeiConnectionError` if the exchange has no time left."""
        self.check_time()
        left = self._end - time.monotonic()
        return left if timeout is None else min(timeout, left)

    def count_read(self, received: bytes) -> bytes:
        """Count what a read gave; raises `SeiConnectionError` if the headers do not come for all that."""
        if self._head_bytes is not None:
            self._head_bytes += len(received)
            if self._head_bytes > bounds.HEAD_BYTES:
                msg = (
                    f"Asked to {self._call.description}, SEI sent {self._head_bytes} bytes of headers, and they did "
                    "not end"
                )
                raise SeiConnectionError(msg)
        return received

    def check_time(self) -> None:
        """Raise `SeiConnectionError` if the time is up."""
        if time.monotonic() >= self._end:
            state = "did not begin" if self._head_bytes is not None else "was not complete"
            after = "within" if self._head_bytes is not None else "after"
            msg = f"Asked to {self._call.description}, SEI's answer {state} {after} {self._seconds:.0f} seconds"
            raise SeiConnectionError(msg)

    def _allow(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def _start_unpacking(self, headers: Mapping[str, str]) -> None:
        encoding = headers.get("content-encoding", "").strip().lower()
        if not self._unpacks or encoding in {"", "identity"}:
            return
        if encoding not in _PACKED:
            msg = (
                f"Asked to {self._call.description}, SEI answered with the unknown Content-Encoding "
                f"{sanitize(encoding)!r}"
            )
            raise SeiReplyError(msg)
        self._unpacker = zlib.decompressobj(_GZIP_OR_ZLIB)

    def _unpack(self, chunk: bytes) -> bytes:
        if self._unpacker is None:
            return chunk
        self._packed += len(chunk)
        if self._packed > self._max_bytes:
            raise self._too_large()
        if self._unpacker.eof:  # zlib would keep what comes behind the end, and copy all of it each time
            return b""
        try:
            data: bytes = self._unpacker.decompress(chunk, self._max_bytes - self._received + 1)
        except zlib.error:
            msg = f"Asked to {self._call.description}, SEI's compressed answer is damaged"
            raise SeiConnectionError(msg) from None
        return data

    def _count(self, data: bytes) -> None:
        self.check_time()
        self._received += len(data)
        self._chunks += 1
        if self._chunks > bounds.SMALL_CHUNKS and self._received < self._chunks * bounds.SMALL_CHUNK_BYTES:
            msg = (
                f"Asked to {self._call.description}, SEI sent {self._received} bytes in {self._chunks} chunks, "
                "which are too small to read on"
            )
            raise SeiReplyError(msg)

    def _check_size(self, size: int) -> None:
        if self._exact_bytes is not None and size > self._exact_bytes:
            msg = (
                f"Asked to {self._call.description}, SEI sent more than the {self._exact_bytes} bytes that it announced"
            )
            raise SeiDownloadError(msg)
        if size > self._max_bytes:
            raise self._too_large()

    def _too_large(self) -> SeiReplyError:
        if self._unpacks:
            msg = f"Asked to {self._call.description}, SEI's answer is larger than {self._max_bytes} bytes"
            return SeiReplyError(msg)
        msg = (
            f"Asked to {self._call.description}, SEI has more than {self._max_bytes:,} bytes, so no more was read: ask "
            "for fewer teams or days, or raise max_file_bytes= if SEI really has that much data"
        )
        return SeiTooLargeError(msg)


_current: ContextVar[ExchangeLimits | None] = ContextVar("exchange", default=None)


def limit_reads(_event: str, info: Mapping[str, Any]) -> None:
    """Have the limits of the exchange under way hold for each read of a connection: a `trace` for httpcore.

    A connection is met here once, when it is made, and outlives the exchange that made it.
    """
    stream = info.get("return_value")
    if isinstance(stream, httpcore.NetworkStream):
        stream.read = partial(_read, stream.read)  # type: ignore[method-assign]


async def limit_async_reads(_event: str, info: Mapping[str, Any]) -> None:
    """As `limit_reads`, for the connections of asyncio."""
    stream = info.get("return_value")
    if isinstance(stream, httpcore.AsyncNetworkStream):
        stream.read = partial(_async_read, stream.read)  # type: ignore[method-assign]


def _read(read: Callable[..., bytes], max_bytes: int, timeout: float | None = None) -> bytes:
    limits = _current.get()
    if limits is None:
        return read(max_bytes, timeout)
    try:
        return limits.count_read(read(max_bytes, limits.clip(timeout)))
    except httpcore.TimeoutException:
        limits.check_time()
        raise


async def _async_read(
    read: Callable[..., Awaitable[bytes]],
    max_bytes: int,
    timeout: float | None = None,  # noqa: ASYNC109 - the signature of httpcore
) -> bytes:
    limits = _current.get()
    if limits is None:
        return await read(max_bytes, timeout)
    try:
        return limits.count_read(await read(max_bytes, limits.clip(timeout)))
    except httpcore.TimeoutException:
        limits.check_time()
        raise
