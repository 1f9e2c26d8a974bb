"""What both clients share: where SEI is, who we are, how long to try, and how much of an answer is believed.

Waits for nothing and sends nothing: that is the clients' part.
"""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import httpx

from sei_provider import __version__
from sei_provider.api import calls
from sei_provider.api.calls import Call, Flow
from sei_provider.api.errors import (
    SeiConnectionError,
    SeiDownloadError,
    SeiError,
    SeiInputError,
    SeiRateLimitError,
    SeiReplyError,
    SeiServerError,
)
from sei_provider.api.export import Export
from sei_provider.api.limit import shared_rate_limit
from sei_provider.api.refusal import page_instead_of_data
from sei_provider.api.request import ExportRequest

log = logging.getLogger(__name__)

CHUNK = 256 * 1024
"""Bytes of a download handled at a time."""

_TIMEOUT = httpx.Timeout(60.0, connect=10.0)
"""Seconds without a sign of life: 10 to connect, 60 between two pieces of an answer."""
_LEGACY_TIMEOUT = httpx.Timeout(900.0, connect=10.0)
"""A legacy report is made while we wait, so its first byte may be long in coming."""
_WHOLE_REPLY_SECONDS = 120.0
_WHOLE_DOWNLOAD_SECONDS = 3600.0
_ATTEMPTS = 5
_PATIENCE_SECONDS = 300.0
"""How long a call is made again when the client was given no deadline."""
_LARGEST_REPLY = 16 * 1024 * 1024


