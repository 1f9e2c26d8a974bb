"""Personal data: keep, hash or drop the columns that name a person, before anything is staged."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import pyarrow as pa

from sei_provider.lake.columns import Column
from sei_provider.lake.errors import PersonalDataError

PersonalData: TypeAlias = Literal["keep", "hash", "drop"]
_CHOICES: Sequence[PersonalData] = ("keep", "hash", "drop")
_SHORTEST_KEY = 16
_ADDRESS = re.compile(r"\S@\S")
_TWO_WORDS = re.compile(r"[^\W\d_][\w.'’-]*[ ,]+[^\W\d_]{2}")


def may_name_person(text: str, *, has_people: bool) -> bool:
    """Return whether a text that stands where a number or a date belongs may be an e-mail address or a full name.

    A name is looked for if `has_people`, that is, if the file has a column that names a person.
    """
    return bool(_ADDRESS.search(text) or (has_people and _TWO_WORDS.search(text)))


@dataclass(frozen=True, slots=True)
class Privacy:
    """Treatment of the personal data of a report. The key for hashing does not appear in the `repr`."""

    choice: PersonalData
    key: bytes | None = field(repr=False)
    columns: frozenset[str]
    """Columns that name a person."""

    def __post_init__(self) -> None:
        if self.choice not in _CHOICES:
            msg = f"personal_data={self.choice!r} is unknown; use one of {', '.join(_CHOICES)}"
            raise PersonalDataError(msg)
        if self.choice == "drop" and "team" in self.columns:
            msg = (
                "personal_data='drop' would leave the rows of this report without a name, because its teams are people "
                "and their managers: use personal_data='hash'"
            )
            raise PersonalDataError(msg)
        if self.choice == "hash" and len(self.key or b"") < _SHORTEST_KEY:
            msg = (
                f"personal_data='hash' needs hash_key with at least {_SHORTEST_KEY} bytes, got {len(self.key or b'')}: "
                "without a secret key, anybody could recover names and addresses by hashing guesses"
            )
            raise PersonalDataError(msg)

    def columns_left(self, columns: Sequence[Column]) -> Sequence[Column]:
        """Return the columns without those that are dropped."""
        if self.choice != "drop":
            return columns
        return [column for column in columns if column.name not in self.columns]

    def apply(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows with personal columns hashed or dropped; null stays null."""
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
        """Return what may be kept of the text of one cell."""
        if column not in self.columns or self.choice == "keep":
            return text
        return self._hash(text) if self.choice == "hash" and text else None

    def _hash(self, text: str) -> str:
        """Return 64 hex digits. Case and outer spaces are ignored, because they do not make another person."""
        return hmac.new(self.key or b"", text.strip().casefold().encode(), hashlib.sha256).hexdigest()
