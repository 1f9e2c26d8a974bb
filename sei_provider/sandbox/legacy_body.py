"""The body of a legacy report's call (002), read as strictly as the document is written, and its two reports as data.

Turns JSON into a `ReportRequest`, or raises a `Refusal` that names the field, what it held, and what it may hold.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sei_provider.sandbox.checks import (
    date_field,
    json_object,
    known_names,
    object_field,
    one_of,
    only,
    refuse,
    text_field,
)
from sei_provider.sandbox.refusal import not_found

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from sei_provider.sandbox.organisation import Organisation, Team


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyDocument:
    """One of the two bodies that the one path takes, told apart by the field that holds the metrics."""

    report: str
    dto: str
    """What 002 calls the body."""
    metrics_field: str
    own_fields: tuple[str, ...]
    """The fields that only this body has."""
    headings: Mapping[str, str]
    """Metric → its column, in the order of the columns."""
    by_developer: bool
    """Whether the developers have rows beside the teams' (CONTRACT row 20)."""


COMMON_FIELDS = ("collectionId", "teamRefId", "dateStart", "dateEnd", "granularity")
GRANULARITIES = ("daily", "weekly", "monthly")

TEAM_REPORT = LegacyDocument(
    report="team_report",
    dto="ExportRequestDTO",
    metrics_field="productivity",
    own_fields=("metricGroups", "options"),  # the V2 fields of its own curl, which mean nothing here (row 32)
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

CONTRIBUTOR_REPORT = LegacyDocument(
    report="contributor_report",
    dto="ContributorExportRequestDTO",
    metrics_field="productivityContributors",
    own_fields=("includeRatings",),
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

LEGACY_DOCUMENTS = {document.report: document for document in (TEAM_REPORT, CONTRIBUTOR_REPORT)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRequest:
    """One legacy call that passed every check; names are spelled as documented."""

    document: LegacyDocument
    team: Team
    start: date
    end: date
    metrics: tuple[str, ...]
    """In the order of their columns."""
    granularity: str
    """What rates are counted per, in lower case."""
    include_ratings: bool


def read_legacy_body(raw: bytes, organisation: Organisation) -> ReportRequest:
    """The request that the bytes of a legacy call make; raises `Refusal` with status 400, or 404 for no such team."""
    body = json_object(raw)
    document = _document(body)
    only(body, (*COMMON_FIELDS, document.metrics_field, *document.own_fields), f"the body ({document.dto})")
    team = _team(body, organisation)
    start, end = date_field(body, "dateStart"), date_field(body, "dateEnd")
    if start > end:
        refuse(f"dateStart {start} is after dateEnd {end}")
    include_ratings = body.get("includeRatings", False)
    if not isinstance(include_ratings, bool):
        refuse(f"includeRatings must be true or false, not {json.dumps(include_ratings)}")
    return ReportRequest(
        document=document,
        team=team,
        start=start,
        end=end,
        metrics=_metrics(document, body),
        granularity=_granularity(body),
        include_ratings=include_ratings,
    )


def _document(body: Mapping[str, object]) -> LegacyDocument:
    if CONTRIBUTOR_REPORT.metrics_field not in body:
        return TEAM_REPORT  # whose own field may be left out: then all metrics are meant (row 19)
    if TEAM_REPORT.metrics_field in body:
        refuse(f"the body takes either {TEAM_REPORT.metrics_field} or {CONTRIBUTOR_REPORT.metrics_field}, not both")
    return CONTRIBUTOR_REPORT


def _team(body: Mapping[str, object], organisation: Organisation) -> Team:
    """The team by either id or both: one is a string, the other a number, and they are the same (rows 14, 32)."""
    ids = []
    if "collectionId" in body:
        ids.append(text_field(body, "collectionId", "the body"))
    if "teamRefId" in body:
        number = body["teamRefId"]
        if not isinstance(number, int) or isinstance(number, bool):
            refuse(f"teamRefId must be a JSON number, not {json.dumps(number)}")
        ids.append(str(number))
    if not ids:
        refuse("the body needs collectionId or teamRefId, and has neither")
    if len(set(ids)) > 1:
        refuse(f"collectionId {ids[0]!r} and teamRefId {ids[1]} must be the same team")
    team = organisation.team(ids[0])
    if team is None:
        not_found(f"Team not found: {ids[0]!r}")
    return team


def _metrics(document: LegacyDocument, body: Mapping[str, object]) -> tuple[str, ...]:
    """The metrics asked for; an empty list, or none, means all (row 19)."""
    field = document.metrics_field
    config = object_field(body, field) if field in body else {}
    only(config, ("metrics",), field)
    wanted = known_names(config, "metrics", document.headings, f"metric of {field}")
    return tuple(metric for metric in document.headings if metric in wanted or not wanted)


def _granularity(body: Mapping[str, object]) -> str:
    """In any case, for 002 itself writes `weekly` and `WEEKLY`; required in its tables, left out in its curls."""
    granularity = body.get("granularity", "weekly")
    if not isinstance(granularity, str):
        refuse(f"granularity must be a JSON string, not {json.dumps(granularity)}")
    one_of("granularity", granularity.lower(), GRANULARITIES)
    return granularity.lower()
