"""Both clients against the sandbox over a real socket, and against answers that the sandbox does not give."""

from __future__ import annotations

import csv
import gzip
import io
import ssl
from collections.abc import Iterator
from typing import Any

import certifi
import httpx
import pytest

from sei_provider.api import (
    AsyncSeiClient,
    Export,
    ExportStatus,
    SeiAuthError,
    SeiBadRequestError,
    SeiClient,
    SeiConnectionError,
    SeiDownloadError,
    SeiInputError,
    SeiNotFoundError,
    SeiReplyError,
)
from sei_provider.api.base_client import BaseClient
from sei_provider.sandbox.control import SandboxControl
from tests.api.conftest import BASE_URL, SETTINGS, MakeClient, answering, export_request

REPORTS = ["productivity", "sprint", "business_alignment", "efficiency", "time_in_status"]
CREATED = {"exportId": "exp_1", "createdAt": "2026-01-01T00:00:00Z"}


def completed(**fields: Any) -> Export:
    return Export.from_reply("productivity", CREATED | {"status": "completed"} | fields)


@pytest.mark.parametrize("report", REPORTS)
def test_an_export_is_created_followed_and_downloaded(
    client_to: MakeClient, sandbox: SandboxControl, report: str
) -> None:
    client = client_to(sandbox.base_url)
    export = client.create_export(export_request(report))
    seen = client.get_export(report, export.id)
    assert seen.status is ExportStatus.COMPLETED  # rows 2, 4: three spellings of status and link, one meaning
    file = io.BytesIO()
    assert client.download_export(seen, file) == len(file.getvalue()) > 0
    assert file.getvalue() == sandbox.bytes(export.id)
    text = file.getvalue() if file.getvalue()[:2] != b"\x1f\x8b" else gzip.decompress(file.getvalue())
    rows = list(csv.DictReader(io.StringIO(text.decode("utf-8-sig"))))
    dimensions = {"granularity", "team"} if report == "time_in_status" else {"Team", "Start_Date"}
    assert dimensions <= set(rows[0])


@pytest.mark.parametrize("report", REPORTS)
def test_an_identical_request_is_answered_with_the_existing_export(
    client_to: MakeClient, quiet_sandbox: SandboxControl, report: str
) -> None:
    client = client_to(quiet_sandbox.base_url)
    asked = export_request(report, scope="2", end="2026-05-31")
    first = client.create_export(asked)
    quiet_sandbox.advance(60)
    again = client.create_export(asked)
    assert (again.id, again.reused) == (first.id, True)


def test_rows_17_and_29_every_call_carries_the_documented_headers_and_both_identifiers(client_to: MakeClient) -> None:
    answer, asked = answering(
        httpx.Response(202, json=CREATED),
        httpx.Response(200, json=CREATED | {"status": "completed"}),
        httpx.Response(200, content=b"Team\n"),
    )
    client = client_to(answer, account_identifier="acc")
    client.create_export(export_request())
    client.get_export("productivity", "exp_1")
    client.download_export(completed(), io.BytesIO())
    assert len(asked) == 3
    for request in asked:
        assert request.headers["authorization"] == "ApiKey sandbox"  # row 29
        assert request.headers["content-type"] == "application/json"
        assert request.headers["accept-encoding"] == "identity"
        assert request.headers["harness-account"] == "acc"
        assert dict(request.url.params) == {"projectIdentifier": "web", "orgIdentifier": "acme"}
        assert str(request.url).startswith(f"{BASE_URL}/v2/insights/productivity/exports")


def test_row_1_sprint_is_created_where_the_document_says(client_to: MakeClient) -> None:
    answer, asked = answering(httpx.Response(202, json=CREATED))
    client_to(answer).create_export(export_request("sprint"))
    assert [request.url.path for request in asked] == ["/prod1/sei/api/v2/insights/sprint/exports"]


@pytest.mark.parametrize("status", [404, 405])
def test_row_1_if_that_path_is_unknown_the_plural_is_tried_once_and_remembered_only_if_it_worked(status: int) -> None:
    answer, asked = answering(
        httpx.Response(status), httpx.Response(404), httpx.Response(status), httpx.Response(202, json=CREATED)
    )
    client = SeiClient(**SETTINGS, base_url=BASE_URL, transport=httpx.MockTransport(answer))
    with pytest.raises((SeiNotFoundError, SeiBadRequestError)):
        client.create_export(export_request("sprint"))
    client.create_export(export_request("sprint"))
    client.create_export(export_request("sprint"))
    singular, plural = "/prod1/sei/api/v2/insights/sprint/exports", "/prod1/sei/api/v2/insights/sprints/exports"
    assert [request.url.path for request in asked] == [singular, plural, singular, plural, plural]


