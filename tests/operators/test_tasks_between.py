"""Tasks between export, publish and check, such as one that merges results, hide nothing of what was asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, task

from sei_provider.operators.check import SeiCheckOperator
from sei_provider.operators.publish import SeiPublishOperator
from sei_provider.sandbox.control import SandboxControl
from tests.operators.test_asked import TEAMS, export, handed_on
from tests.tasks import Run


@task
def merge(*handed: Any) -> list[Any]:
    return [*handed]


@pytest.mark.parametrize("way", ["taskflow", "two tasks", "template", "join"])
def test_of_two_reports_that_reach_publish_through_another_task_the_one_that_died_is_missing(
    sandbox: SandboxControl, lake: Path, way: str
) -> None:
    good, dead = handed_on(lake), handed_on(lake, report="productivity", task_id="dead")

    with DAG("dag"):
        exports = [export("sprint", lake), export("productivity", lake, report="productivity")]
        before = exports[0].output if way == "join" else merge(*(each.output for each in exports))
        if way == "two tasks":
            before = merge(before)
        staged = "{{ ti.xcom_pull(task_ids='merge') }}" if way == "template" else before
        publish = SeiPublishOperator(task_id="publish", staged=staged, expected=TEAMS, lake=str(lake))
        if way == "template":
            before >> publish
        if way == "join":  # which hands nothing on, so what is before it is another publish task's
            exports >> EmptyOperator(task_id="joined") >> publish
    run = Run(
        {"sprint": "success", "productivity": "failed"},
        {("sprint", -1): good, ("productivity", -1): {"asked": dead["asked"]}},
    )
    publish.staged = [good["return_value"], None]
    missing = publish.execute(run.context)["missing"]
    assert {(lack.get("table"), lack.get("task")) for lack in missing} == (
        set() if way == "join" else {("productivity_team_monthly", "productivity")}
    )


def test_what_a_task_between_export_and_publish_lost_is_missing(sandbox: SandboxControl, lake: Path) -> None:
    good, other = handed_on(lake), handed_on(lake, report="productivity", task_id="other")

    with DAG("dag"):
        exports = [export("sprint", lake), export("productivity", lake, report="productivity")]
        staged = [merge.override(task_id=f"merge_{each.task_id}")(each.output) for each in exports]
        publish = SeiPublishOperator(task_id="publish", staged=staged, expected=TEAMS, lake=str(lake))
    run = Run({"sprint": "success", "productivity": "success"}, {("sprint", -1): good, ("productivity", -1): other})
    publish.staged = [good["return_value"], None]
    missing = publish.execute(run.context)["missing"]
    assert [lack["scope"] for lack in missing] == ["team:11", "team:12"]
    assert (
        "productivity (productivity) handed nothing on: it succeeded, so look at the tasks between"
        in (missing[0]["error"])
    )


def test_the_exports_before_another_publish_task_are_not_those_of_the_next(sandbox: SandboxControl, lake: Path) -> None:
    first, second = handed_on(lake), handed_on(lake, report="productivity", task_id="other")

    with DAG("dag"):
        one = SeiPublishOperator(task_id="one", staged=export("sprint", lake).output, expected=TEAMS, lake=str(lake))
        two = export("productivity", lake, report="productivity")
        publish = SeiPublishOperator(
            task_id="publish", staged=merge(one.output, two.output), expected=TEAMS, lake=str(lake)
        )
    run = Run({"sprint": "failed", "productivity": "success"}, {("sprint", -1): first, ("productivity", -1): second})
    publish.staged = [second["return_value"]]
    assert publish.execute(run.context)["missing"] == []


def test_a_branch_that_skips_all_exports_skips_publish_and_check_also_through_another_task(lake: Path) -> None:
    with DAG("dag"):
        publish = SeiPublishOperator(
            task_id="publish", staged=merge(export("sprint", lake).output), expected=TEAMS, lake=str(lake)
        )
        checked = SeiCheckOperator(task_id="check", published=[merge.override(task_id="gather")(publish.output)])
    publish.staged, checked.published = None, [None]
    with pytest.raises(AirflowSkipException):
        publish.execute(Run({"sprint": "skipped"}, {}).context)
    with pytest.raises(AirflowSkipException):
        checked.execute(Run({"publish": "skipped"}, {}).context)
