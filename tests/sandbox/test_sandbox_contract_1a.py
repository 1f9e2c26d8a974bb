"""The sandbox holds a client to CONTRACT 1a: spelling, places of the members, and what goes together."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from tests.sandbox.test_sandbox_strictness import changed

GROUPS = "there are lttc, df, mttr, cfr, summary, work_items, deployment_frequency, rating"
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("efficiency", {"metricGroups": ...}, "needs metricGroups or metrics"),
    ("efficiency", {"metrics": ["LTTC_Mean_Days"]}, "takes either metricGroups or metrics, not both"),
    ("efficiency", {"metricGroups": ["LTTC"]}, GROUPS),
    ("efficiency", {"metricGroups": ["velocity"]}, GROUPS),
    ("efficiency", {"metricGroups": ..., "metrics": ["LTTC_MEAN_DAYS"]}, '"LTTC_MEAN_DAYS" is none of efficiency'),
    ("efficiency", {"scope.managerEmailId": "boss@example.com"}, "scope has an unknown field 'managerEmailId'"),
    ("efficiency", {"scope": {"teamId": "1", "orgTreeName": "x"}}, "either teamId or orgTreeName, not both"),
    ("efficiency", {"scope": {"orgTreeName": "Engineering"}}, "scope.orgIdentifier is required with"),
    ("efficiency", {"options.granularity": "monthly"}, "there are WEEKLY, MONTHLY, QUARTERLY"),
    ("efficiency", {"options.granularity": ...}, "options.granularity is required"),
    ("efficiency", {"options.aggregation": "MEAN"}, "there are mean, median, p90, p95"),
    ("efficiency", {"options.format": "json"}, "there are csv"),
    ("efficiency", {"options.compression": "zip"}, "there are gzip"),
    ("efficiency", {"options.workCategoryFilter": "ALL"}, "must be a JSON array"),
    ("efficiency", {"options.workCategoryFilter": []}, "workCategoryFilter"),
    ("efficiency", {"options.workCategoryFilter": ["bugs"]}, "must be a JSON array"),
    ("efficiency", {"options.workCategoryFilter": ["ALL", "BUGS"]}, "ALL alone"),
    ("efficiency", {"metricGroups": ["df"], "options.workCategoryFilter": ["ALL"]}, "for the group lttc only"),
    ("efficiency", {"workCategoryFilter": ["ALL"]}, "the body has an unknown field 'workCategoryFilter'"),
    ("time_in_status", {"issueStatuses": ...}, "the field issueStatuses is required"),
    ("time_in_status", {"issueStatuses": []}, "issueStatuses"),
    ("time_in_status", {"issueStatuses": "Done"}, "must be a JSON array of workflow statuses"),
    ("time_in_status", {"issueStatuses": [""]}, "must be a JSON array of workflow statuses"),
    ("time_in_status", {"options.issueStatuses": ["Done"]}, "options has an unknown field 'issueStatuses'"),
    ("time_in_status", {"options.metricLevel": "team"}, "options has an unknown field 'metricLevel'"),
    ("time_in_status", {"options.aggregationLevel": "developer"}, "there are team, sprint"),
    ("time_in_status", {"options.granularity": "MONTHLY"}, "there are daily, weekly, monthly, quarterly"),
    ("time_in_status", {"options.terminalDateColumn": "x"}, "there are issue_resolved_at, version_release_date"),
    ("time_in_status", {"options.format": "csv"}, "options has an unknown field 'format'"),
    ("time_in_status", {"metricGroups": ["lttc"]}, "the body has an unknown field 'metricGroups'"),
    ("time_in_status", {"scope": {"orgTreeName": "Engineering"}}, "scope.orgIdentifier is required with"),
]


@pytest.mark.parametrize(("report", "changes", "message"), REFUSED)
def test_a_body_that_the_contract_does_not_allow_is_a_400(report, changes, message, instant, body_of) -> None:
    answer = instant.create(report, changed(body_of(report), changes))
    assert answer.status_code == 400, answer.text
    assert message in answer.json()["message"]


def test_efficiency_replies_as_the_contract_has_it(api, clock, body_of) -> None:
    body = body_of("efficiency")
    created = api.create("efficiency", body)
    assert (created.status_code, created.json()["status"]) == (202, "QUEUED")
    reused = api.create("efficiency", body).json()
    assert reused["message"] == "Using existing export with identical parameters"
    assert reused["exportId"] == created.json()["exportId"]
    assert "status" not in reused
    clock.now += 60
    status = api.status("efficiency", reused["exportId"]).json()
    assert (status["status"], status["downloadUrl"].rpartition("/")[2]) == ("COMPLETED", "download")
    assert api.list("efficiency").status_code == 404


def test_a_rating_is_a_level_or_none(instant, body_of) -> None:
    rows = instant.rows("efficiency", body_of("efficiency", team="1"))
    ratings = {row[name] for row in rows for name in row if name.endswith("_Rating")}
    assert ratings == {"Elite", "High", "Medium", "Low", "—"}


def test_both_spellings_of_a_group_give_the_same_figures(instant, body_of) -> None:
    df, deployment_frequency = (
        instant.rows("efficiency", body_of("efficiency") | {"metricGroups": [group]})
        for group in ("df", "deployment_frequency")
    )
    assert df == deployment_frequency


def test_another_work_category_gives_other_figures(instant, body_of) -> None:
    bugs, features = (
        instant.rows("efficiency", changed(body_of("efficiency"), {"options.workCategoryFilter": [category]}))
        for category in ("BUGS", "FEATURES")
    )
    assert bugs != features


def test_time_in_status_replies_as_the_contract_has_it(api, clock, body_of) -> None:
    created = api.create("time_in_status", body_of("time_in_status")).json()
    assert created["status"] == "QUEUED"
    reused = api.create("time_in_status", body_of("time_in_status")).json()
    assert reused["message"] == "Duplicate request - returning existing export"
    clock.now += 60
    status = api.status("time_in_status", created["exportId"]).json()
    assert status.keys() == {"exportId", "status", "createdAt", "createdBy", "message"}
    assert api.download("time_in_status", created["exportId"]).status_code == 200


def test_time_in_status_has_the_header_of_the_contract_and_no_dates(instant, body_of) -> None:
    body = body_of("time_in_status") | {"issueStatuses": ["In Progress", "To Do", "Done"]}
    rows = instant.rows("time_in_status", body)
    header = "granularity,team,team_hierarchy,total_issues,in_progress_hours,to_do_hours,total_lead_time_hours"
    assert list(rows[0]) == header.split(",")
    assert [row["granularity"] for row in rows] == ["Jan 2026", "Feb 2026", "Mar 2026"]
    for row in rows:
        parts = float(row["in_progress_hours"] or 0) + float(row["to_do_hours"] or 0)
        assert float(row["total_lead_time_hours"] or 0) == pytest.approx(parts)


def test_other_levels_statuses_and_terminal_dates_give_other_rows(instant, body_of) -> None:
    body = body_of("time_in_status")
    plain = instant.rows("time_in_status", body)
    by_sprint = instant.rows("time_in_status", changed(body, {"options.aggregationLevel": "sprint"}))
    assert {row["granularity"].partition(" ")[0] for row in by_sprint} == {"Sprint"}
    released = changed(body_of("time_in_status"), {"options.terminalDateColumn": "version_release_date"})
    assert instant.rows("time_in_status", released) != plain


def dora(**fields: Any) -> dict[str, Any]:
    return {"dateStart": "2026-01-01", "dateEnd": "2026-01-31", "teamRefId": 1, "efficiency": {}} | fields


def test_the_dora_report_has_the_header_of_002_and_a_rating_beside_each_figure(instant) -> None:
    answer = instant.report(dora(efficiency={"calculationType": "P90"}))
    header, *rows = csv.reader(io.StringIO(answer.text))
    times = ["Lead Time for Changes (p90)", "Lead Time for Changes Rating"]
    assert header[:4] == ["Collection Name", *times, "Deployment Frequency"]
    assert header[-1] == "Overall DORA Rating"
    assert {row[2] for row in rows} <= {"Elite", "High", "Medium", "Low", "—"}
    assert instant.report(dora()).text != answer.text


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"efficiency": {"metrics": ["LTTC"]}}, "is no metric of efficiency"),
        ({"efficiency": {"calculationType": "mean"}}, "there are MEAN, MEDIAN, P90, P95"),
        ({"calculationType": "MEAN"}, "the body (ExportRequestDTO) has an unknown field 'calculationType'"),
        ({"productivity": {}}, "takes either productivity or efficiency, not both"),
        ({"options": {}}, "has an unknown field 'options'"),
    ],
)
def test_a_dora_body_that_the_contract_does_not_allow_is_a_400(fields, message, instant) -> None:
    answer = instant.report(dora(**fields))
    assert answer.status_code == 400
    assert message in answer.json()["message"]
