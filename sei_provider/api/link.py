"""A download link as SEI sends it: what of it travels, and where below the base URL it leads. Knows no transport.

Links are relative to the base URL with its path, or absolute (CONTRACT rows 4 to 6).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from sei_provider.api import bounds
from sei_provider.api.errors import SeiReplyError
from sei_provider.api.redaction import holds_secret, sanitize

_PATH = re.compile(r"(?:/(?!\.+(?:/|$))[A-Za-z0-9._~-]+)+")
"""The paths that every server, proxy and gateway reads in the same way: without escapes, parameters, empty or dotted
segments. SEI's documents show no other."""
_CARRIED = {"projectidentifier", "orgidentifier", "accountidentifier"}
"""Parameters of a link's query that every call carries anyway."""
_MAX_PARAMS = 100
_PORTS = {"http": 80, "https": 443}


def read_link(export_id: str, link: object) -> tuple[str | None, Mapping[str, str]]:
    """Return a link without its query, and what its query holds beyond our identifiers; None if there is no link.

    The first may travel through Airflow's database. The second may be a signature, so it may not.
    Raises `SeiReplyError` for a link that no URL can be, or that holds the API key.
    """
    if link is None or link == "":
        return None, {}
    if not isinstance(link, str) or len(link) > bounds.LINK_CHARS or not link.isprintable() or not link.isascii():
        raise _error(export_id, link, "is none that a URL can be")
    if holds_secret(link):
        raise _error(export_id, link, "holds the API key")
    address, _, query = link.partition("?")
    if "#" in link or ("://" in address and "@" in address):
        raise _error(export_id, link, "leads elsewhere: it has credentials or a fragment")
    try:
        params = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=_MAX_PARAMS))
    except ValueError:
        raise _error(export_id, link, f"has more than {_MAX_PARAMS} parameters") from None
    return address, {name: value for name, value in params.items() if name.lower() not in _CARRIED}


def path_below(base_url: str, export_id: str, address: str) -> str:
    """Return the path of a link, to be appended to `base_url`.

    Raises `SeiReplyError` if it leads to another host, out of the base URL's path, or where servers may read it
    differently.
    """
    path = address
    if "://" in address:
        origin, prefix = _split(base_url)
        own_origin, path = _split(address)
        path = path.removeprefix(prefix) if own_origin == origin and path.startswith(f"{prefix}/") else ""
    if not _PATH.fullmatch(path):
        msg = (
            f"the download link of export {export_id} leads elsewhere: {sanitize(address)!r}. The key is sent to "
            f"{base_url} only; if that link is right, make its host the connection's host"
        )
        raise SeiReplyError(msg)
    return path


def _split(url: str) -> tuple[tuple[object, ...] | None, str]:
    """Return scheme, host and port of a URL, None if they are invalid, and its path."""
    try:
        parts = urlsplit(url)  # refuses brackets that hold no address
        return (parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)), parts.path
    except ValueError:
        return None, ""


def _error(export_id: str, link: object, why: str) -> SeiReplyError:
    msg = f"SEI's reply about export {export_id} has no usable download link: {sanitize(link)!r} {why}"
    return SeiReplyError(msg)