def test_row_1_an_unknown_team_of_another_report_is_asked_for_once(client_to: MakeClient) -> None:
    answer, asked = answering(httpx.Response(404, json={"message": "team 9 not found"}))
    with pytest.raises(SeiNotFoundError, match="team 9 not found"):
        client_to(answer).create_export(export_request())
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("link", "path"),
    [
        (
            {"download": {"url": "/v2/insights/productivity/exports/exp_1/download"}},
            "/v2/insights/productivity/exports/exp_1/download",
        ),
        ({"downloadUrl": "/v2/insights/ba/exports/exp_1/download"}, "/v2/insights/ba/exports/exp_1/download"),
        ({}, "/v2/insights/productivity/exports/exp_1/download"),
        ({"downloadUrl": f"{BASE_URL}/v2/elsewhere/exp_1"}, "/v2/elsewhere/exp_1"),
        ({"downloadUrl": "/v2/elsewhere/exp_1?orgIdentifier=other"}, "/v2/elsewhere/exp_1"),
    ],
)
def test_rows_4_and_5_the_link_is_found_in_three_places_and_lies_below_the_base_url(
    client_to: MakeClient, link: dict[str, Any], path: str
) -> None:
    answer, asked = answering(httpx.Response(200, content=b"Team\n"))
    client_to(answer).download_export(completed(**link), io.BytesIO())
    assert asked[0].url.path == "/prod1/sei/api" + path
    assert asked[0].url.params["orgIdentifier"] == "acme"


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.test/v2/x",
        "http://sei.test/prod1/sei/api/v2/x",
        "https://sei.test/v2/x",
        "https://sei.test/prod1/sei/apix/v2",
        "https://sei.test:8443/prod1/sei/api/v2/x",
        "//evil.test/v2/x",
        "/v2/../../x",
        "/v2/%2e%2e/%2E%2E/x",
        "/v2/..%2f..%2fx",
        "v2/x",
        "@evil.test/x",
        "/v2\\..\\x",
    ],
)
def test_row_6_a_link_that_leads_elsewhere_is_refused_before_any_call(client_to: MakeClient, link: str) -> None:
    answer, asked = answering(httpx.Response(200, content=b"Team\n"))
    with pytest.raises(SeiReplyError, match=r"leads elsewhere.*The key is sent to https://sei.test/prod1/sei/api only"):
        client_to(answer).download_export(completed(downloadUrl=link), io.BytesIO())
    assert asked == []


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><title>Sign in</title>", b"  <html><body>login</body></html>"])
@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "text/csv"])
def test_row_24_a_page_is_an_authentication_error_and_never_a_csv(
    client_to: MakeClient, page: bytes, content_type: str
) -> None:
    answer, asked = answering(httpx.Response(200, content=page, headers={"content-type": content_type}))
    client = client_to(answer)
    with pytest.raises(SeiAuthError, match=r"an HTML page instead of data.*Check the API key"):
        client.download_export(completed(), io.BytesIO())
    with pytest.raises(SeiAuthError, match="an HTML page instead of data"):
        client.get_export("productivity", "exp_1")
    assert len(asked) == 2


def test_row_24_a_redirect_is_not_followed(client_to: MakeClient) -> None:
    answer, asked = answering(httpx.Response(302, headers={"location": "https://evil.test/login"}))
    with pytest.raises(SeiAuthError, match=r"HTTP 302.*login page"):
        client_to(answer).get_export("productivity", "exp_1")
    assert [request.url.host for request in asked] == ["sei.test"]


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (
            httpx.Response(400, json={"status": 400, "error": "Bad Request", "message": "no such group"}),
            "no such group",
        ),
        (
            httpx.Response(
                400, json={"status": "ERROR", "code": "X1", "message": "no such group", "correlationId": "c-7"}
            ),
            "no such group (SEI's request id c-7)",
        ),
        (httpx.Response(400, text="no such group"), "no such group"),
        (httpx.Response(400, text="<html><h1>Bad gateway</h1></html>"), "an HTML page"),
        (httpx.Response(400, json=["odd"]), "odd"),
        (httpx.Response(400), "HTTP 400."),
    ],
)
def test_row_25_errors_of_every_shape_are_one_family(
    client_to: MakeClient, response: httpx.Response, words: str
) -> None:
    answer, _ = answering(response)
    with pytest.raises(SeiBadRequestError) as refused:
        client_to(answer).create_export(export_request())
    assert words in str(refused.value)
    assert "create the productivity export of team:1, 2026-01-01 to 2026-02-28" in str(refused.value)
    assert refused.value.status == 400


def test_row_27_what_the_server_says_is_cut_and_holds_no_addresses(client_to: MakeClient) -> None:
    answer, _ = answering(httpx.Response(403, json={"message": "developer-1@example.com may not " + "x" * 2000}))
    with pytest.raises(SeiAuthError) as refused:
        client_to(answer).get_export("productivity", "exp_1")
    assert "example.com" not in str(refused.value)
    assert len(str(refused.value)) < 700


