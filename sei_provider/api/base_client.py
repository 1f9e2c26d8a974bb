"""Base of both clients: settings, headers, and turning a call into an HTTP request. Neither waits nor sends."""

from __future__ import annotations

import logging
import math
import os
import re
import ssl
import time
from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import ip_address
from typing import Any, Literal, TypeAlias

import httpx

from sei_provider import __version__
from sei_provider.api import bounds
from sei_provider.api.call import Call
from sei_provider.api.errors import SeiInputError, SeiRateLimitError, SeiTurnError
from sei_provider.api.rate_limit import shared_rate_limit
from sei_provider.api.redaction import is_redacting
from sei_provider.api.request import LEVEL_FIELDS
from sei_provider.api.validation import normalize_choice

_ADDRESS = re.compile(
    r"(?P<scheme>https?)://(?P<credentials>[^/?#@\\\s]*@)?(?P<host>[\w.-]+|\[[0-9a-f:.]+\])(?::[0-9]*)?(?:[/?#][^@\\]*)?",
    re.IGNORECASE,
)
"""An address whose host is certain: with another `@` it might be part of a password."""
_LOGGERS = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.proxy", "httpcore.socks")
"""Loggers of whole addresses and of all headers that came: of the signatures in them, and of a key that comes back."""


Observer: TypeAlias = Callable[[Literal["requests", "rate_limited", "rate_limit_wait"], float], None]
"""Events of a client, as they happen: a request that it sends (1), a 429 (1), and the seconds of a wait for the key's
limit, during which the client sends nothing."""


def _is_of_others(_record: logging.LogRecord) -> bool:
    return not is_redacting()


for _name in _LOGGERS:
    logging.getLogger(_name).addFilter(_is_of_others)


class BaseClient:
    """Settings of a client.

    - `base_url`: the cluster's URL with its path, as in `https://app.harness.io/prod1/sei/api`. `http` is accepted for
      this machine only, or with `allow_http`, because it sends the key unencrypted.
    - `api_key`, `org_identifier`, `project_identifier`: sent with every call
    - `account_identifier`: sent as `Harness-Account`; required for org trees
    - `requests_per_minute`: this machine's share of the key's limit (SEI allows a key 400), or all of it with
      `rate_limit_url`
    - `rate_limit_url`: the Redis in which all machines count together, as in `redis://host:6379/0`
    - `level_field`: the name of the level in a request's body, `metricLevel` or `aggregationLevel` (CONTRACT row 9)
    - `deadline`: Unix time in seconds after which no call is retried
    - `observe`: called with each request, each 429 and each wait for the limit, see `Observer`; in any thread, or on an
      event loop, so it must not block
    - `verify`: an `ssl.SSLContext` that verifies SEI's certificate, or True for the machine's own authorities

    Raises `SeiInputError` for an invalid or unencrypted base URL, a missing key, organization or project, another
    `level_field`, or an invalid `rate_limit_url`.
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
        allow_http: bool = False,
        rate_limit_url: str | None = None,
        observe: Observer | None = None,
    ) -> None:
        self.base_url = _validated_base_url(base_url, allow_http=allow_http)
        carried = {"api_key": api_key, "org_identifier": org_identifier, "project_identifier": project_identifier}
        for name, value in carried.items():
            if not value.strip():
                msg = f"{name} is missing: every call to SEI needs it, so set it in the connection"
                raise SeiInputError(msg)
        if requests_per_minute < 1:
            msg = f"requests_per_minute must be at least 1, not {requests_per_minute}"
            raise SeiInputError(msg)
        self._params = {"projectIdentifier": project_identifier, "orgIdentifier": org_identifier}
        self._names = {
            "org_identifier": org_identifier,
            "project_identifier": project_identifier,
            "level_field": normalize_choice("level_field", level_field, LEVEL_FIELDS),
        }
        self._key = _Secret(_validated_header("api_key", api_key))
        headers = {
            "authorization": _Secret(f"ApiKey {self._key}"),
            "Content-Type": "application/json",
            # Bytes as SEI stored them: httpx's decoder would return a truncated file as if it were complete.
            "Accept-Encoding": "identity",
            "User-Agent": f"airflow-provider-sei/{__version__} {type(self).__name__}",
        }
        if account_identifier:
            headers["Harness-Account"] = _validated_header("account_identifier", account_identifier)
        # A proxy in the environment is the company's way out, and has no place between us and this machine.
        trust_env = not _is_local(httpx.URL(self.base_url).host)
        self._http_settings: dict[str, Any] = {
            "headers": headers,
            "timeout": httpx.Timeout(bounds.SILENCE_SECONDS, connect=bounds.CONNECT_SECONDS),
            "cookies": CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # SEI needs none, and they would add up
            "verify": _usual_authorities() if verify is True and not (trust_env and _names_authorities()) else verify,
            "follow_redirects": False,  # a redirect would take the key along
            "trust_env": trust_env,
        }
        self._account_identifier = account_identifier
        self._create_paths: dict[str, str] = {}
        self._deadline = deadline
        self._observe: Observer = observe or (lambda _event, _amount: None)
        self.turn_patience = math.inf
        """Seconds for which a call waits for the key's limit; if that, or SEI's Retry-After, takes longer, it raises
        `SeiTurnError`."""
        self._limit = shared_rate_limit(self.base_url, self._key, requests_per_minute, rate_limit_url)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self.base_url!r}, {self._params})"

    def _request(
        self, http: httpx.Client | httpx.AsyncClient, call: Call[Any], trace: Callable[..., Any]
    ) -> httpx.Request:
        url, extensions = self.base_url + call.path, {"trace": trace}
        if call.legacy:
            return http.build_request(
                call.method,
                url,
                params=call.params,
                json=call.body,
                headers={"x-api-key": self._key},  # beside `authorization`: text and curl of seed 002 differ
                timeout=httpx.Timeout(bounds.REPORT_SECONDS, connect=bounds.CONNECT_SECONDS),
                extensions=extensions,
            )
        params, headers = {**call.params, **self._params}, {"Accept": call.accept} if call.accept else None
        return http.build_request(
            call.method, url, params=params, json=call.body, headers=headers, extensions=extensions
        )

    def _turn_end(self) -> float | None:
        """Return the Unix time until which a call may wait for the key's limit; None without a deadline."""
        return None if self._deadline is None else max(self._deadline, time.time() + 1.0)  # as `RetryState`

    @staticmethod
    def _no_turn(call: Call[Any], wait: float) -> SeiRateLimitError:
        msg = (
            f"Could not {call.description} before the deadline: the key's requests per minute are used up, and the "
            f"next is free in {wait:.0f} seconds. Its limit is shared with others; make fewer calls at a time, or "
            "allow more time"
        )
        return SeiRateLimitError(msg, status=HTTPStatus.TOO_MANY_REQUESTS, retry_after=max(wait, 1.0))

    def _check_patience(self, call: Call[Any], wait: float) -> None:
        if wait > self.turn_patience:
            msg = (
                f"Could not {call.description} yet: the key's requests per minute are used up, and the next is free in "
                f"{wait:.0f} seconds"
            )
            raise SeiTurnError(msg, wait=wait)

    def _account(self) -> str:
        if not self._account_identifier:
            msg = (
                "account_identifier is missing: SEI lists org trees and teams of an account only, "
                "so set the connection's extra account_identifier"
            )
            raise SeiInputError(msg)
        return self._account_identifier


