"""A connection of type `sei` however it is written: one reading for form, JSON and URI, or an error that helps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import Connection

from sei_provider.api import SeiInputError
from sei_provider.hooks.connection import base_url, parse_extra
from sei_provider.hooks.permanent import no_retry_if_permanent
from sei_provider.hooks.sei import SeiHook
from sei_provider.sandbox.server import serve
from sei_provider.testing import connect
from tests.operators.conftest import Task

IDENTIFIERS = "org_identifier=acme&project_identifier=web"
PROD = "https://app.harness.io/prod1/sei/api"
WITH_PORT = "https://app.harness.io:8443/prod1/sei/api"


def written(**fields: Any) -> Connection:
    return Connection(conn_id="sei_default", conn_type="sei", **fields)


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"host": PROD}, PROD),
        ({"host": "app.harness.io/prod1/sei/api/"}, PROD),
        ({"host": "https://app.harness.io", "schema": "prod1/sei/api"}, PROD),
        ({"host": "app.harness.io", "schema": "/prod1/sei/api/"}, PROD),
        ({"host": "app.harness.io/", "schema": "prod1//sei/api"}, PROD),
        ({"host": PROD, "schema": "prod1/sei/api"}, PROD),
        ({"host": "app.harness.io/prod1/sei/api", "schema": "https"}, PROD),
        ({"host": "https://app.harness.io:8443/prod1/sei/api/"}, WITH_PORT),
        ({"host": PROD, "port": 8443}, WITH_PORT),
        ({"host": "app.harness.io/prod1/sei/api", "port": 8443}, WITH_PORT),
        ({"host": "app.harness.io:8443", "port": 8443, "schema": "prod1/sei/api"}, WITH_PORT),
        ({"host": "http://localhost", "port": 8765}, "http://localhost:8765"),
        ({"host": "localhost:8765", "schema": "http"}, "http://localhost:8765"),
        ({"host": "::1", "port": 8765, "schema": "sei/api"}, "https://[::1]:8765/sei/api"),
        ({"host": "http://[::1]:8765/"}, "http://[::1]:8765"),
        ({"host": "http://::1", "port": 8765}, "http://[::1]:8765"),
    ],
)
def test_host_port_and_path_may_stand_in_their_own_fields_or_in_the_host(fields: dict[str, Any], url: str) -> None:
    connection = written(**fields)
    assert base_url(connection) == url
    assert base_url(Connection.from_uri(connection.get_uri(), conn_id="sei_default")) == url, "as Airflow writes it"


@pytest.mark.parametrize(
    ("uri", "url"),
    [
        (f"sei://:key@app.harness.io/prod1/sei/api?{IDENTIFIERS}", PROD),
        (f"sei://:key@app.harness.io/prod1/sei/api/?{IDENTIFIERS}", PROD),
        (f"sei://https://:key@app.harness.io/prod1/sei/api?{IDENTIFIERS}", PROD),
        (f"sei://:key@app.harness.io%2Fprod1%2Fsei%2Fapi/?{IDENTIFIERS}", PROD),
        (f"sei://:key@https%3A%2F%2Fapp.harness.io%2Fprod1%2Fsei%2Fapi?{IDENTIFIERS}", PROD),
        (f"sei://:key@app.harness.io/prod1%2Fsei%2Fapi?{IDENTIFIERS}", PROD),
        (f"sei://:key@app.harness.io:8443/prod1/sei/api?{IDENTIFIERS}", WITH_PORT),
        (f"sei://:key@app.harness.io%3A8443%2Fprod1%2Fsei%2Fapi?{IDENTIFIERS}", WITH_PORT),
        (f"sei://:key@app.harness.io%2Fprod1%2Fsei%2Fapi:8443?{IDENTIFIERS}", WITH_PORT),
        (f"sei://https://:key@app.harness.io:8443/prod1/sei/api?{IDENTIFIERS}", WITH_PORT),
        (f"sei://:key@[::1]:8443/sei/api?{IDENTIFIERS}", "https://[::1]:8443/sei/api"),
    ],
)
def test_the_path_of_a_uri_counts(monkeypatch: pytest.MonkeyPatch, uri: str, url: str) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SEI_DEFAULT", uri)
    with SeiHook().get_conn() as client:
        assert client.base_url == url


def test_a_uri_with_a_path_and_numbers_reaches_sei_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(teams=1) as sandbox:
        host = sandbox.base_url.removeprefix("http://")
        more = "requests_per_minute=100&machines=2&allow_http=True&week_starts_on=sunday&account_identifier=5"
        monkeypatch.setenv("AIRFLOW_CONN_SEI_DEFAULT", f"sei://http://:sandbox@{host}?{IDENTIFIERS}&{more}")
        assert SeiHook().test_connection() == (True, "SEI answered and accepted the API key")
        with SeiHook().get_conn() as client:
            assert client._limit._at_most == 50
            assert client._account_identifier == "5"
        assert SeiHook().get_calendar().week_starts_on == 6
        monkeypatch.setenv("AIRFLOW_CONN_SEI_DEFAULT", f"sei://http://:sandbox@{host}/prod1?{IDENTIFIERS}")
        good, words = SeiHook().test_connection()
        assert not good
        assert "HTTP 404" in words, "nothing lies at that path"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"host": "https://h", "schema": "http"}, "names its scheme twice"),
        ({"host": "h:8443", "port": 443}, "names its port twice, as '8443' in the host and as '443'"),
        ({"host": "h/prod1", "schema": "gratis"}, "names its path twice, as '/prod1' in the host and as '/gratis'"),
        ({"host": "h", "port": 70000}, "has the port 70000"),
        ({"host": "h", "port": -1}, "has the port -1"),
        ({"host": "h:x"}, "which is not a host and port"),
        ({"host": "[::1"}, "which is not a host and port"),
        ({"host": "user:word@h"}, "user or password in its host"),
        ({"host": "ftp://h"}, "is not a base URL"),
        ({"host": "h?x=1"}, "is not a base URL"),
        ({"host": "https://"}, "is not a base URL"),
        ({"host": "https://https://h"}, "names a scheme twice"),
        ({"host": "h", "schema": "https://h/prod1"}, "names a scheme twice"),
        ({"host": "h/../prod1"}, "has the path"),
        ({"host": "h", "schema": "prod1 /sei"}, "has the path"),
        ({"host": "h", "login": "key", "password": None}, "sei://:KEY@host/path"),
        ({"host": "  "}, "needs a value for: host"),
    ],
)
def test_an_address_that_says_two_things_or_none_is_refused(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], words: str
) -> None:
    extra = {"org_identifier": "acme", "project_identifier": "web"}
    given = {"conn_type": "sei", "password": "sesame-open", "extra": extra} | fields
    monkeypatch.setenv("AIRFLOW_CONN_SEI_DEFAULT", json.dumps(given))
    good, said = SeiHook().test_connection()
    assert (good, words in said) == (False, True), said
    assert "sesame" not in said
    assert "word@" not in said


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"week_start_on": "sunday"}, "unknown extras: 'week_start_on' (is it week_starts_on?)"),
        ({"weekStartsOn": "sunday"}, "(is it week_starts_on?)"),
        ({"Timezone": "UTC"}, "'Timezone' (is it timezone?)"),
        ({"time_zone": "UTC"}, "(is it timezone?)"),
        ({"extra__sei__org_identifier": "acme"}, "(is it org_identifier?)"),
        ({"orgIdentifier": "acme"}, "(is it org_identifier?)"),
        ({"request_per_minute": 5}, "(is it requests_per_minute?)"),
        ({"verify": False}, "unknown extras: 'verify'; the extras are: org_identifier, project_identifier"),
        ({"timezone": "europe/berlin"}, "unknown timezone 'europe/berlin'; use a name like Europe/Berlin"),
        ({"timezone": "Europe"}, "unknown timezone 'Europe'"),
        ({"timezone": "../UTC"}, "unknown timezone"),
        ({"timezone": ["UTC"]}, "has an extra timezone that is not text"),
        ({"timezone": 5}, "unknown timezone '5'"),
        ({"week_starts_on": "Caturday"}, "no weekday is called 'Caturday'"),
        ({"week_starts_on": 0}, "no weekday is called '0'"),
        ({"week_starts_on": True}, "has an extra week_starts_on that is not text"),
        ({"requests_per_minute": -400}, "has requests_per_minute=-400"),
        ({"requests_per_minute": 0}, "has requests_per_minute=0"),
        ({"requests_per_minute": 10**9}, "leave each machine at least 1, and 1,000,000 at most"),
        ({"requests_per_minute": "many"}, "has requests_per_minute='many'"),
        ({"requests_per_minute": "4_00"}, "has requests_per_minute='4_00'"),
        ({"requests_per_minute": True}, "has requests_per_minute=True"),
        ({"requests_per_minute": 0.5}, "has requests_per_minute=0.5"),
        ({"requests_per_minute": float("nan")}, "has requests_per_minute=nan"),
        ({"requests_per_minute": [400]}, "has requests_per_minute="),
        ({"machines": "-1"}, "has machines='-1'"),
        ({"machines": 30_000}, "must be whole numbers that leave each machine at least 1"),
        ({"allow_http": 1}, "has allow_http=1; it must be true or false"),
        ({"allow_http": "yes"}, "has allow_http='yes'; it must be true or false"),
        ({"level_field": "level"}, "unknown level_field 'level'"),
        ({"org_identifier": {"id": "acme"}}, "has an extra org_identifier that is not text"),
        ({"org_identifier": " "}, "needs a value for: org_identifier"),
        ({"account_identifier": 1.5}, "has an extra account_identifier that is not text"),
        ({"ca_bundle": True}, "has an extra ca_bundle that is not text"),
        ({"rate_limit_url": ["redis://:sesame-open@h"]}, "has an extra rate_limit_url that is not text"),
    ],
)
def test_an_extra_that_is_unknown_or_makes_no_sense_is_an_error_that_helps(
    monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any], words: str
) -> None:
    connect(monkeypatch, "http://127.0.0.1:1", **extra)
    good, said = SeiHook().test_connection()
    assert (good, words in said) == (False, True), said
    assert "sesame" not in said


@pytest.mark.parametrize(
    "extra", ["{", "[]", '"text"', "5", "{'org_identifier': 'acme'}", '{"machines": 1, "machines": 2}']
)
def test_extras_that_are_no_json_object_are_refused_without_quoting_them(
    monkeypatch: pytest.MonkeyPatch, extra: str
) -> None:
    with pytest.raises(SeiInputError, match="is not a JSON object") as refused:
        parse_extra(written(password="sesame-open", extra=extra))
    assert len(extra) < 3 or extra not in str(refused.value)
    connection = {"conn_type": "sei", "host": "https://sei.test", "password": "sesame-open", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_SEI_DEFAULT", json.dumps(connection))
    good, said = SeiHook().test_connection()
    # Airflow 3.1 itself does not read such a connection, and says that there is none.
    unread = "is not a JSON object" in said or "a value there that Airflow cannot read counts as none" in said
    assert (good, unread, "sesame" in said) == (False, True, False), said


@pytest.mark.parametrize(
    ("extra", "read"),
    [
        ({"requests_per_minute": "400"}, 400),
        ({"requests_per_minute": " 400 "}, 400),
        ({"requests_per_minute": 400.0}, 400),
        ({"requests_per_minute": ""}, 400),
        ({"requests_per_minute": None, "timezone": "", "week_starts_on": None, "allow_http": "", "machines": ""}, 400),
    ],
)
def test_a_number_is_a_number_and_an_empty_field_is_none(
    monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any], read: int
) -> None:
    extras = {"org_identifier": 5, "project_identifier": " web ", "account_identifier": 7} | extra
    connection = {"conn_type": "sei", "host": "https://sei.test", "password": "sandbox", "extra": extras}
    monkeypatch.setenv("AIRFLOW_CONN_SEI_DEFAULT", json.dumps(connection))
    assert SeiHook().get_requests_per_minute() == read
    with SeiHook().get_conn() as client:
        assert client._params == {"projectIdentifier": "web", "orgIdentifier": "5"}


def test_without_a_connection_a_task_ends_at_once_and_says_where_to_make_one(tmp_path: Path) -> None:
    task = Task(tmp_path, state=None, sei_conn_id="nowhere")
    with pytest.raises(AirflowFailException, match=r"there is no connection 'nowhere'.*AIRFLOW_CONN_NOWHERE"):
        task.run()
    assert "there is no connection 'nowhere'" in task.pushed["error"], "publish hands it to the check"
    with pytest.raises(AirflowFailException, match="there is no connection 'nowhere'"), no_retry_if_permanent():
        SeiHook("nowhere").list_teams()
    assert SeiHook("nowhere").test_connection()[0] is False


async def test_without_a_connection_a_trigger_tells_it_as_permanent(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SeiInputError, match="there is no connection 'nowhere'") as refused:
        async with SeiHook("nowhere").aget_conn():
            pass
    assert refused.value.is_permanent
