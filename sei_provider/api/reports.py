"""The reports as data: paths, metric groups, levels, granularities and spelling. Knows no request.

A new report is one more entry in `REPORTS`. Names are spelled as in SEI's documents; callers may write them in any case
(CONTRACT rows 8, 10, 30).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sei_provider.api.report import Option, Report

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

_EFFICIENCY = Report(  # CONTRACT 1a; its columns are documented nowhere, so none are declared
    name="efficiency",
    create_path="/v2/insights/efficiency/exports",
    path="/v2/insights/efficiency/exports",
    granularities=("WEEKLY", "MONTHLY", "QUARTERLY"),
    default_granularity="MONTHLY",
    takes_metrics=True,
    page="dora",
    open_metrics=True,
    groups_or_metrics=True,
    default_groups=("lttc", "df", "mttr", "cfr", "summary"),  # the spelling of the request's example
    aggregations=("mean", "median", "p90", "p95"),
    sends_format=True,
    options={
        "workCategoryFilter": Option(kind="names", choices=("ALL", "BUGS", "FEATURES"), alone="ALL", group="lttc"),
        "compression": Option(kind="name", choices=("gzip",)),
    },
    columns=(),
    metric_groups={  # both spellings: that of the example, and that of the table of groups
        "lttc": {"": ("LTTC_Mean_Days",)},
        "df": {"": ("DF_Deployment_Count",)},
        "mttr": {"": ()},
        "cfr": {"": ("CFR_Failure_Rate_Percent",)},
        "summary": {"": ()},
        "work_items": {"": ()},
        "deployment_frequency": {"": ("DF_Deployment_Count",)},
        "rating": {"": ()},
    },
)

_TIME_IN_STATUS = Report(  # CONTRACT 1a
    name="time_in_status",
    create_path="/v2/insights/ticket-data/exports",
    path="/v2/insights/ticket-data/exports",
    levels=("team", "sprint"),
    default_level="team",
    level_field="aggregationLevel",
    granularities=("daily", "weekly", "monthly", "quarterly"),
    default_granularity="monthly",
    takes_metrics=False,
    options={
        "issueStatuses": Option(kind="names", place="body", required=True),
        "terminalDateColumn": Option(kind="name", choices=("issue_resolved_at", "version_release_date")),
    },
    labels_only=True,
    columns=("TOTAL_ISSUES", "TOTAL_LEAD_TIME_HOURS"),
    metric_groups={},
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
    options={},
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
    options={"includeRatings": Option(kind="flag", place="body")},
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

_DORA_REPORT = Report(  # CONTRACT 1a: a team report with another field for its metrics
    name="dora_report",
    create_path="/v2/insights/teams/reports",
    path="/v2/insights/teams/reports",
    granularities=("daily", "weekly", "monthly"),
    default_granularity="",
    takes_metrics=True,
    legacy=True,
    sends_team_ref=True,
    page="dora",
    columns=("LEAD_TIME_FOR_CHANGES", "DEPLOYMENT_FREQUENCY", "CHANGE_FAILURE_RATE", "MEAN_TIME_TO_RESTORE"),
    options={"calculationType": Option(kind="name", choices=("MEAN", "MEDIAN", "P90", "P95"), place="metrics")},
    metric_groups={
        "efficiency": {
            "": (
                "LEAD_TIME_FOR_CHANGES",
                "DEPLOYMENT_FREQUENCY",
                "CHANGE_FAILURE_RATE",
                "MEAN_TIME_TO_RESTORE",
                "OVERALL_DORA",
            )
        }
    },
)

REPORTS: Mapping[str, Report] = MappingProxyType(
    {
        report.name: report
        for report in (
            *(_PRODUCTIVITY, _SPRINT, _BUSINESS_ALIGNMENT, _EFFICIENCY, _TIME_IN_STATUS),
            *(_TEAM_REPORT, _CONTRIBUTOR_REPORT, _DORA_REPORT),
        )
    }
)
"""The reports this provider exports, by the name users write."""
