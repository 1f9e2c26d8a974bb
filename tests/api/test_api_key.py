"""The API key goes to the configured origin only, never unencrypted, and into no message, log or repr."""

from __future__ import annotations

import io
import traceback
from pathlib import Path

import httpx
import pytest

from sei_provider.api import Export, SeiClient, SeiConnectionError, SeiError, SeiInputError, SeiReplyError
from sei_provider.api.base_client import BaseClient
from sei_provider.api.redaction import redacting, sanitize
from tests.api.conftest import BASE_URL, DONE, SETTINGS, MakeClient, answering, export_request
from tests.api.raw_server import raw_server, reset, said

KEY = "pat.acme.sesame-open-1234"


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_no_redirect_takes_the_key_to_another_server(client_to: MakeClient, status: str) -> None:
    with raw_server(said(DONE)) as other:
        away = f"Location: {other.base_url}/v2/x\r\n"
        with raw_server(said(b"", status=status, headers=away)) as configured:
            client = client_to(configured.base_url, api_key=KEY)
            for ask in (
                lambda: client.create_export(export_request()),
                lambda: client.get_export("sprint", "exp_1"),
                lambda: client.download_export(Export.from_reply("sprint", DONE), io.BytesIO()),
                lambda: client.run_report(export_request("team_report"), io.BytesIO()),
                lambda: list(client.list_exports("sprint")),
            ):
                with pytest.raises(SeiError, match="login page"):
                    ask()
            assert len(configured.requests) == 5
        assert other.requests == []


def test_no_link_takes_the_key_to_another_server(client_to: MakeClient) -> None:
    with raw_server(said(b"Team\n")) as other, raw_server(said(b"Team\n")) as configured:
        host = other.base_url.removeprefix("http://")
        own = configured.base_url.removeprefix("http://")
        for link in (
            f"{other.base_url}/v2/x",
            f"//{host}/v2/x",
            f"@{host}/v2/x",
            f"http://{own}@{host}/v2/x",
            f"{configured.base_url}@{host}/v2/x",
            f"/v2/..%2f..%5c{host}",
            f"/v2\\..\\..\\{host}",
        ):
            client = client_to(configured.base_url, api_key=KEY)
            with pytest.raises(SeiReplyError, match="leads elsewhere"):
                client.download_export(Export.from_reply("sprint", DONE | {"downloadUrl": link}), io.BytesIO())
        assert (other.requests, configured.requests) == ([], [])


@pytest.mark.parametrize(
    "url",
    ["http://sei.test", "http://127.0.0.1.sei.test", "http://localhost.sei.test", "http://10.0.0.1", "HTTP://sei"],
)
def test_http_to_another_machine_is_refused_saying_how_to_allow_it(url: str) -> None:
    with pytest.raises(SeiInputError, match=r"would send the API key unencrypted; use https.*extra allow_http to true"):
        BaseClient(**SETTINGS, base_url=url)
    assert BaseClient(**SETTINGS, base_url=url, allow_http=True).base_url.startswith("http://")


@pytest.mark.parametrize(
    "url", ["http://localhost:1", "http://127.0.0.1", "http://127.1.2.3:8765/x", "http://[::1]:80"]
)
def test_http_to_this_machine_needs_no_leave(url: str) -> None:
    BaseClient(**SETTINGS, base_url=url)


def test_a_proxy_of_the_environment_is_not_asked_for_what_is_on_this_machine(
    client_to: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with raw_server(said(DONE)) as proxy, raw_server(said(DONE)) as here:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.base_url.removesuffix("/prod1/sei/api"))
        client_to(here.base_url).get_export("sprint", "exp_1")
        assert (len(proxy.requests), len(here.requests)) == (0, 1)
        client_to("http://sei.test", allow_http=True).get_export("sprint", "exp_1")
        assert "GET http://sei.test/v2" in proxy.requests[0], "elsewhere it is the company's way out"


