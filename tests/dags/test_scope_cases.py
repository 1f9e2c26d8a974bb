"""Batches that nobody imagined, from a Variable, a YAML file, the backfill's form and the command line: one rule.

Each is read as what was meant or refused with our error, and never becomes other teams or the whole organization.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from airflow.providers.common.compat.sdk import AirflowFailException, ParamValidationError
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from sei_provider.api import SeiInputError
from sei_provider.api.scopes import parse_batch, parse_label
from sei_provider.hooks.permanent import no_retry_if_permanent
from sei_provider.hooks.scopes import scopes_from_file
from tests.examples import examples
from tests.operators import argument_judge as judge

ENDS: Counter[str] = Counter()
IDS = st.sampled_from(["11", "12", 13, " 14 ", "15\n", "team_a", "0101", "9007199254740993"])
WRONG_IDS = st.sampled_from(
    [
        "-1",
        "١٢",
        "１２",
        "11,12",
        "11 12",
        "['11', '12']",
        "None",
        "null",
        "",
        " ",
        "1.0",
        "12;13",
        "a b",
        "é",
        "11\n12",
    ]
)
WRONG: st.SearchStrategy[Any] = st.sampled_from([0, -3, True, False, None, 1.5, [], {}, ["11"], [["11"]], 2**63, "all"])
MAPPINGS = st.one_of(
    st.builds(lambda team: {"teamId": team}, IDS | WRONG_IDS | WRONG),
    st.builds(lambda tree: {"orgTreeName": tree}, st.sampled_from(["Engineering", "CI/CD: a", "", " ", None, 5, True])),
    st.builds(lambda team: {"teamId": team, "orgTreeName": "Engineering"}, IDS | st.none()),
    st.builds(lambda name: {name: "11"}, st.sampled_from(["team", "teamID", "id", "scopes", ""])),
)
SCOPES = IDS | IDS | IDS | MAPPINGS
BATCHES: st.SearchStrategy[Any] = (
    st.lists(SCOPES, min_size=1, max_size=4)
    | SCOPES
    | st.lists(SCOPES | WRONG_IDS | WRONG, max_size=3)
    | WRONG_IDS
    | WRONG
)


@pytest.fixture(scope="module", autouse=True)
def _counts() -> Iterator[None]:
    yield
    print("\n" + ", ".join(f"{count} {end}" for end, count in ENDS.most_common()))  # noqa: T201 - for `make fuzz`


@pytest.mark.fuzz
@given(value=BATCHES, way=st.sampled_from(["argument", "variable", "file", "form", "command line"]))
@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_batch_means_the_same_wherever_it_is_written(
    load: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: Any, way: str
) -> None:
    common, backfill = load("sei_common"), load("sei_backfill")
    monkeypatch.delenv("AIRFLOW_VAR_SEI_TEAMS", raising=False)
    meant = judge.scopes(value)
    if way == "argument":
        read = lambda: parse_batch(value)  # noqa: E731 - as the others
    elif way == "variable":
        monkeypatch.setenv("AIRFLOW_VAR_SEI_TEAMS", json.dumps(value))
        read = common.configured_scopes
    elif way == "file":
        (tmp_path / "sei_teams.yaml").write_text(yaml.safe_dump(value, allow_unicode=True), encoding="utf-8")
        meant = judge.scopes(list(map(_as_in_yaml, value))) if isinstance(value, list) else None
        read = lambda: scopes_from_file(tmp_path / "sei_teams.yaml")  # noqa: E731 - as the others
    elif way == "form":
        if value in (None, []):  # an empty field names nobody; then it is the Variable
            monkeypatch.setenv("AIRFLOW_VAR_SEI_TEAMS", '"77"')
            meant = [("77", None)]
        meant = meant if value is None or isinstance(value, list) else None  # its field is a list
        read = lambda: _from_form(backfill, value)  # noqa: E731 - as the others
    else:
        text = value if isinstance(value, str) else str(value)
        meant, read = judge.scopes(text), lambda: [parse_label(text)]
    note(f"{way}: {value!r} means {meant}")
    found, error = None, None
    try:
        with no_retry_if_permanent():
            found = [(scope.team_id, scope.org_tree) for scope in parse_batch(read())]
    except (SeiInputError, AirflowFailException, ParamValidationError) as refusal:
        error = refusal
    assert found == meant, f"refused: {error}"
    ENDS[f"{'refused' if error else 'read'} ({way})"] += 1


def _as_in_yaml(member: Any) -> Any:
    """Return a member with its numbers as they are written, which is how the file's are taken."""
    if isinstance(member, dict):
        return {name: _as_in_yaml(value) for name, value in member.items()}
    return str(member) if type(member) is int and member > 0 else member


def _from_form(backfill: ModuleType, value: Any) -> Any:
    """Return the scopes of the form: Airflow checks the field by its schema, and the task `plan` the rest."""
    teams = backfill.dag.params.get_param("teams")
    return backfill.scopes_of(teams.resolve(json.loads(json.dumps(value))), None)