@pytest.mark.parametrize(
    "reply",
    [
        {},
        {"exportId": ""},
        {"exportId": 7},
        {"exportId": "../x"},
        {"exportId": "a/b"},
        CREATED | {"createdAt": None},
        CREATED | {"createdAt": "yesterday"},
        [],
        "exp_1",
        7,
    ],
)
def test_a_reply_without_a_usable_id_or_time_is_an_error(client_to: MakeClient, reply: object) -> None:
    answer, asked = answering(httpx.Response(202, json=reply))
    with pytest.raises(SeiReplyError, match="SEI's reply about"):
        client_to(answer).create_export(export_request())
    assert len(asked) == 1


def test_a_reply_that_is_no_json_is_an_error_that_shows_its_start(client_to: MakeClient) -> None:
    answer, _ = answering(httpx.Response(200, text="Service is starting"))
    with pytest.raises(SeiReplyError, match=r"read the status .* not JSON \(19 bytes, starting 'Service is starting'"):
        client_to(answer).get_export("productivity", "exp_1")


@pytest.mark.usefixtures("no_waiting")
def test_row_21_an_empty_download_is_an_error_for_an_asynchronous_export(client_to: MakeClient) -> None:
    answer, asked = answering(httpx.Response(200, content=b""))
    with pytest.raises(SeiDownloadError, match="empty body; an export without rows still has a header line"):
        client_to(answer).download_export(completed(), io.BytesIO())
    assert len(asked) == 5


@pytest.mark.usefixtures("no_waiting")
def test_a_download_of_another_size_than_told_is_fetched_again(client_to: MakeClient) -> None:
    answer, asked = answering(httpx.Response(200, content=b"Team\nA"), httpx.Response(200, content=b"Team\nAB\n"))
    file = io.BytesIO(b"something older and longer than that")
    assert client_to(answer).download_export(completed(download={"sizeBytes": 8}), file) == 8
    assert file.getvalue() == b"Team\nAB\n"
    assert len(asked) == 2


def test_row_16_bytes_come_as_sei_stored_them_whatever_the_headers_say(client_to: MakeClient) -> None:
    packed = gzip.compress(b"Team\nA\n")
    headers = {"content-encoding": "gzip", "content-type": "text/csv"}
    answer, _ = answering(httpx.Response(200, stream=httpx.ByteStream(packed), headers=headers))
    file = io.BytesIO()
    client_to(answer).download_export(completed(), file)
    assert file.getvalue() == packed


def test_the_wrong_key_is_refused_by_the_sandbox_and_not_shown(client_to: MakeClient, sandbox: SandboxControl) -> None:
    client = client_to(sandbox.base_url, api_key="sesame-open")
    with pytest.raises(SeiAuthError, match=r"HTTP 401.*Check the API key") as refused:
        client.create_export(export_request())
    assert "sesame" not in str(refused.value) + repr(client)


@pytest.mark.parametrize("missing", ["api_key", "org_identifier", "project_identifier"])
def test_a_missing_part_of_every_call_is_named_before_any_call(client_to: MakeClient, missing: str) -> None:
    answer, _ = answering(httpx.Response(500))
    with pytest.raises(SeiInputError, match=f"{missing} is missing"):
        client_to(answer, **{missing: ""}).get_export("productivity", "exp_1")


@pytest.mark.parametrize(
    "url", ["app.harness.io", "ftp://sei.test", "https://", "https://u:p@sei.test", "https://sei.test/?a=b"]
)
def test_what_is_no_base_url_is_refused(url: str) -> None:
    with pytest.raises(SeiInputError, match="is not a base URL"):
        BaseClient(**SETTINGS, base_url=url)


@pytest.mark.usefixtures("no_waiting")
def test_an_answer_that_is_not_whole_in_time_is_a_lost_one(
    client_to: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sei_provider.api.bounds.REPLY_SECONDS", -1.0)
    answer, asked = answering(httpx.Response(200, json=CREATED))
    with pytest.raises(SeiConnectionError, match=r"answer did not begin within|answer was not complete after"):
        client_to(answer).get_export("productivity", "exp_1")
    assert len(asked) == 5


def test_an_endless_reply_is_cut_off(client_to: MakeClient) -> None:
    class Endless(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            while True:
                yield b"x" * 1_000_000

        async def __aiter__(self) -> Any:
            while True:
                yield b"x" * 1_000_000

    answer, _ = answering(httpx.Response(200, stream=Endless()))
    with pytest.raises(SeiReplyError, match="larger than 4194304 bytes"):
        client_to(answer).get_export("productivity", "exp_1")


def test_the_usual_authorities_are_read_once_for_all_clients_and_those_of_the_environment_for_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = {**SETTINGS, "base_url": BASE_URL, "verify": True}
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    SeiClient(**settings)
    read: list[str] = []
    load = ssl.SSLContext.load_verify_locations

    def note(context: ssl.SSLContext, cafile: str | None = None, *others: Any) -> None:
        read.append(str(cafile))
        load(context, cafile, *others)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", note)
    for make in (SeiClient, AsyncSeiClient):
        make(**settings)
    assert read == []
    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
    for make in (SeiClient, AsyncSeiClient):
        make(**settings)
        make(**settings | {"base_url": "http://localhost:1"})
    assert read == [certifi.where()] * 2, "this machine's own address takes nothing from the environment"
