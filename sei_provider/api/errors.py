"""The errors of the SEI client, as one tree under `SeiError`, and what each means to a retry. Knows no transport.

    SeiError
    ├── SeiInputError          permanent   refused before any call: the message names the allowed values
    ├── SeiConnectionError     transient   no whole answer: refused, reset, cut short, timed out
    ├── SeiTurnError                       not sent: the key's limit leaves no request for longer than the caller waits
    ├── SeiReplyError                      an answer that the documents do not describe
    │   ├── SeiDownloadError   transient   a download that is not the whole export
    │   └── SeiTooLargeError   permanent   a file of more bytes than the caller takes
    └── SeiHTTPError                       an HTTP status that says no: `status`, `server_message`, `request_id`
        ├── SeiBadRequestError permanent   400, 405, 409, 415, 422
        ├── SeiAuthError       permanent   401, 403 or a redirect; not permanent: a page with 200 (CONTRACT row 24)
        ├── SeiNotFoundError   permanent   404
        ├── SeiRateLimitError  transient   429; carries `retry_after`
        └── SeiServerError     transient   5xx; carries `retry_after`

Messages never hold the key, even if the server repeats it, nor e-mail addresses (CONTRACT row 27; see `redaction`).
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any


class SeiError(Exception):
    """Base class of all errors of the SEI client.

    An error may be neither transient nor permanent: an answer that makes no sense is not worth a second call now, yet
    the task's next try may not meet it.
    """

    is_transient: bool = False
    """The same call, sent again soon, may succeed."""
    is_permanent: bool = False
    """Every later try of the task meets this error again, until a person corrects something.

    Of an export that was already created, `SeiNotFoundError` is not permanent: the next try creates a new one.
    """
    affects_all_scopes: bool = False
    """The cause is the key or the machine, so every other scope would meet this error too."""
    invalidates_export: bool = False
    """The export's file cannot be used, so the next try creates a new export."""
    invalidates_export_if_repeated: bool = False
    """As `invalidates_export`, but only at the second try: at the first, the file may have been damaged on its way."""


class SeiInputError(SeiError, ValueError):
    """The input is invalid; nothing was sent."""

    is_permanent = True


class SeiConnectionError(SeiError):
    """No complete answer came: the connection was refused, reset, cut short or timed out; or nothing could be sent.

    `sent` is False when the request certainly never reached SEI.
    """

    is_transient = True

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


class SeiTurnError(SeiError):
    """Nothing was done: the key's limit leaves no request for longer than the client's `turn_patience`.

    `wait` is the seconds until it may leave one.
    """

    def __init__(self, message: str, *, wait: float) -> None:
        super().__init__(message)
        self.wait = wait


class SeiReplyError(SeiError):
    """The answer is not what the documents describe."""


class SeiDownloadError(SeiReplyError):
    """A download ended before the whole export had come."""

    is_transient = True
    invalidates_export_if_repeated = True


class SeiTooLargeError(SeiReplyError):
    """A file has more bytes than the caller takes."""

    is_permanent = True


class SeiHTTPError(SeiError):
    """SEI answered with an HTTP status other than success.

    `status` is the HTTP status, `server_message` SEI's message (sanitized), `request_id` SEI's own id of the call, and
    `retry_after` the seconds that SEI asked to wait; the last two are None where SEI sent none.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        server_message: str = "",
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.server_message = server_message
        self.request_id = request_id
        self.retry_after = retry_after


class SeiBadRequestError(SeiHTTPError):
    """SEI refused the request itself; sending it again changes nothing."""

    is_permanent = True


class SeiAuthError(SeiHTTPError):
    """The key is wrong or may not do this, or a login page came instead of data.

    A page with a status of success is not permanent, because a gateway sends such pages too (CONTRACT row 24).
    """

    def __init__(self, message: str, *, status: int, **details: Any) -> None:
        super().__init__(message, status=status, **details)
        self.is_permanent = status >= HTTPStatus.MULTIPLE_CHOICES
        self.affects_all_scopes = status == HTTPStatus.UNAUTHORIZED


class SeiNotFoundError(SeiHTTPError):
    """SEI does not know the team, export or tree, or not any more."""

    is_permanent = True
    invalidates_export = True


class SeiRateLimitError(SeiHTTPError):
    """The key's requests per minute are used up."""

    is_transient = True


class SeiServerError(SeiHTTPError):
    """SEI, or a gateway in front of it, failed."""

    is_transient = True


def detached(error: SeiError) -> SeiError:
    """Return the error without its causes and its traceback, which hold what the server sent and what was sent to it.

    The message tells all of it that is safe.
    """
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
