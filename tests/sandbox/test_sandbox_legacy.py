"""The legacy reports of 002: their two bodies, their CSV, who is let in, what is refused, and what can go wrong."""

from __future__ import annotations

import csv
import gzip
import io
import json
from typing import Any

import httpx
import pytest

from sei_provider.sandbox.data.legacy_csv import legacy_csv_text
from sei_provider.sandbox.data.organisation import Organisation
from sei_provider.sandbox.data.spec import CONTRIBUTOR_REPORT, TEAM_REPORT
from sei_provider.sandbox.http.legacy_body import read_legacy_body
from sei_provider.sandbox.server import serve
from tests.plain_http import NO_AUTHORITIES


def team_body(team: str = "10", **fields: object) -> dict[str, Any]:
    return {"collectionId": team, "dateStart": "2026-01-01", "dateEnd": "2026-01-31", **fields}


def contributor_body(team: str = "10", **fields: object) -> dict[str, Any]:
    return team_body(team, productivityContributors={}) | fields


def rows(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text), strict=True))


def test_a_team_report_has_a_row_per_team_child_teams_included(instant) -> None:
    found = rows(instant.report(team_body("10")))
    assert [row["Collection Name"] for row in found] == [team.name for team in Organisation(40).team("10").walk()]
    assert list(found[0]) == ["Collection Name", *TEAM_REPORT.headings.values()]


def test_a_parents_figure_is_made_of_its_childrens(instant) -> None:
    parent, *children = rows(instant.report(team_body("10")))
    column = "Coding Days per Developer"
    figures = [float(row[column]) for row in children if row[column]]
    assert float(parent[column]) == pytest.approx(sum(figures) / len(figures), abs=0.01)


def test_row_20_a_contributor_report_has_a_row_per_collection_tree_managers_and_developers(instant) -> None:
    found = rows(instant.report(contributor_body("1")))
    expected = [
        name
        for team in Organisation(40).root.walk()
        for name in (team.name, *(developer.name for developer in team.developers))
    ]
    assert [row["Collection Name"] for row in found] == expected
    assert expected[:4] == ["Engineering", "Developer 01-01", "Platform", "Developer 10-01"]
    assert list(found[0]) == ["Collection Name", *CONTRIBUTOR_REPORT.headings.values()]


@pytest.mark.parametrize("metrics", [{}, {"metrics": []}])
@pytest.mark.parametrize("document", [TEAM_REPORT, CONTRIBUTOR_REPORT], ids=lambda document: document.report)
def test_row_19_no_metrics_mean_all_metrics(document, metrics: dict[str, Any], instant) -> None:
    (row, *_) = rows(instant.report(team_body(**{document.metrics_field: metrics})))
    assert list(row)[1:] == list(document.headings.values())


def test_row_19_a_body_without_the_metrics_field_is_a_team_report_of_all_metrics(instant) -> None:
    (row, *_) = rows(instant.report(team_body()))
    assert list(row)[1:] == list(TEAM_REPORT.headings.values())


def test_metric_names_may_be_in_any_case_and_columns_have_an_order_of_their_own(instant) -> None:
    wanted = {"metrics": ["avg_time_to_complete", "Coding_Days"]}
    (row, *_) = rows(instant.report(contributor_body(productivityContributors=wanted)))
    assert list(row) == ["Collection Name", "Coding Days", "Average Time to Complete"]


def test_ratings_stand_beside_the_metrics_that_have_tiers_with_a_dash_for_none(instant) -> None:
    found = rows(instant.report(contributor_body("1", includeRatings=True)))
    columns = list(found[0])
    velocity = columns.index("PR Velocity per Developer")
    assert columns[velocity + 1] == "PR Velocity per Developer Rating"
    assert "PR Hygiene Rating" not in columns
    ratings = {row["Coding Days Rating"] for row in found}
    assert ratings == {"Low", "Medium", "High", "—"}
    assert {row["Coding Days Rating"] for row in found if not row["Coding Days"]} == {"—"}
    without = rows(instant.report(contributor_body("1", includeRatings=False)))
    assert without == [{name: row[name] for name in row if not name.endswith(" Rating")} for row in found]


