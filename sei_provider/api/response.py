"""Limits on a response's body, and the error that a response or a broken connection stands for. Reads nothing itself.

SEI's errors come as `{status, error, message}`, `{status, code, message, correlationId}`, plain text or HTML
(CONTRACT row 25), and a wrong key may end at a login page with status 200 (row 24).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Self

import httpx

from sei_provider.api.call import Call
from sei_provider.api.errors import (
    SeiAuthError,
    SeiBadRequestError,
    SeiConnectionError,
    SeiDownloadError,
    SeiHTTPError,
    SeiNotFoundError,
    SeiRateLimitError,
    SeiReplyError,
    SeiServerError,
    sanitize,
)
from sei_provider.api.export import Export

_REPLY_SECONDS = 120.0
_DOWNLOAD_SECONDS = 3600.0
_ERROR_SECONDS = 10.0
_MAX_REPLY_BYTES = 16 * 1024 * 1024
_MAX_ERROR_BYTES = 64 * 1024
_MAX_RETRY_AFTER = 300.0
_KNOWN_ENCODINGS = {"", "identity", "gzip", "deflate"}
"""Encodings that a JSON reply may have. They expand a thousandfold at most; others that httpx may decode have no such
bound."""

_CHECK_KEY = "Check the API key (the connection's password), and that it may read this organization and project"
_CHECK_PLACE = "Check that it exists, and that the connection's host is the cluster's base URL with its path"
_LOWER_RATE = "The key's limit is shared with others; lower requests_per_minute in the connection"


class BodyLimits:
    """Limits on the size and duration of one response's body, and the checks that it is data and complete."""

    def __init__(
        self,
        call: Call[Any],
        *,
        seconds: float,
        max_bytes: int | None = None,
        exact_bytes: int | None = None,
        may_be_empty: bool = False,
    ) -> None:
        self._call = call
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self._max_bytes = max_bytes
        self._exact_bytes = exact_bytes
        self._may_be_empty = may_be_empty
        self._received = 0

    @classmethod
    def for_reply(cls, call: Call[Any]) -> Self:
        """Limits for a JSON reply."""
        return cls(call, seconds=_REPLY_SECONDS, max_bytes=_MAX_REPLY_BYTES)

    @classmethod
    def for_download(cls, call: Call[Any], export: Export) -> Self:
        """Limits for a download, whose size SEI may have told."""
        return cls(call, seconds=_DOWNLOAD_SECONDS, exact_bytes=export.size_bytes)

    @classmethod
    def for_report(cls, call: Call[Any]) -> Self:
        """Limits for a legacy report; an empty body means no rows (CONTRACT row 21)."""
        return cls(call, seconds=_DOWNLOAD_SECONDS, may_be_empty=True)

    @classmethod
    def for_error(cls, call: Call[Any]) -> Self:
        """Limits for the body of an error, of which the beginning is enough."""
        return cls(call, seconds=_ERROR_SECONDS, max_bytes=_MAX_ERROR_BYTES)

    def wants_more(self, chunk: bytes) -> bool:
        """Count a chunk of an error's body and tell whether to read on."""
        self._received += len(chunk)
        return self._received < (self._max_bytes or 0) and time.monotonic() < self._end

    def feed(self, chunk: bytes, headers: Mapping[str, str]) -> bytes:
        """Count a chunk and return it.

        Raises `SeiAuthError` if the body starts as an HTML page, `SeiConnectionError` if it takes too long, and
        `SeiReplyError` if it is too large.
        """
        if self._received == 0 and (error := html_page_error(self._call.description, 200, headers, chunk)):
            raise error
        self._received += len(chunk)
        if time.monotonic() > self._end:
            msg = f"Asked to {self._call.description}, SEI's answer was not complete after {self._seconds:.0f} seconds"
            raise SeiConnectionError(msg)
        if self._max_bytes is not None and self._received > self._max_bytes:
            msg = f"Asked to {self._call.description}, SEI's answer is larger than {self._max_bytes} bytes"
            raise SeiReplyError(msg)
        return chunk

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


