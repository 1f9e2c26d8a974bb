"""Authentication and the other conditions of every call: key, rate limit, identifiers, content type."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Literal

from sei_provider.sandbox.http.errors import ApiError, bad_request
from sei_provider.sandbox.http.validation import StrictModel, parse

if TYPE_CHECKING:
    from starlette.requests import Request

    from sei_provider.sandbox.clock import SandboxClock

IDENTIFIERS = ("projectIdentifier", "orgIdentifier")
ACCOUNT = "accountIdentifier"
WINDOW_SECONDS = 60.0


class IdentifierQuery(StrictModel):
    """The identifiers of project, organisation and account."""

    project_identifier: str = ""
    org_identifier: str = ""
    account_identifier: str = ""


class ReportQuery(IdentifierQuery):
    """The query of the legacy reports (CONTRACT row 32)."""

    format: Literal["csv"]


class SlidingWindow:
    """The requests that one key made in the last 60 seconds (CONTRACT, "Limits"); without a limit it admits all."""

    def __init__(self, requests_per_minute: int | None, clock: SandboxClock) -> None:
        self.requests_per_minute = requests_per_minute
        self._clock = clock
        self._admitted_at: deque[float] = deque()

    def admit(self) -> bool:
        """Take a place for one more request now, and return whether there was one."""
        if self.requests_per_minute is None:
            return True
        now = self._clock.now()
        while self._admitted_at and now - self._admitted_at[0] >= WINDOW_SECONDS:
            self._admitted_at.popleft()
        if len(self._admitted_at) >= self.requests_per_minute:
            return False
        self._admitted_at.append(now)
        return True


class Auth:
    """Checks of the key and the rate limit. Only one key is accepted, so there is one limit."""

    def __init__(self, key: str, window: SlidingWindow) -> None:
        self._key = key
        self._window = window

    def check(self, request: Request, *, needs_content_type: bool = True) -> tuple[str, str]:
        """Check what the documents ask of every V2 call, and return project and organisation."""
        if not self._has_key(request):
            message = "The header `authorization: ApiKey <key>` is missing or its key is not valid"
            raise ApiError(401, "UNAUTHORIZED", message)
        self._count()
        project, org = (request.query_params.get(name, "") for name in IDENTIFIERS)
        for name, value in zip(IDENTIFIERS, (project, org), strict=True):
            if not value:
                bad_request(f"The query parameter {name} is required on every call")
        if needs_content_type:
            _check_content_type(request)
        return project, org

    def check_with_account(self, request: Request) -> None:
        """Check a call for org trees: it needs an account too, in the query or as a header (CONTRACT, section 1)."""
        self.check(request)
        if not request.query_params.get(ACCOUNT) and not request.headers.get("harness-account"):
            bad_request(f"Org trees need the query parameter {ACCOUNT} or the header Harness-Account")

    def check_legacy(self, request: Request) -> None:
        """Check a legacy call: the key in either header or in both, `format=csv`, no identifiers (row 32)."""
        right = {"x-api-key": request.headers.get("x-api-key") == self._key, "authorization": self._has_key(request)}
        given = right.keys() & request.headers.keys()
        if not given or not all(right[header] for header in given):
            message = "The header `x-api-key: <key>` or `authorization: ApiKey <key>` is missing or not valid"
            raise ApiError(401, "UNAUTHORIZED", message)
        self._count()
        parse(ReportQuery, request.query_params)
        _check_content_type(request)

    def _has_key(self, request: Request) -> bool:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        # The scheme in any case: the download curls of 001 and 002 send `Apikey` (row 29).
        return scheme.lower() == "apikey" and key == self._key

    def _count(self) -> None:
        if not self._window.admit():
            # Without a Retry-After, as SEI's (CONTRACT, "Limits").
            message = f"Rate limit exceeded: {self._window.requests_per_minute} requests per minute for one API key"
            raise ApiError(429, "TOO_MANY_REQUESTS", message)


def _check_content_type(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        message = f"The header Content-Type must be application/json on every call, not {media_type!r}"
        raise ApiError(415, "UNSUPPORTED_MEDIA_TYPE", message)
