"""The hook and the provider's metadata, as Airflow finds and uses them."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from airflow.sdk._shared.secrets_masker import redact

from sei_provider.api import SeiInputError
from sei_provider.api.endpoints import get_export
from sei_provider.hooks import sei
from sei_provider.hooks.sei import SeiHook
from sei_provider.provider_info import get_provider_info
from sei_provider.sandbox.server import serve
from sei_provider.testing import connect


def test_the_connection_test_accepts_a_good_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(teams=1) as sandbox:
        connect(monkeypatch, sandbox.base_url)
        assert SeiHook().test_connection() == (True, "SEI answered and accepted the API key")


def test_the_connection_test_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(teams=1) as sandbox:
        connect(monkeypatch, sandbox.base_url, password="sesame-open")
        good, words = SeiHook().test_connection()
    assert not good
    assert "HTTP 401" in words
    assert "sesame" not in words
    connect(monkeypatch, "http://127.0.0.1:1", project_identifier=None)
    assert SeiHook().test_connection() == (False, "the connection 'sei_default' needs a value for: project_identifier")


@pytest.mark.parametrize(
    ("host", "base_url"),
    [
        ("app.harness.io", "https://app.harness.io"),
        ("app.harness.io/prod1/sei/api/", "https://app.harness.io/prod1/sei/api"),
        ("https://accounts.eu.harness.io/sei/api", "https://accounts.eu.harness.io/sei/api"),
        ("http://localhost:8765", "http://localhost:8765"),
    ],
)
def test_the_host_is_a_host_or_a_base_url_with_its_path(
    monkeypatch: pytest.MonkeyPatch, host: str, base_url: str
) -> None:
    connect(monkeypatch, host)
    with SeiHook().get_conn() as client:
        assert client.base_url == base_url


def test_a_machine_takes_its_share_of_the_keys_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "https://sei.test", requests_per_minute=4, machines=2)
    with SeiHook().get_conn() as client:
        taken = [client._limit.try_acquire() == 0.0 for _ in range(3)]
    assert taken == [True, True, False]


@pytest.mark.parametrize("name", ["metriclevl", "level", "metric_level", " ", 1])
def test_a_misspelled_level_field_is_an_error_with_its_two_names(monkeypatch: pytest.MonkeyPatch, name: object) -> None:
    """A cluster passes over a field that it does not know, and sends developers' rows for teams."""
    connect(monkeypatch, "https://sei.test", level_field=name)
    words = rf"'sei_default' has an unknown level_field {name!r}; .* are: metricLevel, aggregationLevel"
    with pytest.raises(SeiInputError, match=words):
        SeiHook().get_conn()
    assert SeiHook().test_connection()[0] is False


def test_the_form_offers_the_two_names_of_the_level() -> None:
    (described,) = get_provider_info()["connection-types"]
    assert described["conn-fields"]["level_field"]["schema"]["enum"] == ["metricLevel", "aggregationLevel"]


@pytest.mark.parametrize("name", ["aggregationlevel", "aggregationLevel "])
def test_the_level_field_may_be_written_in_any_case(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    connect(monkeypatch, "https://sei.test", level_field=name)
    with SeiHook().get_conn() as client:
        assert client._names["level_field"] == "aggregationLevel"


def test_a_ca_bundle_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "https://sei.test", ca_bundle="/nowhere.pem")
    with pytest.raises(SeiInputError, match=r"ca_bundle '/nowhere.pem'"):
        SeiHook().get_conn()


