"""Columns of a CSV: their names in the lake, the declared types, and which of them are personal.

SEI documents the dimension columns of business alignment only (CONTRACT, section 3). For the other reports one
table of aliases lists likely headers, and users extend it through `stage(aliases=…)`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias

from sei_provider.lake.errors import HeaderError, SchemaError

if TYPE_CHECKING:
    import pyarrow as pa

ColumnType: TypeAlias = Literal["string", "date32", "float64"]

NULL_NUMBER = "—"
"""SEI's text for "none" in a number or a rating (CONTRACT row 22)."""

NUMBER = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?"
"""Pattern of a number, without two ways to match the same digits: a cell of 40,000 of them and an `x` would take a
minute to refuse; `float()` would also accept `nan`, `1_000` and digits of other scripts."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name in the lake, SEI's header, and its type, which is None until it is known."""

    name: str
    header: str
    type: ColumnType | None
    hashed: bool = False
    """Its values are hashes because it may name a person, and nothing but the policy says so: it is not declared."""


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
        "contributor_report": ("developer", "developer_email"),
    }
)
"""Dimensions of a report beside granularity, team, hierarchy and dates."""

UNDATED = frozenset({"team_report", "contributor_report"})
"""Legacy reports (seed 002): their CSV has no dates, so rows get the range of the request."""

NUMBER_SUFFIXES = ("_story_points", "_tickets", "_hours", "_days", "_percent", "_count")
"""Suffixes of undeclared columns that are numbers (DESIGN, decision 11)."""

METRIC_SUFFIXES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"business_alignment": ("_story_points", "_tickets")}  # seed 003: the stems are the customer's categories
)
"""Suffixes that declare a column of this report as a number."""

TEXT_SUFFIXES = ("_rating", "_id", "_name", "_email", "_url")
"""Undeclared columns that stay text even if every value looks like a number: `007` is not 7.0."""

_PERSONAL = frozenset({"developer", "developer_email"})
_PERSONAL_TEAMS = frozenset({"contributor_report"})
"""Reports whose collections are contributors and their managers, beside the org tree (seed 002, CONTRACT row 20)."""

_PERSON_ALIASES = frozenset(alias.replace("_", "") for name in _PERSONAL for alias in DIMENSIONS[name][1])

LEGACY_HEADINGS = frozenset(
    {
        "time to first comment", "pr velocity per developer", "pr velocity", "work completed per developer",
        "work items completed", "coding days per developer", "coding days", "number of comments per pr",
        "review intensity", "average time to complete", "pr hygiene", "lead time for changes", "deployment frequency",
        "change failure rate", "mean time to restore",
    }
)  # fmt: skip
"""Headers of the legacy reports' metrics, which are other than the metrics' names: seed 002's column "Context", its
example with ratings. Always numbers."""
_CALCULATION = re.compile(r" *\((mean|median|average|p90|p95)\)$")

LINEAGE = ("_scope", "_export_id", "_exported_at", "_run_id")
DERIVED = ("team_depth", "is_leaf")
_RESERVED = frozenset({"month", *DERIVED})


def declare(
    headers: Sequence[str],
    *,
    report: str,
    metrics: frozenset[str] = frozenset(),
    aliases: Mapping[str, Sequence[str]] | None = None,
) -> list[Column]:
    """Return the columns of one CSV in its order, with their names and declared types.

    `aliases` adds names for dimensions, tried before the built-in ones. Names are compared without case and
    punctuation. `require_columns` checks the result.
    """
    known = {compact(metric): Column(metric.lower(), "", "float64") for metric in metrics}
    known |= _dimensions_found([compact(header) for header in headers], report, aliases or {})
    return [_column(header, known, report) for header in headers]


def require_columns(columns: Sequence[Column], headers: Sequence[str], report: str) -> None:
    """Raise `HeaderError` if team or start date is missing, if a column has no name, or two have the same."""
    _check(columns, headers, ["team"] if report in UNDATED else ["team", "start_date"])


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
    report, names people all the same.
    """
    return column.type is None and compact(column.header) in _PERSON_ALIASES


def snake_case(header: str) -> str:
    """Convert a header: `Lead Time for Changes (mean)` → `lead_time_for_changes_mean`; letters of any language stay."""
    name = re.sub(r"\W+", "_", unicodedata.normalize("NFC", header).lower())
    return re.sub(r"_+", "_", name).strip("_")


def _column(header: str, known: Mapping[str, Column], report: str) -> Column:
    column = known.get(compact(header))
    if column:
        return Column(column.name, header, column.type)
    name = snake_case(header)
    if name.endswith(METRIC_SUFFIXES.get(report, ())):
        return Column(name, header, "float64")
    if report in UNDATED and _CALCULATION.sub("", header.strip().lower()) in LEGACY_HEADINGS:
        return Column(name, header, "float64")
    # A column named like the partition column or like a computed one would break every reader.
    return Column(f"sei_{name}" if name in _RESERVED else name, header, None)


def _dimensions_found(seen: Sequence[str], report: str, aliases: Mapping[str, Sequence[str]]) -> dict[str, Column]:
    unknown = sorted(set(aliases) - set(DIMENSIONS))
    if unknown:
        msg = f"aliases for {', '.join(unknown)}: unknown dimension; use {', '.join(DIMENSIONS)}"
        raise SchemaError(msg)
    special = {name for names in REPORT_DIMENSIONS.values() for name in names}
    own = REPORT_DIMENSIONS.get(report, ())
    found = {}
    for name, (kind, builtin) in DIMENSIONS.items():
        if name in special and name not in own:
            continue
        names = [compact(alias) for alias in (*aliases.get(name, ()), *builtin)]
        first = next((alias for alias in names if alias in seen), None)
        if first is not None:
            found[first] = Column(name, "", kind)
    return found


def _check(columns: Sequence[Column], headers: Sequence[str], needed: Sequence[str]) -> None:
    by_name: dict[str, int] = {}
    for number, column in enumerate(columns, 1):
        if not column.name:
            msg = f"column {number} of {len(columns)} has no name"
            raise HeaderError(msg, headers=headers)
        if column.name in by_name:
            msg = f"two headers, {by_name[column.name]} and {number} of {len(columns)}, give the same column"
            raise HeaderError(msg, headers=headers)
        by_name[column.name] = number
    for name in needed:
        if name not in by_name:
            msg = (
                f"no column holds the {name}; looked for {', '.join(DIMENSIONS[name][1])}: "
                f"name the right one with aliases={{{name!r}: […]}}"
            )
            raise HeaderError(msg, headers=headers)


def compact(name: str) -> str:
    """Return the form in which headers are compared: without case and punctuation."""
    return snake_case(name).replace("_", "")
