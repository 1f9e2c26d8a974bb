"""Personal data: keep, hash or drop the columns that name a person, before anything is staged.

Under `hash` and `drop` a column that nobody has declared counts as a person's, because SEI documents the columns of two
of its exports only (CONTRACT, section 3), and a name that went into the lake in clear is hard to get out.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias, get_args

import pyarrow as pa
import pyarrow.compute as pc

from sei_provider.lake.arrow_values import to_array
from sei_provider.lake.columns import (
    DIMENSIONS,
    NULL_NUMBER,
    Column,
    compact,
    is_person_alias,
    personal_columns,
)
from sei_provider.lake.errors import HeaderError, PersonalDataError
from sei_provider.lake.header_words import is_plain_header
from sei_provider.lake.personal_key import key_fingerprint, require_strong_key
from sei_provider.plural import plural

PersonalData: TypeAlias = Literal["keep", "hash", "drop"]
UnknownColumns: TypeAlias = Literal["personal", "refuse"]

RATINGS = frozenset({"elite", "high", "medium", "low"})
"""Values of a rating: seed 002 shows Medium, Low and none; SEI's efficiency profile has these four levels."""

_ADDRESS = re.compile(r"[^\s@]@[^\s@]")
_ADDRESS_IN_TEAM = r"[^\s@]@[^\s@]+\.[^\s@]"
_DAY = r"^\s*[0-9]{4}-[0-9]{2}-[0-9]{2}"