class Wire:
    """The settings of a client.

    - `base_url`: the cluster's, with its path, as in `https://app.harness.io/prod1/sei/api`
    - `api_key`, `org_identifier`, `project_identifier`: carried by every call
    - `account_identifier`: sent as `Harness-Account` if given; org trees cannot be read without
    - `requests_per_minute`: this machine's share of the key's limit (SEI allows 400 to a key)
    - `level_field`: the name under which the level travels (CONTRACT row 9)
    - `deadline`: Unix time in seconds after which no call is made again
    - `verify`: an `ssl.SSLContext` to check SEI's certificate by, or True for the machine's own authorities

    Raises `SeiInputError` for a base URL that is none, or a missing key, organization or project.
    """

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        org_identifier: str,
        project_identifier: str,
        account_identifier: str | None = None,
        requests_per_minute: int = 400,
        level_field: str = "metricLevel",
        deadline: float | None = None,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        self.base_url = _checked_base_url(base_url)
        carried = {"api_key": api_key, "org_identifier": org_identifier, "project_identifier": project_identifier}
        for name, value in carried.items():
            if not value:
                msg = f"{name} is missing: every call to SEI carries it, so set it in the connection"
                raise SeiInputError(msg)
        if requests_per_minute < 1:
            msg = f"requests_per_minute must be at least 1, not {requests_per_minute}"
            raise SeiInputError(msg)
        self._params = {"projectIdentifier": project_identifier, "orgIdentifier": org_identifier}
        self._names = {
            "org_identifier": org_identifier,
            "project_identifier": project_identifier,
            "level_field": level_field,
        }
        headers = {
            "authorization": f"ApiKey {api_key}",
            "Content-Type": "application/json",
            # Bytes as SEI stored them: a decoder in between would pass a truncated file on as if it were whole.
            "Accept-Encoding": "identity",
            "User-Agent": f"airflow-provider-sei/{__version__} {type(self).__name__}",
        }
        if account_identifier:
            headers["Harness-Account"] = account_identifier
        self._http_settings: dict[str, Any] = {
            "headers": headers,
            "timeout": _TIMEOUT,
            "verify": verify,
            "follow_redirects": False,  # a redirect would take the key along
        }
        self._legacy_headers = {"x-api-key": api_key}  # beside the other: text and curl of 002 differ
        self._account_identifier = account_identifier
        self._create_paths: dict[str, str] = {}
        self._deadline = deadline
        self._limit = shared_rate_limit(self.base_url, api_key, requests_per_minute)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self.base_url!r}, {self._params})"

    def _request(self, http: httpx.Client | httpx.AsyncClient, call: Call[Any]) -> httpx.Request:
        url = self.base_url + call.path
        if call.legacy:
            return http.build_request(
                call.method,
                url,
                params=call.params,
                json=call.body,
                headers=self._legacy_headers,
                timeout=_LEGACY_TIMEOUT,
            )
        return http.build_request(call.method, url, params={**self._params, **call.params}, json=call.body)

    def _report(self, request: ExportRequest) -> Call[None]:
        return calls.run_report(request, request.body(**self._names))

    def _account(self) -> str:
        if not self._account_identifier:
            msg = (
                "account_identifier is missing: SEI gives org trees and teams only for an account, "
                "so set the connection's extra account_identifier"
            )
            raise SeiInputError(msg)
        return self._account_identifier

    def _create(self, request: ExportRequest) -> Flow[Export]:
        return calls.create_export(request, request.body(**self._names), self._create_paths)

    def _retries(self) -> dict[str, Any]:
        patience = _PATIENCE_SECONDS if self._deadline is None else max(1.0, self._deadline - time.time())
        return {"attempts": None, "timeout": patience, "wait_initial": 0.5, "wait_max": 30.0, "wait_jitter": 1.0}

    @staticmethod
    def _again(call: Call[Any]) -> Callable[[Exception], bool | float]:
        """Decides for one call whether an error is worth asking again, and after how many seconds if SEI said."""
        failures = 0

        def decide(error: Exception) -> bool | float:
            nonlocal failures
            if isinstance(error, SeiRateLimitError):  # never an error of the scope: until the deadline
                return error.retry_after or True
            if not isinstance(error, SeiConnectionError | SeiServerError | SeiDownloadError):
                return False
            failures += 1
            if failures >= _ATTEMPTS:
                return False
            if not call.repeat_is_safe and getattr(error, "sent", True):
                log.warning(
                    "No answer came when asked to %s; asking again, so there may be two such exports", call.what
                )
            return getattr(error, "retry_after", None) or True

        return decide


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

    def pass_on(self, chunk: bytes, headers: Mapping[str, str]) -> bytes:
        """Count one piece and give it back.

        Raises `SeiAuthError` if the answer begins as an HTML page, `SeiConnectionError` if it took too long,
        `SeiReplyError` if it is too large.
        """
        if self._passed == 0 and (page := page_instead_of_data(self._call.what, 200, headers, chunk)):
            raise page
        self._passed += len(chunk)
        if time.monotonic() > self._end:
            msg = f"Asked to {self._call.what}, SEI's answer was not whole after {self._seconds:.0f} seconds"
            raise SeiConnectionError(msg)
        if self._at_most is not None and self._passed > self._at_most:
            msg = f"Asked to {self._call.what}, SEI's answer is larger than {self._at_most} bytes"
            raise SeiReplyError(msg)
        return chunk

    def total(self, headers: Mapping[str, str]) -> int:
        """The number of bytes of a whole download; raises `SeiDownloadError` if it is empty or not what SEI told.

        An empty page of HTML is no report without rows either: it raises `SeiAuthError`.
        """
        if self._passed == 0 and (page := page_instead_of_data(self._call.what, 200, headers, b"")):
            raise page
        if self._passed == 0 and not self._may_be_empty:  # CONTRACT row 21: an empty export still has its header line
            msg = f"Asked to {self._call.what}, SEI sent an empty body; an export without rows still has a header line"
            raise SeiDownloadError(msg)
        if self._exactly is not None and self._passed != self._exactly:
            msg = f"Asked to {self._call.what}, SEI sent {self._passed} bytes of {self._exactly}"
            raise SeiDownloadError(msg)
        return self._passed


@contextmanager
def lost_answers(call: Call[Any]) -> Iterator[None]:
    """Turn httpx's errors into `SeiConnectionError`, knowing whether the request can have reached SEI."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        msg = f"Could not reach SEI to {call.what}: {error or type(error).__name__}. Check host and network"
        raise SeiConnectionError(msg, sent=False) from error
    except httpx.TransportError as error:
        msg = f"Asked to {call.what}, SEI's answer was lost: {error or type(error).__name__}"
        raise SeiConnectionError(msg) from error
    except httpx.HTTPError as error:
        msg = f"Asked to {call.what}: {type(error).__name__}: {error}"
        raise SeiError(msg) from error


def _checked_base_url(base_url: str) -> str:
    try:
        url = httpx.URL(base_url.strip())
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in {"http", "https"} or not url.host or url.query or url.fragment or url.userinfo:
        msg = (
            f"{base_url!r} is not a base URL; it is the cluster's address with its path and nothing else, "
            "as in https://app.harness.io/prod1/sei/api"
        )
        raise SeiInputError(msg)
    return str(url).rstrip("/")
