"""Reads a connection of type `sei`, however it is written: form, JSON, URI. Makes no client and calls nobody.

A URI has text only, and Airflow cuts it into host, port and `schema`, which holds the path (`sei://:key@host/path?…`).
So each field has one meaning whatever its type, and what has none is an error that names the right one.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from difflib import get_close_matches
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from sei_provider.api.errors import SeiInputError
from sei_provider.api.periods import weekday
from sei_provider.api.request import LEVEL_FIELDS
from sei_provider.api.validation import normalize_choice, quoted
from sei_provider.hooks.redis_address import check_rate_limit_url
from sei_provider.provider_info import get_provider_info

if TYPE_CHECKING:
    from airflow.sdk import Connection

_TEXTS = (
    "org_identifier",
    "project_identifier",
    "account_identifier",
    "week_starts_on",
    "timezone",
    "ca_bundle",
    "rate_limit_conn_id",
)
_SECRETS = ("rate_limit_url", "personal_data_secret")
_NUMBERS = ("requests_per_minute", "machines")
_MAX_NUMBER = 1_000_000
"""Each 429 takes half of the limit, counted one by one: of a thousand millions that would be more than memory holds."""
_PORTS = range(1, 65536)
_PATH = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~%-]+)*")
_FORM_PREFIX = "extra__sei__"
"""Prefix that old Airflows put before the names of a form's fields."""


def parse_extra(connection: Connection) -> dict[str, Any]:
    """Return the extras as the JSON object that they must be; empty fields are left out.

    Raises `SeiInputError`, which quotes nothing of them: they may hold secrets.
    """
    text = connection.extra or ""
    if not text.strip():
        return {}
    try:
        extra = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        extra = None
    if not isinstance(extra, dict):
        msg = f"the extra of {_named(connection)} is not a JSON object in which each name stands once"
        raise SeiInputError(msg)
    return {name: value for name, value in extra.items() if value is not None and value != ""}


def check_extra(connection: Connection, extra: dict[str, Any]) -> dict[str, Any]:
    """Return the extras with numbers as numbers, truth values as such, and all else as text.

    Raises `SeiInputError` for an unknown name, offering the nearest, and for a value that its field cannot have.
    """
    named = _named(connection)
    _check_names(named, extra)
    for name in (*_TEXTS, *_SECRETS):
        if name not in extra:
            continue
        value = extra[name]
        if not isinstance(value, str | int) or isinstance(value, bool):
            shown = "" if name in _SECRETS else f", not {quoted(value)}"
            msg = f"{named} has an extra {name} that is not text{shown}"
            raise SeiInputError(msg)
        extra[name] = str(value) if name in _SECRETS else str(value).strip()
    _check_counter(named, extra)
    for name in _NUMBERS:
        if name in extra:
            extra[name] = _number(named, name, extra[name])
    if "allow_http" in extra:
        extra["allow_http"] = _truth(named, "allow_http", extra["allow_http"])
    try:
        weekday(extra.get("week_starts_on") or "monday")
    except SeiInputError as error:
        msg = f"{named}: {error}"
        raise SeiInputError(msg) from None
    if level := extra.get("level_field"):
        try:
            extra["level_field"] = normalize_choice("level_field", level, LEVEL_FIELDS)
        except SeiInputError as error:
            msg = f"{named} has an {error}"
            raise SeiInputError(msg) from None
    _check_zone(named, extra.get("timezone") or "UTC")
    return {name: value for name, value in extra.items() if value != ""}


def base_url(connection: Connection) -> str:
    """Return the cluster's URL with its path and without a slash at its end.

    Host, port and path may each stand in the field `host` or in their own: the port in `port`, the path in `schema`,
    which may also be `https` or `http`. Raises `SeiInputError` if two fields say different things, or if this is no
    URL; whether its scheme may be used, the client decides.
    """
    named = _named(connection)
    host, schema = (connection.host or "").strip(), (connection.schema or "").strip()
    scheme, separator, rest = host.rpartition("://")
    if "://" in scheme or "://" in schema:
        msg = f"{named} names a scheme twice; the host is one URL, as in https://app.harness.io/prod1/sei/api"
        raise SeiInputError(msg)
    if schema.lower() in {"http", "https"}:
        if separator and scheme.lower() != schema.lower():
            raise _contradiction(named, "scheme", f"{scheme}://", schema)
        scheme, schema = schema, ""
    authority, _, path = rest.partition("/")
    authority, port = _host_and_port(named, authority)
    if connection.port:
        if port and port != connection.port:
            raise _contradiction(named, "port", str(port), str(connection.port))
        port = connection.port
    if port is not None and port not in _PORTS:
        msg = f"{named} has the port {port}; ports are whole numbers from 1 to 65535"
        raise SeiInputError(msg)
    path, schema = _joined(path), _joined(schema)
    if path and schema and path != schema:
        raise _contradiction(named, "path", path, schema)
    if not _PATH.fullmatch(path or schema):
        msg = (
            f"{named} has the path {quoted(path or schema)}; its parts are letters, digits and -._~%, and none of them "
            "is a dot or two"
        )
        raise SeiInputError(msg)
    return f"{scheme or 'https'}://{authority}{f':{port}' if port else ''}{path or schema}"


