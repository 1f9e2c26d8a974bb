"""Redaction of what the page shows of a lake's address and of a store's words: no key, no signature, no password.

A store's client may repeat what it was asked with, and a Variable may hold what belongs in a connection.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from airflow.providers.common.compat.sdk import redact  # whose place differs between 3.1 and 3.3

from sei_provider.api.redaction import sanitize

_MASK = "***"
_CREDENTIALS = re.compile(r"""(?<=://)([^\s/@'"<>]*:[^\s'"<>]*)@""")
"""Credentials before the last @ of an address, if it holds a password. A secret key of S3 may have slashes."""
_CONNECTION = re.compile(r"""(?<=://)[^\s/@'"<>]*@""")
_SECRETS = re.compile(
    r"""(?P<name>(?:key|secret|token|passw|pwd|passphrase|credential|signature|\bsig\b|authorization)[\w-]*["']?\s*[=:>]\s*["']?)
        (?:(?:Bearer|Basic)\s+)?[^\s"'<>&,;]{3,}
    | \b(?:Bearer|Basic|SharedKey)\s+[\w+/=.:~-]{8,}
    | \beyJ[\w-]+\.[\w.-]+
    | \b(?-i:A(?:KIA|SIA|ROA|IDA))[A-Z0-9]{12,}
    | (?<![\w/+=.-])(?-i:(?=[a-z0-9/+]*[A-Z])(?=[A-Z0-9/+]*[a-z])(?=[A-Za-z/+]*[0-9]))[A-Z0-9/+]{40,}={0,2}
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""Values by the names before them, as in URLs, JSON, headers and XML; tokens, ids of keys, keys of AWS and Azure."""


def redacted(text: object, address: str = "") -> str:
    """Return a text as one line of 300 characters at most, without secrets; `address` is the lake's own.

    An address keeps its bucket and path, and loses what stands before its @, and its query.
    """
    line = str(redact(str(text)))
    for secret in _secrets_of(address):
        line = line.replace(secret, _MASK)
    line = _CONNECTION.sub("", _CREDENTIALS.sub("", line))
    return sanitize(_SECRETS.sub(lambda found: (found["name"] or "") + _MASK, line))


def _secrets_of(address: str) -> list[str]:
    """Return credentials in an address, in the spellings in which an error may repeat them, the longest first."""
    found = _CREDENTIALS.search(address)
    parts = {found[1], *found[1].split(":", 1)} if found else set()
    spellings = {spelled for part in parts for spelled in (part, unquote(part), quote(part, safe=""))}
    return sorted((each for each in spellings if len(each) > len(_MASK)), key=len, reverse=True)