def test_a_netrc_does_not_replace_the_key(
    client_to: MakeClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("default login somebody password something\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    answer, asked = answering(httpx.Response(200, json=DONE))
    client_to(answer).get_export("sprint", "exp_1")
    with raw_server(said(DONE)) as server:
        client_to(server.base_url).get_export("sprint", "exp_1")
        assert "authorization: apikey sandbox" in server.requests[0].lower()
    assert asked[0].headers["authorization"] == "ApiKey sandbox"


@pytest.mark.parametrize("key", ["line\nbreak", "line\r\nX-Other: 1", "schlüssel", "tab\tin", "null\x00"])
@pytest.mark.parametrize("name", ["api_key", "account_identifier"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(name: str, key: str) -> None:
    with pytest.raises(
        SeiInputError, match=f"{name} contains characters that are not allowed in an HTTP header"
    ) as refused:
        BaseClient(**SETTINGS | {name: key}, base_url=BASE_URL)
    assert key not in str(refused.value)


def test_a_key_pasted_with_a_line_break_at_its_end_is_the_key(client_to: MakeClient) -> None:
    answer, asked = answering(httpx.Response(200, json=DONE))
    client_to(answer, api_key=f" {KEY}\n").get_export("sprint", "exp_1")
    assert asked[0].headers["authorization"] == f"ApiKey {KEY}"


def test_a_key_of_nothing_but_spaces_is_missing() -> None:
    with pytest.raises(SeiInputError, match="api_key is missing"):
        BaseClient(**SETTINGS | {"api_key": " \n"}, base_url=BASE_URL)


def test_a_base_url_with_a_password_is_refused_without_showing_it() -> None:
    with pytest.raises(SeiInputError, match=r"'https://sei.test' is not a base URL") as refused:
        BaseClient(**SETTINGS, base_url="https://somebody:secret@sei.test")
    assert "secret" not in str(refused.value)


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(400, json={"message": f"no such header: authorization: ApiKey {KEY}"}),
        httpx.Response(400, content=f'{{"message": "{KEY}"'.replace("sesame", "\\u0073esame").encode() + b"}"),
        httpx.Response(403, text=f"ApiKey {KEY} may not"),
        httpx.Response(500, json={"error": {"code": KEY}}),
        httpx.Response(400, json={"correlationId": KEY}),
        httpx.Response(400, headers={"x-request-id": KEY}),
        httpx.Response(200, text=f"ApiKey {KEY} is known"),
        httpx.Response(200, text=f'{{"key": "{KEY}'),
        httpx.Response(200, json={KEY: 1}),
        httpx.Response(200, json=DONE | {"status": KEY}),
        httpx.Response(200, json=DONE | {"createdAt": KEY}),
        httpx.Response(200, json=DONE | {"downloadUrl": f"\n{KEY}"}),
        httpx.Response(200, headers={"content-encoding": KEY}),
        httpx.RemoteProtocolError(f"illegal header line: ApiKey {KEY}"),
    ],
)
def test_a_key_that_comes_back_is_not_repeated(client_to: MakeClient, answer: httpx.Response | Exception) -> None:
    client = client_to(answering(answer)[0], api_key=KEY)
    with pytest.raises(SeiError) as refused:
        client.get_export("sprint", "exp_1")
    error = refused.value
    told = [str(error), repr(error), str(getattr(error, "server_message", "")), str(getattr(error, "request_id", ""))]
    assert "sesame" not in "".join(told)


def test_a_key_in_a_failures_own_words_is_not_repeated(client_to: MakeClient) -> None:
    answer, _ = answering(httpx.Response(200, json=DONE | {"status": "failed", "error": f"ApiKey {KEY} expired"}))
    export = client_to(answer, api_key=KEY).get_export("sprint", "exp_1")
    assert export.error == "ApiKey <key> expired"


@pytest.mark.usefixtures("no_waiting")
def test_nothing_that_a_debugger_or_a_report_of_an_error_shows_holds_the_key(client_to: MakeClient) -> None:
    client = SeiClient(**SETTINGS | {"api_key": KEY}, base_url=BASE_URL)
    assert "sesame" not in repr(client) + repr(vars(client))
    with raw_server(reset()) as server:
        for ask in (
            lambda client: client.get_export("sprint", "exp_1"),
            lambda client: client.run_report(export_request("team_report"), io.BytesIO()),
        ):
            with pytest.raises(SeiConnectionError) as lost:
                ask(client_to(server.base_url, api_key=KEY))
            assert "sesame" not in "".join(traceback.format_exception(lost.value))
            assert "sesame" not in repr(vars(lost.value)) + repr(lost.value.__cause__)


def test_server_words_of_any_length_are_masked_and_cut_in_no_time() -> None:
    with redacting(KEY):
        assert sanitize(f"{KEY} of developer-1-01@example.com") == "<key> of <e-mail>"
        for words in (
            "x" * 10_000_000,
            "a@" * 100_000,
            "x" * 299 + KEY + "y" * 10_000,
            "developer-1-01@example.com " * 10_000,
            " " * 100_000,
        ):
            shown = sanitize(words)
            assert len(shown) <= 301
            assert "example" not in shown
            assert "sesame" not in shown
    assert sanitize(KEY) == KEY, "outside, nothing is hidden"
