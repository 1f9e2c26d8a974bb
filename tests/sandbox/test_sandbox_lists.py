"""Lists of exports: every filter of 001's table, pages, and what is refused."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import pytest

LISTED = ("productivity", "sprint")


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [export["exportId"] for export in answer.json()["exports"]]


@pytest.fixture
def three(api, clock, body_of) -> list[str]:
    """Three sprint exports, one a day: completed, completed, queued."""
    made = []
    for team in ("11", "12", "13"):
        clock.now += 86_400
        made.append(api.create("sprint", body_of("sprint", team=team)).json()["exportId"])
    return made


@pytest.mark.parametrize("report", LISTED)
def test_a_list_has_the_fields_of_the_contract_with_null_for_what_is_not_there_yet(report, api, clock, body_of) -> None:
    group = "work" if report == "sprint" else "velocity"
    export_id = api.create(report, body_of(report) | {"metricGroups": [group.upper()]}).json()["exportId"]
    (entry,) = api.list(report).json()["exports"]
    assert entry == {
        "exportId": export_id,
        "status": "QUEUED" if report == "sprint" else "queued",
        "createdAt": "2026-01-01T00:00:00Z",
        "completedAt": None,
        "createdBy": {"userId": "user_sandbox", "name": "Sandbox User", "email": "sandbox.user@example.com"},
        "scope": {"teamId": "12", "teamName": "NA"},
        "metadata": entry["metadata"],
        "downloadUrl": None,
    }
    assert entry["metadata"]["dateRange"] == {"start": "2026-01-01", "end": "2026-03-31"}
    assert entry["metadata"]["metricGroups"] == [group]
    assert entry["metadata"]["options"]["metricLevel"] == "team"
    clock.now += 30
    (entry,) = api.list(report).json()["exports"]
    assert entry["completedAt"] == "2026-01-01T00:00:30Z"
    assert api.http.get(entry["downloadUrl"]).status_code == 200


def test_the_newest_export_comes_first_by_default(api, three) -> None:
    assert ids(api.list("sprint")) == three[::-1]


@pytest.mark.parametrize(
    ("sort_by", "order", "expected"),
    [
        ("createdAt", "asc", [0, 1, 2]),
        ("createdAt", "desc", [2, 1, 0]),
        ("completedAt", "desc", [1, 0, 2]),
        ("completedAt", "asc", [2, 0, 1]),
        ("status", "asc", [0, 1, 2]),
        ("status", "desc", [2, 1, 0]),
    ],
)
def test_a_list_is_sorted_as_asked(sort_by: str, order: str, expected: list[int], api, three) -> None:
    assert ids(api.list("sprint", sortBy=sort_by, sortOrder=order)) == [three[place] for place in expected]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"status": "COMPLETED"}, [1, 0]),
        ({"status": "QUEUED"}, [2]),
        ({"status": "FAILED"}, []),
        ({"scope": "mine"}, [2, 1, 0]),
        ({"scope": "all", "teamId": "12"}, [1]),
        ({"teamId": "9999"}, []),
        ({"createdBy": "user_sandbox"}, [2, 1, 0]),
        ({"createdBy": "user_other"}, []),
        ({"dateFrom": "2026-01-03"}, [2, 1]),
        ({"dateTo": "2026-01-03"}, [1, 0]),
        ({"dateFrom": "2026-01-03", "dateTo": "2026-01-03", "status": "COMPLETED"}, [1]),
    ],
)
def test_a_list_is_filtered_as_asked(filters: dict[str, str], expected: list[int], api, three) -> None:
    answer = api.list("sprint", **filters)
    assert ids(answer) == [three[place] for place in expected]
    assert answer.json()["pagination"]["total"] == len(expected)


def test_pages_count_from_0_and_the_last_says_that_no_more_follows(api, three) -> None:
    first, last, beyond = (api.list("sprint", limit=2, page=page) for page in range(3))
    assert (ids(first), ids(last), ids(beyond)) == (three[:0:-1], three[:1], [])
    pagination = {"total": 3, "limit": 2, "page": 0, "totalPages": 2, "hasMore": True}
    assert first.json()["pagination"] == pagination
    assert last.json()["pagination"] == pagination | {"page": 1, "hasMore": False}
    assert beyond.json()["pagination"]["hasMore"] is False


def test_a_page_has_50_exports_unless_another_limit_up_to_100_is_asked_for(api, body_of) -> None:
    for day in range(101):
        api.create("sprint", body_of("sprint", start=str(date(2025, 1, 1) + timedelta(days=day))))
    assert len(ids(api.list("sprint"))) == 50
    whole = api.list("sprint", limit=100)
    assert len(ids(whole)) == 100
    assert whole.json()["pagination"] == {"total": 101, "limit": 100, "page": 0, "totalPages": 2, "hasMore": True}


def test_a_list_holds_one_reports_exports_of_one_project(api, body_of) -> None:
    sprint = api.create("sprint", body_of("sprint")).json()["exportId"]
    productivity = api.create("productivity", body_of("productivity")).json()["exportId"]
    assert ids(api.list("sprint")) == [sprint]
    assert ids(api.list("productivity")) == [productivity]
    for other in ("projectIdentifier", "orgIdentifier"):
        empty = api.list("sprint", **{other: "other"})
        assert ids(empty) == []
        assert empty.json()["pagination"] == {"total": 0, "limit": 50, "page": 0, "totalPages": 0, "hasMore": False}


@pytest.mark.parametrize("report", LISTED)
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"status": "completed"}, "'completed' is unknown; there are QUEUED, PROCESSING, COMPLETED, FAILED, CANCELLED"),
        ({"scope": "team"}, "scope 'team' is unknown; there are all, mine"),
        ({"sortBy": "exportId"}, "sortBy 'exportId' is unknown; there are createdAt, completedAt, status"),
        ({"sortOrder": "DESC"}, "sortOrder 'DESC' is unknown; there are asc, desc"),
        ({"limit": 0}, "limit must be a whole number from 1 to 100, not '0'"),
        ({"limit": 101}, "limit must be a whole number from 1 to 100, not '101'"),
        ({"limit": "many"}, "limit must be a whole number from 1 to 100, not 'many'"),
        ({"page": -1}, "page must be a whole number from 0, not '-1'"),
        ({"dateFrom": "2026-1-3"}, 'dateFrom must be a date as yyyy-MM-dd, not "2026-1-3"'),
        ({"dateTo": "2026-01-03T00:00:00Z"}, "dateTo must be a date as yyyy-MM-dd"),
        ({"dateFrom": "2026-01-03", "dateTo": "2026-01-02"}, "dateFrom 2026-01-03 is after dateTo 2026-01-02"),
        ({"teamId": ""}, "teamId must not be empty"),
        ({"createdBy": ""}, "createdBy must not be empty"),
        (
            {"pageSize": 10},
            "unknown parameter 'pageSize'; there are status, scope, teamId, createdBy, dateFrom, dateTo, limit, page",
        ),
    ],
)
def test_a_parameter_that_001_does_not_allow_is_a_400_naming_it(report, parameters, message, instant) -> None:
    answer = instant.list(report, **parameters)
    assert answer.status_code == 400, answer.text
    assert message in answer.json()["message"]


def test_a_list_can_claim_one_more_page_for_ever(api, sandbox, three) -> None:
    sandbox.fault("endless_pages", report="sprint")
    far = api.list("sprint", limit=2, page=41)
    assert ids(far) == three[:1]
    assert far.json()["pagination"] == {"total": 3, "limit": 2, "page": 41, "totalPages": 43, "hasMore": True}
    assert api.list("productivity", page=41).json()["pagination"]["hasMore"] is False
    sandbox.clear_faults()
    assert api.list("sprint", limit=2, page=41).json()["pagination"]["hasMore"] is False


def test_lists_are_recorded_as_such_and_without_the_creators_name(api, sandbox) -> None:
    api.list("sprint")
    api.list("productivity", limit=0)
    calls = [(call["kind"], call["report"], call["status"]) for call in sandbox.requests()]
    assert calls == [("list", "sprint", 200), ("list", "productivity", 400)]
    assert "Sandbox User" not in json.dumps(sandbox.requests())
