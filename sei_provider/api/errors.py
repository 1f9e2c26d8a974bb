"""What can go wrong between us and SEI, as one tree under `SeiError`. Knows no transport.

    SeiError
    ├── SeiInputError          refused before any call: the message names the allowed values
    ├── SeiConnectionError     no whole answer: refused, reset, cut short, timed out
    ├── SeiReplyError          an answer that the documents do not describe
    │   └── SeiDownloadError   a download that is not the whole export
    └── SeiHTTPError           an answer that says no; carries `status`, `server_message`, `request_id`
        ├── SeiBadRequestError   400, 405, 409, 415, 422
        ├── SeiAuthError         401, 403, a redirect, or a login page where data should be (CONTRACT row 24)
        ├── SeiNotFoundError     404
        ├── SeiRateLimitError    429; carries `retry_after`
        └── SeiServerError       5xx; carries `retry_after`

Messages never hold the key, also if the server repeats it, and e-mail addresses in what the server says are masked
(CONTRACT row 27).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_LONGEST_MESSAGE = 300
_LONGEST_SEARCHED = 2000
"""Characters in which addresses are looked for: the time that takes grows with the square of a word's length."""
_EMAIL = re.compile(r"[^\s@<>\"']+@[^\s@<>\"']+\.[^\s@<>\"']+")
_secret: ContextVar[str] = ContextVar("secret", default="")


@contextmanager
def hiding(secret: str) -> Iterator[None]:
    """Have `presentable` mask `secret` within the block: what an answer says is made of it in many places."""
    before = _secret.set(secret)
    try:
        yield
    finally:
        _secret.reset(before)


def presentable(text: str) -> str:
    """The server's own words made fit for a log and a database: one line of printable text, cut, without e-mail
    addresses and without what is being hidden."""
    if secret := _secret.get():
        text = text.replace(secret, "<key>")
    if len(text) > _LONGEST_SEARCHED:  # up to a whole word, lest half an address be left that is not known as one
        text = " ".join(text[:_LONGEST_SEARCHED].rsplit(maxsplit=1)[:1])
    line = _EMAIL.sub("<e-mail>", " ".join(text.split()))
    line = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)
    return line if len(line) <= _LONGEST_MESSAGE else line[:_LONGEST_MESSAGE] + "…"


class SeiError(Exception):
    """Anything that the SEI client raises on purpose."""


class SeiInputError(SeiError, ValueError):
    """What was asked for cannot be asked of SEI; nothing was sent."""


class SeiConnectionError(SeiError):
    """No whole answer came: refused, reset, cut short, or timed out; or nothing could be sent.

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
