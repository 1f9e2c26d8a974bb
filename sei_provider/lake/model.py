"""Values that staging and publishing share: slice, manifest, and the result of publishing.

Plain values and JSON. Knows no Parquet, no CSV and no store, and is cheap to import.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NotRequired, TypeAlias, TypedDict

from sei_provider.lake.columns import LABELLED, UNDATED
from sei_provider.lake.errors import TableNameError
from sei_provider.lake.periods import checked_day, period_end

JSON: TypeAlias = "Mapping[str, JSON] | Sequence[JSON] | str | int | float | bool | None"

SliceKey: TypeAlias = tuple[str, str, datetime]
"""Scope, export id and time of staging, which mark the rows of a slice in `_scope`, `_export_id`, `_exported_at`."""


SliceId: TypeAlias = tuple[str, str, str, str]
"""Scope, first day, last day and export id, by which a manifest finds its slice among those of a staged file."""


ALL_TREES = "all org trees"
"""Scope of a reading of all org trees; that of one tree is `org:` with its name, like an export's."""
_TABLE_NAME = re.compile(r"[a-z0-9][a-z0-9_]*")


def is_table_name(name: str) -> bool:
    """Tell whether a folder of this name may be a table's."""
    return _TABLE_NAME.fullmatch(name) is not None


def checked_table_name(table: str) -> str:
    """Return the name of a table, which becomes a folder's name.

    Raises `TableNameError` unless it is of the letters a to z, digits and underscores, and begins with none of these:
    such folders (`_staging`, `_schemas`) are the lake's own.
    """
    if not isinstance(table, str) or not is_table_name(table):
        msg = (
            f"a table cannot be called {table!r}: use the letters a to z, digits and underscores, and begin with a "
            "letter or digit, such as sprint_team_monthly"
        )
        raise TableNameError(msg)
    return table


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Rows that one request covers. Raises `ValueError` for a range that is none, or beyond the years 1900 to 2999."""

    table: str
    """Table of the rows, e.g. `productivity_developer_monthly`."""
    report: str
    """`productivity`, `sprint`, `business_alignment`, …: selects the declared columns."""
    scope: str
    """`team:456` or `org:Engineering`."""
    start: date
    end: date
    """First and last day of the request, both inclusive."""
    granularity: str
    """`daily`, `weekly`, `monthly`, `quarterly` or `sprint`."""
    metrics: frozenset[str]
    """Documented metric names of this report at this level, in capitals: the columns declared as numbers."""
    definition: Mapping[str, JSON]
    """Options that change what the rows measure (DESIGN, decision 15): `aggregation`, `metric_groups`, `metrics`, …"""
    origin: Mapping[str, str | None] = field(default_factory=dict)
    """Account, organization and project of the rows, as far as they are known: the keys `account`, `organization` and
    `project`. Two that are known and differ cannot share a table."""

    def __post_init__(self) -> None:
        if checked_day(self.start, "start") > checked_day(self.end, "end"):
            msg = f"the slice of {self.scope} ends ({self.end}) before it starts ({self.start}); both are inclusive"
            raise ValueError(msg)

    @property
    def replace_exact_range(self) -> bool:
        """True if it replaces its own scope and range only, because its rows have no dates."""
        return self.report in UNDATED

    @property
    def dates_rows(self) -> bool:
        """True if rows without dates get some: those of legacy reports, those with labels, and sprint's of one period.

        These are the dates of its range, or those that a label tells.
        """
        if self.report == "sprint":
            return self.granularity == "sprint" or self.is_one_period
        return self.replace_exact_range or self.report in LABELLED

    @property
    def is_one_period(self) -> bool:
        """True if the range holds one period only, or a part of it."""
        return self.end <= period_end(self.start, self.granularity)

    @property
    def level(self) -> str | None:
        """Return the level that was requested; None if the report has none."""
        level = self.definition.get("level")
        return str(level) if level else None

    @property
    def range(self) -> dict[str, date]:
        """Return first and last day as the date columns of rows without dates."""
        return {"start_date": self.start, "end_date": self.end}

    def to_json(self) -> dict[str, Any]:
        """Return the slice as JSON values. The keys are a file format and not these names."""
        return {
            "table": self.table,
            "report": self.report,
            "scope": self.scope,
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "granularity": self.granularity,
            "metrics": sorted(self.metrics),
            "meaning": dict(self.definition),
            **({"origin": dict(self.origin)} if self.origin else {}),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Slice:
        """Parse what `to_json` returned."""
        return cls(
            table=value["table"],
            report=value["report"],
            scope=value["scope"],
            start=date.fromisoformat(value["start"]),
            end=date.fromisoformat(value["end"]),
            granularity=value["granularity"],
            metrics=frozenset(value["metrics"]),
            definition=value["meaning"],
            origin=value.get("origin", {}),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeTeam:
    """One team as a reading of the org trees shows it."""

    id: str
    name: str
    path: str
    """Names from the root of the tree down, joined by slashes; a name may hold a slash itself."""
    tree: str
    """Name of its org tree."""
    depth: int
    """Number of teams above it."""
    leaf: bool
    """True if no team is below it."""
    parent_id: str | None = None
    """None for the root of a tree."""
    developer_count: int | None = None
    """None where SEI does not tell it."""


class Manifest(TypedDict):
    """One staged slice, or one that failed, as it travels between tasks (DESIGN, decision 7)."""

    scope: str
    start: str
    """`YYYY-MM-DD`, as `end`."""
    end: str
    table: str
    path: str | None
    """Path of the staged Parquet file, which may hold further slices of its task; None if `error` is set."""
    rows: int
    export_id: str | None
    created_at: str | None
    """Time at which SEI made the export, by SEI's clock: ISO 8601, UTC."""
    error: str | None
    request: NotRequired[str]
    """The request's fingerprint, and `row_groups` those that hold rows of the slice; both only if the file holds
    further slices."""
    row_groups: NotRequired[list[int]]
    reading: NotRequired[str]
    """A hash of how the file was read, as `reading_of` gives it."""
    reused: NotRequired[bool]
    """True if SEI had made the export before this task asked for it."""
    quarantined: NotRequired[int]
    """Rows of the export that went to quarantine; only if there are any."""
    unknown_columns: NotRequired[list[str]]
    """Headers that nobody declared, so the columns were dropped or hashed as a person's; `column 7` for one that may be
    a name itself."""
    fresh_from: NotRequired[str]
    """Time from which SEI creates a new export; only where it gave back one that the lake held already."""
    developers: NotRequired[bool]
    """True if the slice is the list of developers, which has a table of its own: `table`."""
    teams: NotRequired[bool]
    """True if the slice is a reading of the org trees, made at `created_at`; `table` is that of the teams."""
    published: NotRequired[bool]
    """True if the slice was published earlier in this run, so that no rows of it are staged any more."""


