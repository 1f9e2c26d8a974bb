"""Metadata of a column's field: SEI's header, the unit, and the document that defines it.

Holds only what SEI documents or what the name itself says. A column without `sei.unit` has an unknown unit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from sei_provider.lake.columns import Column
from sei_provider.lake.model import JSON

HEADER_KEY = b"sei.header"
"""Field metadata: SEI's header of the column."""
HASHED_KEY = b"sei.hashed"
"""Field metadata of a column that is hashed and that nobody declared."""
UNIT_KEY = b"sei.unit"
SOURCE_KEY = b"sei.source"
"""Field metadata: the report, and the documents that describe it."""

_DOCUMENTS: Mapping[str, str] = MappingProxyType(
    {
        "productivity": "001, 002",
        "sprint": "000",
        "business_alignment": "003",
        "team_report": "002",
        "contributor_report": "002",
        "dora_report": "002",
    }
)

# The same words as 002. In days here and, in V2, in hours: the names differ, and the units too (CONTRACT row 23).
_LEGACY: Mapping[str, str] = MappingProxyType(
    {
        "time_to_first_comment": "days",
        "avg_time_to_complete": "days",
        "number_of_comments_per_pr": "count",
        "no_of_prs_with_missing_tickets": "count",
        "pr_velocity": "lines of code per developer and period",
        "pr_velocity_per_dev": "lines of code per developer and period",
        "work_type_completed": "count per developer and period",
        "worktype_completed_per_dev": "work items per developer and period",
        "coding_days": "days per period",
        "coding_days_per_dev": "days per period",
    }
)

_DORA: Mapping[str, str] = MappingProxyType(
    {
        r"^(lead_time_for_changes|mean_time_to_restore)": "days",
        r"^change_failure_rate": "percent",
        r"^deployment_frequency": "deployments per period",
    }
)
"""Units of the legacy DORA report (CONTRACT 1a), whose columns may name the calculation too."""

_BY_NAME: Mapping[str, str] = MappingProxyType(
    {
        r"_(hrs|hours)(_avg)?$": "hours",
        r"_days(_avg)?$": "days",
        r"_percent(_recent|_legacy)?$": "percent",
        r"_story_points$": "story points",
        r"_tickets$": "tickets",
        r"^loc_": "lines of code",
    }
)
"""Units that names in V2 say. `pr_missing_tickets` counts pull requests, so it is an exception."""
_NAME_WITHOUT_UNIT = frozenset({"pr_missing_tickets"})

_IN_MODE = frozenset(
    {
        "sprint_commit",
        "sprint_creep",
        "sprint_size",
        "total_work_delivered",
        "delivered_commit",
        "missed_commit",
        "delivered_creep",
        "missed_creep",
    }
)
"""Amounts of a sprint's work, in the unit of the request's `computationMode` (000)."""


def field_metadata(column: Column, report: str, mode: JSON = None) -> dict[bytes, bytes]:
    """Return unit and source of one column as field metadata, without what is unknown.

    `mode` is the computation mode of the table, `STORY_POINTS` or `TICKETS`.
    """
    if not column.header:  # a column that we added
        return {}
    document = _DOCUMENTS.get(report)
    found = {SOURCE_KEY: f"{report} (SEI's documents {document})" if document else report}
    unit = _unit(column, report, mode)
    return {key: text.encode() for key, text in (found | ({UNIT_KEY: unit} if unit else {})).items()}


def _unit(column: Column, report: str, mode: JSON) -> str | None:
    name = column.name
    if column.type in {"string", "date32"}:
        return None
    if report in {"team_report", "contributor_report"}:
        return _LEGACY.get(name)
    if report == "dora_report":
        return next((unit for pattern, unit in _DORA.items() if re.search(pattern, name)), None)
    if report == "sprint" and name in _IN_MODE:
        return str(mode).lower().replace("_", " ") if mode else None
    if name in _NAME_WITHOUT_UNIT:
        return None
    return next((unit for pattern, unit in _BY_NAME.items() if re.search(pattern, name)), None)