def test_machines_that_count_in_redis_do_not_divide_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked of Redis before the first call, so none has to run here."""
    connect(monkeypatch, "https://sei.test", requests_per_minute=4, machines=2, rate_limit_url="redis://127.0.0.1:1/0")
    with SeiHook().get_conn() as client:
        assert (client._limit._at_most, type(client._limit).__name__) == (4, "RedisLimit")


@pytest.mark.parametrize("url", ["redis.example.com", "http://:hidden-word@redis.example.com"])
def test_a_rate_limit_url_that_is_none_is_an_error_without_it(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    connect(monkeypatch, "https://sei.test", rate_limit_url=url)
    with pytest.raises(SeiInputError, match="rate_limit_url is not a Redis URL") as refused:
        SeiHook().get_conn()
    assert "hidden-word" not in str(refused.value)


@pytest.mark.parametrize(("allowed", "good"), [(True, True), ("true", True), (None, False), (False, False)])
def test_the_key_is_sent_in_the_clear_only_where_the_connection_allows_it(
    monkeypatch: pytest.MonkeyPatch, allowed: object, good: bool
) -> None:
    connect(monkeypatch, "http://sei.test", allow_http=allowed)
    if good:
        SeiHook().get_conn().close()
        return
    with pytest.raises(SeiInputError, match="allow_http"):
        SeiHook().get_conn()


def test_allow_http_is_true_or_false(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "http://sei.test", allow_http="perhaps")
    assert SeiHook().test_connection() == (
        False,
        "the connection 'sei_default' has allow_http='perhaps'; it must be true or false",
    )


def test_the_connection_test_looks_at_week_and_time_zone_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(teams=1) as sandbox:
        connect(monkeypatch, sandbox.base_url, timezone="Mars/Phobos")
        good, words = SeiHook().test_connection()
        assert sandbox.requests() == []
    assert (good, "Mars/Phobos" in words) == (False, True)


def test_the_address_of_a_call_holds_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "app.harness.io/prod1/sei/api/", password="sesame-open")
    assert SeiHook().get_url(get_export("sprint", "exp_1")) == (
        "https://app.harness.io/prod1/sei/api/v2/insights/sprints/exports/exp_1?projectIdentifier=web&orgIdentifier=acme"
    )


@pytest.mark.parametrize(
    ("host", "page"),
    [
        ("app.harness.io/prod1/sei/api/", "https://app.harness.io"),
        ("https://accounts.eu.harness.io/sei/api", "https://accounts.eu.harness.io"),
        ("https://sei.example.com:8443/gateway/sei/api", "https://sei.example.com:8443"),
    ],
)
def test_issue_17_a_teams_page_is_on_the_connections_host_without_key_or_identifiers(
    monkeypatch: pytest.MonkeyPatch, host: str, page: str
) -> None:
    connect(monkeypatch, host, password="sesame-open", account_identifier="acc")
    found = SeiHook().get_page("dora", "team a/b&key=1")
    assert found == f"{page}/ng/account/acc/module/sei/insights/dora?collectionId=team+a%2Fb%26key%3D1"


@pytest.mark.parametrize("account", [None, "", "..", "a/b", "a?b=c", "a#b", "a b", "@elsewhere.example", "\\host"])
def test_issue_17_what_is_no_account_has_no_page(monkeypatch: pytest.MonkeyPatch, account: str | None) -> None:
    connect(monkeypatch, "https://sei.test", account_identifier=account)
    assert SeiHook().get_page("dora", "11") is None


@pytest.mark.parametrize("open_it", [SeiHook.get_conn, SeiHook.aget_conn])
async def test_whoever_logs_a_secret_of_the_connection_logs_stars(
    monkeypatch: pytest.MonkeyPatch, open_it: Callable[[SeiHook], Any]
) -> None:
    """Airflow masks what it was told of; that it was is all that depends on us."""
    name = open_it.__name__
    password = f"{name}:pass/word"
    secrets = [f"{name}-sesame", f"{name}-pepper-and-salt", password, quote(password, safe="")]
    connect(
        monkeypatch,
        "https://sei.test",
        password=secrets[0],
        personal_data_secret=secrets[1],
        rate_limit_conn_id="counter",
    )
    counter = {"conn_type": "redis", "host": "127.0.0.1", "port": 1, "login": "user", "password": password}
    monkeypatch.setenv("AIRFLOW_CONN_COUNTER", json.dumps(counter))
    opened = open_it(SeiHook())
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(opened) if name == "aget_conn" else stack.enter_context(opened)
    assert redact(" ".join(f"<{secret}>" for secret in secrets)) == "<***> <***> <***> <***>"


def test_airflow_3_1_is_given_the_same_form_as_later_ones_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow 3.1 puts fields of its own in place of those of wtforms, which need not be installed."""
    fields = {name: made(name) for name in ("StringField", "IntegerField", "BooleanField", "PasswordField")}
    monkeypatch.setitem(sys.modules, "wtforms", SimpleNamespace(**fields))
    (described,) = get_provider_info()["connection-types"]
    widgets = SeiHook.get_connection_form_widgets()
    assert list(widgets) == list(described["conn-fields"])
    assert widgets["org_identifier"] == ("StringField", "Organization identifier", None)
    assert widgets["requests_per_minute"] == ("IntegerField", "Requests per minute", 400)
    assert widgets["allow_http"] == ("BooleanField", "Allow http", False)
    assert {name for name, (kind, *_) in widgets.items() if kind == "PasswordField"} == {
        "personal_data_secret",
        "rate_limit_url",
    }
    assert SeiHook.get_ui_field_behaviour()["hidden_fields"] == described["ui-field-behaviour"]["hidden-fields"]
    assert SeiHook.get_ui_field_behaviour()["relabeling"]["password"] == "API key"


def made(kind: str) -> Callable[..., tuple[str, str, object]]:
    def field(label: str, *, description: str, default: object) -> tuple[str, str, object]:
        assert description
        return kind, label, default

    return field


def test_every_extra_that_the_hook_reads_is_in_the_form() -> None:
    (described,) = get_provider_info()["connection-types"]
    read = set(
        re.findall(r"""extra(?:_dejson)?(?:\.get\(|\[)["'](\w+)["']""", Path(sei.__file__).read_text(encoding="utf-8"))
    )
    assert read == set(described["conn-fields"])


def airflow(*arguments: str, home: Path) -> str:
    environment = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PATH": str(Path(sys.executable).parent),
    }
    command = [sys.executable, "-m", "airflow", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_airflow_discovers_the_provider_and_takes_connections_of_its_type(tmp_path: Path) -> None:
    provider = json.loads(
        airflow("providers", "get", "airflow-provider-sei", "--full", "--output", "json", home=tmp_path)
    )
    assert "sei_provider.hooks.sei.SeiHook" in json.dumps(provider)
    airflow("db", "migrate", home=tmp_path)
    airflow(
        *("connections", "add", "sei_default", "--conn-type", "sei", "--conn-host", "https://sei.test/api"),
        *("--conn-password", "sesame-open", "--conn-extra", '{"org_identifier": "acme", "project_identifier": "web"}'),
        home=tmp_path,
    )
    printed = airflow("connections", "get", "sei_default", "--output", "json", home=tmp_path)
    connection = json.loads(printed.splitlines()[-1])[0]  # 3.2.2 logs to the same stream before it
    assert (connection["conn_type"], connection["host"]) == ("sei", "https://sei.test/api")
