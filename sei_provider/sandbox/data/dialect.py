"""Ways in which a cluster may differ where SEI's documents are silent or disagree (CONTRACT, what is marked [?]).

A dialect is a set of traits, each of which changes some facts of `spec.ExportSpec`. Data, and the reading of an option.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sei_provider.sandbox.data.spec import ExportSpec

TRAITS = {
    "other_columns": "the columns that no document names have other names: Squad, From, Employee and so on",
    "hierarchy_from_scope": "a team's hierarchy starts at the team that was asked for, not at the tree's root",
    "no_reuse": "an identical request makes another export",
    "older_level_field": "the level is read from aggregationLevel, and metricLevel is passed over",
    "upper_case_statuses": "all statuses are in capitals",
    "weeks_from_sunday": "weeks start on Sunday, not on Monday",
}
"""Trait → what it means."""

_UNDOCUMENTED = {"productivity", "sprint", "efficiency"}
"""Reports whose dimension columns no document names."""
_WITH_LEVEL = {"productivity", "sprint"}
"""Reports whose level has two names (CONTRACT row 9); that of time in status has one."""
_OTHER_COLUMNS = {
    "Granularity": "Period",
    "Team": "Squad",
    "Team_Hierarchy": "Squad_Path",
    "Start_Date": "From",
    "End_Date": "Until",
    "Developer": "Employee",
    "Developer_Email": "Employee_Mail",
    "Sprint": "Iteration",
}
_SUNDAY = 6


def parse_dialect(text: str) -> frozenset[str]:
    """Return the traits that a text names, joined by commas; `ValueError` for one that is unknown."""
    names = frozenset(name.strip() for name in text.split(",") if name.strip())
    if unknown := sorted(names - TRAITS.keys()):
        msg = f"dialect has no trait {unknown[0]!r}; the traits, to be joined by commas, are: {', '.join(TRAITS)}"
        raise ValueError(msg)
    return names


def speak(spec: ExportSpec, dialect: frozenset[str]) -> ExportSpec:
    """Return the facts about a report's calls in a dialect."""
    renamed = "other_columns" in dialect and spec.report in _UNDOCUMENTED
    is_upper = "upper_case_statuses" in dialect
    return replace(
        spec,
        upper_case_status=spec.upper_case_status or is_upper,
        upper_case_in_list=spec.upper_case_in_list or is_upper,
        other_columns=_OTHER_COLUMNS if renamed else {},
        hierarchy_from_scope="hierarchy_from_scope" in dialect,
        older_level_field="older_level_field" in dialect and spec.report in _WITH_LEVEL,
        first_weekday=_SUNDAY if "weeks_from_sunday" in dialect else 0,
    )


def with_older_level(raw: bytes) -> bytes:
    """Return a create call's body as an older cluster reads it: the level is `aggregationLevel`, if it is there."""
    with suppress(ValueError, AttributeError):
        body: dict[str, Any] = json.loads(raw)
        options = dict(body["options"]) if isinstance(body.get("options"), dict) else {}
        options.pop("metricLevel", None)
        if "aggregationLevel" in options:
            options["metricLevel"] = options.pop("aggregationLevel")
        return json.dumps({**body, "options": options}).encode() if "options" in body else raw
    return raw
