"""What SEI's documents say of each report's calls: paths, request fields, spelling, packing. Data, and no code.

The paths are written out here and not taken from `sei_provider.api`, so that a wrong path there finds nobody here.
Metric groups, levels and granularities are `sei_provider.api.reports`'s, which a test holds against the documents.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One export's calls, as documented."""

    report: str
    create_path: str
    path: str
    scope_fields: tuple[str, ...]
    team_and_tree: bool
    """Whether a scope may name both; then the tree needs no orgIdentifier (CONTRACT row 11)."""
    body_fields: tuple[str, ...]
    option_fields: tuple[str, ...]
    level_fields: tuple[str, ...] = ()
    """The names of the level, of which a request may use one (CONTRACT row 9)."""
    aggregations: tuple[str, ...] = ()
    upper_case_status: bool
    """How the example of a status reply spells it (CONTRACT row 2)."""
    upper_case_in_list: bool = False
    """How a list spells it; "in either case", CONTRACT says, so one list does it the other way."""
    error_is_object: bool
    """Whether a failed export's `error` is `{code, message}` or a text (CONTRACT row 18)."""
    always_gzip: bool
    """Else only from `LARGE_EXPORT` bytes (CONTRACT row 16)."""
    download_names_content_type: bool
    """Whether a download needs `Content-Type` as all calls do; productivity's own curl has none."""
    has_list: bool
    """Whether the exports of this report can be listed."""
    filename: str
    """The download's name, with `{level}`, `{team}` and `{year}` to be filled in."""


LARGE_EXPORT = 64 * 1024
"""From how many bytes productivity's exports are compressed; the documents say "large", nothing more."""

REUSE_SECONDS = 30 * 60
"""For how long an identical productivity request is answered with the older export (CONTRACT, "Reuse")."""

PRODUCTIVITY = Document(  # 001 and 002
    report="productivity",
    create_path="/v2/insights/productivity/exports",
    path="/v2/insights/productivity/exports",
    scope_fields=("orgTreeName", "teamId"),
    team_and_tree=True,
    body_fields=("scope", "dateRange", "metricGroups", "metrics", "options"),
    option_fields=("metricLevel", "aggregationLevel", "aggregation", "granularity", "format"),
    level_fields=("metricLevel", "aggregationLevel"),
    aggregations=("mean", "median", "p90", "p95"),
    upper_case_status=False,
    error_is_object=False,
    always_gzip=False,
    download_names_content_type=False,
    has_list=True,
    filename="{level}-insights-{year}.csv",
)

SPRINT = Document(  # 000, with `metric` in its example and `metrics` in its table (CONTRACT rows 1, 7)
    report="sprint",
    create_path="/v2/insights/sprint/exports",
    path="/v2/insights/sprints/exports",
    scope_fields=("teamId", "orgTreeName", "orgIdentifier", "projectIdentifier"),
    team_and_tree=False,
    body_fields=("scope", "dateRange", "metricGroups", "metrics", "metric", "options"),
    option_fields=("computationMode", "metricLevel", "granularity"),
    level_fields=("metricLevel",),
    upper_case_status=False,
    upper_case_in_list=True,
    error_is_object=True,
    always_gzip=True,
    download_names_content_type=True,
    has_list=True,
    filename="sprint-insights-{team}-{year}.csv",
)

BUSINESS_ALIGNMENT = Document(  # 003
    report="business_alignment",
    create_path="/v2/insights/ba/exports",
    path="/v2/insights/ba/exports",
    scope_fields=("teamId", "orgTreeName", "orgIdentifier", "projectIdentifier"),
    team_and_tree=False,
    body_fields=("scope", "dateRange", "metricGroups", "options"),
    option_fields=("granularity",),
    upper_case_status=True,
    error_is_object=True,
    always_gzip=True,
    download_names_content_type=True,
    has_list=False,
    filename="business-alignment-{team}-{year}.csv",
)

DOCUMENTS = {document.report: document for document in (PRODUCTIVITY, SPRINT, BUSINESS_ALIGNMENT)}
