"""What can go wrong between us and SEI, as one tree under `SeiError`. Knows no transport.

    SeiError
    ├── SeiInputError          refused before any call: the message names the allowed values
    ├── SeiConnectionError     no whole answer: refused, reset, timed out
    ├── SeiReplyError          an answer that the documents do not describe
    │   └── SeiDownloadError   a download that is not the whole export
    └── SeiHTTPError           an answer that says no; carries `status`, `server_message`, `request_id`
        ├── SeiBadRequestError   400, 405, 409, 415, 422
        ├── SeiAuthError         401, 403, a redirect, or a login page where data should be (CONTRACT row 24)
        ├── SeiNotFoundError     404
        ├── SeiRateLimitError    429; carries `retry_after`
        └── SeiServerError       5xx; carries `retry_after`

Messages never hold the key, and e-mail addresses in what the server says are masked (CONTRACT row 27).
"""

from __future__ import annotations

import re

_LONGEST_MESSAGE = 300
_EMAIL = re.compile(r"[^\s@<>\"']+@[^\s@<>\"']+\.[^\s@<>\"']+")


def presentable(text: str) -> str:
    """The server's own words made fit for a log: one line, cut, without e-mail addresses."""
    line = _EMAIL.sub("<e-mail>", " ".join(text.split()))
    return line if len(line) <= _LONGEST_MESSAGE else line[:_LONGEST_MESSAGE] + "…"


class SeiError(Exception):
    """Anything that the SEI client raises on purpose."""


class SeiInputError(SeiError, ValueError):
    """What was asked for cannot be asked of SEI; nothing was sent."""


class SeiConnectionError(SeiError):
    """No whole answer came: refused, reset, or timed out.

    `sent` is False when the request certainly never reached SEI.
    """

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


class SeiReplyError(SeiError):
    """An answer came that is not what the documents describe."""


class SeiDownloadError(SeiReplyError):
    """A download ended without being the whole export."""


class SeiHTTPError(SeiError):
    """SEI answered with an HTTP status that says no.

    `status` is the HTTP status, `server_message` what SEI said (cut to one line), `request_id` SEI's
    own id of the call if it gave one, `retry_after` the seconds it asked us to wait, if any.
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
    """SEI understood the call and refused it; sending it again changes nothing."""


class SeiAuthError(SeiHTTPError):
    """The key is wrong or may not do this, or a login page came instead of data."""


class SeiNotFoundError(SeiHTTPError):
    """What was named does not exist, or not any more."""


class SeiRateLimitError(SeiHTTPError):
    """The key's requests per minute are used up."""


class SeiServerError(SeiHTTPError):
    """SEI, or a gateway before it, failed."""
