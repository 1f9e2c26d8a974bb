"""What a call must bring before it is looked at: key, room under the limit, identifiers, content type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sei_provider.sandbox.checks import one_of, only, refuse
from sei_provider.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from starlette.requests import Request

    from sei_provider.sandbox.limit import SlidingWindow

IDENTIFIERS = ("projectIdentifier", "orgIdentifier")
ACCOUNT = "accountIdentifier"


class Access:
    """Lets in who has the key and keeps to the limit. Only one key is accepted, so there is one limit."""

    def __init__(self, key: str, window: SlidingWindow) -> None:
        self._key = key
        self._window = window

    def check(self, request: Request, *, needs_content_type: bool = True) -> tuple[str, str]:
        """What the documents ask of every V2 call; gives project and organisation."""
        if not self._has_key(request):
            message = "The header `authorization: ApiKey <key>` is missing or its key is not valid"
            raise Refusal(401, "UNAUTHORIZED", message)
        self._count()
        identifiers = [request.query_params.get(name, "") for name in IDENTIFIERS]
        for name, value in zip(IDENTIFIERS, identifiers, strict=True):
            if not value:
                refuse(f"The query parameter {name} is required on every call")
        if needs_content_type:
            _check_content_type(request)
        project, org = identifiers
        return project, org

    def check_with_account(self, request: Request) -> None:
        """What calls for org trees need: an account too, in the query or as a header (CONTRACT, section 1)."""
        self.check(request)
        if not request.query_params.get(ACCOUNT) and not request.headers.get("harness-account"):
            refuse(f"Org trees need the query parameter {ACCOUNT} or the header Harness-Account")

    def check_legacy(self, request: Request) -> None:
        """What the legacy reports need: the key in either header or in both, `format=csv`, no identifiers (row 32)."""
        keys = [
            is_right
            for header, is_right in (
                ("x-api-key", request.headers.get("x-api-key") == self._key),
                ("authorization", self._has_key(request)),
            )
            if header in request.headers
        ]
        if not keys or not all(keys):
            message = "The header `x-api-key: <key>` or `authorization: ApiKey <key>` is missing or not valid"
            raise Refusal(401, "UNAUTHORIZED", message)
        self._count()
        parameters = request.query_params
        only(parameters, ("format", *IDENTIFIERS, ACCOUNT), "the query", "parameter")
        if "format" not in parameters:
            refuse("The query parameter format is required: csv")
        one_of("format", parameters["format"], ("csv",))
        _check_content_type(request)

    def _has_key(self, request: Request) -> bool:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        # The scheme in any case: the download curls of 001 and 002 send `Apikey` (row 29).
        return scheme.lower() == "apikey" and key == self._key

    def _count(self) -> None:
        if not self._window.admit():
            # Without a Retry-After, as SEI's (CONTRACT, "Limits").
            message = f"Rate limit exceeded: {self._window.requests_per_minute} requests per minute for one API key"
            raise Refusal(429, "TOO_MANY_REQUESTS", message)


def _check_content_type(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        message = f"The header Content-Type must be application/json on every call, not {media_type!r}"
        raise Refusal(415, "UNSUPPORTED_MEDIA_TYPE", message)