def test_a_figure_of_zero_has_no_rating() -> None:
    asked = read_legacy_body(json.dumps(contributor_body("1", includeRatings=True)).encode(), Organisation(400))
    found = csv.DictReader(io.StringIO(legacy_csv_text(asked)))
    ratings = {row[f"{name} Rating"] for row in found for name in row if f"{name} Rating" in row if row[name] == "0.00"}
    assert ratings == {"—"}


def test_the_same_report_twice_has_the_same_bytes_and_another_granularity_other_figures(instant) -> None:
    weekly, again, monthly = (instant.report(team_body(granularity=name)) for name in ("weekly", "WEEKLY", "monthly"))
    assert weekly.content == again.content == instant.report(team_body()).content
    assert weekly.content != monthly.content


def test_row_32_either_id_or_both_name_the_team(instant) -> None:
    by_string = instant.report(team_body("14"))
    by_number = {name: value for name, value in team_body().items() if name != "collectionId"} | {"teamRefId": 14}
    assert instant.report(by_number).content == by_string.content
    assert instant.report(team_body("14", teamRefId=14)).content == by_string.content


@pytest.mark.parametrize(
    "headers",
    [
        {"x-api-key": "sandbox"},
        {"authorization": "ApiKey sandbox"},
        {"x-api-key": "sandbox", "authorization": "ApiKey sandbox"},
    ],
)
def test_the_key_is_taken_from_either_header_and_no_identifier_is_needed(headers, instant_sandbox) -> None:
    url = f"{instant_sandbox.base_url}/v2/insights/teams/reports?format=csv"
    assert httpx.post(url, json=team_body(), headers=headers, trust_env=False, verify=NO_AUTHORITIES).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-api-key": "wrong"},
        {"x-api-key": "ApiKey sandbox"},
        {"authorization": "ApiKey wrong"},
        {"x-api-key": "sandbox", "authorization": "ApiKey wrong"},
    ],
)
def test_a_wrong_key_in_either_header_is_a_401(headers, instant_sandbox) -> None:
    url = f"{instant_sandbox.base_url}/v2/insights/teams/reports?format=csv"
    answer = httpx.post(url, json=team_body(), headers=headers, trust_env=False, verify=NO_AUTHORITIES)
    assert answer.status_code == 401
    assert "x-api-key" in answer.json()["message"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"format": ""}, "format '' is unknown; there are csv"),
        ({"format": "json"}, "format 'json' is unknown; there are csv"),
        (
            {"teamId": "1"},
            "unknown parameter 'teamId'; there are projectIdentifier, orgIdentifier, accountIdentifier",
        ),
    ],
)
def test_the_query_takes_format_csv_only(parameters, message, instant) -> None:
    answer = instant.report(team_body(), **parameters)
    assert answer.status_code == 400
    assert message in answer.json()["message"]