class _Secret(str):
    """Text whose repr is masked: debuggers and error reports show the variables of a frame."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def _validated_header(name: str, value: str) -> str:
    """Return a value that a header can hold; otherwise httpx's own error would quote it, even if it is the key."""
    value = value.strip()
    if not value.isascii() or not value.isprintable():
        msg = f"{name} contains characters that are not allowed in an HTTP header, such as a line break; enter it again"
        raise SeiInputError(msg)
    return value


def _validated_base_url(base_url: str, *, allow_http: bool) -> str:
    base_url = base_url.strip()
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL:
        url = httpx.URL("")
    found = _ADDRESS.fullmatch(base_url)
    if not found or found["credentials"] or not url.host or "?" in base_url or "#" in base_url:
        msg = (
            f"{_shown(base_url)} is not a base URL; it must be the cluster's URL with its path and nothing more, "
            "as in https://app.harness.io/prod1/sei/api: the key belongs in the connection's password"
        )
        raise SeiInputError(msg)
    if url.scheme != "https" and not allow_http and not _is_local(url.host):
        msg = (
            f"{_shown(base_url)} would send the API key unencrypted; use https or, on a network that you trust, "
            "set the connection's extra allow_http to true"
        )
        raise SeiInputError(msg)
    return str(url).rstrip("/")


def _shown(base_url: str) -> str:
    """Return scheme and host, because people put keys into every other part; neither if they are unclear."""
    found = _ADDRESS.fullmatch(base_url)
    return repr(f"{found['scheme']}://{found['host']}") if found else "the given address"


@cache
def _usual_authorities() -> ssl.SSLContext:
    """Return httpx's context, made once: reading some 140 authorities takes 35 ms, and each trigger makes a client."""
    return httpx.create_ssl_context(trust_env=False)


def _names_authorities() -> bool:
    """Tell whether the environment names authorities, which httpx reads for each client as they then are."""
    return any(os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))


def _is_local(host: str) -> bool:
    """Tell whether the host is this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
