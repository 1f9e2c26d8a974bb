"""The sandbox against the four documents, whose curls, replies and tables lie beside this file word for word.

Only base URL, key, identifiers and ids are filled in, and in the replies the creator's name.
"""

from __future__ import annotations

import csv
import io
import json
import shlex
from pathlib import Path
from typing import Any

import httpx
import pytest

from sei_provider.api.reports import REPORTS
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.data.organisation import Organisation
from sei_provider.sandbox.data.spec import CONTRIBUTOR_REPORT, TEAM_REPORT, LegacySpec
from tests.plain_http import NO_AUTHORITIES
from tests.sandbox.conftest import Api

HERE = Path(__file__).parent
PLACEHOLDERS = {
    "${PROJECT_ID}": "sei",
    "${ORG_ID}": "acme",
    "<HARNESS_PROJECT_ID>": "sei",
    "<HARNESS_ORG_ID>": "acme",
    "<HARNESS_ORG_NAME>": "acme",
    "<ORG_TREE_NAME>": "Engineering",
    "<YOUR_SEI_API_KEY>": "sandbox",
    "<YOUR_API_KEY>": "sandbox",
    "<SEI_API_KEY>": "sandbox",
    "YOUR_SEI_API_KEY": "sandbox",
    '"456"': '"14"',
    '"team_abc123"': '"14"',
    '"teamRefId": 456': '"teamRefId": 14',
    '"teamRefId": 789': '"teamRefId": 10',
}


def filled_in(text: str, base_url: str, export_id: str = "") -> str:
    values = {"${BASE_URL}": base_url, "<BASE_URL>": base_url, "<HARNESS_BASE_URL>": base_url}
    for placeholder, value in {**values, "<EXPORT_ID>": export_id, **PLACEHOLDERS}.items():
        text = text.replace(placeholder, value)
    return text


def send_curl(name: str, sandbox: SandboxControl, export_id: str = "") -> httpx.Response:
    """Send what curl would: no header is added but those of curl's own."""
    text = filled_in((HERE / "curls" / f"{name}.txt").read_text(), sandbox.base_url, export_id)
    # A shell joins continued lines; shlex would make each line's end a word.
    words = iter(shlex.split(text.replace("\\\n", " ")))
    assert next(words) == "curl"
    method, url, body, headers = "GET", "", None, {"Accept": "*/*"}
    for word in words:
        if word == "-X":
            method = next(words)
        elif word in {"-H", "--header"}:
            header, _, value = next(words).partition(": ")
            headers[header] = value
        elif word == "-d":
            body = next(words).encode()
        elif word in {">", "--output"}:
            break
        else:
            url = word
    with httpx.Client(trust_env=False, verify=NO_AUTHORITIES) as http:
        request = httpx.Request(method, url, headers=headers, content=body)
        return http.send(request)


def assert_has_documented_fields(reply: Any, example: str) -> None:
    documented = json.loads((HERE / "replies" / f"{example}.json").read_text())

    def compare(found: Any, expected: Any, where: str) -> None:
        assert type(found) is type(expected), f"{where}: {found!r} is not what {expected!r} is"
        if isinstance(expected, dict):
            assert found.keys() >= expected.keys(), f"{where}: {set(expected) - set(found)} missing"
            for field in expected:
                compare(found[field], expected[field], f"{where}.{field}")

    assert reply.keys() == documented.keys()
    compare(reply, documented, example)


CREATES = ["000_create_sprint", "001_create_productivity", "002_create_productivity", "003_create_business_alignment"]


@pytest.mark.parametrize("curl", CREATES)
def test_each_create_curl_gets_the_documented_reply(curl: str, sandbox: SandboxControl) -> None:
    answer = send_curl(curl, sandbox)
    assert answer.status_code == 202, answer.text
    assert_has_documented_fields(answer.json(), curl)


@pytest.mark.parametrize("document", ["001", "002"])
def test_the_same_productivity_curl_again_reuses_the_export(document: str, sandbox: SandboxControl) -> None:
    first = send_curl(f"{document}_create_productivity", sandbox)
    again = send_curl(f"{document}_create_productivity", sandbox)
    assert again.status_code == 200
    assert_has_documented_fields(again.json(), f"{document}_reuse_productivity")
    assert again.json()["message"] == "Using existing export with identical parameters"
    assert again.json()["exportId"] == first.json()["exportId"]


