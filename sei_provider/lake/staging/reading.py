"""Reading of a file, as a hash: a part of a slice's identity (DESIGN, decision 12). Does not import pyarrow."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Collection
from typing import Any

from sei_provider.lake.column_mapping import ColumnMapping

_READER_VERSION = 2
"""Raised when the same bytes are read otherwise: an export that is staged again then replaces itself."""


def reading_of(
    *,
    columns: ColumnMapping,
    on_bad_value: str = "fail",
    personal_data: str = "keep",
    hash_key: bytes | None = None,
    personal_columns: Collection[str] = (),
    **_others: Any,
) -> str:
    """Return a hash of those arguments of `stage` that decide how a file is read; the others are passed over.

    A manifest with another `reading` was staged under other arguments. The key for hashing does not show in it.
    """
    key = hmac.digest(hash_key or b"", b"reading", "sha256").hex() if personal_data == "hash" else ""
    chosen: list[Any] = [_READER_VERSION, columns.to_json(), on_bad_value, personal_data, key]
    if personal_data != "keep":
        chosen += ["unknown is a person", sorted(personal_columns)]
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:16]
