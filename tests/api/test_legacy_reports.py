"""The legacy reports of seed 002: validation, body, and reply."""

from __future__ import annotations

import csv
import io
from typing import Any

import httpx
import pytest

from sei_provider.api import (
    ExportRequest,
    SeiAuthError,
    SeiClient,
    SeiConnectionError,
    SeiInputError,
    SeiNotFoundError,
    SeiServerError,
)
from sei_provider.api.reports import REPORTS
from sei_provider.sandbox.control import SandboxControl
from tests.api.conftest import BASE_URL, SETTINGS, MakeClient, answering, export_request

LEGACY = ["team_report", "contributor_report", "dora_report"]
CSV = 'Collection Name,Coding Days,Coding Days Rating\r\n"A, B",3,—\r\n"A, B",3,—\r\n'.encode()


def body(report: str, **changed: Any) -> dict[str, Any]:
    asked = export_request(report, **{"scope": "123", "start": "2024-01-01", "end": "2024-12-31"} | changed)
    return asked.body(org_identifier="acme", project_identifier="web")


def test_rows_14_and_32_the_team_report_names_its_team_twice_as_text_and_as_number() -> None:
    """`ExportRequestDTO`, as its document shows it."""
    asked = body("team_report", granularity="weekly", metrics=["PR_VELOCITY_PER_DEV", "CODING_DAYS_PER_DEV"])
    assert asked == {
        "collectionId": "123",
        "dateStart": "2024-01-01",
        "dateEnd": "2024-12-31",
        "teamRefId": 123,
        "granularity": "weekly",
        "productivity": {"metrics": ["PR_VELOCITY_PER_DEV", "CODING_DAYS_PER_DEV"]},
    }
    assert type(asked["teamRefId"]) is int


def test_row_14_the_contributor_report_names_its_team_as_text() -> None:
    """`ContributorExportRequestDTO`, as its document shows it."""
    metrics = [
        "PR_VELOCITY",
        "WORK_TYPE_COMPLETED",
        "CODING_DAYS",
        "TIME_TO_FIRST_COMMENT",
        "NUMBER_OF_COMMENTS_PER_PR",
        "AVG_TIME_TO_COMPLETE",
        "NO_OF_PRS_WITH_MISSING_TICKETS",
    ]
    asked = body(
        "contributor_report",
        scope=1,
        start="2025-11-03",
        end="2025-11-30",
        granularity="weekly",
        metrics=metrics,
        options={"includeRatings": True},
    )
    assert asked == {
        "collectionId": "1",
        "dateStart": "2025-11-03",
        "dateEnd": "2025-11-30",
        "granularity": "WEEKLY",
        "includeRatings": True,
        "productivityContributors": {"metrics": metrics},
    }


def test_row_14_a_team_that_has_no_number_is_refused_for_the_team_report_only() -> None:
    assert body("contributor_report", scope="team_abc123")["collectionId"] == "team_abc123"
    with pytest.raises(
        SeiInputError, match=r"needs a numeric team id, because SEI takes it as teamRefId; got 'team_abc123'"
    ):
        body("team_report", scope="team_abc123")
    with pytest.raises(SeiInputError, match="got '0101'"):  # the number 101 beside it would be another team
        body("team_report", scope="0101")


@pytest.mark.parametrize(("report", "sent"), [("team_report", "weekly"), ("contributor_report", "WEEKLY")])
@pytest.mark.parametrize("asked", ["weekly", "WEEKLY"])
def test_row_10_granularity_is_sent_as_each_document_spells_it(report: str, sent: str, asked: str) -> None:
    assert body(report, granularity=asked)["granularity"] == sent


@pytest.mark.parametrize("report", LEGACY)
def test_row_19_no_metrics_mean_all_and_granularity_may_be_left_out(report: str) -> None:
    (holder,) = REPORTS[report].metric_groups
    sent = body(report)
    assert sent[holder] == {"metrics": []}
    assert "granularity" not in sent
    asked = export_request(report)
    assert (asked.metric_groups, asked.metrics, asked.granularity) == ((), (), "")