def _host_and_port(named: str, authority: str) -> tuple[str, int | None]:
    """Return host, an IPv6 address in brackets, and port, where there is one."""
    try:
        return f"[{IPv6Address(authority).compressed}]", None  # Airflow drops the brackets of a URI
    except ValueError:
        pass
    if "@" in authority:
        msg = f"{named} has user or password in its host; the API key is the connection's password, and nothing else"
        raise SeiInputError(msg)
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(:[0-9]*)?", authority)
    with suppress(ValueError):
        if found:
            return found[1], urlsplit(f"//{authority}").port
    msg = f"{named} has the host {quoted(authority)}, which is not a host and port, as in app.harness.io:443"
    raise SeiInputError(msg)


def _joined(path: str) -> str:
    parts = [part for part in path.split("/") if part]
    return "".join(f"/{part}" for part in parts)


def _contradiction(named: str, what: str, here: str, there: str) -> SeiInputError:
    return SeiInputError(f"{named} names its {what} twice, as {here!r} in the host and as {there!r}; keep one of them")


def _check_names(named: str, extra: dict[str, Any]) -> None:
    known = list(get_provider_info()["connection-types"][0]["conn-fields"])
    unknown = sorted(set(extra) - set(known))
    if not unknown:
        return
    offers = []
    for name in unknown:
        near = get_close_matches(_folded(name), [_folded(each) for each in known], n=1)
        offers.append(quoted(name) + "".join(f" (is it {each}?)" for each in known if near == [_folded(each)]))
    msg = f"{named} has unknown extras: {', '.join(offers)}; the extras are: {', '.join(known)}"
    raise SeiInputError(msg)


def _folded(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.removeprefix(_FORM_PREFIX).lower())


def _check_counter(named: str, extra: dict[str, Any]) -> None:
    if not (url := extra.get("rate_limit_url")):
        return
    if extra.get("rate_limit_conn_id"):
        msg = f"{named} names the Redis of its rate limit twice, by rate_limit_conn_id and by rate_limit_url; keep one"
        raise SeiInputError(msg)
    extra["rate_limit_url"] = check_rate_limit_url(named, url)


def _number(named: str, name: str, value: object) -> int:
    """Return a whole number from 1 on, given as such or as text."""
    digits = isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value.strip())
    if digits or (isinstance(value, float) and value.is_integer()):
        value = int(value)  # type: ignore[call-overload]
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MAX_NUMBER:
        return value
    msg = (
        f"{named} has {name}={quoted(value)}; requests_per_minute and machines must be whole numbers that leave each "
        f"machine at least 1, and {_MAX_NUMBER:,} at most"
    )
    raise SeiInputError(msg)


def _truth(named: str, name: str, value: object) -> bool:
    known = {"true": True, "false": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in known:  # extras from a URI are all text
        return known[value.strip().lower()]
    msg = f"{named} has {name}={quoted(value)}; it must be true or false"
    raise SeiInputError(msg)


def _check_zone(named: str, name: str) -> None:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        near = get_close_matches(name.lower(), [zone.lower() for zone in available_timezones()], n=1)
        offer = next((zone for zone in available_timezones() if near == [zone.lower()]), "Europe/Berlin")
        msg = f"{named} has the unknown timezone {quoted(name)}; use a name like {offer}"
        raise SeiInputError(msg) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(found := dict(pairs)) < len(pairs):
        msg = "a name stands twice"
        raise ValueError(msg)
    return found


def _named(connection: Connection) -> str:
    return f"the connection {connection.conn_id!r}"
