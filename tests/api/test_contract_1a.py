"""CONTRACT 1a: bodies and replies of the exports that no seed describes, and what is refused before any call."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from sei_provider.api import ExportStatus, SeiInputError
from sei_provider.api.export import Export
from tests.api.conftest import BASE_URL, answering, export_request

IDENTIFIERS = {"org_identifier": "acme", "project_identifier": "web"}


def body(report: str, **asked: Any) -> dict[str, Any]:
    return export_request(report, **asked).body(**IDENTIFIERS)


EFFICIENCY = {
    "scope": {"teamId": "1"},
    "dateRange": {"start": "2026-01-01", "end": "2026-02-28"},
    "options": {"granularity": "MONTHLY", "format": "csv"},
}


def test_efficiency_sends_the_groups_of_the_example_if_none_are_named() -> None:
    assert body("efficiency") == EFFICIENCY | {"metricGroups": ["lttc", "df", "mttr", "cfr", "summary"]}


@pytest.mark.parametrize(
    "groups",
    [
        ["lttc", "df", "mttr", "cfr", "summary"],
        ["lttc", "work_items", "deployment_frequency", "cfr", "mttr", "rating"],
        ["df", "deployment_frequency"],
    ],
)
def test_efficiency_groups_of_both_spellings_are_sent_as_they_are_written(groups: list[str]) -> None:
    assert body("efficiency", metric_groups=groups) == EFFICIENCY | {"metricGroups": groups}
    assert body("EFFICIENCY", metric_groups=[group.upper() for group in groups])["metricGroups"] == groups


def test_efficiency_metrics_keep_their_mixed_case_and_others_stay_as_they_are_written() -> None:
    named = ["lttc_mean_days", "DF_DEPLOYMENT_COUNT", "CFR_Failure_Rate_Percent", "MTTR_Mean_Hours", "mttr_mean_hours"]
    assert body("efficiency", metrics=named) == EFFICIENCY | {
        "metrics": ["LTTC_Mean_Days", "DF_Deployment_Count", "CFR_Failure_Rate_Percent", "MTTR_Mean_Hours"]
    }


@pytest.mark.parametrize("asked", ["mean", "median", "p90", "p95"])
def test_efficiency_aggregates_as_documented_in_any_case(asked: str) -> None:
    assert body("efficiency", aggregation=asked.upper())["options"]["aggregation"] == asked


@pytest.mark.parametrize("granularity", ["WEEKLY", "MONTHLY", "QUARTERLY"])
def test_efficiency_periods_are_sent_in_capitals(granularity: str) -> None:
    assert body("efficiency", granularity=granularity.lower())["options"]["granularity"] == granularity


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (["ALL"], ["ALL"]),
        (["bugs"], ["BUGS"]),
        (("FEATURES",), ["FEATURES"]),
        (["FEATURES", "BUGS", "bugs"], ["BUGS", "FEATURES"]),
    ],
)
def test_efficiency_filters_lead_time_by_a_list_of_work_categories(given: Any, sent: list[str]) -> None:
    for asked in ({}, {"metric_groups": ["lttc"]}, {"metrics": ["LTTC_Mean_Days", "DF_Deployment_Count"]}):
        found = body("efficiency", options={"workCategoryFilter": given, "compression": "GZIP"}, **asked)
        assert found["options"] == EFFICIENCY["options"] | {"workCategoryFilter": sent, "compression": "gzip"}


@pytest.mark.parametrize("report", ["efficiency", "time_in_status"])
def test_an_org_tree_is_sent_with_organization_and_project_as_sprints(report: str) -> None:
    tree = {"orgTreeName": "Engineering"}
    assert body(report, scope=tree)["scope"] == tree | {"orgIdentifier": "acme", "projectIdentifier": "web"}


STATUSES = ["In Progress", "In Review", "QA", "Done"]


def test_time_in_status_sends_the_example_of_its_document() -> None:
    example = {
        "scope": {"teamId": "team_abc123"},
        "dateRange": {"start": "2024-01-01", "end": "2024-03-31"},
        "issueStatuses": STATUSES,
        "options": {"aggregationLevel": "sprint", "granularity": "weekly", "terminalDateColumn": "issue_resolved_at"},
    }
    asked = body(
        "time_in_status",
        scope="team_abc123",
        **example["dateRange"],
        level="SPRINT",
        granularity="WEEKLY",
        options={"issuestatuses": tuple(STATUSES), "terminalDateColumn": "Issue_Resolved_At"},
    )
    assert asked == example


@pytest.mark.parametrize("level_field", ["metricLevel", "aggregationLevel"])
def test_row_9_the_level_of_time_in_status_has_one_name_whatever_the_cluster(level_field: str) -> None:
    sent = export_request("time_in_status").body(**IDENTIFIERS, level_field=level_field)
    assert sent["options"] == {"aggregationLevel": "team", "granularity": "monthly"}


@pytest.mark.parametrize("granularity", ["daily", "weekly", "monthly", "quarterly"])
def test_time_in_status_periods_are_sent_in_lower_case(granularity: str) -> None:
    assert body("time_in_status", granularity=granularity.upper())["options"]["granularity"] == granularity


def test_statuses_are_sent_as_they_are_written_each_once_and_a_set_in_one_order() -> None:
    for given, sent in (
        (["To Do", "to do", "To Do"], ["To Do", "to do"]),
        ({"B", "A", "C"}, ["A", "B", "C"]),
        (("Prüfung", "進行中"), ["Prüfung", "進行中"]),
    ):
        assert body("time_in_status", options={"issueStatuses": given})["issueStatuses"] == sent


REFUSED: list[tuple[dict[str, Any], list[str]]] = [
    ({"metric_groups": ["lttc"], "metrics": ["LTTC_Mean_Days"]}, ["groups or single metrics, not both"]),
    (
        {"metric_groups": ["velocity"]},
        ["'velocity'", "lttc, df, mttr, cfr, summary, work_items, deployment_frequency, rating"],
    ),
    ({"metrics": ["LTTC Mean Days"]}, ["cannot be a metric", "letters, digits and _", "LTTC_Mean_Days"]),
    ({"metrics": ["a@example.com"]}, ["cannot be a metric"]),
    ({"metrics": [7]}, ["cannot be a metric"]),
    ({"metrics": "LTTC_Mean_Days"}, ["metrics must be a list"]),
    ({"aggregation": "max"}, ["'max'", "mean, median, p90, p95"]),
    ({"aggregation": 90}, ["mean, median, p90, p95"]),
    ({"granularity": "daily"}, ["'daily'", "WEEKLY, MONTHLY, QUARTERLY"]),
    ({"level": "team"}, ["no levels"]),
    ({"computation_mode": "TICKETS"}, ["no computation mode"]),
    ({"scope": {"teamId": "1", "orgTreeName": "Engineering"}}, ["a team or an org tree, not both"]),
    ({"options": {"workCategoryFilter": "ALL"}}, ["a list of: ALL, BUGS, FEATURES"]),
    ({"options": {"workCategoryFilter": []}}, ["a list of: ALL, BUGS, FEATURES"]),
    ({"options": {"workCategoryFilter": {"ALL": 1}}}, ["a list of: ALL, BUGS, FEATURES"]),
    ({"options": {"workCategoryFilter": ["ALL", "BUGS"]}}, ["ALL alone"]),
    ({"options": {"workCategoryFilter": ["EPICS"]}}, ["'EPICS'", "ALL, BUGS, FEATURES"]),
    ({"options": {"workCategoryFilter": [None]}}, ["a list of: ALL, BUGS, FEATURES"]),
    ({"options": {"workCategoryFilter": ["ALL"]}, "metric_groups": ["df"]}, ["the metric group lttc only", "got df"]),
    ({"options": {"workCategoryFilter": ["ALL"]}, "metrics": ["DF_Deployment_Count"]}, ["the metric group lttc only"]),
    ({"options": {"workCategoryFilter": ["ALL"], "workcategoryfilter": ["ALL"]}}, ["twice"]),
    ({"options": {"compression": "zip"}}, ["'zip'", "gzip"]),
    ({"options": {"format": "json"}}, ["the format is always CSV"]),
    ({"options": {"Aggregation": "mean"}}, ["use the argument aggregation"]),
    ({"options": {"issueStatuses": ["Done"]}}, ["'issueStatuses'", "workCategoryFilter (a list of"]),
    ({"options": {"timezone": "UTC"}}, ["'timezone'", "workCategoryFilter", "compression (one of: gzip)"]),
    ({"options": ["workCategoryFilter"]}, ["options must be a mapping"]),
]


DORA = {"collectionId": "123", "dateStart": "2024-01-01", "dateEnd": "2024-12-31", "teamRefId": 123}
FIVE = [
    *("LEAD_TIME_FOR_CHANGES", "DEPLOYMENT_FREQUENCY", "CHANGE_FAILURE_RATE", "MEAN_TIME_TO_RESTORE"),
    "OVERALL_DORA",
]


@pytest.mark.parametrize("calculation", ["MEAN", "MEDIAN", "P90", "P95"])
def test_the_dora_report_sends_the_body_of_its_document_with_both_ids(calculation: str) -> None:
    days = {"scope": 123, "start": "2024-01-01", "end": "2024-12-31"}
    asked = body("dora_report", **days, metrics=FIVE, options={"calculationType": calculation.lower()})
    assert asked == DORA | {"efficiency": {"metrics": FIVE, "calculationType": calculation}}
    assert body("dora_report", **days) == DORA | {"efficiency": {"metrics": []}}, "row 19: all"
    weekly = body("DORA_Report", **days, metrics=["lead_time_for_changes"], granularity="WEEKLY")
    assert weekly == DORA | {"granularity": "weekly", "efficiency": {"metrics": ["LEAD_TIME_FOR_CHANGES"]}}


IN_DORA: list[tuple[dict[str, Any], list[str]]] = [
    ({"options": {"calculationType": "AVG"}}, ["'AVG'", "MEAN, MEDIAN, P90, P95"]),
    ({"options": {"calculationType": ["MEAN"]}}, ["one of: MEAN, MEDIAN, P90, P95"]),
    ({"options": {"calculationType": 90}}, ["one of: MEAN, MEDIAN, P90, P95"]),
    ({"options": {"includeRatings": True}}, ["'includeRatings'", "calculationType (one of"]),
    ({"metrics": ["LTTC_Mean_Days"]}, ["'LTTC_Mean_Days'", "OVERALL_DORA"]),
    ({"metric_groups": ["lttc"]}, ["has no metric groups"]),
    ({"granularity": "quarterly"}, ["daily, weekly, monthly"]),
    ({"aggregation": "mean"}, ["takes no aggregation"]),
    ({"scope": {"orgTreeName": "Engineering"}}, ["not for an org tree"]),
    ({"scope": "team_abc123"}, ["numeric team id"]),
]
IN_STATUS: list[tuple[dict[str, Any], list[str]]] = [
    ({"options": None}, ["needs the option issueStatuses", "options={'issueStatuses': ['In Progress', 'In Review']}"]),
    ({"options": {}}, ["needs the option issueStatuses"]),
    ({"options": {"issueStatuses": None}}, ["needs the option issueStatuses"]),
    ({"options": {"terminalDateColumn": "issue_resolved_at"}}, ["needs the option issueStatuses"]),
    ({"options": {"issueStatuses": []}}, ["issueStatuses (a list of: text)"]),
    ({"options": {"issueStatuses": "Done"}}, ["issueStatuses (a list of: text)"]),
    ({"options": {"issueStatuses": ["Done", " "]}}, ["issueStatuses (a list of: text)"]),
    ({"options": {"issueStatuses": ["Done", 7]}}, ["issueStatuses (a list of: text)"]),
    ({"options": {"issueStatuses": [["Done"]]}}, ["issueStatuses (a list of: text)"]),
    ({"options": {"issueStatuses": {"Done": 1}}}, ["issueStatuses (a list of: text)"]),
    (
        {"options": {"issueStatuses": ["Done"], "terminalDateColumn": "created_at"}},
        ["'created_at'", "issue_resolved_at, version_release_date"],
    ),
    ({"options": {"issueStatuses": ["Done"], "terminalDateColumn": ["issue_resolved_at"]}}, ["one of: issue_resolved"]),
    ({"options": {"issueStatuses": ["Done"], "aggregationLevel": "team"}}, ["use the argument level"]),
    ({"options": {"issueStatuses": ["Done"], "workCategoryFilter": ["ALL"]}}, ["terminalDateColumn (one of"]),
    ({"level": "developer"}, ["unknown level 'developer'", "team, sprint"]),
    ({"granularity": "sprint"}, ["unknown granularity", "daily, weekly, monthly, quarterly"]),
    ({"metric_groups": ["lttc"]}, ["neither metric groups nor metrics"]),
    ({"metrics": ["TOTAL_ISSUES"]}, ["neither metric groups nor metrics"]),
    ({"aggregation": "mean"}, ["takes no aggregation"]),
    ({"computation_mode": "TICKETS"}, ["no computation mode"]),
    ({"scope": {"teamId": "1", "orgTreeName": "Engineering"}}, ["a team or an org tree, not both"]),
]


@pytest.mark.parametrize(
    ("report", "asked", "words"),
    [
        *(("efficiency", *case) for case in REFUSED),
        *(("time_in_status", *case) for case in IN_STATUS),
        *(("dora_report", *case) for case in IN_DORA),
    ],
)
def test_what_a_report_does_not_take_is_refused_with_what_it_takes(
    report: str, asked: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(SeiInputError) as refused:
        export_request(report, **asked)
    for word in words:
        assert word in str(refused.value)


@pytest.mark.parametrize("report", ["productivity", "sprint", "business_alignment"])
def test_an_option_of_another_report_is_refused_naming_that_report(report: str) -> None:
    with pytest.raises(SeiInputError, match=f"{report} does not take the option 'workCategoryFilter', which efficienc"):
        export_request(report, options={"workCategoryFilter": ["ALL"]})


@pytest.mark.parametrize("name", ["managerEmailId", "manageremailid", " managerEmailId"])
@pytest.mark.parametrize("report", ["efficiency", "sprint", "team_report"])
def test_a_managers_address_is_refused_with_the_reason_and_not_shown(report: str, name: str) -> None:
    address = "boss@example.com"
    wrong: list[dict[str, Any]] = [
        {"scope": {name: address}},
        {"scope": {"teamId": "1", name: address}},
        {"scope": f'{{"{name}": "{address}"}}'},
        {"options": {name: address}},
    ]
    for asked in wrong:
        with pytest.raises(SeiInputError, match="Airflow stores the arguments of tasks in plain text") as refused:
            export_request(report, **asked)
        assert address not in str(refused.value)


def test_requests_that_mean_the_same_have_one_fingerprint() -> None:
    first = export_request("efficiency", options={"workCategoryFilter": ["BUGS", "FEATURES"]})
    again = export_request("Efficiency", options={"workCategoryFilter": ("features", "bugs"), "compression": None})
    other = export_request("efficiency", options={"workCategoryFilter": ["ALL"]})
    assert first.fingerprint == again.fingerprint != other.fingerprint


CREATED = {
    "exportId": "exp_2B3C4D5E",
    "status": "QUEUED",
    "createdAt": "2026-05-13T10:00:00Z",
    "message": "Export job created successfully",
}
REUSED = {
    "exportId": "exp_2B3C4D5E",
    "createdAt": "2026-05-13T09:58:00Z",
    "message": "Using existing export with identical parameters",
}
NOW = {"date": "Wed, 13 May 2026 10:00:01 GMT"}


def test_a_new_export_is_queued_and_a_reused_one_is_told_by_its_time(client_to: Callable[..., Any]) -> None:
    asked = export_request("efficiency")
    created = client_to(answering(httpx.Response(202, json=CREATED, headers=NOW))[0]).create_export(asked)
    assert (created.status, created.reused) == (ExportStatus.QUEUED, False)
    for status in (200, 202):
        reused = client_to(answering(httpx.Response(status, json=REUSED, headers=NOW))[0]).create_export(asked)
        assert (reused.id, reused.status, reused.reused) == (created.id, None, True)


def test_efficiency_status_carries_a_download_url() -> None:
    link = "/v2/insights/efficiency/exports/exp_2B3C4D5E/download"
    reply = CREATED | {"status": "COMPLETED", "completedAt": "2026-05-13T10:01:30Z", "downloadUrl": link}
    export = Export.from_reply("efficiency", reply)
    assert (export.status, export.download_link) == (ExportStatus.COMPLETED, link)


def test_time_in_status_tells_no_link_so_that_its_path_is_built(client_to: Callable[..., Any]) -> None:
    reply = {
        "exportId": "exp_9F0A1B2C",
        "status": "COMPLETED",
        "createdAt": "2025-05-13T10:00:00Z",
        "createdBy": {"userId": "user_789", "name": "Somebody", "email": "somebody@example.com"},
        "message": "Duplicate request - returning existing export",
    }
    export = Export.from_reply("time_in_status", reply)
    assert (export.status, export.download_link) == (ExportStatus.COMPLETED, None)
    assert "somebody" not in str(export.to_reply()) + repr(export)
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.path)
        return httpx.Response(200, content=b"granularity,team\n")

    client_to(answer).download_export(export, io.BytesIO())
    assert seen == [f"{httpx.URL(BASE_URL).path}/v2/insights/ticket-data/exports/exp_9F0A1B2C/download"]


@pytest.mark.parametrize(("report", "path"), [("efficiency", "efficiency"), ("time_in_status", "ticket-data")])
def test_paths_are_those_of_the_contract(report: str, path: str, client_to: Callable[..., Any]) -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(f"{request.method} {request.url.path.removeprefix(httpx.URL(BASE_URL).path)}")
        return httpx.Response(202, json=CREATED | {"createdAt": "2026-05-13T10:00:00Z"})

    client = client_to(answer)
    client.create_export(export_request(report))
    client.get_export(report, "exp_2B3C4D5E")
    assert seen == [f"POST /v2/insights/{path}/exports", f"GET /v2/insights/{path}/exports/exp_2B3C4D5E"]


@pytest.mark.parametrize("report", ["efficiency", "time_in_status"])
def test_a_report_without_a_list_is_told_so(report: str, client_to: Callable[..., Any]) -> None:
    with pytest.raises(SeiInputError, match=f"SEI documents no list of {report} exports"):
        list(client_to(answering()[0]).list_exports(report))
