"""Sources of the example DAGs' teams: a Variable, a file beside them, or SEI's org trees."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from sei_provider.api import SeiAuthError, SeiInputError
from sei_provider.sandbox.data.organisation import Organisation
from sei_provider.sandbox.server import serve
from sei_provider.testing import connect
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
        with pytest.raises(AirflowFailException, match="account_identifier") as refused:
            common.teams.function()
        assert isinstance(refused.value.__cause__, SeiInputError)
        connect(monkeypatch, sandbox.base_url, account_identifier="acc")
        sandbox.fault("forbidden")
        with pytest.raises(AirflowFailException, match="HTTP 403") as refused:
            common.teams.function()
        assert isinstance(refused.value.__cause__, SeiAuthError)


@pytest.mark.parametrize(
    ("text", "batch"),
    [
        ('"12"', ["12"]),
        ("12", ["12"]),
        ('"team_abc123"', ["team_abc123"]),
        ('{"orgTreeName": "Engineering"}', [{"orgTreeName": "Engineering"}]),
        ('[11, "12", {"teamId": 13}]', ["11", "12", "13"]),
        ('["11", 11, " 11 "]', ["11"]),
    ],
)
def test_a_single_scope_in_the_variable_is_a_batch_of_one(
    common: ModuleType, monkeypatch: pytest.MonkeyPatch, text: str, batch: list[Any]
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_SEI_TEAMS", text)
    assert common.teams.function() == [batch]


NO_BATCH = [
    *("['11', '12']", "101,102", "101 102", "101\n102", '"101,102"', "\"['11', '12']\"", "team_abc123", "0101", "["),
    *("", " ", "null", "true", "false", "NaN", "12.0", "0", "-5", "1e3", "[]", "{}", '""', '[""]', "[null]", "[true]"),
    *("[[11, 12], [13]]", "[11.0]", "[0]", '{"teams": ["11"]}', '{"teamId": ""}', '{"teamId": null}', "１２"),
    *('{"teamId": null, "orgTreeName": "Engineering"}', '{"teamId": "1", "teamId": "2"}', '["None"]', "b'12'"),
    *('["11"] ["12"]', "{'teamId': '12'}", '["１２"]', '{"orgTreeName": " "}', '{"orgTreeName": 5}', '["11;12"]'),
]


def test_anything_else_in_the_variable_is_refused_by_its_name_and_never_becomes_the_whole_organisation(
    common: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(teams=2) as sandbox:
        connect(monkeypatch, sandbox.base_url, account_identifier="acc")
        for text in NO_BATCH:
            monkeypatch.setenv("AIRFLOW_VAR_SEI_TEAMS", text)
            with pytest.raises(AirflowFailException, match="the Variable sei_teams"):
                pytest.fail(f"{text!r} became {common.teams.function()}")
        assert sandbox.requests() == []


NO_LIST_OF_IDS = [
    *(("teams:\n- '11'\n", 1), ("12", 1), ('"12"', 1), ("", 1), ("# nothing\n", 1), ("null", 1)),
    *((f"- '11'\n- {plain}\n", 2) for plain in ("0101", "012", "08", "0x1F", "1_000", "12:30", "12.0", "1e+3", "+5")),
    *((f"- '11'\n- {plain}\n", 2) for plain in ("2026-01-01", "no", "yes", "on", "~", "null", "", "0", "-5", "0b11")),
    *((f"# ids\n- {text}\n", 2) for text in ("'11,12'", "11,12", "11 12", "[11, 12]", "\"['11']\"", "''", "None")),
    *((f"- {text}\n", 1) for text in ("{teamId: 0101}", "{teamId: no}", "{team: 5}", "{teamId: 5, teamId: 6}", "{}")),
    *((f"- {text}\n", 1) for text in ("!!python/name:os.system 1", "!!binary MTI=", "*a", "{teamId: [5]}")),
    *(
        ("- &a {teamId: *a}\n", 1),
        ("- '11'\n---\n- '12'\n", 2),
        ("- '11'\n\t- '12'\n", 2),
        ("- &a [*a]\n", 1),
        ("- '11\n", 2),
    ),
]


def test_what_is_no_list_of_ids_in_the_file_is_refused_by_file_and_line(
    common: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(teams=2) as sandbox:
        connect(monkeypatch, sandbox.base_url, account_identifier="acc")
        for text, line in NO_LIST_OF_IDS:
            (tmp_path / "sei_teams.yaml").write_text(text)
            with pytest.raises(AirflowFailException, match=rf"sei_teams\.yaml, line {line}: "):
                pytest.fail(f"{text!r} became {common.teams.function()}")
        assert sandbox.requests() == []


def test_a_file_that_is_missing_by_mistake_is_refused(common: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "sei_teams.yml").write_text("- '11'\n")
    with pytest.raises(AirflowFailException, match=r"sei_teams\.yml is not read"):
        common.teams.function()
    (tmp_path / "sei_teams.yaml").symlink_to(tmp_path / "gone")
    with pytest.raises(AirflowFailException, match=r"sei_teams\.yaml is a link to .*gone, which does not exist"):
        common.teams.function()


def test_a_file_that_cannot_be_read_is_refused(common: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "sei_teams.yaml").write_bytes(b"- '11'\n- '\xff'\n")
    with pytest.raises(AirflowFailException, match=r"sei_teams\.yaml cannot be read"):
        common.teams.function()


def test_ids_in_the_file_are_taken_as_they_are_written(common: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "sei_teams.yaml").write_text(
        "\N{ZERO WIDTH NO-BREAK SPACE}- 11\n- '0101'\n- team_a\n- {teamId: 12}\n- {orgTreeName: 2026}\n",
        encoding="utf-8",
    )
    assert common.teams.function() == [["11", "0101", "team_a", "12", {"orgTreeName": "2026"}]]


def test_an_org_tree_without_a_name_is_refused(common: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_SEI_ORG_TREE", " ")
    with pytest.raises(AirflowFailException, match="sei_org_tree"):
        common.teams.function()
