"""`sei_nightly` reads the org trees before and after its exports, if the connection has an account."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import DAG

from sei_provider.lake import read_table
from sei_provider.sandbox.control import SandboxControl
from sei_provider.testing import connect
from tests.dags.conftest import DAGS

pytest_plugins = ["sei_provider.testing"]


@pytest.fixture
def sei_sandbox_options() -> dict[str, Any]:
    return {"teams": 2, "seconds": 0}


@pytest.mark.slow
def test_a_night_lands_the_teams_and_every_row_has_its_teams_id(
    sei_sandbox: SandboxControl, sei_lake: Path, sei_dag: Callable[..., DAG], monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, sei_sandbox.base_url, account_identifier="acc")
    monkeypatch.setenv("AIRFLOW_VAR_SEI_REPORTS", '["sprint"]')
    monkeypatch.syspath_prepend(DAGS)
    run = sei_dag(DAGS / "sei_nightly.py").test()  # type: ignore[attr-defined]
    assert run.state == "success"
    ids = {row["id"]: row["path"] for row in read_table(sei_lake, "teams").to_pylist()}
    rows = read_table(sei_lake, "sprint_team_monthly").to_pylist()
    assert rows
    assert [row["team_hierarchy"] for row in rows if row["team_hierarchy"] != ids.get(row["team_id"])] == []


def test_without_an_account_the_trees_are_not_read(
    load: Callable[[str], ModuleType], sandbox: SandboxControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    common = load("sei_common")
    with pytest.raises(AirflowSkipException, match="no account_identifier"):
        common.skip_without_account({})
    connect(monkeypatch, sandbox.base_url, account_identifier="acc")
    common.skip_without_account({})