def slice_id(manifest: Manifest) -> SliceId:
    """Return what finds the slice of a manifest among those of its staged file."""
    return manifest["scope"], manifest["start"], manifest["end"], manifest["export_id"] or ""


class Superseding(TypedDict):
    """An export that superseded rows of another."""

    scope: str
    export_id: str
    created_at: str


class Superseded(TypedDict):
    """A slice of which other exports superseded some or all rows of a month."""

    scope: str
    start: str
    end: str
    export_id: str
    reason: str
    by: list[Superseding]
    """The exports that did, up to ten of them."""
    clock_went_back: bool
    """True if it lost by `createdAt` alone, to an export that was staged more than five minutes earlier by our clock:
    one of the two times is wrong."""


class Restated(TypedDict):
    """Figures of a month that was over, which another export has changed."""

    figures: int
    """Number of figures: one per team, period and metric; developers are added up."""
    largest: float
    """Largest relative difference, 0 to 1."""
    teams: list[str]
    """Hierarchies of the teams concerned, up to 50; empty in `contributor_report`, whose teams are people."""
    team_count: int


class Published(TypedDict):
    """Result of publishing into one month of one table."""

    table: str
    month: str
    """`YYYY-MM`."""
    rows: int
    """Rows of the month now, of all slices."""
    slices: int
    """Number of the given slices that the month holds, including those of an earlier try."""
    superseded: list[Superseded]
    quarantined: int
    """Rows of these slices, of any month, that went to quarantine when they were staged."""
    restated: Restated | None
    """Figures of this month that have changed, if the month was over; None if none has."""
    new_columns: list[str]
    """Columns that are new to the table: older rows are null there."""
    unknown_columns: list[str]
    """Headers that nobody declared, of any of the given slices: as in `Manifest`."""
    missing_columns: list[str]
    """Columns of the table that none of the given slices has: their rows are null there."""
    path: str


def default_table(report: str, level: str | None, granularity: str) -> str:
    """Return the table that an export goes to unless the user names one, e.g. `sprint_team_monthly`."""
    return "_".join(part.lower() for part in (report, level, granularity) if part)


def run_key(run_id: str, clear_number: int) -> str:
    """Return the name of a run, which keeps its run id when it is cleared, together with how often it was cleared."""
    return f"{run_id}\n{clear_number}" if clear_number else run_id


def run_id_of(key: str) -> str:
    """Return the run id of what `run_key` returned."""
    return key.partition("\n")[0]