def test_the_format_is_required_and_so_is_the_content_type(instant) -> None:
    answer = instant.http.post("/v2/insights/teams/reports", json=team_body())
    assert (answer.status_code, answer.json()["message"]) == (400, "the parameter format is required")
    plain = instant.http.post(
        "/v2/insights/teams/reports", params={"format": "csv"}, content="{}", headers={"content-type": "text/plain"}
    )
    assert plain.status_code == 415


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "the body (ExportRequestDTO) must be a JSON object, not []"),
        (team_body(collectionId=10), "collectionId must be a JSON string that is not empty, not 10"),
        (team_body(teamRefId="10"), 'teamRefId must be a JSON number, not "10"'),
        (team_body(teamRefId=True), "teamRefId must be a JSON number, not true"),
        (team_body(teamRefId=11), "collectionId '10' and teamRefId 11 must be the same team"),
        ({"dateStart": "2026-01-01", "dateEnd": "2026-01-31"}, "the body needs collectionId or teamRefId"),
        ({"collectionId": "10", "dateEnd": "2026-01-31"}, "dateStart is required, as yyyy-MM-dd"),
        (team_body(dateEnd="2026-1-31"), 'dateEnd must be a date as yyyy-MM-dd, not "2026-1-31"'),
        (team_body(dateEnd="2025-12-31"), "dateStart 2026-01-01 is after dateEnd 2025-12-31"),
        (team_body(granularity="quarterly"), "granularity 'quarterly' is unknown; there are daily, weekly, monthly"),
        (team_body(granularity=None), "granularity null is unknown; there are daily, weekly, monthly"),
        (team_body(productivity=[]), "productivity must be a JSON object, not []"),
        (team_body(productivity={"metric": []}), "productivity has an unknown field 'metric'; there are metrics"),
        (
            team_body(productivity={"metrics": ["PR_VELOCITY"]}),
            '"PR_VELOCITY" is no metric of productivity; there are TIME_TO_FIRST_COMMENT, PR_VELOCITY_PER_DEV',
        ),
        (
            contributor_body(productivityContributors={"metrics": ["PR_VELOCITY_PER_DEV"]}),
            '"PR_VELOCITY_PER_DEV" is no metric of productivityContributors; there are PR_VELOCITY, WORK_TYPE',
        ),
        (contributor_body(productivity={}), "takes either productivity or productivityContributors, not both"),
        (contributor_body(includeRatings="yes"), 'includeRatings must be true or false, not "yes"'),
        (contributor_body(options={}), "the body (ContributorExportRequestDTO) has an unknown field 'options'"),
        (team_body(includeRatings=True), "the body (ExportRequestDTO) has an unknown field 'includeRatings'"),
        (team_body(scope={"teamId": "10"}), "the body (ExportRequestDTO) has an unknown field 'scope'"),
    ],
)
def test_a_body_that_002_does_not_allow_is_a_400_naming_it(body: object, message: str, instant) -> None:
    answer = instant.report(body)
    assert answer.status_code == 400, answer.text
    assert message in answer.json()["message"]


def test_an_unknown_team_is_a_404(instant) -> None:
    answer = instant.report(team_body("9999"))
    assert (answer.status_code, answer.json()["message"]) == (404, "Team not found: '9999'")


@pytest.mark.parametrize("body", [team_body("5"), contributor_body("5")])
def test_row_21_a_report_without_a_row_is_a_body_of_zero_bytes(body: dict[str, Any], instant) -> None:
    answer = instant.report(body)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "text/csv"


def test_a_report_can_be_harmed_or_fail(api, sandbox) -> None:
    whole = api.report(team_body("11")).content
    harmed = {}
    for fault in ("header_only", "html", "zero_bytes", "truncated_gzip", "fail"):
        sandbox.fault(fault, team="11", report="team_report", times=1)
        harmed[fault] = api.report(team_body("11"))
    assert whole.startswith(harmed["header_only"].content)
    assert harmed["header_only"].text.count("\n") == 1
    assert harmed["html"].headers["content-type"].startswith("text/html")
    assert harmed["zero_bytes"].content == b""
    with pytest.raises(EOFError):
        gzip.decompress(harmed["truncated_gzip"].content)
    assert (harmed["fail"].status_code, harmed["fail"].json()["code"]) == (500, "EXPORT_FAILED")
    sandbox.fault("fail", report="contributor_report")
    assert api.report(team_body("11")).content == whole


def test_row_16_a_large_report_is_compressed_and_only_its_file_name_says_so(api_at) -> None:
    with serve(teams=400) as sandbox:
        answer = api_at(sandbox.base_url).report(contributor_body("1", includeRatings=True))
    assert answer.headers["content-disposition"] == 'attachment; filename="contributor_report.csv.gz"'
    assert answer.headers["content-type"] == "text/csv"
    assert gzip.decompress(answer.content).startswith(b"Collection Name,")


def test_reports_are_recorded_with_what_was_asked_and_the_bytes_that_were_sent(api, sandbox) -> None:
    asked = [team_body("11"), contributor_body("11")]
    sent = [api.report(body).content for body in asked]
    reports = sandbox.reports()
    assert [(report["report"], report["body"]) for report in reports] == [
        ("team_report", asked[0]),
        ("contributor_report", asked[1]),
    ]
    assert [sandbox.bytes(report["id"]) for report in reports] == sent
    assert {report["created_at"] for report in reports} == {"2026-01-01T00:00:00Z"}
    api.report([])
    assert [(call["kind"], call["report"], call["export_id"]) for call in sandbox.requests()] == [
        ("report", "team_report", reports[0]["id"]),
        ("report", "contributor_report", reports[1]["id"]),
        ("report", None, None),
    ]
    assert sandbox.exports() == []
