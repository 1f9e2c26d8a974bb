"""Requests that passed every check, as plain values: defaults are filled in, names spelled as documented."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sei_provider.sandbox.data.periods import periods

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from sei_provider.sandbox.data.organisation import Team
    from sei_provider.sandbox.data.periods import Period
    from sei_provider.sandbox.data.spec import ExportSpec, LegacySpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """One create call."""

    spec: ExportSpec
    project: str
    org: str
    scope: Mapping[str, str]
    team: Team
    """The team the export starts from: the one named, or the root of the org tree."""
    start: date
    end: date
    metric_groups: tuple[str, ...]
    """The groups asked for, in documented order; empty if none was."""
    metrics: tuple[str, ...]
    """All metrics of groups and single names together, in documented order; none for business alignment."""
    level: str
    """Empty for a report without levels."""
    granularity: str
    calculation: str
    """The aggregation or computation mode; empty for a report with neither."""
    options: Mapping[str, object]
    filters: tuple[str, ...] = ()
    """The work categories of efficiency, or the statuses and the terminal date of time in status."""

    def periods(self) -> list[Period]:
        """Return the periods of the range."""
        return periods(self.granularity, self.start, self.end, first_weekday=self.spec.first_weekday)

    def hierarchy(self, team: Team) -> str:
        """Return the hierarchy of a team of the export."""
        if not self.spec.hierarchy_from_scope:
            return team.hierarchy
        return self.team.name + team.hierarchy.removeprefix(self.team.hierarchy)

    @property
    def scope_name(self) -> str:
        """The team id or the org tree's name, by which a fault is ordered for this scope."""
        return self.scope.get("teamId") or self.scope["orgTreeName"]

    @property
    def identity(self) -> tuple[object, ...]:
        """Everything that must be equal for a second request to get the first one's export."""
        scope = tuple(sorted(self.scope.items()))
        # Groups and their metrics one by one are the same; business alignment has only groups.
        metrics = self.metrics or self.metric_groups
        asked = (self.start, self.end, metrics, self.level, self.granularity, self.calculation, self.filters)
        return (self.spec.report, self.project, self.org, scope, *asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRequest:
    """One legacy call."""

    spec: LegacySpec
    team: Team
    start: date
    end: date
    metrics: tuple[str, ...]
    """In the order of their columns."""
    granularity: str
    """The period that rates are counted per, in lower case."""
    include_ratings: bool
    calculation: str = ""
    """The calculation of a DORA report, in capitals; empty for the others."""