@pytest.mark.parametrize("report", LEGACY)
def test_row_32_no_field_of_the_other_api_is_sent(report: str) -> None:
    assert not {"metricGroups", "options", "scope", "dateRange", "includeRatings"} & set(body(report))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"metric_groups": ["activity"]}, "team_report has no metric groups; name single metrics, or leave both out"),
        ({"metrics": ["CODING_DAYS"]}, "unknown metric 'CODING_DAYS'; the metric names of team_report are: AVG_TIME"),
        ({"granularity": "quarterly"}, "the granularity names of team_report are: daily, weekly, monthly"),
        ({"level": "developer"}, "team_report has no levels"),
        ({"aggregation": "mean"}, "team_report takes no aggregation"),
        ({"scope": {"orgTreeName": "Engineering"}}, "one team with its child teams, not for an org tree; got 'Engin"),
        ({"options": {"includeRatings": True}}, "team_report does not take the option 'includeRatings'.*takes: none"),
        ({"report": "contributor_report", "options": {"includeRatings": "yes"}}, r"includeRatings \(true or false\)"),
        ({"report": "contributor_report", "options": {"ratings": True}}, r"'ratings'.*takes: includeRatings"),
        ({"start": "2026-03-01"}, "ends"),
    ],
)
def test_what_a_legacy_report_does_not_take_is_refused_before_any_call(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(SeiInputError, match=words):
        export_request(**{"report": "team_report"} | changed)


def test_legacy_reports_are_never_widened_and_the_others_are() -> None:
    assert {name for name, report in REPORTS.items() if not report.widens} == set(LEGACY)


@pytest.mark.parametrize("report", LEGACY)
def test_a_legacy_report_comes_in_one_call_over_a_socket(
    client_to: MakeClient, sandbox: SandboxControl, report: str
) -> None:
    asked = export_request(report, scope="11", granularity="weekly")
    file = io.BytesIO(b"something older")
    count = client_to(sandbox.base_url).run_report(asked, file)
    assert file.getvalue() == sandbox.bytes(sandbox.reports()[-1]["id"])
    assert count == len(file.getvalue())
    assert sandbox.reports()[-1]["body"] == asked.body(org_identifier="", project_identifier="")
    rows = list(csv.DictReader(io.StringIO(file.getvalue().decode("utf-8-sig"))))
    assert rows
    assert "Collection Name" in rows[0]


@pytest.mark.parametrize("key", ["sandbox", "other-key"])
def test_row_32_the_call_carries_the_key_in_both_headers_and_csv_as_its_only_parameter(
    client_to: MakeClient, key: str
) -> None:
    answer, asked = answering(httpx.Response(200, content=CSV))
    client_to(answer, api_key=key).run_report(export_request("team_report"), io.BytesIO())
    (request,) = asked
    assert (request.method, str(request.url)) == ("POST", f"{BASE_URL}/v2/insights/teams/reports?format=csv")
    assert request.headers["x-api-key"] == key
    assert request.headers["authorization"] == f"ApiKey {key}"


def test_the_second_header_is_sent_with_legacy_reports_only(client_to: MakeClient) -> None:
    created = {"exportId": "exp_1", "createdAt": "2026-01-01T00:00:00Z"}
    answer, asked = answering(httpx.Response(202, json=created))
    client_to(answer).create_export(export_request())
    assert "x-api-key" not in asked[0].headers


def test_a_legacy_report_is_waited_for_longer_than_an_export(client_to: MakeClient) -> None:
    answer, asked = answering(httpx.Response(200, content=CSV))
    client = client_to(answer)
    client.run_report(export_request("team_report"), io.BytesIO())
    assert asked[0].extensions["timeout"]["read"] >= 600


@pytest.mark.parametrize("report", LEGACY)
def test_rows_20_and_22_every_byte_is_kept_as_it_came(client_to: MakeClient, report: str) -> None:
    answer, _ = answering(httpx.Response(200, content=CSV))
    file = io.BytesIO()
    client_to(answer).run_report(export_request(report), file)
    assert file.getvalue() == CSV  # rows that look alike and `—` included: what they mean is decided elsewhere


def test_row_21_an_empty_body_is_a_report_without_rows(client_to: MakeClient) -> None:
    answer, asked = answering(httpx.Response(200, content=b"", headers={"content-type": "text/csv"}))
    file = io.BytesIO(b"something older")
    assert client_to(answer).run_report(export_request("team_report"), file) == 0
    assert file.getvalue() == b""
    assert len(asked) == 1


@pytest.mark.parametrize("page", [b"<html>login</html>", b""])
def test_row_24_a_page_is_no_report_not_even_an_empty_one(client_to: MakeClient, page: bytes) -> None:
    answer, _ = answering(httpx.Response(200, content=page, headers={"content-type": "text/html"}))
    with pytest.raises(SeiAuthError, match="an HTML page instead of data"):
        client_to(answer).run_report(export_request("team_report"), io.BytesIO())


def test_row_23_figures_in_days_and_in_hours_keep_names_of_their_own() -> None:
    legacy = REPORTS["team_report"].metrics() | REPORTS["contributor_report"].metrics()
    assert "TIME_TO_FIRST_COMMENT" in legacy
    assert "TIME_TO_FIRST_COMMENT" not in REPORTS["productivity"].metrics()
    assert not {metric for metric in legacy if metric.endswith("_HRS_AVG")}


@pytest.mark.usefixtures("no_waiting")
def test_a_lost_answer_is_asked_for_again_and_replaces_what_had_come(client_to: MakeClient) -> None:
    answer, asked = answering(httpx.ReadTimeout("slow"), httpx.Response(503), httpx.Response(200, content=CSV))
    file = io.BytesIO()
    assert client_to(answer).run_report(export_request("team_report"), file) == len(CSV)
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("answer", "error"), [(httpx.ConnectError("refused"), SeiConnectionError), (httpx.Response(500), SeiServerError)]
)
@pytest.mark.usefixtures("no_waiting")
def test_a_failure_says_which_report_of_which_team_was_asked_for(
    client_to: MakeClient, answer: httpx.Response | Exception, error: type[Exception]
) -> None:
    given, _ = answering(answer)
    with pytest.raises(error, match="run the team_report of team:1, 2026-01-01 to 2026-02-28"):
        client_to(given).run_report(export_request("team_report"), io.BytesIO())


