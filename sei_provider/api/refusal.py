"""What an answer that says no means: from HTTP status, headers and the start of a body to one of `errors`.

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

from sei_provider.api.errors import (
    SeiAuthError,
    SeiBadRequestError,
    SeiHTTPError,
    SeiNotFoundError,
    SeiRateLimitError,
    SeiServerError,
    sanitize,
)

_LONGEST_RETRY_AFTER = 300.0

_CHECK_KEY = "Check the API key (the connection's password), and that it may read this organization and project"
_CHECK_PLACE = "Check that it exists, and that the connection's host is the cluster's base URL with its path"
_REFUSED_TOO_OFTEN = "The key's limit is shared with others; lower requests_per_minute in the connection"


def refusal(what: str, status: int, headers: Mapping[str, str], body: bytes) -> SeiHTTPError:
    """The error that an answer other than 2xx stands for; `what` is the call, as in `Call.what`."""
    message, request_id = _server_words(headers, body)
    kind, hint = _kind(status)
    said = f": {message}" if message else ""
    traced = f" (SEI's request id {request_id})" if request_id else ""
    return kind(
        f"SEI refused to {what} with HTTP {status}{said}{traced}. {hint}".rstrip(),
        status=status,
        server_message=message,
        request_id=request_id,
        retry_after=_retry_after(headers.get("retry-after")),
    )


def page_instead_of_data(what: str, status: int, headers: Mapping[str, str], start: bytes) -> SeiAuthError | None:
    """The error of an HTML page where data should be, or None if `start` (of the body) is no such page."""
    is_page = "html" in headers.get("content-type", "").lower() or start.lstrip()[:9].lower().startswith(
        (b"<!doctype", b"<html")
    )
    if not is_page:
        return None
    message, request_id = _server_words(headers, start)
    return SeiAuthError(
        f"Asked to {what}, SEI answered HTTP {status} with {message or 'an HTML page'} instead of data, "
        f"as a login or a gateway does. {_CHECK_KEY}",
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
        return SeiRateLimitError, _REFUSED_TOO_OFTEN
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return SeiServerError, "SEI or a gateway before it failed; trying later may help"
    return SeiBadRequestError, "Sending it again will not help; correct the request"


def _server_words(headers: Mapping[str, str], body: bytes) -> tuple[str, str | None]:
    """What the server said, fit for a log, and its id of the request."""
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
    """Seconds to wait from a Retry-After header, in seconds or as an HTTP date; at most five minutes."""
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
    return min(max(seconds, 0.1), _LONGEST_RETRY_AFTER)