@pytest.mark.parametrize("curl", CREATES)
def test_each_status_line_gets_the_documented_reply_once_the_export_is_done(curl: str, sandbox: SandboxControl) -> None:
    lines = {
        "sprint": "GET {BASE_URL}/v2/insights/sprints/exports/{exportId}",
        "productivity": "GET {BASE_URL}/v2/insights/productivity/exports/{exportId}",
        "business_alignment": "GET {BASE_URL}/v2/insights/ba/exports/{exportId}",
    }
    document, _, report = curl.partition("_create_")
    export_id = send_curl(curl, sandbox).json()["exportId"]
    sandbox.advance(30)
    method, url = lines[report].format(BASE_URL=sandbox.base_url, exportId=export_id).split()
    identifiers = {"projectIdentifier": "sei", "orgIdentifier": "acme"}
    headers = {"authorization": "ApiKey sandbox", "Content-Type": "application/json"}
    answer = httpx.request(method, url, params=identifiers, headers=headers, trust_env=False, verify=NO_AUTHORITIES)
    assert answer.status_code == 200
    example = json.loads((HERE / "replies" / f"{document}_status_{report}.json").read_text())
    assert_has_documented_fields(answer.json(), f"{document}_status_{report}")
    assert answer.json()["status"] == example["status"], "spelled as in the example"
    link = answer.json().get("downloadUrl") or answer.json()["download"]["url"]
    assert link == (example.get("downloadUrl") or example["download"]["url"]).replace(example["exportId"], export_id)


@pytest.mark.parametrize("document", ["001", "002"])
def test_the_download_curl_gets_the_csv_although_it_writes_apikey_and_no_content_type(
    document: str, sandbox: SandboxControl
) -> None:
    export_id = send_curl(f"{document}_create_productivity", sandbox).json()["exportId"]
    sandbox.advance(30)
    answer = send_curl(f"{document}_download_productivity", sandbox, export_id)
    assert answer.status_code == 200
    assert answer.text.startswith("Granularity,Team,Team_Hierarchy,Start_Date,End_Date,Developer,Developer_Email,")


def test_the_legacy_curl_gets_a_csv_although_it_carries_v2_fields_and_no_identifiers(sandbox: SandboxControl) -> None:
    answer = send_curl("002_team_report", sandbox)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv"
    assert answer.headers["content-disposition"] == 'attachment; filename="team_report.csv"'
    header, *rows = csv.reader(io.StringIO(answer.text))
    columns = ["PR Velocity per Developer", "Coding Days per Developer", "Number of Comments per PR"]
    assert header == ["Collection Name", *columns]
    assert [row[0] for row in rows] == ["Payments, Refunds and Disputes"]


def test_the_legacy_curl_with_empty_metrics_gets_all_metrics_and_the_child_teams(sandbox: SandboxControl) -> None:
    answer = send_curl("002_team_report_all_metrics", sandbox)
    assert answer.status_code == 200, answer.text
    header, *rows = csv.reader(io.StringIO(answer.text))
    assert header == ["Collection Name", *documented_headings("team_report").values()]
    assert [row[0] for row in rows] == [team.name for team in Organisation(10).team("10").walk()]


def test_the_contributor_body_of_002_gets_a_csv_with_ratings(api: Api) -> None:
    body = (HERE / "bodies" / "002_contributor_report.json").read_text()
    answer = api.report(json.loads(body))
    assert answer.status_code == 200, answer.text
    assert "PR Velocity per Developer,PR Velocity per Developer Rating,Work Items Completed," in answer.text


@pytest.mark.parametrize("document", [TEAM_REPORT, CONTRIBUTOR_REPORT], ids=lambda document: document.report)
def test_the_legacy_metrics_and_headings_are_those_of_the_documents_tables(document: LegacySpec) -> None:
    expected = documented_headings(document.report)
    if document.by_developer:
        # The one heading that the response's description gives is not the table's.
        assert expected.pop("PR_VELOCITY") == "PR Velocity"
        expected = {"PR_VELOCITY": "PR Velocity per Developer"} | expected
    assert list(document.headings.items()) == list(expected.items())


def documented_headings(report: str) -> dict[str, str]:
    _, _, *lines = (HERE / "legacy_metrics" / f"002_{report}.txt").read_text().splitlines()
    return dict((cell.strip() for cell in line.split("|")[:2]) for line in lines)


def test_the_python_sample_of_001_gets_401_for_its_header(
    sandbox: SandboxControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    sample = filled_in((HERE / "001_python_sample.txt").read_text(), sandbox.base_url)
    # The document has lost the indentation from the loop on; the sample ends before, at the id that it does not get.
    until_loop, _, _ = sample.partition("while True:")
    names: dict[str, Any] = {}
    with pytest.raises(KeyError, match="exportId"):
        exec(until_loop, names)  # noqa: S102 - the document's own text is what is tested
    assert names["HEADERS"]["SEI_API_KEY"] == "sandbox"
    assert names["resp"].status_code == 401
    assert names["resp"].json().keys() == {"status", "code", "message", "correlationId"}


@pytest.mark.parametrize("table", ["000_sprint", "002_productivity"])
def test_the_metrics_are_those_of_the_documents_tables(table: str) -> None:
    head, _, *lines = (HERE / "metric_groups" / f"{table}.txt").read_text().splitlines()
    levels = [column.strip().partition("-level")[0].lower() for column in head.strip("| ").split("|")[1:]]
    documented = {}
    for line in lines:
        group, *cells = (cell.strip() for cell in line.strip("| ").split("|"))
        documented[group] = {level: tuple(cell.split(", ")) for level, cell in zip(levels, cells, strict=True)}
    groups = REPORTS[table.partition("_")[2]].metric_groups
    assert {group: dict(by_level) for group, by_level in groups.items()} == documented
