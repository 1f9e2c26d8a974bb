"""Splits an export that is too big for SEI: into the halves of its date range, then into its child teams."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING

from sei_provider.api.export import Export, ExportStatus
from sei_provider.api.periods import DateRange, each_period, split_dates, whole_periods
from sei_provider.api.reports import REPORTS
from sei_provider.api.request import ExportRequest, Scope
from sei_provider.api.validation import quoted

if TYPE_CHECKING:
    from sei_provider.api.client import SeiClient
    from sei_provider.api.teams import Team

TIMED_OUT = ("timed out", "timeout", "time-out")
"""Words of a failure that means "too big"; SEI's own words for it are not documented."""


@dataclass(frozen=True, slots=True)
class Split:
    """The requests that take the place of one; `lost` names the rows of it that none of them carries."""

    parts: tuple[ExportRequest, ...]
    lost: str | None = None


def request_ranges(request: ExportRequest, *, not_after: date, week_starts_on: int) -> list[DateRange]:
    """Return the range of a request, widened to whole periods up to a day; its periods if each needs its own request.

    Raises `SeiInputError` if it lies after that day.
    """
    granularity = request.granularity
    start, end = whole_periods(
        request.start, request.end, granularity, not_after=not_after, week_starts_on=week_starts_on
    )
    if REPORTS[request.report].asks_by_period(request.level, granularity):
        return each_period(start, end, granularity, week_starts_on=week_starts_on)
    return [DateRange(start, end)]


@dataclass
class Splitter:
    """Splits requests of one task.

    `asked` holds the task's own scopes, whose rows need no second export. `failures` holds the words, in any case, that
    mark a failure as "too big"; an empty one switches splitting off. Teams are listed once, and only if a scope has to
    be split.
    """

    client: SeiClient
    asked: Collection[Scope]
    failures: Sequence[str]
    week_starts_on: int

    def is_too_big(self, export: Export) -> bool:
        """Tell whether smaller exports may succeed where this one failed."""
        said = (export.error or "").casefold()
        return export.status is ExportStatus.FAILED and any(words.casefold() in said for words in self.failures)

    def split_into_periods(self, request: ExportRequest) -> Split:
        """Return a request for each period, whose range tells what a label does not."""
        periods = each_period(request.start, request.end, request.granularity, week_starts_on=self.week_starts_on)
        return Split(tuple(replace(request, start=start, end=end) for start, end in periods))

    def split(self, request: ExportRequest) -> Split | None:
        """Split the range into halves along its periods, one period into the child teams; None if neither is possible.

        Raises `SeiError` if the teams cannot be listed.
        """
        halves = split_dates(request.start, request.end, request.granularity, week_starts_on=self.week_starts_on)
        if halves:
            return Split(tuple(replace(request, start=start, end=end) for start, end in halves))
        team = self._team(request.scope)
        if team is None or not team.children:
            return None
        tree = request.scope.org_tree if request.scope.team_id else None
        children = [Scope(child.id, tree) for child in team.children]
        parts = tuple(replace(request, scope=child) for child in children if child not in self.asked)
        return Split(parts, lost=f"which do not carry the rows of {quoted(team.name)} itself")

    def _team(self, scope: Scope) -> Team | None:
        for tree_name, root in self._roots:
            if scope.team_id is None and tree_name == scope.org_tree:
                return root
            for team in root.walk():
                if team.id == scope.team_id:
                    return team
        return None

    @cached_property
    def _roots(self) -> list[tuple[str, Team]]:
        return [(tree.name, self.client.list_teams(tree)) for tree in self.client.list_org_trees()]