def check_encoding(call: Call[Any], headers: Mapping[str, str]) -> None:
    """Raise `SeiReplyError` for a Content-Encoding that we did not ask for and cannot decode within bounds."""
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding not in _KNOWN_ENCODINGS:
        msg = f"Asked to {call.description}, SEI answered with the unknown Content-Encoding {sanitize(encoding)!r}"
        raise SeiReplyError(msg)


def transport_error(call: Call[Any], error: httpx.RequestError) -> SeiConnectionError:
    """Return the error that httpx's own stands for; it tells whether the request can have reached SEI."""
    reason = sanitize(str(error)) or type(error).__name__
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
        msg = f"Could not reach SEI to {call.description}: {reason}. Check host and network"
        return SeiConnectionError(msg, sent=False)
    return SeiConnectionError(f"Asked to {call.description}, SEI's answer was lost: {reason}")


def error_from_response(description: str, status: int, headers: Mapping[str, str], body: bytes) -> SeiHTTPError:
    """Return the error that a status other than success stands for; `description` is that of the call."""
    message, request_id = _server_message(headers, body)
    kind, hint = _kind(status)
    said = f": {message}" if message else ""
    traced = f" (SEI's request id {request_id})" if request_id else ""
    return kind(
        f"SEI refused to {description} with HTTP {status}{said}{traced}. {hint}".rstrip(),
        status=status,
        server_message=message,
        request_id=request_id,
        retry_after=_retry_after(headers.get("retry-after")),
    )


def html_page_error(description: str, status: int, headers: Mapping[str, str], start: bytes) -> SeiAuthError | None:
    """Return the error of an HTML page where data should be; None if `start`, of the body, is not HTML."""
    is_page = "html" in headers.get("content-type", "").lower() or start.lstrip()[:9].lower().startswith(
        (b"<!doctype", b"<html")
    )
    if not is_page:
        return None
    message, request_id = _server_message(headers, start)
    return SeiAuthError(
        f"Asked to {description}, SEI answered HTTP {status} with {message or 'an HTML page'} instead of data, "
        f"as a login page or a gateway does. {_CHECK_KEY}",
        status=status,
        server_message=message,
        request_id=request_id,
    )


def _kind(status: int) -> tuple[type[SeiHTTPError], str]:
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return SeiAuthError, _CHECK_KEY
    if 300 <= status < 400:  # noqa: PLR2004 - the class of redirects; never followed, the key stays here
        return SeiAuthError, f"A redirect usually means a login page. {_CHECK_KEY}"
    if status == HTTPStatus.NOT_FOUND:
        return SeiNotFoundError, _CHECK_PLACE
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return SeiRateLimitError, _LOWER_RATE
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return SeiServerError, "SEI or a gateway in front of it failed; trying later may help"
    return SeiBadRequestError, "Sending it again will not help; correct the request"


def _server_message(headers: Mapping[str, str], body: bytes) -> tuple[str, str | None]:
    """Return the server's message, sanitized, and its id of the request."""
    text = body.decode("utf-8", "replace").strip()
    request_id = sanitize(headers.get("x-request-id", "")) or None
    if text[:1] == "<":
        return "an HTML page", request_id
    try:
        reply = json.loads(text)
    except (ValueError, RecursionError):
        return sanitize(text), request_id
    if not isinstance(reply, dict):
        return sanitize(text), request_id
    error = reply.get("error")
    if isinstance(error, dict):
        error = error.get("message") or error.get("code")
    message = reply.get("message") or error or reply.get("code") or ""
    correlation_id = reply.get("correlationId")
    return sanitize(str(message)), sanitize(str(correlation_id)) if correlation_id else request_id


def _retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header, given in seconds or as an HTTP date; at most five minutes."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError, OSError):  # the last two for years that no clock has
            return None
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.1), _MAX_RETRY_AFTER)
