"""What becomes of the columns that name a person, before anything is staged: kept, hashed, or dropped."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import pyarrow as pa

from sei_provider.lake.errors import PersonalDataError
from sei_provider.lake.staging.csv_reader import Header

PersonalData: TypeAlias = Literal["keep", "hash", "drop"]
_CHOICES: Sequence[PersonalData] = ("keep", "hash", "drop")
_SHORTEST_KEY = 16


@dataclass(frozen=True, slots=True)
class Privacy:
    """What a table does with a report's personal data, and the key to hash them with, which no `repr` shows."""

    choice: PersonalData
    key: bytes | None = field(repr=False)
    columns: frozenset[str]
    """Those that name a person."""

    def __post_init__(self) -> None:
        if self.choice not in _CHOICES:
            msg = f"personal_data={self.choice!r} is not known; it may be {', '.join(_CHOICES)}"
            raise PersonalDataError(msg)
        if self.choice == "drop" and "team" in self.columns:
            msg = (
                "personal_data='drop' would leave this report's rows without a name, since its teams are people "
                "and their managers, and no row could be told from another: use personal_data='hash'"
            )
            raise PersonalDataError(msg)
        if self.choice == "hash" and len(self.key or b"") < _SHORTEST_KEY:
            msg = (
                f"personal_data='hash' needs hash_key with at least {_SHORTEST_KEY} bytes, got {len(self.key or b'')}: "
                "without a secret key, names and addresses could be found again by trying them"
            )
            raise PersonalDataError(msg)

    def columns_left(self, header: Header) -> Header:
        """Give the header as it is staged."""
        if self.choice != "drop":
            return header
        return replace(header, columns=[column for column in header.columns if column.name not in self.columns])

    def apply(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Give the rows with people's columns treated; null stays null."""
        names = [name for name in rows.schema.names if name in self.columns]
        if self.choice == "drop":
            return rows.drop_columns(names)
        if self.choice == "hash":
            for name in names:
                coded = rows[name].dictionary_encode()
                hashes = pa.array([self._hash(text) for text in coded.dictionary.to_pylist()], pa.string())
                rows = rows.set_column(rows.schema.get_field_index(name), name, hashes.take(coded.indices))
        return rows

    def mask(self, column: str, text: str) -> str | None:
        """Give what may be kept of one cell's text."""
        if column not in self.columns or self.choice == "keep":
            return text
        return self._hash(text) if self.choice == "hash" and text else None

    def _hash(self, text: str) -> str:
        """64 hex digits. Case and outer spaces of an address or a name mean nothing, so they make no other person."""
        return hmac.new(self.key or b"", text.strip().casefold().encode(), hashlib.sha256).hexdigest()
