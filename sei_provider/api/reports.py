"""The reports as data: paths, metric groups, levels, granularities and spelling. Knows no request.

A new report is one more entry in `REPORTS`. Names are spelled as in SEI's documents; callers may write them in any case
(CONTRACT rows 8, 10, 30).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


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
    """Whether single metrics can be requested (business alignment has groups only)."""
    default_aggregation: str | None = None
    """Sent when the caller gives none; None if the report takes no aggregation."""
    computation_modes: tuple[str, ...] = ()
    team_and_tree: bool = False
    """Whether a scope may name both a team and its org tree (CONTRACT row 11)."""
    sends_format: bool = False
    """Whether `options.format` is part of the documented body (CONTRACT row 33)."""
    has_list: bool = False
    """Whether the exports of this report can be listed."""
    legacy: bool = False
    """Whether it is one of seed 002's legacy reports: synchronous, with a body of its own shape, of one team, and with
    single metrics but no groups."""
    sends_team_ref: bool = False
    """Legacy only: whether the body also holds `teamRefId`, the team's id as a number (CONTRACT rows 14, 32)."""
    flags: tuple[str, ...] = ()
    """Legacy only: the boolean fields of the body that users may set in `options`."""
    page: str = "productivity"
    """Which of a team's pages in SEI shows its figures (CONTRACT, "Pages to look at"); sprint has none of its own."""

    @property
    def widens(self) -> bool:
        """Whether ranges are widened to whole periods. Legacy reports are not, because one row covers the whole range
        (DESIGN, decision 4)."""
        return not self.legacy

    def metrics(self, level: str | None = None) -> frozenset[str]:
        """Return all metrics at one level, or at any level if none is given."""
        return frozenset(
            metric
            for by_level in self.metric_groups.values()
            for at, metrics in by_level.items()
            if level is None or at == level
            for metric in metrics
        )


_PRODUCTIVITY = Report(  # seeds 001 and 002
    name="productivity",
    create_path="/v2/insights/productivity/exports",
    path="/v2/insights/productivity/exports",
    levels=("developer", "team"),
    default_level="team",
    granularities=("weekly", "monthly", "quarterly"),
    default_granularity="monthly",
    takes_metrics=True,
    default_aggregation="mean",
    team_and_tree=True,
    sends_format=True,
    has_list=True,
    metric_groups={
        "activity": {"developer": ("CODING_DAYS",), "team": ("CODING_DAYS",)},
        "velocity": {
            "developer": ("PR_CYCLE_TIME_DAYS_AVG", "AVG_TIME_TO_COMPLETE"),
            "team": ("PR_CYCLE_TIME_DAYS_AVG", "PR_VELOCITY", "AVG_TIME_TO_COMPLETE"),
        },
        "volume": {
            "developer": (
                "PR_MERGED",
                "PR_MERGED_SMALL",
                "PR_MERGED_MEDIUM",
                "PR_MERGED_LARGE",
                "LOC_ADDED",
                "LOC_REMOVED",
                "WORK_COMPLETED",
                "WORK_FEATURES_COMPLETED",
                "WORK_BUGS_COMPLETED",
                "WORK_OTHER_COMPLETED",
            ),
            "team": (
                "PR_MERGED",
                "PR_MERGED_SMALL",
                "PR_MERGED_MEDIUM",
                "PR_MERGED_LARGE",
                "WORK_COMPLETED",
                "WORK_FEATURES_COMPLETED",
                "WORK_BUGS_COMPLETED",
                "WORK_OTHER_COMPLETED",
            ),
        },
        "quality": {
            "developer": (
                "REWORK_PERCENT",
                "REWORK_PERCENT_RECENT",
                "REWORK_PERCENT_LEGACY",
                "LOC_REFACTORED",
                "LOC_REFACTORED_RECENT",
                "LOC_REFACTORED_LEGACY",
                "PR_MISSING_TICKETS",
            ),
            "team": (
                "REWORK_PERCENT",
                "REWORK_PERCENT_RECENT",
                "REWORK_PERCENT_LEGACY",
                "LOC_REFACTORED",
                "LOC_REFACTORED_RECENT",
                "LOC_REFACTORED_LEGACY",
                "PR_MISSING_TICKETS",
                "LOC_TOTAL",
            ),
        },
        "collaboration": {
            "developer": ("REVIEW_COMMENTS_PER_PR_AVG", "REVIEW_TIME_TO_FIRST_COMMENT_HRS_AVG"),
            "team": ("REVIEW_COMMENTS_PER_PR_AVG", "REVIEW_TIME_TO_FIRST_COMMENT_HRS_AVG"),
        },
    },
)

