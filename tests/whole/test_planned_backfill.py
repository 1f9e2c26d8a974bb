"""`sei_backfill` as it stands, by a real Airflow: cancelled half-way, it goes on where it was."""

from __future__ import annotations

from collections import Counter
from typing import Any

from dev.expected import rows_in, rows_sent
from dev.processes import wait_until
from sei_provider.lake import UnknownTableError, coverage
from sei_provider.sandbox.control import SandboxControl
from tests.whole.conftest import REUSE, TEAM_IDS, Whole

TEAMS = TEAM_IDS[:2]
MONTHS = ["2024-01", "2024-02", "2024-03", "2024-04", "2024-05"]
FORM = {"teams": TEAMS, "from": "2024-01-01", "to": "2024-05-31", "dry_run": False}
TABLE = "sprint_team_monthly"


def exports_of(sandbox: SandboxControl) -> list[dict[str, Any]]:
    return [each for each in sandbox.exports() if each["body"]["dateRange"]["start"][:7] in MONTHS]


def published(whole: Whole) -> set[tuple[str, str]]:
    try:
        parts = coverage(whole.stack.lake, TABLE)
    except UnknownTableError:
        return set()
    return {(part["scope"], part["month"]) for part in parts if part["complete"] and part["month"] in MONTHS}


def test_a_dry_run_asks_for_nothing(whole: Whole) -> None:
    whole.airflow.unpause("sei_backfill")
    run_id = whole.airflow.trigger("sei_backfill", conf={**FORM, "dry_run": True})
    assert whole.airflow.wait("sei_backfill", run_id, timeout=120) == "success"
    states = whole.states("sei_backfill", run_id)
    assert {state for task, state in states.items() if "." in task} == {"skipped"}
    assert "40 exports: 100 requests or more" in whole.airflow.task_log("sei_backfill", run_id, "plan")
    assert exports_of(whole.sandbox) == []


def test_a_form_that_makes_no_sense_turns_the_run_red_at_the_first_try(whole: Whole) -> None:
    run_id = whole.airflow.trigger("sei_backfill", conf={**FORM, "to": "2023-12-31"})
    assert whole.airflow.wait("sei_backfill", run_id, timeout=60) == "failed"
    (plan,) = [task for task in whole.airflow.task_instances("sei_backfill", run_id) if task["task_id"] == "plan"]
    assert plan["try_number"] == 1
    assert "ends before it starts" in whole.airflow.task_log("sei_backfill", run_id, "plan")


def test_cancelled_half_way_and_started_again_it_asks_only_for_the_rest(whole: Whole) -> None:
    form = {**FORM, "reports": ["sprint"]}
    run_id = whole.airflow.trigger("sei_backfill", conf=form)
    wait_until(lambda: bool(published(whole)), what="a month is published", seconds=120, processes=[])
    whole.airflow._call("PATCH", f"/dags/sei_backfill/dagRuns/{run_id}", json={"state": "failed"})
    there = published(whole)
    everything = {(f"team:{team}", month) for team in TEAMS for month in MONTHS}
    assert set() < there < everything

    whole.sandbox.advance(REUSE)
    second = whole.airflow.trigger("sei_backfill", conf=form)
    # What the cancelled run was making is made by the time that the second has its plan, and has asked for nothing yet.
    wait_until(
        lambda: whole.states("sei_backfill", second).get("plan") == "success",
        what="the second run has its plan",
        seconds=120,
        processes=[],
    )
    before = len(exports_of(whole.sandbox))
    assert whole.airflow.wait("sei_backfill", second, timeout=240) == "success"
    exports = exports_of(whole.sandbox)
    asked = Counter(
        (f"team:{each['body']['scope']['teamId']}", each["body"]["dateRange"]["start"][:7]) for each in exports[before:]
    )
    assert max(asked.values()) == 1
    # Tasks that were at it when the run was cancelled may have published a little more than was seen.
    assert set(asked) <= everything - there
    assert published(whole) == everything
    newest = {(each["body"]["scope"]["teamId"], each["body"]["dateRange"]["start"]): each["id"] for each in exports}
    assert rows_in(whole.stack.lake, TABLE, set(MONTHS)) == rows_sent(whole.sandbox, newest.values())

    tasks = whole.airflow.task_instances("sei_backfill", second)
    names = {task["rendered_map_index"] for task in tasks if task["task_id"] == "sprint.export"}
    assert f"2024-05-01 to 2024-05-31: 2 scopes, {TEAMS[0]} to {TEAMS[1]}" in names