def test_an_unknown_team_is_an_error_that_names_it(client_to: MakeClient, sandbox: SandboxControl) -> None:
    with pytest.raises(SeiNotFoundError, match=r"run the team_report of team:999.*Team not found: '999'"):
        client_to(sandbox.base_url).run_report(export_request("team_report", scope=999), io.BytesIO())


def test_each_report_is_refused_the_way_it_is_not_asked_for() -> None:
    answer, asked = answering(httpx.Response(500))
    client = SeiClient(**SETTINGS, base_url=BASE_URL, transport=httpx.MockTransport(answer))
    with pytest.raises(SeiInputError, match=r"team_report is a synchronous report.*run_report \(SeiReportOperator\)"):
        client.create_export(export_request("team_report"))
    with pytest.raises(SeiInputError, match=r"sprint is not a synchronous report.*create_export"):
        client.run_report(export_request("sprint"), io.BytesIO())
    assert asked == []


def test_two_legacy_requests_that_differ_have_keys_that_differ() -> None:
    asked: list[ExportRequest] = [
        export_request(report, granularity=each) for report in LEGACY for each in ("", "daily")
    ]
    asked.append(export_request("contributor_report", options={"includeRatings": True}))
    assert len({request.fingerprint for request in asked}) == len(asked) == 7
