"""The error that a response or a broken connection stands for. Reads nothing itself.

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
from typing import Any

import httpx

from sei_provider.api import bounds
from sei_provider.api.call import Call
from sei_provider.api.errors import (
    SeiAuthError,
    SeiBadRequestError,
    SeiConnectionError,
    SeiHTTPError,
    SeiNotFoundError,
    SeiRateLimitError,
    SeiServerError,
)
from sei_provider.api.redaction import sanitize

_CHECK_KEY = "Check the API key (the connection's password), and that it may read this organization and project"
_CHECK_PLACE = "Check that it exists, and that the connection's host is the cluster's base URL with its path"
_LOWER_RATE = "The key's limit is shared with others; lower requests_per_minute in the connection"


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
    return sanitize(message), sanitize(correlation_id) if correlation_id else request_id


def _retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header, given in seconds or as an HTTP date; at most five minutes."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (TypeError, ValueError, OverflowError, OSError):  # the last two for years that no clock has
            return None
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.1), bounds.RETRY_AFTER_SECONDS)
