"""The example `sei_freshness` on the sandbox: green after a whole night, otherwise a mail that names the team."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from email import message_from_string, policy
from pathlib import Path

import pytest
from airflow import __version__
from airflow.sdk import DAG
from packaging.version import Version

from sei_provider.sandbox.control import SandboxControl
from tests.dags.test_docs_runs import Smtp, listening

pytest_plugins = ["sei_provider.testing"]

DAGS = Path(__file__).parents[2] / "dags"
NIGHT = datetime(2026, 3, 18, 3, 0, tzinfo=UTC)


@pytest.mark.slow
@pytest.mark.usefixtures("sei_lake")
def test_it_is_green_after_a_whole_night_and_mails_what_another_one_lacks(
    sei_sandbox: SandboxControl, sei_dag: Callable[..., DAG], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_SEI_REPORTS", '["sprint"]')
    monkeypatch.setenv("AIRFLOW_VAR_SEI_TEAMS", '["11", "12"]')
    monkeypatch.syspath_prepend(DAGS)
    nightly, fresh = sei_dag(DAGS / "sei_nightly.py"), sei_dag(DAGS / "sei_freshness.py")
    assert nightly.test(run_after=NIGHT).state == "success"
    assert fresh.test(run_after=NIGHT).state == "success"
    monkeypatch.setenv("AIRFLOW_VAR_SEI_TEAMS", '["11", "12", "13"]')
    with listening(Smtp) as (port, mails):
        plain = {"disable_ssl": True, "disable_tls": True}
        connection = {"conn_type": "smtp", "host": "127.0.0.1", "port": port, "extra": plain}
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(connection))
        monkeypatch.setenv("AIRFLOW_VAR_SEI_ALARM_EMAIL", "data-team@example.com")
        assert fresh.test(run_after=NIGHT.replace(minute=2)).state == "failed"
    mail = message_from_string(mails[0], policy=policy.default)
    assert (mail["Subject"], len(mails)) == ("sei_freshness: figures of SEI are late", 1)
    if Version(__version__) >= Version("3.3"):  # There dag.test() gives callbacks no `exception`.
        said = mail.get_body().get_content()  # type: ignore[union-attr]
        assert "by 2026-03-18T08:00+00:00, 1 of 3 scopes lacks complete figures" in said
        assert "team:13" in said
