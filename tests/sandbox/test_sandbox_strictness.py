"""Everything the documents do not allow is refused, with a message that names it."""

from __future__ import annotations

from typing import Any

import pytest

REPORTS = ("productivity", "sprint", "business_alignment")
TREE = {"orgTreeName": "Engineering", "orgIdentifier": "acme"}


def changed(body: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A body with some fields replaced; a field set to `...` is left out; `scope.teamId` names an inner one."""
    for path, value in changes.items():
        *parents, last = path.split(".")
        target = body
        for parent in parents:
            target = target[parent]
        if value is ...:
            del target[last]
        else:
            target[last] = value
    return body


REFUSED = [
    ("all", {"scope": ...}, "scope is required"),
    ("all", {"scope": "12"}, 'scope must be a JSON object, not "12"'),
    ("all", {"scope": {}}, "scope needs teamId or orgTreeName"),
    ("all", {"scope.teamId": 12}, "scope.teamId must be a JSON string that is not empty, not 12"),
    ("all", {"scope.teamId": ""}, "scope.teamId must be a JSON string that is not empty"),
    ("all", {"scope.managerEmailId": "x"}, "scope has an unknown field 'managerEmailId'"),
    ("productivity", {"scope": TREE}, "scope has an unknown field 'orgIdentifier'; there are orgTreeName, teamId"),
    ("productivity", {"scope.projectIdentifier": "sei"}, "scope has an unknown field 'projectIdentifier'"),
    ("others", {"scope": TREE | {"teamId": "12"}}, "scope takes either teamId or orgTreeName, not both"),
    ("others", {"scope": {"orgTreeName": "Engineering"}}, "scope.orgIdentifier is required with scope.orgTreeName"),
    ("others", {"scope": TREE | {"orgIdentifier": "other"}}, "scope.orgIdentifier 'other' contradicts"),
    ("others", {"scope": TREE | {"projectIdentifier": "other"}}, "scope.projectIdentifier 'other' contradicts"),
    ("all", {"dateRange": ...}, "dateRange is required"),
    ("all", {"dateRange.start": ...}, "dateRange.start is required, as yyyy-MM-dd"),
    ("all", {"dateRange.end": ...}, "dateRange.end is required, as yyyy-MM-dd"),
    ("all", {"dateRange.end": "2026-1-31"}, 'dateRange.end must be a date as yyyy-MM-dd, not "2026-1-31"'),
    ("all", {"dateRange.end": "20260131"}, 'dateRange.end must be a date as yyyy-MM-dd, not "20260131"'),
    ("all", {"dateRange.end": "2026-02-30"}, 'dateRange.end must be a date as yyyy-MM-dd, not "2026-02-30"'),
    ("all", {"dateRange.end": None}, "dateRange.end must be a date as yyyy-MM-dd, not null"),
    ("all", {"dateRange.end": "2025-12-31"}, "dateRange.start 2026-01-01 is after dateRange.end 2025-12-31"),
    ("all", {"dateRange.timezone": "UTC"}, "dateRange has an unknown field 'timezone'; there are start, end"),
    ("all", {"options": ...}, "options is required"),
    ("all", {"options.granularity": ...}, "options.granularity is required"),
    ("productivity", {"options.granularity": "MONTHLY"}, "'MONTHLY' is unknown; there are weekly, monthly, quarterly"),
    ("sprint", {"options.granularity": "monthly"}, "'monthly' is unknown; there are SPRINT, WEEKLY, MONTHLY, QUARTER"),
    ("business_alignment", {"options.granularity": "SPRINT"}, "'SPRINT' is unknown; there are WEEKLY, MONTHLY, QUART"),
    ("all", {"options.granularity": None}, "options.granularity null is unknown; there are "),
    ("productivity", {"options.aggregationLevel": None}, "options.aggregationLevel null is unknown; there are "),
    ("all", {"options.timezone": "UTC"}, "options has an unknown field 'timezone'"),
    ("productivity", {"options.metricLevel": "sprint"}, "options.metricLevel 'sprint' is unknown; there are developer"),
    ("sprint", {"options.metricLevel": "developer"}, "options.metricLevel 'developer' is unknown; there are team, spr"),
    ("business_alignment", {"options.metricLevel": "team"}, "options has an unknown field 'metricLevel'"),
    (
        "productivity",
        {"options.metricLevel": "team", "options.aggregationLevel": "team"},
        "options takes either metricLevel or aggregationLevel, not both",
    ),
    ("others", {"options.aggregationLevel": "team"}, "options has an unknown field 'aggregationLevel'"),
    ("productivity", {"options.aggregation": "max"}, "options.aggregation 'max' is unknown; there are mean, median"),
    ("others", {"options.aggregation": "mean"}, "options has an unknown field 'aggregation'"),
    ("sprint", {"options.computationMode": "tickets"}, "'tickets' is unknown; there are STORY_POINTS, TICKETS"),
    ("productivity", {"options.computationMode": "TICKETS"}, "options has an unknown field 'computationMode'"),
    ("productivity", {"options.format": "json"}, "options.format 'json' is unknown; there are csv"),
    ("others", {"options.format": "csv"}, "options has an unknown field 'format'"),
    ("all", {"metricGroup": ["work"]}, "the body has an unknown field 'metricGroup'"),
    ("all", {"metricGroups": "velocity"}, 'metricGroups must be a JSON array of names, not "velocity"'),
    (
        "productivity",
        {"metricGroups": ["velocty"]},
        'metricGroups: "velocty" is no group of productivity; there are activity, velocity, volume, quality, collab',
    ),
    ("sprint", {"metricGroups": ["velocity"]}, "there are work, delivery, deliveryAnalysis, analysis"),
    ("business_alignment", {"metricGroups": ["KTLO"]}, "there are CATEGORIZED, UNCATEGORIZED"),
    ("productivity", {"metrics": ["PR_OPENED"]}, '"PR_OPENED" is no metric of productivity at level team'),
    (
        "productivity",
        {"metrics": ["LOC_ADDED"], "options.metricLevel": "team"},
        '"LOC_ADDED" is no metric of productivity at level team',
    ),
    (
        "sprint",
        {"metrics": ["SPRINT_VELOCITY"], "options.metricLevel": "sprint"},
        '"SPRINT_VELOCITY" is no metric of sprint at level sprint',
    ),
    ("sprint", {"metric": ["CHURN_RATE"], "metrics": ["CHURN_RATE"]}, "either metric or metrics, not both"),
    ("productivity", {"metric": ["PR_MERGED"]}, "the body has an unknown field 'metric'"),
    ("business_alignment", {"metrics": ["KTLO"]}, "the body has an unknown field 'metrics'"),
]
CASES = [
    pytest.param(report, changes, message, id=f"{report}: {message}")
    for which, changes, message in REFUSED
    for report in {"all": REPORTS, "others": REPORTS[1:]}.get(which, (which,))
]


@pytest.mark.parametrize(("report", "changes", "message"), CASES)
def test_a_body_that_the_document_does_not_allow_is_a_400_naming_it(report, changes, message, instant, body_of) -> None:
    answer = instant.create(report, changed(body_of(report), changes))
    assert answer.status_code == 400, answer.text
    assert message in answer.json()["message"]
    assert answer.json().keys() == {"status", "code", "message", "correlationId"}


@pytest.mark.parametrize(
    ("raw", "message"),
    [(b"{", "the body is not JSON"), (b"", "the body is not JSON"), (b"[]", "must be a JSON object")],
)
def test_a_body_that_is_no_json_object_is_a_400(raw: bytes, message: str, instant) -> None:
    answer = instant.http.post("/v2/insights/ba/exports", content=raw)
    assert answer.status_code == 400
    assert message in answer.json()["message"]


@pytest.mark.parametrize("report", REPORTS)
def test_an_unknown_team_or_tree_is_a_404(report: str, instant, body_of) -> None:
    team = instant.create(report, body_of(report, team="9999"))
    assert (team.status_code, team.json()["message"]) == (404, "Team not found: '9999'")
    scope = {"orgTreeName": "Sales"} | ({} if report == "productivity" else {"orgIdentifier": "acme"})
    tree = instant.create(report, body_of(report) | {"scope": scope})
    assert (tree.status_code, tree.json()["message"]) == (404, "Org tree not found: 'Sales'")


def test_productivity_takes_a_team_and_its_tree_together(instant, body_of) -> None:
    both = body_of("productivity") | {"scope": {"teamId": "12", "orgTreeName": "Engineering"}}
    assert {row["Team"] for row in instant.rows("productivity", both)} == {"NA"}


def test_a_team_of_another_tree_than_the_one_named_is_a_404(instant, body_of) -> None:
    both = body_of("productivity") | {"scope": {"teamId": "12", "orgTreeName": "Research"}}
    answer = instant.create("productivity", both)
    assert (answer.status_code, answer.json()["message"]) == (404, "Team not found: '12' in org tree 'Research'")


@pytest.mark.parametrize("header", [{}, {"authorization": "Bearer sandbox"}, {"authorization": "ApiKey wrong"}])
@pytest.mark.parametrize("call", ["create", "status", "list", "download"])
def test_every_call_needs_the_key(call: str, header: dict[str, str], instant, body_of) -> None:
    answer = bare(instant, call, body_of, headers={"Content-Type": "application/json"} | header)
    assert answer.status_code == 401
    assert "authorization: ApiKey <key>" in answer.json()["message"]


@pytest.mark.parametrize("scheme", ["ApiKey", "Apikey", "APIKEY"])
def test_the_keys_scheme_may_be_in_any_case(scheme: str, instant, body_of) -> None:
    headers = {"authorization": f"{scheme} sandbox", "Content-Type": "application/json"}
    assert bare(instant, "create", body_of, headers=headers).status_code == 202


@pytest.mark.parametrize("missing", ["projectIdentifier", "orgIdentifier"])
@pytest.mark.parametrize("call", ["create", "status", "list", "download"])
def test_every_call_needs_both_query_parameters(call: str, missing: str, instant, body_of) -> None:
    params = {"projectIdentifier": "sei", "orgIdentifier": "acme"} | {missing: ""}
    answer = bare(instant, call, body_of, params=params)
    assert answer.status_code == 400
    assert f"query parameter {missing} is required" in answer.json()["message"]


@pytest.mark.parametrize("call", ["create", "status", "list", "download"])
def test_every_call_names_its_content_type(call: str, instant, body_of) -> None:
    answer = bare(instant, call, body_of, headers={"authorization": "ApiKey sandbox"})
    assert answer.status_code == 415
    assert "Content-Type must be application/json" in answer.json()["message"]


def bare(api, call: str, body_of, *, params: dict[str, str] | None = None, headers: dict[str, str] | None = None):
    """One call of sprint with just these headers and parameters."""
    export_id = api.create("sprint", body_of("sprint")).json()["exportId"]
    method, path = {
        "create": ("POST", "/v2/insights/sprint/exports"),
        "status": ("GET", f"/v2/insights/sprints/exports/{export_id}"),
        "list": ("GET", "/v2/insights/sprints/exports"),
        "download": ("GET", f"/v2/insights/sprints/exports/{export_id}/download"),
    }[call]
    request = api.http.build_request(method, path, params=params)
    if call == "create":
        request = api.http.build_request(method, path, params=params, json=body_of("sprint"))
    if headers is not None:
        for name in ("authorization", "content-type"):
            request.headers.pop(name, None)
        request.headers.update(headers)
    return api.http.send(request)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v2/insights/sprints/exports", 404),
        ("GET", "/v2/insights/sprint/exports/exp_1", 404),
        ("POST", "/v2/insights/business_alignment/exports", 404),
        ("POST", "/insights/productivity/exports", 404),
        ("POST", "/v2/insights/productivity/exports/", 404),
        ("GET", "/v2/insights/ba/exports", 404),
        ("GET", "/v2/insights/sprint/exports", 405),
        ("GET", "/v2/insights/teams/reports", 405),
        ("POST", "/v2/org-trees", 405),
        ("PUT", "/v2/insights/productivity/exports", 405),
    ],
)
def test_any_other_path_is_a_404_in_json(method: str, path: str, status: int, instant) -> None:
    answer = instant.http.request(method, path)
    assert answer.status_code == status
    assert path in answer.json()["message"]


def test_an_export_is_only_found_under_its_own_report(instant, body_of) -> None:
    export_id = instant.create("sprint", body_of("sprint")).json()["exportId"]
    assert instant.status("business_alignment", export_id).status_code == 404
    assert instant.status("sprint", "exp_00000000").json()["message"] == "Export not found: exp_00000000"


def test_names_of_metrics_and_groups_may_be_in_any_case(instant, body_of) -> None:
    asked = {"metricGroups": ["ANALYSIS"], "metric": ["Sprint_Commit", "Total_Work_Delivered", "Churn_Rate"]}
    columns = list(instant.rows("sprint", body_of("sprint", metricLevel="sprint") | asked)[0])
    assert columns[5:] == [
        "Sprint",
        "SPRINT_COMMIT",
        "TOTAL_WORK_DELIVERED",
        "TICKETS_REMOVED_MID_SPRINT",
        "CHURN_RATE",
    ]


def test_row_9_the_level_has_two_names(instant, body_of) -> None:
    rows = [
        instant.rows("productivity", body_of("productivity", **{name: "developer"}))
        for name in ("metricLevel", "aggregationLevel")
    ]
    assert rows[0] == rows[1]
    assert "Developer" in rows[0][0]


@pytest.mark.parametrize("nothing", [{}, {"metrics": []}, {"metricGroups": [], "metrics": []}])
def test_no_metrics_mean_all_metrics_of_the_level(nothing: dict[str, Any], instant, body_of) -> None:
    columns = list(instant.rows("productivity", body_of("productivity", metricLevel="team") | nothing)[0])
    assert len(columns) == 5 + 1 + 3 + 8 + 8 + 2
    assert "LOC_ADDED" not in columns, "it is a developer's metric"