_SPRINT = Report(  # seed 000
    name="sprint",
    create_path="/v2/insights/sprint/exports",
    path="/v2/insights/sprints/exports",
    levels=("team", "sprint"),
    default_level="team",
    granularities=("SPRINT", "WEEKLY", "MONTHLY", "QUARTERLY"),
    default_granularity="MONTHLY",
    level_granularities={"sprint": "SPRINT"},  # its rows are sprints, whatever the period
    takes_metrics=True,
    computation_modes=("STORY_POINTS", "TICKETS"),
    has_list=True,
    metric_groups={
        "work": {
            "sprint": ("SPRINT_COMMIT", "SPRINT_CREEP", "SPRINT_SIZE", "SCOPE_CREEP_PERCENT"),
            "team": ("SPRINT_COMMIT", "SPRINT_CREEP", "SPRINT_SIZE", "SCOPE_CREEP_PERCENT"),
        },
        "delivery": {
            "sprint": (
                "TOTAL_WORK_DELIVERED",
                "DELIVERED_COMMIT",
                "MISSED_COMMIT",
                "DELIVERED_CREEP",
                "MISSED_CREEP",
                "TOTAL_DELIVERED_WORK_VS_COMMITTED_WORK",
            ),
            "team": (
                "TOTAL_WORK_DELIVERED",
                "SPRINT_VELOCITY",
                "DELIVERED_COMMIT",
                "MISSED_COMMIT",
                "DELIVERED_CREEP",
                "MISSED_CREEP",
                "TOTAL_DELIVERED_WORK_VS_COMMITTED_WORK",
            ),
        },
        "deliveryAnalysis": {
            "sprint": (
                "COMMITTED_WORK_DELIVERED_PERCENT",
                "CREEP_WORK_DELIVERED_PERCENT",
                "TOTAL_WORK_DELIVERED_PERCENT",
            ),
            "team": (
                "COMMITTED_WORK_DELIVERED_PERCENT",
                "CREEP_WORK_DELIVERED_PERCENT",
                "TOTAL_WORK_DELIVERED_PERCENT",
            ),
        },
        "analysis": {
            "sprint": ("TICKETS_REMOVED_MID_SPRINT", "CHURN_RATE"),
            "team": (
                "CHURN_RATE",
                "PREDICTABILITY_DELIVERY_CONSISTENCY",
                "PREDICTABILITY_RELIABILITY_OF_COMMITMENT",
            ),
        },
    },
)

_BUSINESS_ALIGNMENT = Report(  # seed 003; its metrics are the customer's own categories, so none are listed
    name="business_alignment",
    create_path="/v2/insights/ba/exports",
    path="/v2/insights/ba/exports",
    granularities=("WEEKLY", "MONTHLY", "QUARTERLY"),
    default_granularity="MONTHLY",
    takes_metrics=False,
    page="business-alignment",
    metric_groups={"CATEGORIZED": {"": ()}, "UNCATEGORIZED": {"": ()}},
)

_TEAM_REPORT = Report(  # seed 002, ExportRequestDTO
    name="team_report",
    create_path="/v2/insights/teams/reports",
    path="/v2/insights/teams/reports",
    granularities=("daily", "weekly", "monthly"),
    default_granularity="",
    takes_metrics=True,
    legacy=True,
    sends_team_ref=True,
    metric_groups={
        "productivity": {
            "": (
                "TIME_TO_FIRST_COMMENT",
                "PR_VELOCITY_PER_DEV",
                "WORKTYPE_COMPLETED_PER_DEV",
                "CODING_DAYS_PER_DEV",
                "NUMBER_OF_COMMENTS_PER_PR",
                "AVG_TIME_TO_COMPLETE",
            )
        }
    },
)

_CONTRIBUTOR_REPORT = Report(  # seed 002, ContributorExportRequestDTO
    name="contributor_report",
    create_path="/v2/insights/teams/reports",
    path="/v2/insights/teams/reports",
    granularities=("DAILY", "WEEKLY", "MONTHLY"),  # capitals, as in its own example (CONTRACT row 10)
    default_granularity="",
    takes_metrics=True,
    legacy=True,
    flags=("includeRatings",),
    metric_groups={
        "productivityContributors": {
            "": (
                "PR_VELOCITY",
                "WORK_TYPE_COMPLETED",
                "CODING_DAYS",
                "TIME_TO_FIRST_COMMENT",
                "NUMBER_OF_COMMENTS_PER_PR",
                "AVG_TIME_TO_COMPLETE",
                "NO_OF_PRS_WITH_MISSING_TICKETS",
            )
        }
    },
)

REPORTS: Mapping[str, Report] = MappingProxyType(
    {report.name: report for report in (_PRODUCTIVITY, _SPRINT, _BUSINESS_ALIGNMENT, _TEAM_REPORT, _CONTRIBUTOR_REPORT)}
)
"""The reports this provider exports, by the name users write."""
