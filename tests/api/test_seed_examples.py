"""Every create example of the documents gives the same body through `ExportRequest`, except where CONTRACT decides."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from sei_provider.api import ExportRequest

CURLS = Path(__file__).parents[1] / "sandbox" / "curls"
BODIES = Path(__file__).parents[1] / "sandbox" / "bodies"

YEAR = {"start": "2024-01-01", "end": "2024-12-31"}
QUARTER = {"start": "2026-01-01", "end": "2026-03-31"}
FIVE = ["activity", "velocity", "volume", "quality", "collaboration"]


def curl(name: str) -> dict[str, Any]:
    """The body of a curl of the documents, as it stands there."""
    words = shlex.split((CURLS / f"{name}.txt").read_text(encoding="utf-8").replace("\\\n", " "))
    return json.loads(words[words.index("-d") + 1])


def asked_like(report: str, body: dict[str, Any]) -> ExportRequest:
    """The request that a reader of the example would write: its values under the provider's names."""
    options = body["options"]
    scope = {name: value for name, value in body["scope"].items() if name in {"teamId", "orgTreeName"}}
    return ExportRequest(
        report=report,
        scope=scope,  # type: ignore[arg-type]
        **body["dateRange"],
        metric_groups=body.get("metricGroups", ()),
        metrics=body.get("metrics", body.get("metric", ())),
        level=options.get("metricLevel", options.get("aggregationLevel")),
        granularity=options["granularity"],
        aggregation=options.get("aggregation"),
        computation_mode=options.get("computationMode"),
    )


PRODUCTIVITY_OPTIONS = {"metricLevel": "developer", "aggregation": "mean", "granularity": "monthly", "format": "csv"}
TREE = {"orgTreeName": "string", "orgIdentifier": "string", "projectIdentifier": "string"}

EXAMPLES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    # name: report, the document's body, what our body has instead
    "000 request body, by org tree": (
        "sprint",
        {
            "scope": TREE,
            "dateRange": QUARTER,
            "options": {"granularity": "MONTHLY"},
            "metricGroups": ["work", "delivery", "analysis"],
            "metric": ["Sprint_Commit", "Total_Work_Delivered", "Churn_Rate"],
        },
        {
            "metric": None,  # row 7
            "metrics": ["SPRINT_COMMIT", "TOTAL_WORK_DELIVERED", "CHURN_RATE"],  # rows 7, 8
            "options": {"granularity": "MONTHLY", "metricLevel": "team"},  # row 9: always said, it names the table
        },
    ),
    "000 request body, by team": (
        "sprint",
        {
            "scope": {"teamId": "team_abc123"},
            "dateRange": QUARTER,
            "options": {"granularity": "MONTHLY"},
            "metricGroups": ["work", "delivery", "analysis"],
        },
        {"options": {"granularity": "MONTHLY", "metricLevel": "team"}},  # row 9
    ),
    "000 curl": ("sprint", curl("000_create_sprint"), {}),
    "001 request body": (
        "productivity",
        {
            "scope": {"orgTreeName": "Engineering", "teamId": "456"},
            "dateRange": YEAR,
            "metricGroups": FIVE,
            "metrics": ["PR_Merged", "Work_Completed"],
            "options": {
                "aggregation": "mean",
                "aggregationLevel": "developer",
                "granularity": "monthly",
                "format": "csv",
            },
        },
        {"metrics": ["PR_MERGED", "WORK_COMPLETED"], "options": PRODUCTIVITY_OPTIONS},  # rows 8, 9
    ),
    "001 curl": ("productivity", curl("001_create_productivity"), {"options": PRODUCTIVITY_OPTIONS}),  # row 9
    "001 Python sample": (
        "productivity",
        {
            "scope": {"orgTreeName": "<ORG_TREE_NAME>"},
            "dateRange": YEAR,
            "metricGroups": ["activity", "velocity"],
            "options": {
                "aggregation": "mean",
                "aggregationLevel": "developer",
                "granularity": "monthly",
                "format": "csv",
            },
        },
        {"options": PRODUCTIVITY_OPTIONS},  # row 9
    ),
    "002 request body": (
        "productivity",
        {
            "scope": {"orgTreeName": "Engineering", "teamId": "456"},
            "dateRange": YEAR,
            "metricGroups": FIVE,
            "metrics": ["PR_MERGED", "WORK_COMPLETED"],
            "options": PRODUCTIVITY_OPTIONS,
        },
        {},
    ),
    "002 curl": ("productivity", curl("002_create_productivity"), {}),
    "003 request body, by org tree": (
        "business_alignment",
        {
            "scope": TREE,
            "dateRange": QUARTER,
            "metricGroups": ["CATEGORIZED", "UNCATEGORIZED"],
            "options": {"granularity": "MONTHLY"},
        },
        {},
    ),
    "003 curl": ("business_alignment", curl("003_create_business_alignment"), {}),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_of_the_documents_gives_its_body(name: str) -> None:
    report, documented, instead = EXAMPLES[name]
    sent = asked_like(report, documented).body(org_identifier="string", project_identifier="string")
    expected = {field: value for field, value in (documented | instead).items() if value is not None}
    assert sent == expected


LEGACY: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    # name: report, the document's body, what our body has instead (None: not sent)
    "002 ExportRequestDTO": (
        "team_report",
        {
            "collectionId": "123",
            "dateStart": "2024-01-01",
            "dateEnd": "2024-12-31",
            "teamRefId": 123,
            "granularity": "weekly",
            "productivity": {"metrics": ["PR_VELOCITY_PER_DEV", "CODING_DAYS_PER_DEV"]},
        },
        {},
    ),
    "002 ContributorExportRequestDTO": (
        "contributor_report",
        json.loads((BODIES / "002_contributor_report.json").read_text(encoding="utf-8")),
        {},
    ),
    "002 team report curl": (
        "team_report",
        curl("002_team_report"),
        {"collectionId": "456", "metricGroups": None, "options": None},  # rows 14, 32
    ),
    "002 all metrics curl": ("team_report", curl("002_team_report_all_metrics"), {"collectionId": "789"}),  # row 14, 32
}


@pytest.mark.parametrize("name", LEGACY)
def test_a_legacy_example_gives_its_body(name: str) -> None:
    report, documented, instead = LEGACY[name]
    holder = "productivity" if report == "team_report" else "productivityContributors"
    request = ExportRequest(
        report=report,
        scope=documented.get("teamRefId") or documented["collectionId"],
        start=documented["dateStart"],
        end=documented["dateEnd"],
        metrics=documented[holder]["metrics"],
        granularity=documented.get("granularity", ""),
        options={name: value for name, value in documented.items() if name == "includeRatings"},
    )
    sent = request.body(org_identifier="string", project_identifier="string")
    assert sent == {field: value for field, value in (documented | instead).items() if value is not None}
