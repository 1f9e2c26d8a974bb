"""The Redis that counts a key's requests: its address without a password, or an Airflow connection of type `redis`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from sei_provider.api.errors import SeiInputError
from sei_provider.api.validation import quoted

if TYPE_CHECKING:
    from airflow.sdk import Connection

_SCHEMES = ("redis", "rediss", "unix")
_TLS_OPTIONS = ("ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname")
_OPTIONS = frozenset({"db", "protocol", "health_check_interval", "socket_keepalive", *_TLS_OPTIONS})
"""Options that a URL's query may hold, because they are no secret."""
_TRUTHS = {"true": True, "1": True, "false": False, "0": False, "": False}


def check_rate_limit_url(named: str, url: str) -> str:
    """Return the URL without spaces around it; raise `SeiInputError`, which shows nothing of it, if it has a password.

    Airflow's API and its web UI show a connection's extras to everybody who may read connections.
    """
    url = url.strip()
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in _SCHEMES and url.lower().startswith(f"{parts.scheme}://") and parts.port != 0
    except ValueError:
        is_url = "@" in _decoded(url)  # a password with a slash: the port seems to be wrong
        parts = urlsplit("redis://@" if is_url else "")
    if not is_url:
        msg = f"{named}: rate_limit_url is not a Redis URL; it looks like redis://host:6379/0 or rediss://host:6380/0"
        raise SeiInputError(msg)
    place = _decoded(f"{parts.netloc}{parts.path}")
    options = {_decoded(name).lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    is_database = parts.scheme == "unix" or unquote(parts.path).strip("/").isdecimal() or not parts.path.strip("/")
    if "@" in place or "#" in _decoded(url) or not is_database or not options <= _OPTIONS:
        msg = (
            f"{named} has a rate_limit_url with a user, a password, or an option other than "
            f"{', '.join(sorted(_OPTIONS))}. Whoever may read connections sees it: put host, password and options into "
            "a connection of the type redis, and its id into rate_limit_conn_id instead"
        )
        raise SeiInputError(msg)
    return url


def redis_url(connection: Connection) -> str:
    """Return the URL of a connection of type `redis`, its password included.

    The number of the database is the extra `db`, or the path of the connection's URI; the extra `ssl` switches TLS on,
    and those that begin with `ssl_` are its options. Raises `SeiInputError`, which shows no password.
    """
    named = f"the connection {connection.conn_id!r}, which rate_limit_conn_id names,"
    if connection.conn_type not in {"redis", "rediss"}:
        msg = f"{named} is of the type {connection.conn_type!r}, not redis"
        raise SeiInputError(msg)
    host = (connection.host or "").strip()
    if not host or any(character in host for character in "/@?#\\ "):
        msg = f"{named} needs the name or the address of a machine as its host, as in redis.example.com"
        raise SeiInputError(msg)
    extra = _extra(named, connection)
    database = str(extra.get("db") if extra.get("db") not in {None, ""} else connection.schema or "0").strip()
    if not database.isdecimal():
        msg = f"{named} has the database {quoted(database)}; databases of Redis are whole numbers from 0"
        raise SeiInputError(msg)
    tls = _TRUTHS.get(str(extra.get("ssl", "")).lower())
    if tls is None:
        msg = f"{named} has ssl={quoted(extra['ssl'])}; it must be true or false"
        raise SeiInputError(msg)
    user, password = quote(connection.login or "", safe=""), quote(connection.password or "", safe="")
    credentials = f"{user}:{password}@" if user or password else ""
    place = f"[{host}]" if ":" in host and not host.startswith("[") else host
    options = {name: extra[name] for name in _TLS_OPTIONS if extra.get(name) not in {None, ""}}
    is_secure = tls or connection.conn_type == "rediss"
    query = f"?{urlencode(options)}" if is_secure and options else ""
    return f"redis{'s' if is_secure else ''}://{credentials}{place}:{connection.port or 6379}/{database}{query}"


def _extra(named: str, connection: Connection) -> dict[str, Any]:
    try:
        extra = json.loads(connection.extra or "{}")
    except (ValueError, RecursionError):
        extra = None
    if not isinstance(extra, dict) or any(isinstance(value, dict | list) for value in extra.values()):
        msg = f"{named} has an extra that is not a JSON object of text, numbers, and true or false"
        raise SeiInputError(msg)
    return extra


def _decoded(text: str) -> str:
    """Decode as often as text is encoded, since each reader decodes as often as it likes."""
    while (decoded := unquote(text)) != text:
        text = decoded
    return text
