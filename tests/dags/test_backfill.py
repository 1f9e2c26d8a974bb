"""The plan of `sei_backfill`: from the form and the lake's coverage to the parts that its tasks are mapped over."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ParamValidationError
from airflow.sdk import Param

from sei_provider.sandbox.control import SandboxControl
from sei_provider.testing import connect
from tests.operators.conftest import Task, publish

RUN = SimpleNamespace(run_after=datetime(2026, 3, 18, 2, 30, tzinfo=UTC))


@pytest.fixture
def backfill(load: Callable[[str], ModuleType]) -> ModuleType:
    return load("sei_backfill")


def plan(backfill: ModuleType, lake: Path, **form: Any) -> dict[str, list[dict[str, Any]]]:
    """Return the plan for a form, which names two teams and two months unless told otherwise."""
    given = {"reports": ["sprint"], "teams": ["11", "12"], "from": "2025-12-05", "to": "2026-01-09", "dry_run": False}
    params = {name: form.get(name, given.get(name, param.value)) for name, param in backfill.PARAMS.items()}
    return backfill.plan.function(str(lake), params, RUN)


def part(start: str, end: str, *scopes: str) -> dict[str, Any]:
    return {"start": start, "end": end, "scopes": list(scopes)}


def test_whole_months_are_asked_for_one_by_one(sandbox: SandboxControl, backfill: ModuleType, tmp_path: Path) -> None:
    assert plan(backfill, tmp_path) == {
        "sprint": [part("2025-12-01", "2025-12-31", "11", "12"), part("2026-01-01", "2026-01-31", "11", "12")]
    }


def test_or_quarters_up_to_the_day_of_the_run(sandbox: SandboxControl, backfill: ModuleType, tmp_path: Path) -> None:
    assert plan(backfill, tmp_path, chunk="quarter", to="2026-12-31") == {
        "sprint": [part("2025-12-01", "2025-12-31", "11", "12"), part("2026-01-01", "2026-03-18", "11", "12")]
    }


def test_what_the_lake_holds_for_the_whole_month_is_left_out(
    sandbox: SandboxControl, backfill: ModuleType, tmp_path: Path
) -> None:
    for scopes, start, end in ((["11"], "2025-12-01", "2025-12-31"), (["12"], "2026-01-01", "2026-01-31")):
        staged = Task(tmp_path, state=None, scopes=scopes, start=start, end=end).run()
        publish(tmp_path, staged, scopes)
    assert plan(backfill, tmp_path) == {
        "sprint": [part("2025-12-01", "2025-12-31", "12"), part("2026-01-01", "2026-01-31", "11")]
    }
    assert plan(backfill, tmp_path, chunk="quarter") == {
        "sprint": [part("2025-12-01", "2025-12-31", "12"), part("2026-01-01", "2026-01-31", "11")]
    }
    asked_again = plan(backfill, tmp_path, which="all")
    assert [len(each["scopes"]) for each in asked_again["sprint"]] == [2, 2]


def test_a_month_to_date_is_not_there_yet(sandbox: SandboxControl, backfill: ModuleType, tmp_path: Path) -> None:
    staged = Task(tmp_path, state=None, scopes=["11"], start="2026-03-01", end="2026-03-18").run()
    publish(tmp_path, staged, ["11"])
    march = plan(backfill, tmp_path, teams=["11"], **{"from": "2026-03-01", "to": "2026-03-31"})
    assert march == {"sprint": [part("2026-03-01", "2026-03-18", "11")]}


def test_large_months_are_cut_into_batches(sandbox: SandboxControl, backfill: ModuleType, tmp_path: Path) -> None:
    teams = [str(number) for number in range(250)]
    (report,) = plan(backfill, tmp_path, teams=teams, to="2025-12-31").values()
    assert [len(each["scopes"]) for each in report] == [83, 83, 84]
    assert [scope for each in report for scope in each["scopes"]] == teams


def test_the_plan_tells_exports_requests_and_minutes_and_a_dry_run_ends_there(
    sandbox: SandboxControl,
    backfill: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    connect(monkeypatch, sandbox.base_url, requests_per_minute=None)
    caplog.set_level(logging.INFO, logger="sei_backfill")
    teams = [str(number) for number in range(100)]
    assert plan(backfill, tmp_path, teams=teams, reports=["sprint", "business_alignment"], dry_run=True) == {}
    lines = [" ".join(record.getMessage().split()) for record in caplog.records if record.name == "sei_backfill"]
    assert lines == [
        "report from to scopes in the lake exports requests",
        "------------------ ---------- ---------- -------- ------------- --------- ----------",
        "sprint 2025-12-01 2025-12-31 100 0 100 200",
        "sprint 2026-01-01 2026-01-31 100 0 100 200",
        "business_alignment 2025-12-01 2025-12-31 100 0 100 300",
        "business_alignment 2026-01-01 2026-01-31 100 0 100 300",
        "all 2025-12-01 2026-01-31 400 1000",
        "400 exports: 1,000 requests or more, which takes 2.5 minutes or more at 400 requests a minute",
        "Nothing is exported, because this run only shows the plan",
    ]
    assert sandbox.requests() == []


def test_the_teams_may_come_from_a_tree(
    sandbox: SandboxControl, backfill: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, sandbox.base_url, account_identifier="acc")
    (december,) = plan(backfill, tmp_path, teams=[], tree="Research", to="2025-12-31")["sprint"]
    assert december["scopes"] == ["2"]


@pytest.mark.parametrize(
    ("teams", "scopes"),
    [
        ([11, " 12 "], ["11", "12"]),
        ([{"teamId": 11}, {"orgTreeName": "Research"}], ["11", {"orgTreeName": "Research"}]),
        ("12", ["12"]),
        (12, ["12"]),
    ],
)
def test_the_form_takes_scopes_as_the_operators_do(
    sandbox: SandboxControl, backfill: ModuleType, tmp_path: Path, teams: Any, scopes: list[Any]
) -> None:
    (december,) = plan(backfill, tmp_path, teams=teams, to="2025-12-31")["sprint"]
    assert december["scopes"] == scopes


def test_the_form_may_leave_its_fields_empty_and_takes_the_teams_of_every_night(
    sandbox: SandboxControl, backfill: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_SEI_TEAMS", '["13"]')
    for teams, tree in (([], None), (None, ""), ("", " ")):
        (december,) = plan(backfill, tmp_path, teams=teams, tree=tree, to="2025-12-31")["sprint"]
        assert december["scopes"] == ["13"]


def test_the_plan_looks_into_the_tables_that_the_prefix_names(
    sandbox: SandboxControl, backfill: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = Task(tmp_path, state=None, scopes=["11"], start="2025-12-01", end="2025-12-31").run()
    publish(tmp_path, staged, ["11"], table="web_sprint_team_monthly")
    assert len(plan(backfill, tmp_path, teams=["11"], to="2025-12-31")["sprint"]) == 1
    monkeypatch.setenv("AIRFLOW_VAR_SEI_TABLE_PREFIX", "web_")
    assert plan(backfill, tmp_path, teams=["11"], to="2025-12-31")["sprint"] == []


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ({"teams": ["11,12"]}, "'11,12' is not a scope"),
        ({"teams": "['11', '12']"}, "is not a scope"),
        ({"teams": [0]}, "0 is not a scope"),
        ({"from": "2026-02-01", "to": "2026-01-31"}, "ends before it starts"),
        ({"from": "2026-04-01", "to": "2026-04-30"}, "lies entirely after 2026-03-18"),
        ({"from": "2026-02-30"}, "2026-02-30"),
        ({"tree": "Engineering"}, "both given; give one of them"),
    ],
)
def test_what_makes_no_sense_fails_at_once_and_before_any_call(
    sandbox: SandboxControl, backfill: ModuleType, tmp_path: Path, form: dict[str, Any], why: str
) -> None:
    with pytest.raises(AirflowFailException, match=why):
        plan(backfill, tmp_path, **form)
    assert sandbox.requests() == []


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("reports", []),
        ("reports", ["velocity"]),
        ("reports", ["sprint", "sprint"]),
        ("teams", ["11", " "]),
        ("teams", "11"),
        ("from", "last month"),
        ("to", None),
        ("chunk", "week"),
        ("which", "some"),
        ("dry_run", "no"),
    ],
)
def test_the_form_takes_nothing_else(backfill: ModuleType, name: str, bad: Any) -> None:
    param: Param = backfill.PARAMS[name]
    with pytest.raises(ParamValidationError):
        param.resolve(bad)