class NotRatingsError(Exception):
    """Columns called ratings hold something else, so the file is read again with them as a person's."""

    def __init__(self, names: Collection[str]) -> None:
        super().__init__(plural(len(names), "column"))
        self.names = frozenset(names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Privacy:
    """Treatment of the personal data of a report. The key for hashing does not appear in the `repr`."""

    choice: PersonalData
    report: str
    key: bytes | None = field(default=None, repr=False)
    personal: Collection[str] = ()
    """Headers that the user says name a person."""
    unknown_columns: UnknownColumns = "personal"

    def __post_init__(self) -> None:
        for name, choices in (("choice", PersonalData), ("unknown_columns", UnknownColumns)):
            if getattr(self, name) not in get_args(choices):
                said = "personal_data" if name == "choice" else name
                msg = f"{said}={getattr(self, name)!r} is unknown; use one of {', '.join(get_args(choices))}"
                raise PersonalDataError(msg)
        if self.choice == "drop" and "team" in personal_columns(self.report):
            msg = (
                "personal_data='drop' would leave the rows of this report without a name, because its teams are people "
                "and their managers: use personal_data='hash'"
            )
            raise PersonalDataError(msg)
        if self.choice == "hash":
            require_strong_key(self.key, named="hash_key")

    @property
    def policy(self) -> str:
        """Return the policy as a table's definition records it, with a fingerprint of the key for hashing."""
        return f"hash {key_fingerprint(self.key or b'')}" if self.choice == "hash" else self.choice

    def classify(self, columns: Sequence[Column], *, not_ratings: Collection[str] = ()) -> FileColumns:
        """Return the columns of one file with what becomes of each.

        `not_ratings` are names of columns that are called ratings and hold something else. Raises `HeaderError` if
        columns are unknown and `unknown_columns` is "refuse", `PersonalDataError` if the user's personal columns are
        columns that a table needs.
        """
        personal_headers = {compact(header) for header in self.personal}
        found: list[Column] = []
        personal, unknown, ratings = set(), [], set()
        for number, column in enumerate(columns, 1):
            is_persons = compact(column.header) in personal_headers or column.name in personal_columns(self.report)
            is_unknown = not is_persons and not is_person_alias(column) and self._is_unknown(column, not_ratings)
            if compact(column.header) in personal_headers and _is_needed(column, self.report):
                msg = f"personal_columns names the column of the {column.name}, which every table needs in plain text"
                raise PersonalDataError(msg)
            if is_unknown:
                unknown.append(shown(column, number))
            if is_persons or is_unknown or is_person_alias(column):
                column = self._masked(column, number)  # noqa: PLW2901
                personal.add(column.name)
            elif column.type is None and self.choice != "keep" and not column.is_named:
                ratings.add(column.name)
            found.append(column)
        if unknown and self.unknown_columns == "refuse":
            msg = (
                f"{len(unknown)} of {plural(len(columns), 'column')} not documented by SEI (unknown_columns='refuse'): "
                f"{', '.join(unknown[:60])}; name each in columns= (say what it is) or in personal_columns= (it names "
                "a person)"
            )
            raise HeaderError(msg, headers=[column.header for column in columns])
        return FileColumns(
            privacy=self,
            columns=tuple(found),
            personal=frozenset(personal),
            ratings=frozenset(ratings),
            unknown=() if self.choice == "keep" else tuple(unknown),
        )

    def hash(self, text: str) -> str:
        """Return 64 hex digits. Case, outer spaces and Unicode's form do not make another person."""
        plain = unicodedata.normalize("NFC", text).strip().casefold()
        return hmac.new(self.key or b"", plain.encode(), hashlib.sha256).hexdigest()

    def _is_unknown(self, column: Column, not_ratings: Collection[str]) -> bool:
        if _ADDRESS.search(column.header):
            return True
        if self.report == "developers":  # no document names a column of theirs, so not even the form of a name counts
            return column.name not in DIMENSIONS
        if column.type is not None or column.is_named:
            return False
        return not column.name.endswith("_rating") or column.name in not_ratings

    def _masked(self, column: Column, number: int) -> Column:
        """Return a personal column under the name and header that may be stored."""
        if self.choice == "keep":
            return column
        if column.name in personal_columns(self.report):
            return replace(column, type="string")
        is_plain = is_plain_header(column.header)
        header = column.header if is_plain else ""
        if self.choice == "drop":  # any name that nothing else has: the column goes before anything is written
            return Column(f"_{number}", header, "string")
        name = column.name if is_plain else f"column_{self.hash(f'header {column.header}')[:12]}"
        return Column(name, header, "string", hashed=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileColumns:
    """Columns of one file, and which of them name a person."""

    privacy: Privacy
    columns: Sequence[Column]
    """All columns in the file's order, under the names by which they may be stored."""
    personal: frozenset[str]
    """Names of those that name a person."""
    ratings: frozenset[str]
    """Names of those that are kept only as long as every value is a known rating."""
    unknown: Sequence[str]
    """Headers that nobody declared and that are dropped or hashed therefore; `column 7` for one that may be a name."""

    @property
    def masks(self) -> bool:
        """True if personal columns are hashed or dropped."""
        return self.privacy.choice != "keep"

    @property
    def policy(self) -> str | None:
        """Return the policy as a table's definition records it; None if the file has no personal columns."""
        return self.privacy.policy if self.personal else None

    @property
    def columns_left(self) -> Sequence[Column]:
        """Return the columns without those that are dropped."""
        if self.privacy.choice != "drop":
            return self.columns
        return [column for column in self.columns if column.name not in self.personal]

    def apply(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows with personal columns hashed or dropped; null stays null.

        Raises `NotRatingsError` if a rating is none that is known.
        """
        if not self.masks:
            return rows
        if no_ratings := [name for name in sorted(self.ratings) if not _are_ratings(rows[name])]:
            raise NotRatingsError(no_ratings)
        names = [name for name in rows.schema.names if name in self.personal]
        if self.privacy.choice == "drop":
            return rows.drop_columns(names)
        columns = dict(zip(rows.schema.names, rows.columns, strict=True))
        for name in names:
            coded = columns[name].dictionary_encode()
            hashes = to_array(map(self.privacy.hash, coded.dictionary.to_pylist()), pa.string())
            columns[name] = hashes.take(coded.indices)
        return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))

    def mask(self, column: str, text: str) -> str | None:
        """Return what may be kept of the text of one cell."""
        if self.masks and column in self.ratings and not _is_rating(text):
            return None
        if column not in self.personal or not self.masks:
            return text
        return self.privacy.hash(text) if self.privacy.choice == "hash" and text else None

    def may_be_shifted(self, cells: Sequence[str]) -> bool:
        """Return whether cells of a row seem to stand in other columns than their own."""
        return any(
            pattern is not None and re.search(pattern, cell)
            for cell, column in zip(cells, self.columns, strict=True)
            for pattern in [self._misplaced(column)]
        )

    def some_may_be_shifted(self, rows: pa.RecordBatch) -> bool:
        """Return whether any row seems to be shifted."""
        patterns = ((column.name, self._misplaced(column)) for column in self.columns)
        return any(
            pc.any(pc.match_substring_regex(rows[name], pattern)).as_py() for name, pattern in patterns if pattern
        )

    def _misplaced(self, column: Column) -> str | None:
        """Return the pattern of what cannot be a value of a column: an address as a team, a day as a person."""
        if not self.masks:
            return None
        if column.name in self.personal:
            return _DAY if column.name in personal_columns(self.privacy.report) else None
        return _ADDRESS_IN_TEAM if column.type == "string" and column.name in DIMENSIONS else None


def shown(column: Column, number: int) -> str:
    """Return the header of a column if it surely names nobody, otherwise its number in the file, counted from 1."""
    return column.header if is_plain_header(column.header) else f"column {number}"


def _is_needed(column: Column, report: str) -> bool:
    return column.name in DIMENSIONS and column.name not in personal_columns(report) and column.name != "sprint"


def _is_rating(text: str) -> bool:
    return text in ("", NULL_NUMBER) or text.strip().casefold() in RATINGS


def _are_ratings(values: pa.StringArray) -> bool:
    return all(text is None or _is_rating(text) for text in pc.unique(values).to_pylist())
