"""A report as a value: its paths, names and spelling, and what its body holds. Knows no request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A further member of a report's body, which users give in `options` by its documented name.

    A `flag` is true or false, a `name` is one text, `names` is a list of texts that is not empty.
    """

    kind: Literal["flag", "name", "names"]
    choices: tuple[str, ...] = ()
    """The texts that are allowed, as documented; users may write them in any case. Empty: any that is not blank."""
    place: Literal["body", "options", "metrics"] = "options"
    """Its place: in the body itself, in its `options`, or (legacy) beside the metrics."""
    required: bool = False
    alone: str | None = None
    """The choice that stands for all others, and so beside none of them."""
    group: str | None = None
    """The metric group without which it has no meaning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One kind of export.

    `metric_groups` maps a group to its metrics at each level. A report without levels has the level `""`. A legacy
    report has one group, named as the field of its body that holds the metrics.
    """

    name: str
    create_path: str
    """Path of the create call (of a legacy report: of its only call), appended to the base URL."""
    path: str
    """Path of the list; status and download append to it."""
    metric_groups: Mapping[str, Mapping[str, tuple[str, ...]]]
    levels: tuple[str, ...] = ()
    default_level: str | None = None
    granularities: tuple[str, ...]
    default_granularity: str
    """Sent when the caller gives none; empty if the field is then left out."""
    level_granularities: Mapping[str, str] = field(default_factory=dict)
    """By level, what is sent in place of `default_granularity`."""
    takes_metrics: bool
    """True if single metrics can be requested (business alignment has groups only)."""
    default_groups: tuple[str, ...] | None = None
    """Sent when the caller names neither groups nor metrics; None sends all of them."""
    open_metrics: bool = False
    """True if its document names a few metrics as examples, so that others are sent as they are written."""
    groups_or_metrics: bool = False
    """True if a request has either groups or single metrics, and never both (CONTRACT row 13)."""
    default_aggregation: str | None = None
    """Sent when the caller gives none."""
    aggregations: tuple[str, ...] = ()
    """The aggregations that are allowed. Empty: any, if there is a default, otherwise none."""
    level_field: str | None = None
    """The body's name for the level, where that does not depend on the cluster (CONTRACT row 9)."""
    computation_modes: tuple[str, ...] = ()
    team_and_tree: bool = False
    """True if a scope may name both a team and its org tree (CONTRACT row 11)."""
    sends_format: bool = False
    """True if `options.format` is part of the documented body (CONTRACT row 33)."""
    has_list: bool = False
    """True if the exports of this report can be listed."""
    legacy: bool = False
    """True if it is one of seed 002's legacy reports: synchronous, with a body of its own shape, of one team, and with
    single metrics but no groups."""
    sends_team_ref: bool = False
    """Legacy only: whether the body also holds `teamRefId`, the team's id as a number (CONTRACT rows 14, 32)."""
    options: Mapping[str, Option] | None = None
    """Options that users may give; None for a V2 report whose further options are sent as they are."""
    page: str = "productivity"
    """Which of a team's pages in SEI shows its figures (CONTRACT, "Pages to look at"); sprint has none of its own."""
    labels_only: bool = False
    """True if a row of its CSV tells its period by a label alone, of which only that of a month is documented."""
    columns: tuple[str, ...] | None = None
    """Columns of its CSV that are documented as numbers, in capitals; None if these are its metrics."""

    @property
    def widens(self) -> bool:
        """True if ranges are widened to whole periods. Legacy reports are not, because one row covers the whole range
        (DESIGN, decision 4)."""
        return not self.legacy

    @property
    def takes_aggregation(self) -> bool:
        """True if an aggregation can be requested."""
        return self.default_aggregation is not None or bool(self.aggregations)

    def asks_by_period(self, level: str | None, granularity: str) -> bool:
        """True if each period needs a request of its own, because no label can be read for certain (CONTRACT 1a)."""
        return self.labels_only and (level == "sprint" or granularity.lower() != "monthly")

    def rows_are_sprints(self, level: str | None) -> bool:
        """True if the rows at a level are of a sprint each, whatever the granularity."""
        return level in self.level_granularities

    @property
    def required_options(self) -> tuple[str, ...]:
        """The names of the options that a request must have."""
        return tuple(name for name, option in (self.options or {}).items() if option.required)

    def number_columns(self, level: str | None = None) -> frozenset[str]:
        """Return the names, in capitals, of the CSV's columns that are documented as numbers."""
        return self.metrics(level) if self.columns is None else frozenset(self.columns)

    def metrics(self, level: str | None = None) -> frozenset[str]:
        """Return all metrics at one level, or at any level if none is given."""
        return frozenset(
            metric
            for by_level in self.metric_groups.values()
            for at, metrics in by_level.items()
            if level is None or at == level
            for metric in metrics
        )
