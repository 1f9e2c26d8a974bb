"""Facts of SEI's documents about each report's calls: paths, spelling, packing. Data, and no code.

The paths are written out here and not taken from `sei_provider.api`, so that a wrong path there gets a 404 here.
Request fields are in `http.export_body` and `http.legacy_body`, metric groups in `sei_provider.api.reports`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSpec:
    """The calls of one report's exports, as documented."""

    report: str
    create_path: str
    path: str
    upper_case_status: bool = False
    """Spelling of the status in the example of a status reply (CONTRACT row 2)."""
    upper_case_in_list: bool = False
    """Spelling in a list: "in either case" by CONTRACT, so one list differs from the status reply."""
    error_is_object: bool = True
    """True if a failed export's `error` is `{code, message}`, False if it is a text (CONTRACT row 18)."""
    reuse_status: int = 200
    """HTTP status of a create that gets an existing export; only productivity's is documented (CONTRACT, "Reuse")."""
    always_gzip: bool = True
    """True if every file is compressed, not only one of `LARGE_EXPORT` bytes or more (CONTRACT row 16)."""
    download_names_content_type: bool = True
    """True if a download needs `Content-Type` as all other calls do; productivity's own curl has none."""
    has_link: bool = True
    """True if a completed export's status carries a link (CONTRACT row 4)."""
    has_list: bool = True
    """True if the exports of this report can be listed."""
    other_columns: Mapping[str, str] = field(default_factory=dict)
    """Column → its name in the cluster's dialect, as are the next three (see `dialect`)."""
    hierarchy_from_scope: bool = False
    older_level_field: bool = False
    first_weekday: int = 0
    """0 for Monday."""
    filename: str
    """The download's name, a template with `{level}`, `{team}` and `{year}`."""


LARGE_EXPORT = 64 * 1024
"""Size in bytes from which productivity's exports are compressed; the documents say "large", nothing more."""

REUSE_SECONDS = 30 * 60
"""Time in which an identical request gets the same export (CONTRACT, "Reuse")."""

_EXPORT_SPECS = (
    ExportSpec(  # 001 and 002
        report="productivity",
        create_path="/v2/insights/productivity/exports",
        path="/v2/insights/productivity/exports",
        error_is_object=False,
        always_gzip=False,
        download_names_content_type=False,
        filename="{level}-insights-{year}.csv",
    ),
    ExportSpec(  # 000, with `metric` in its example and `metrics` in its table (CONTRACT rows 1, 7)
        report="sprint",
        create_path="/v2/insights/sprint/exports",
        path="/v2/insights/sprints/exports",
        upper_case_in_list=True,
        filename="sprint-insights-{team}-{year}.csv",
    ),
    ExportSpec(  # 003
        report="business_alignment",
        create_path="/v2/insights/ba/exports",
        path="/v2/insights/ba/exports",
        reuse_status=202,  # so that a client has to look at `createdAt` too
        upper_case_status=True,
        has_list=False,
        filename="business-alignment-{team}-{year}.csv",
    ),
    ExportSpec(  # CONTRACT 1a
        report="efficiency",
        create_path="/v2/insights/efficiency/exports",
        path="/v2/insights/efficiency/exports",
        upper_case_status=True,
        has_list=False,
        filename="efficiency-{team}-{year}.csv",
    ),
    ExportSpec(  # CONTRACT 1a
        report="time_in_status",
        create_path="/v2/insights/ticket-data/exports",
        path="/v2/insights/ticket-data/exports",
        reuse_status=202,
        upper_case_status=True,
        has_list=False,
        has_link=False,
        filename="time-in-status-{team}-{year}.csv",
    ),
)
EXPORT_SPECS = {spec.report: spec for spec in _EXPORT_SPECS}


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacySpec:
    """One of the three legacy reports at one path, which the field with the metrics tells apart."""

    report: str
    dto: str
    """The body's name in 002."""
    metrics_field: str
    headings: Mapping[str, str]
    """Metric → its column, in the order of the columns."""
    by_developer: bool
    """True if the developers have rows beside the teams' (CONTRACT row 20)."""


TEAM_REPORT = LegacySpec(
    report="team_report",
    dto="ExportRequestDTO",
    metrics_field="productivity",
    headings={
        "TIME_TO_FIRST_COMMENT": "Time to First Comment",
        "PR_VELOCITY_PER_DEV": "PR Velocity per Developer",
        "WORKTYPE_COMPLETED_PER_DEV": "Work Completed per Developer",
        "CODING_DAYS_PER_DEV": "Coding Days per Developer",
        "NUMBER_OF_COMMENTS_PER_PR": "Number of Comments per PR",
        "AVG_TIME_TO_COMPLETE": "Average Time to Complete",
    },
    by_developer=False,
)

CONTRIBUTOR_REPORT = LegacySpec(
    report="contributor_report",
    dto="ContributorExportRequestDTO",
    metrics_field="productivityContributors",
    headings={
        "PR_VELOCITY": "PR Velocity per Developer",  # in its response's description; in its table "PR Velocity"
        "WORK_TYPE_COMPLETED": "Work Items Completed",
        "CODING_DAYS": "Coding Days",
        "TIME_TO_FIRST_COMMENT": "Time to First Comment",
        "NUMBER_OF_COMMENTS_PER_PR": "Review Intensity",
        "AVG_TIME_TO_COMPLETE": "Average Time to Complete",
        "NO_OF_PRS_WITH_MISSING_TICKETS": "PR Hygiene",
    },
    by_developer=True,
)

DORA_REPORT = LegacySpec(  # CONTRACT 1a
    report="dora_report",
    dto="ExportRequestDTO",
    metrics_field="efficiency",
    headings={
        "LEAD_TIME_FOR_CHANGES": "Lead Time for Changes",
        "DEPLOYMENT_FREQUENCY": "Deployment Frequency",
        "CHANGE_FAILURE_RATE": "Change Failure Rate",
        "MEAN_TIME_TO_RESTORE": "Mean Time to Restore",
        "OVERALL_DORA": "Overall DORA Rating",
    },
    by_developer=False,
)

LEGACY_SPECS = {spec.report: spec for spec in (TEAM_REPORT, CONTRIBUTOR_REPORT, DORA_REPORT)}
