"""What a column counts in and which document says so, as the field's metadata: data, no Parquet.

Only what SEI documents, or a name itself says; a column without `sei.unit` has one that nobody told us.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from sei_provider.lake.columns import Column
from sei_provider.lake.model import JSON

HEADER_KEY = b"sei.header"
"""Field metadata: what SEI calls the column."""
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
"""V2's names, by what they say; `pr_missing_tickets` says what is counted, but those are pull requests."""
_SAYS_NO_UNIT = frozenset({"pr_missing_tickets"})

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
"""Amounts of a sprint's work, in what the request's `computationMode` names (000)."""


def described(column: Column, report: str, mode: JSON = None) -> dict[bytes, bytes]:
    """Give unit and source of one column, as field metadata; what is not known is left out.

    `mode` is the computation mode of the table, `STORY_POINTS` or `TICKETS`.
    """
    if not column.header:  # not SEI's: we added it
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
    if report == "sprint" and name in _IN_MODE:
        return str(mode).lower().replace("_", " ") if mode else None
    if name in _SAYS_NO_UNIT:
        return None
    return next((unit for pattern, unit in _BY_NAME.items() if re.search(pattern, name)), None)
