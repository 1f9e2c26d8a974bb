"""Requests: validation before any call, body, and fingerprint."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from sei_provider.api import ExportRequest, Scope, SeiInputError
from sei_provider.api.periods import whole_periods


def request(**changed: object) -> ExportRequest:
    settings: dict[str, object] = {
        "report": "productivity",
        "scope": Scope.parse("456"),
        "start": "2026-01-01",
        "end": "2026-03-31",
    }
    return ExportRequest(**(settings | changed))  # type: ignore[arg-type]


def body(asked: ExportRequest, **changed: str) -> dict:
    return asked.body(**({"org_identifier": "acme", "project_identifier": "web"} | changed))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"report": "velocity"}, ["unknown report 'velocity'", "productivity, sprint, business_alignment"]),
        (
            {"metric_groups": ["velocty"]},
            ["unknown metric group 'velocty'", "of productivity", "activity, velocity, volume, quality, collaboration"],
        ),
        ({"metrics": ["PR_MERGD"]}, ["unknown team-level metric 'PR_MERGD'", "PR_MERGED"]),
        ({"level": "org"}, ["unknown level 'org'", "developer, team"]),
        ({"granularity": "daily"}, ["unknown granularity 'daily'", "weekly, monthly, quarterly"]),
        ({"report": "sprint", "granularity": "daily"}, ["SPRINT, WEEKLY, MONTHLY, QUARTERLY"]),
        (
            {"report": "sprint", "computation_mode": "hours"},
            ["unknown computation mode 'hours'", "STORY_POINTS, TICKETS"],
        ),
        ({"start": "2026-04-01"}, ["ends (2026-03-31) before it starts (2026-04-01)", "inclusive"]),
        ({"start": "01/02/2026"}, ["start", "'01/02/2026'", "yyyy-MM-dd"]),
        ({"report": "sprint", "aggregation": "mean"}, ["sprint takes no aggregation"]),
        ({"computation_mode": "TICKETS"}, ["productivity has no computation mode"]),
        ({"report": "business_alignment", "level": "team"}, ["business_alignment has no levels"]),
        ({"report": "business_alignment", "metrics": ["X"]}, ["no single metrics", "CATEGORIZED, UNCATEGORIZED"]),
        ({"metric_groups": "activity"}, ["metric groups must be a list", "'activity'"]),
        ({"options": {"granularity": "weekly"}}, ["'granularity'", "use the argument granularity"]),
        ({"options": {"format": "xml"}}, ["the format is always CSV"]),
        ({"options": {"MetricLevel ": "team"}}, ["'MetricLevel '", "use the argument level"]),
        ({"level": "sprint"}, ["unknown level 'sprint'; the level names of productivity are: developer, team"]),
        ({"granularity": "sprint"}, ["unknown granularity 'sprint'", "weekly, monthly, quarterly"]),
        ({"report": "sprint", "level": "developer"}, ["unknown level 'developer'", "of sprint are: team, sprint"]),
        ({"report": "sprint", "level": "sprint", "metrics": ["SPRINT_VELOCITY"]}, ["unknown sprint-level metric"]),
        ({"report": "business_alignment", "granularity": "sprint"}, ["WEEKLY, MONTHLY, QUARTERLY"]),
        ({"report": "business_alignment", "aggregation": "mean"}, ["business_alignment takes no aggregation"]),
        ({"report": "team_report", "level": "team"}, ["team_report has no levels"]),
        ({"report": "team_report", "aggregation": "mean"}, ["team_report takes no aggregation"]),
        ({"report": "team_report", "granularity": "quarterly"}, ["daily, weekly, monthly"]),
        ({"report": "contributor_report", "computation_mode": "TICKETS"}, ["has no computation mode"]),
        ({"report": "contributor_report", "metric_groups": ["activity"]}, ["has no metric groups"]),
    ],
)
def test_a_wrong_value_is_refused_naming_the_allowed_ones(changed: dict, words: list[str]) -> None:
    with pytest.raises(SeiInputError) as refused:
        request(**changed)
    for word in words:
        assert word in str(refused.value)


@pytest.mark.parametrize("report", ["sprint", "business_alignment"])
def test_row_11_only_productivity_takes_team_and_tree_together(report: str) -> None:
    both = Scope(team_id="1", org_tree="Engineering")
    assert body(request(scope=both))["scope"] == {"orgTreeName": "Engineering", "teamId": "1"}
    with pytest.raises(SeiInputError, match="a team or an org tree, not both; got team '1' and tree 'Engineering'"):
        request(report=report, scope=both)


@pytest.mark.parametrize("report", ["productivity", "sprint", "business_alignment"])
def test_row_11_a_scope_without_team_and_tree_is_refused(report: str) -> None:
    with pytest.raises(SeiInputError, match="needs a team id or an org tree name; got neither"):
        request(report=report, scope=Scope())


@pytest.mark.parametrize("value", [None, True, 1.5, [], "", " ", {}, {"teamId": ""}, {"team": "1"}, {"teamId": ["1"]}])
def test_what_is_no_scope_is_refused_saying_what_is(value: object) -> None:
    with pytest.raises(SeiInputError, match="is not a scope; a scope is a team id, or"):
        Scope.parse(value)


@pytest.mark.parametrize("value", [456, "456", " 456 ", {"teamId": 456}, {"teamId": "456"}])
def test_row_14_team_ids_are_taken_as_text_or_number_and_sent_as_text(value: object) -> None:
    assert body(request(scope=Scope.parse(value)))["scope"] == {"teamId": "456"}


def test_row_14_team_ids_need_not_be_numbers() -> None:
    assert Scope.parse("team_abc123").label == "team:team_abc123"


def test_rows_11_and_31_identifiers_go_into_the_scope_of_a_tree_but_not_of_a_team() -> None:
    tree = Scope(org_tree="Engineering")
    expected = {"orgTreeName": "Engineering", "orgIdentifier": "acme", "projectIdentifier": "web"}
    assert body(request(report="sprint", scope=tree))["scope"] == expected
    assert body(request(report="business_alignment", scope=tree))["scope"] == expected
    assert body(request(report="sprint"))["scope"] == {"teamId": "456"}
    assert body(request(scope=tree))["scope"] == {"orgTreeName": "Engineering"}


def test_row_7_single_metrics_are_sent_as_metrics() -> None:
    sent = body(request(report="sprint", metrics=["Sprint_Commit", "Churn_Rate"]))
    assert sent["metrics"] == ["SPRINT_COMMIT", "CHURN_RATE"]
    assert "metric" not in sent


def test_row_8_metrics_are_accepted_in_any_case_and_sent_in_capitals() -> None:
    assert body(request(metrics=["PR_Merged", "work_completed"]))["metrics"] == ["PR_MERGED", "WORK_COMPLETED"]


def test_row_9_the_level_is_sent_as_metric_level_unless_the_connection_says_otherwise() -> None:
    asked = request(level="developer")
    assert body(asked)["options"]["metricLevel"] == "developer"
    older = body(asked, level_field="aggregationLevel")["options"]
    assert older["aggregationLevel"] == "developer"
    assert "metricLevel" not in older


@pytest.mark.parametrize(
    ("report", "sent"), [("productivity", "monthly"), ("sprint", "MONTHLY"), ("business_alignment", "MONTHLY")]
)
@pytest.mark.parametrize("asked", ["monthly", "MONTHLY", "Monthly"])
def test_row_10_granularity_is_accepted_in_any_case_and_sent_as_documented(report: str, sent: str, asked: str) -> None:
    assert body(request(report=report, granularity=asked))["options"]["granularity"] == sent


def test_row_10_sprint_takes_the_granularity_sprint() -> None:
    assert body(request(report="sprint", granularity="sprint"))["options"]["granularity"] == "SPRINT"


def test_at_level_sprint_a_period_is_a_sprint_unless_another_granularity_is_asked_for() -> None:
    assert body(request(report="sprint", level="Sprint"))["options"]["granularity"] == "SPRINT"
    assert body(request(report="sprint"))["options"]["granularity"] == "MONTHLY"
    # 000 shows an export of level sprint with granularity weekly.
    weekly = {"granularity": "WEEKLY", "metricLevel": "sprint"}
    assert body(request(report="sprint", level="sprint", granularity="weekly"))["options"] == weekly


def test_row_12_sprint_has_four_groups() -> None:
    assert body(request(report="sprint"))["metricGroups"] == ["work", "delivery", "deliveryAnalysis", "analysis"]


def test_row_13_productivity_may_be_asked_for_groups_and_metrics_together() -> None:
    sent = body(request(metric_groups=["activity"], metrics=["PR_MERGED"]))
    assert (sent["metricGroups"], sent["metrics"]) == (["activity"], ["PR_MERGED"])


def test_row_30_groups_are_accepted_in_any_case_and_sent_as_documented() -> None:
    sprint = request(report="sprint", metric_groups=["WORK", "DELIVERYANALYSIS"])
    assert body(sprint)["metricGroups"] == ["work", "deliveryAnalysis"]
    alignment = request(report="business_alignment", metric_groups=["categorized"])
    assert body(alignment)["metricGroups"] == ["CATEGORIZED"]


def test_row_33_the_format_is_sent_for_productivity_only() -> None:
    assert body(request())["options"]["format"] == "csv"
    assert "format" not in body(request(report="sprint"))["options"]
    assert "format" not in body(request(report="business_alignment"))["options"]


def test_business_alignment_without_groups_asks_for_all_its_work() -> None:
    assert "metricGroups" not in body(request(report="business_alignment"))


def test_a_metric_of_another_level_is_refused() -> None:
    assert request(level="developer", metrics=["LOC_ADDED"]).metrics == ("LOC_ADDED",)
    with pytest.raises(SeiInputError, match="unknown team-level metric 'LOC_ADDED'"):
        request(level="team", metrics=["LOC_ADDED"])


def test_the_fingerprint_is_the_same_for_the_same_request_however_it_is_written() -> None:
    one = request(metrics=["pr_merged"], granularity="MONTHLY", start=date(2026, 1, 1))
    other = request(metrics=["PR_MERGED"], granularity="monthly", start="2026-01-01")
    assert one.fingerprint == other.fingerprint
    different = [request(level="developer"), request(scope=7), request(end="2026-03-30")]
    assert len({each.fingerprint for each in [one, *different]}) == 4


FINGERPRINTS: dict[str, dict[str, Any]] = {
    "b42e9b82f41f9a4953ea": {"report": "productivity", "scope": "456", "start": "2026-01-01", "end": "2026-01-31"},
    "e43cbade78748befbbd1": {
        "report": "Productivity",
        "scope": {"teamId": 456, "orgTreeName": "Engineering"},
        "start": "2026-01-01",
        "end": "2026-03-31",
        "metric_groups": ["Velocity", "quality"],
        "metrics": ["pr_merged"],
        "level": "Developer",
        "granularity": "WEEKLY",
        "aggregation": "Median",
    },
    "741e469e2f05f3cd60e0": {
        "report": "sprint",
        "scope": {"orgTreeName": "Größe/Ops"},
        "start": "2026-01-01",
        "end": "2026-01-31",
    },
    "333822becef3acb54f29": {
        "report": "sprint",
        "scope": 11,
        "start": "2026-02-01",
        "end": "2026-02-28",
        "level": "sprint",
        "granularity": "sprint",
        "computation_mode": "tickets",
        "metrics": ["Churn_Rate"],
    },
    "12be70da9de8bddd7ab4": {
        "report": "business_alignment",
        "scope": "team_abc123",
        "start": "2026-01-01",
        "end": "2026-12-31",
        "metric_groups": ["categorized"],
        "granularity": "quarterly",
        "options": {"b": [1, "x"], "a": None},
    },
    "baeab6b35b0c7d18ab6b": {
        "report": "team_report",
        "scope": "7",
        "start": "2026-01-01",
        "end": "2026-01-31",
        "metrics": ["PR_VELOCITY_PER_DEV"],
        "granularity": "monthly",
    },
    "4ac623254def05be481c": {
        "report": "contributor_report",
        "scope": "7",
        "start": "2026-01-01",
        "end": "2026-01-31",
        "options": {"includeRatings": True},
    },
}
"""Requests, by the fingerprint that version 0.1.0 (751f940) computed: task state and manifests are stored under it."""


@pytest.mark.parametrize("fingerprint", FINGERPRINTS)
def test_the_fingerprint_never_changes_so_that_stored_state_still_loads(fingerprint: str) -> None:
    asked = ExportRequest(**FINGERPRINTS[fingerprint])
    assert asked.fingerprint == fingerprint
    assert replace(asked, end=asked.end).fingerprint == fingerprint


def test_options_that_are_no_json_are_refused() -> None:
    with pytest.raises(SeiInputError, match=r"options must hold JSON values .*date is not JSON serializable"):
        request(options={"since": date(2026, 1, 1)})


def test_a_request_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        request().start = date(2020, 1, 1)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("report", "start", "end"),
    [
        ("sprint", "0001-01-01", "2026-01-31"),
        ("productivity", "1899-12-31", "2026-01-31"),
        ("team_report", "2026-01-01", "9999-12-31"),
    ],
)
def test_days_beyond_the_years_1900_to_2999_are_refused_before_any_call(report: str, start: str, end: str) -> None:
    with pytest.raises(SeiInputError, match=f"years 1900 to 2999, not {start} to {end}"):
        ExportRequest(report=report, scope=Scope(team_id="1"), start=start, end=end)  # type: ignore[arg-type]


def test_an_open_end_is_the_day_of_the_run() -> None:
    for granularity in ("WEEKLY", "MONTHLY", "QUARTERLY"):
        open_end = whole_periods(date(2026, 1, 5), date.max, granularity, not_after=date(2026, 3, 18))
        assert open_end.end == date(2026, 3, 18)
