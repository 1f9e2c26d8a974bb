"""Sources of the example DAGs' teams: a Variable, a file beside them, or SEI's org trees."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from sei_provider.api import SeiAuthError, SeiInputError
from sei_provider.sandbox.data.organisation import Organisation
from sei_provider.sandbox.server import serve
from tests.connections import connect
from tests.dags.conftest import DAGS


@pytest.fixture
def common(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: Callable[[str], ModuleType]) -> ModuleType:
    """`sei_common`, taken for one that lies alone in its folder."""
    common = load("sei_common")
    monkeypatch.setattr(common, "__file__", str(tmp_path / "sei_common.py"))
    return common


def test_a_variable_names_the_teams(common: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_SEI_TEAMS", json.dumps([str(number) for number in range(250)]))
    batches = common.teams.function()
    assert [len(batch) for batch in batches] == [83, 83, 84]
    assert [team for batch in batches for team in batch] == [str(number) for number in range(250)]


def test_a_file_names_the_teams_if_no_variable_does(common: ModuleType, tmp_path: Path) -> None:
    shutil.copy(DAGS / "sei_teams.example.yaml", tmp_path / "sei_teams.yaml")
    assert common.teams.function() == [["101", "102"]]


def test_else_they_are_those_of_all_org_trees(common: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(teams=40) as sandbox:
        connect(monkeypatch, sandbox.base_url, account_identifier="acc")
        (scopes,) = common.teams.function()
    organisation = Organisation(40)
    assert "1" in scopes, "the root is asked for itself"
    assert "11" not in scopes, "a team within a group that fits is asked for with it"
    below = {team.id for scope in scopes if scope != "1" for team in organisation.team(scope).walk()}  # type: ignore[union-attr]
    assert below | {"1"} >= {team.id for tree in organisation.trees for team in tree.root.walk()}


def test_or_of_the_one_that_a_variable_names(common: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_SEI_ORG_TREE", "Research")
    with serve(teams=40) as sandbox:
        connect(monkeypatch, sandbox.base_url, account_identifier="acc")
        assert common.teams.function() == [["2"]]


def test_what_is_wrong_with_the_trees_is_said(common: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(teams=2) as sandbox:
        connect(monkeypatch, sandbox.base_url)
        with pytest.raises(SeiInputError, match="account_identifier"):
            common.teams.function()
        connect(monkeypatch, sandbox.base_url, account_identifier="acc")
        sandbox.fault("forbidden")
        with pytest.raises(SeiAuthError, match="HTTP 403"):
            common.teams.function()
