"""The hook and the provider's metadata, as Airflow finds and uses them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sei_provider.api import SeiInputError
from sei_provider.hooks.sei import SeiHook
from sei_provider.sandbox.server import serve
from tests.connections import connect


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
    assert SeiHook().test_connection() == (False, "the connection 'sei_default' of type sei lacks: project_identifier")


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


def test_a_ca_bundle_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "https://sei.test", ca_bundle="/nowhere.pem")
    with pytest.raises(SeiInputError, match=r"ca_bundle '/nowhere.pem'"):
        SeiHook().get_conn()


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
    connection = json.loads(airflow("connections", "get", "sei_default", "--output", "json", home=tmp_path))[0]
    assert (connection["conn_type"], connection["host"]) == ("sei", "https://sei.test/api")
