"""One spelling for the address of a lake, because object stores take every spelling for another place.

A store lists `lake/` and never finds what was put at `/lake` or `lake//table`. What can mean one place only is
normalized (case of the scheme, its aliases, slashes at the end); everything else is refused with the right spelling.
"""

from __future__ import annotations

import re
from unicodedata import normalize
from urllib.parse import unquote

from sei_provider.lake.errors import LakeAddressError

_ALIASES = {"s3a": "s3", "s3n": "s3", "gcs": "gs", "az": "abfs", "abfss": "abfs", "adl": "abfs", "local": "file"}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(/+)(.*)", re.DOTALL)
_PASSWORD = re.compile(r"[^/@]*:.*@", re.DOTALL)
"""Credentials before a bucket: a connection's id has no colon, and a secret key of S3 may have slashes."""
_QUERY = re.compile(r"\?[^?/]*=")
_ON_DISK = ("", "file")
_SCHEMES = ("file", "s3", "gs", "abfs", "memory")
"""Stores whose puts are atomic."""


def split_address(address: str) -> tuple[str, str, str]:
    """Return scheme, bucket (with `connection@`, if there is one) and key of an address; a path has no scheme.

    Raises `LakeAddressError`, which names the right spelling, if stores could take the address for another place.
    """
    _refuse_secrets(address)
    found = _SCHEME.fullmatch(address.strip())
    if not found:
        return "", "", address
    scheme = _scheme_of(found)
    slashes, rest = found[2], found[3]
    if not address.strip().isprintable():
        raise _unusable(address, "has a line break, or another character that nobody sees")
    if scheme == "file":
        if slashes == "//":  # `lake` in file://lake/… is a host
            raise _refused(address, f"file:///{rest}")
        return scheme, "", "/" + rest.lstrip("/")
    bucket, _, key = rest.partition("/")
    if not bucket.strip() and not _one_spelling(key):
        raise _unusable(address, "names no bucket")
    if "@" in bucket and "" in bucket.split("@"):
        raise _unusable(address, "has an @ without a connection before it or a bucket behind it")
    if "::" in rest:
        raise _unusable(address, "holds ::, which some stores take for the end of an address")
    right = "/".join(part for part in (bucket.strip(), _one_spelling(key)) if part)
    if slashes != "//" or rest.rstrip("/") != right or address != address.strip():
        raise _refused(address, f"{scheme}://{right}")
    return scheme, bucket, key.rstrip("/")


def normalize_address(address: str) -> str:
    """Return the one spelling of an address, or raise `LakeAddressError` as `split_address` does.

    Also refuses what names no place, or another one for each process: an empty text, a relative path, `~`, and schemes
    of stores that a lake cannot use.
    """
    _refuse_secrets(address)
    if why := _no_place(address):
        msg = (
            f"cannot use {address!r} as the address of a lake, because it {why}: write an absolute path, such as "
            f"/data/lake, or an address that begins with one of: {', '.join(f'{each}://' for each in _SCHEMES)}"
        )
        raise LakeAddressError(msg)
    scheme, bucket, key = split_address(address)
    if scheme in _ON_DISK:
        return f"file://{key}" if scheme else key
    return f"{scheme}://{bucket}/{key}".rstrip("/")


def _refuse_secrets(address: str) -> None:
    """Raise `LakeAddressError`, which does not show the address, if it holds a password or a query.

    Logs, XComs and assets tell the address of a lake, and a query may be a signature.
    """
    found = _SCHEME.fullmatch(address.strip())
    if found is None or _scheme_of(found) in _ON_DISK:
        return
    scheme, rest = found[1], found[3]
    why = "a password" if _PASSWORD.match(rest) else "a query" if _QUERY.search(rest) else None
    if why:
        msg = (
            f"cannot use the {scheme}:// address that was given as that of a lake, because it holds {why}, which logs "
            f"and XComs would show: put it into a connection of Airflow, and write {scheme}://connection@bucket/folder"
        )
        raise LakeAddressError(msg)


def _no_place(address: str) -> str | None:
    """Return what is wrong with an address that names no place; None for one that does."""
    if not address.strip():
        return "is empty"
    found = _SCHEME.fullmatch(address.strip())
    scheme = _scheme_of(found) if found else ""
    path = f"/{found[3]}" if found else address
    if scheme in _ON_DISK and path.startswith("/") and not path.strip("/."):
        return "is the root of the disk"
    if found:
        return None if scheme in _SCHEMES else "has a scheme that is not known here"
    if address.startswith("~"):
        return "is another folder for each user"
    if not address.startswith("/"):
        return "is relative to the folder of whatever process reads it"
    return None if address == address.strip() and address.isprintable() else "has spaces or line breaks around it"


def _scheme_of(found: re.Match[str]) -> str:
    """Return the one name of the scheme of an address that `_SCHEME` has found."""
    return _ALIASES.get(found[1].lower(), found[1].lower())


def _one_spelling(key: str) -> str:
    """Return the spelling of a key that is its own spelling again."""
    while (plain := normalize("NFC", unquote(key))) != key:
        key = plain
    parts = [part for part in key.split("/") if part.strip() not in {"", "."}]
    while ".." in parts:
        at = parts.index("..")
        del parts[max(at - 1, 0) : at + 1]
    return "/".join(parts).strip()


def _unusable(address: str, why: str) -> LakeAddressError:
    return LakeAddressError(f"cannot use {address!r} as the address of a lake, because it {why}: correct it")


def _refused(address: str, right: str) -> LakeAddressError:
    msg = f"cannot use {address!r} as the address of a lake, because stores spell that place in two ways: write {right}"
    return LakeAddressError(msg)
