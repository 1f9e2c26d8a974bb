"""Exports over time: their statuses, reuse, downloads, what can go wrong on purpose, and what is recorded."""

from __future__ import annotations

import csv
import gzip
import json
from urllib.error import HTTPError

import pytest

from sei_provider.sandbox.server import serve

REPORTS = ("productivity", "sprint", "business_alignment", "efficiency", "time_in_status")
UPPER_CASE = {"business_alignment", "efficiency", "time_in_status"}


@pytest.mark.parametrize("report", REPORTS)
def test_an_export_is_queued_then_processing_then_completed(report: str, api, clock, body_of) -> None:
    export_id = api.create(report, body_of(report)).json()["exportId"]
    seen = []
    for _ in range(4):
        seen.append(api.status(report, export_id).json()["status"].lower())
        clock.now += 10
    assert seen == ["queued", "processing", "processing", "completed"]
    done = api.status(report, export_id).json()
    assert done["createdAt"] == "2026-01-01T00:00:00Z"
    if report != "time_in_status":  # which does not tell (CONTRACT 1a)
        assert done["completedAt"] == "2026-01-01T00:00:30Z"


@pytest.mark.parametrize("report", REPORTS)
def test_a_download_is_a_404_until_the_export_is_completed(report: str, api, clock, body_of) -> None:
    export_id = api.create(report, body_of(report)).json()["exportId"]
    early = api.download(report, export_id)
    assert (early.status_code, early.json()["message"]) == (404, f"Export not completed: {export_id}")
    clock.now += 30
    assert api.download(report, export_id).status_code == 200


def test_an_identical_productivity_request_reuses_the_export_for_half_an_hour(api, clock, body_of) -> None:
    groups = body_of("productivity") | {"metricGroups": ["activity", "velocity"]}
    names = body_of("productivity", format="csv", aggregation="mean") | {
        "metrics": ["Coding_Days", "PR_VELOCITY", "AVG_TIME_TO_COMPLETE", "PR_CYCLE_TIME_DAYS_AVG"]
    }
    first = api.create("productivity", groups)
    assert first.status_code == 202
    clock.now += 1799
    again = api.create("productivity", names)
    assert (again.status_code, again.json()["exportId"]) == (200, first.json()["exportId"])
    assert again.json()["createdAt"] == first.json()["createdAt"]
    clock.now += 1
    assert api.create("productivity", groups).status_code == 202


@pytest.mark.parametrize(("report", "status"), [("productivity", 200), ("sprint", 200), ("business_alignment", 202)])
def test_every_report_reuses_and_tells_it_by_the_status_or_by_the_older_time(
    report, status, api, clock, body_of
) -> None:
    first = api.create(report, body_of(report)).json()
    clock.now += 1799
    again = api.create(report, body_of(report))
    assert again.status_code == status
    same = ("exportId", "createdAt")
    assert [again.json()[name] for name in same] == [first[name] for name in same]
    assert again.json()["message"] != first["message"]
    assert again.json().get("status") == ("COMPLETED" if report == "business_alignment" else None)
    assert again.json().keys() == first.keys()
    clock.now += 1
    assert api.create(report, body_of(report)).json()["exportId"] > first["exportId"], "ids grow"


CHANGES = [
    *((report, change) for report in REPORTS for change in ({"team": "13"}, {"end": "2026-03-30"})),
    ("productivity", {"aggregation": "median"}),
    ("sprint", {"computationMode": "TICKETS"}),
    ("business_alignment", {"granularity": "WEEKLY"}),
]


@pytest.mark.parametrize(("report", "change"), CHANGES)
def test_another_request_is_another_export(report: str, change: dict[str, str], api, body_of) -> None:
    first = api.create(report, body_of(report)).json()["exportId"]
    other = api.create(report, body_of(report, **change))
    assert (other.status_code, other.json()["exportId"] > first) == (202, True), "two of one second have an order"


def test_other_groups_of_business_alignment_are_another_export(api, body_of) -> None:
    groups = [{}, {"metricGroups": ["CATEGORIZED"]}, {"metricGroups": ["UNCATEGORIZED"]}]
    made = [
        api.create("business_alignment", body_of("business_alignment") | each).json()["exportId"] for each in groups
    ]
    assert len(set(made)) == 3


