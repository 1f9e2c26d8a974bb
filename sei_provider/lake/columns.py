"""Columns: the dimensions and their likely headers, names in the lake, types, and which columns are personal.

SEI documents the dimension columns of business alignment only (CONTRACT, section 3). For the other reports one
table of aliases lists likely headers; users name others by `columns=` (see `column_mapping`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    import pyarrow as pa

ColumnType: TypeAlias = Literal["string", "date32", "float64"]

NULL_NUMBER = "—"
"""SEI's text for "none" in a number or a rating (CONTRACT row 22)."""

NUMBER = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?"
"""Pattern of a number, without two ways to match the same digits: a cell of 40,000 of them and an `x` would take a
minute to refuse; `float()` would also accept `nan`, `1_000` and digits of other scripts."""

PLAIN_NUMBER = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?"
"""Pattern of a number that float64 keeps as it is written, apart from zeros at its end, if it has at most `MAX_DIGITS`:
no leading zero, no plus sign, no exponent, no spaces."""
MAX_DIGITS = 15
"""Digits of a number that float64 keeps whatever they are."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name in the lake, SEI's header, and its type, which is None until it is known."""

    name: str
    header: str
    type: ColumnType | None
    hashed: bool = False
    """Its values are hashes because it may name a person, and nothing but the policy says so: it is not declared."""
    is_named: bool = field(default=False, compare=False)
    """True if the user named it by `columns=`. Tables do not remember it."""


DIMENSIONS: Mapping[str, tuple[ColumnType, tuple[str, ...]]] = MappingProxyType(
    {
        "granularity": ("string", ("granularity",)),
        "team": ("string", ("team", "team_name", "collection_name", "collection")),
        "team_hierarchy": ("string", ("team_hierarchy", "hierarchy", "team_path", "hierarchy_path")),
        "start_date": ("date32", ("start_date", "start", "period_start", "period_start_date", "date_start", "date")),
        "end_date": ("date32", ("end_date", "end", "period_end", "period_end_date", "date_end")),
        "sprint": ("string", ("sprint", "sprint_name")),
        "developer": ("string", ("developer", "developer_name", "contributor", "contributor_name", "name")),
        "developer_email": ("string", ("developer_email", "email", "email_address", "contributor_email", "user_email")),
    }
)
"""Dimension → its type and its possible names; the first name found wins."""

REPORT_DIMENSIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "productivity": ("developer", "developer_email"),
        "sprint": ("sprint",),
        "time_in_status": ("sprint",),
        "contributor_report": ("developer", "developer_email"),
        "developers": ("developer", "developer_email"),
    }
)
"""Dimensions of a report beside granularity, team, hierarchy and dates."""

UNDATED = frozenset({"team_report", "contributor_report", "dora_report", "developers"})
"""Legacy reports (seed 002) and the list of developers: their CSV has no dates, so rows get the range of the slice."""

LABELLED = frozenset({"efficiency", "time_in_status"})
"""Exports whose rows may tell their period by a label alone, as in time-in-status' documented CSV (CONTRACT 1a)."""

RATED = frozenset({"efficiency", "dora_report"})
"""Reports with ratings in columns that no document names: `—` is "none" in all their text (CONTRACT rows 22, 1a)."""

NUMBER_SUFFIXES = ("_story_points", "_tickets", "_hours", "_days", "_percent", "_count")
"""Suffixes that declare a column as a number (DESIGN, decision 11; seed 003, where the stems are categories)."""

TEXT_SUFFIXES = ("_rating", "_id", "_name", "_email", "_url")
"""Undeclared columns that stay text even if every value looks like a number: `007` is not 7.0."""

_MARKS = frozenset({"Mn", "Mc"})
_VARIATION = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_NO_WORD = re.compile(r"[^a-z0-9]+")
_UNDERSCORES = re.compile(r"_+")

_PERSONAL = frozenset({"developer", "developer_email"})
_PERSONAL_TEAMS = frozenset({"contributor_report"})
"""Reports whose collections are contributors and their managers, beside the org tree (seed 002, CONTRACT row 20)."""

_PERSON_ALIASES = frozenset(alias.replace("_", "") for name in _PERSONAL for alias in DIMENSIONS[name][1])

LEGACY_HEADINGS = frozenset(
    {
        "time to first comment", "pr velocity per developer", "pr velocity", "work completed per developer",
        "work items completed", "coding days per developer", "coding days", "number of comments per pr",
        "review intensity", "average time to complete", "pr hygiene", "lead time for changes", "deployment frequency",
        "change failure rate", "mean time to restore", "mean time to restore (mttr)",
    }
)  # fmt: skip
"""Headers of the legacy reports' metrics, which are other than the metrics' names: seed 002's column "Context", its
example with ratings. Always numbers."""
CALCULATION = re.compile(r" *\((mean|median|average|p90|p95)\)$")

LINEAGE = ("_scope", "_export_id", "_exported_at", "_run_id")
DERIVED = ("team_depth", "is_leaf")
TEAM_ID = "team_id"
"""Column of every table: the id of a row's team where publishing is certain of it, null otherwise."""
RESERVED = frozenset({"month", TEAM_ID, *DERIVED})
"""Names of the partition column and of computed ones. A header with such a name gets the prefix `sei_`."""
PERIOD = frozenset({"granularity", "start_date", "end_date"})
"""Dimensions that tell a row's period. A list of developers has none: its first day is a developer's own."""


def arrow_type(column: Column) -> pa.DataType:
    """Return Arrow's type of a column; a column without a type is text."""
    import pyarrow as pa  # Airflow's DAG processor imports this module

    return {"string": pa.string(), "date32": pa.date32(), "float64": pa.float64()}[column.type or "string"]


def personal_columns(report: str) -> frozenset[str]:
    """Return the columns of a report that name a person (CONTRACT row 27)."""
    return _PERSONAL | ({"team", "team_hierarchy"} if report in _PERSONAL_TEAMS else frozenset())


def is_person_alias(column: Column) -> bool:
    """Return whether an undeclared column has one of the names of a column that names a person.

    The first such column of a productivity export is `developer` or `developer_email`; a second one, or one of another
    report, names people all the same, unless the user names it otherwise.
    """
    return column.type is None and not column.is_named and compact(column.header) in _PERSON_ALIASES


def snake_case(header: str) -> str:
    """Convert a header: `Lead Time for Changes (mean)` → `lead_time_for_changes_mean`.

    Letters and combining marks of any language stay: a Hindi or Thai vowel sign is a mark.
    """
    name = unicodedata.normalize("NFC", header).lower()
    if not name.isascii():
        # Python lowers the Turkish İ to i and a dot above, which is one letter more than the language has.
        name = "".join(_word_characters(unicodedata.normalize("NFC", name.replace("i\u0307", "i"))))
    else:
        name = _NO_WORD.sub("_", name)
    return _UNDERSCORES.sub("_", name).strip("_")


def compact(header: str) -> str:
    """Return what known headers are compared by: neither case nor punctuation."""
    return snake_case(header).replace("_", "")


def _word_characters(text: str) -> Iterator[str]:
    """Yield letters, digits and the marks on letters; other characters as underscores."""
    may_carry = False
    for character in text:
        is_mark = unicodedata.category(character) in _MARKS and not _VARIATION.match(character)
        # A mark stands on a letter; what follows an emoji only selects its form.
        may_carry = character.isalpha() or (is_mark and may_carry)
        yield character if may_carry or character.isalnum() else "_"