@pytest.mark.parametrize("report", REPORTS)
def test_reuse_holds_for_failed_exports_too(report: str, api, sandbox, clock, body_of) -> None:
    sandbox.fault("fail", times=1)
    first = api.create(report, body_of(report)).json()["exportId"]
    clock.now += 60
    assert api.create(report, body_of(report)).json()["exportId"] == first
    assert api.status(report, first).json()["status"].lower() == "failed"


@pytest.mark.parametrize("report", REPORTS)
def test_a_cluster_may_not_reuse(report: str, api_at, body_of) -> None:
    with serve(teams=10, reuse=False) as sandbox:
        answers = [api_at(sandbox.base_url).create(report, body_of(report)) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    first, second = (answer.json()["exportId"] for answer in answers)
    assert second > first, "two exports of one second have an order"


@pytest.mark.parametrize("report", ["sprint", "business_alignment"])
def test_downloads_are_gzip_that_no_header_announces(report: str, api, sandbox, clock, body_of) -> None:
    export_id = api.create(report, body_of(report)).json()["exportId"]
    clock.now += 30
    with api.http.stream(
        "GET",
        api.status(report, export_id).json().get("downloadUrl")
        or (api.status(report, export_id).json()["download"]["url"]),
    ) as answer:
        raw = b"".join(answer.iter_raw())
    assert "content-encoding" not in answer.headers
    assert answer.headers["content-type"] == "text/csv"
    assert answer.headers["content-disposition"].endswith('-na-2026.csv.gz"')
    assert int(answer.headers["content-length"]) == len(raw)
    assert gzip.decompress(raw).startswith(b"Granularity,Team,Team_Hierarchy,Start_Date,End_Date,")
    assert sandbox.bytes(export_id) == raw


def test_a_sprint_exports_size_is_what_is_sent(api, clock, body_of) -> None:
    export_id = api.create("sprint", body_of("sprint")).json()["exportId"]
    clock.now += 30
    size = api.status("sprint", export_id).json()["download"]["sizeBytes"]
    assert size == len(api.download("sprint", export_id).content)


def test_productivity_is_compressed_only_when_large(api, clock, body_of) -> None:
    small = api.create("productivity", body_of("productivity")).json()["exportId"]
    large = api.create(
        "productivity",
        body_of("productivity", team="1", start="2023-01-01", metricLevel="developer"),
    ).json()["exportId"]
    clock.now += 30
    assert api.download("productivity", small).content.startswith(b"Granularity,")
    assert api.download("productivity", large).content[:2] == b"\x1f\x8b"
    assert api.status("productivity", small).json()["download"]["filename"] == "team-insights-2026.csv"
    assert api.status("productivity", large).json()["download"]["filename"] == "developer-insights-2023.csv.gz"


@pytest.mark.parametrize("report", REPORTS)
@pytest.mark.parametrize(
    ("fault", "status"),
    [("fail", "failed"), ("cancel", "cancelled"), ("unknown_status", "archived"), ("never", "processing")],
)
def test_an_export_can_end_badly(fault: str, status: str, report: str, api, sandbox, clock, body_of) -> None:
    sandbox.fault(fault, team="12", report=report)
    export_id = api.create(report, body_of(report)).json()["exportId"]
    clock.now += 100
    reply = api.status(report, export_id).json()
    assert reply["status"] == (status.upper() if report in UPPER_CASE else status)
    assert "download" not in reply
    assert "downloadUrl" not in reply
    assert api.download(report, export_id).status_code == 404
    if fault == "fail":
        text = "Metrics could not be computed"
        assert reply["error"] == (text if report == "productivity" else {"code": "EXPORT_FAILED", "message": text})


@pytest.mark.parametrize("report", REPORTS)
def test_a_download_can_be_harmed(report: str, api, sandbox, clock, body_of) -> None:
    bodies = {}
    for team, fault in enumerate(("header_only", "html", "zero_bytes", "truncated_gzip"), start=11):
        sandbox.fault(fault, team=str(team))
        export_id = api.create(report, body_of(report, team=str(team))).json()["exportId"]
        clock.now += 30
        bodies[fault] = api.download(report, export_id)
        assert sandbox.bytes(export_id) == bodies[fault].content
    header = bodies["header_only"].content
    header = gzip.decompress(header) if header[:2] == b"\x1f\x8b" else header
    assert len(list(csv.reader(header.decode().splitlines()))) == 1
    assert bodies["html"].headers["content-type"].startswith("text/html")
    assert bodies["html"].text.startswith("<!DOCTYPE html>")
    assert bodies["zero_bytes"].content == b""
    assert bodies["truncated_gzip"].content[:2] == b"\x1f\x8b"
    with pytest.raises(EOFError):
        gzip.decompress(bodies["truncated_gzip"].content)


def test_a_fault_is_for_its_team_and_report_as_often_as_asked(api, sandbox, clock, body_of) -> None:
    sandbox.fault("fail", team="12", report="sprint", times=1)
    asked = [("sprint", "13"), ("business_alignment", "12"), ("sprint", "12"), ("sprint", "12")]
    statuses = []
    for report, team in asked:
        export_id = api.create(report, body_of(report, team=team)).json()["exportId"]
        clock.now += 1800  # the last is no longer the same export as the one before
        statuses.append(api.status(report, export_id).json()["status"].lower())
    assert statuses == ["completed", "completed", "failed", "completed"]
    sandbox.fault("fail")
    sandbox.clear_faults()
    export_id = api.create("sprint", body_of("sprint")).json()["exportId"]
    clock.now += 30
    assert api.status("sprint", export_id).json()["status"] == "completed"


def test_a_wrong_order_for_a_fault_is_refused_naming_the_faults(sandbox) -> None:
    with pytest.raises(HTTPError) as refused:
        sandbox.fault("explode")
    assert "there are fail, cancel, unknown_status, never, time_out" in json.loads(refused.value.read())["message"]


def test_requests_are_recorded_with_who_sent_them_and_no_key(api, sandbox, clock, body_of) -> None:
    api.http.headers["user-agent"] = "triggerer"
    export_id = api.create("sprint", body_of("sprint")).json()["exportId"]
    api.status("sprint", export_id)
    clock.now += 30
    api.http.headers["user-agent"] = "worker"
    api.download("sprint", export_id)
    api.http.get("/elsewhere", headers={"authorization": ""})
    kinds = [(call["kind"], call["report"], call["status"], call["user_agent"]) for call in sandbox.requests()]
    assert kinds == [
        ("create", "sprint", 202, "triggerer"),
        ("status", "sprint", 200, "triggerer"),
        ("download", "sprint", 200, "worker"),
        ("other", None, 404, "worker"),
    ]
    assert {call["export_id"] for call in sandbox.requests()[:3]} == {export_id}
    assert sandbox.requests()[2]["at"] == clock.now
    assert "ApiKey" not in json.dumps(sandbox.requests())
    summary = sandbox.summary()
    assert (summary["requests"], summary["exports"]) == (4, 1)
    assert summary["by_kind"] == {"create": 1, "status": 1, "download": 1, "other": 1}
    assert summary["by_user_agent"] == {"triggerer": {"create": 1, "status": 1}, "worker": {"download": 1, "other": 1}}
    assert summary["by_report"]["sprint"] == {"create": 1, "status": 1, "download": 1}


def test_exports_are_recorded_with_what_was_asked_and_whether_it_was_sent(api, sandbox, body_of) -> None:
    body = body_of("productivity")
    export_id = api.create("productivity", body).json()["exportId"]
    api.create("productivity", body)
    (export,) = sandbox.exports()
    expected = {"id": export_id, "report": "productivity", "body": body, "status": "queued", "reused": 1, "sent": False}
    assert export == expected | {"created_at": "2026-01-01T00:00:00Z"}
    with pytest.raises(HTTPError, match="404"):
        sandbox.bytes(export_id)
    sandbox.advance(30)
    api.download("productivity", export_id)
    (export,) = sandbox.exports()
    assert (export["status"], export["sent"]) == ("completed", True)
