"""Facts that publish learns from the export tasks directly upstream, and its words for a person on call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, TaskDeferred
from airflow.sdk import DAG, task_group

from sei_provider.operators._base import SeiExportError
from sei_provider.operators.check import SeiCheckOperator
from sei_provider.operators.export import SeiExportOperator
from sei_provider.operators.publish import SeiPublishOperator
from sei_provider.operators.report import SeiReportOperator
from sei_provider.sandbox.control import SandboxControl
from tests.operators.conftest import Task
from tests.tasks import Run, TaskState

JANUARY = {"start": "2026-01-01", "end": "2026-01-31"}
FEBRUARY = {"start": "2026-02-01", "end": "2026-02-28"}
TEAMS = ["11", "12"]


def export(name: str, lake: Path, **arguments: Any) -> SeiExportOperator:
    settings: dict[str, Any] = {"report": "sprint", "scopes": TEAMS, "lake": str(lake), **JANUARY}
    return SeiExportOperator(task_id=name, **settings | arguments)


def handed_on(lake: Path, **arguments: Any) -> dict[str, Any]:
    """Run an export task and return what it pushed and returned."""
    exported = Task(lake, state=None, **{"scopes": TEAMS, **JANUARY} | arguments)
    staged = exported.run()
    return {**exported.pushed, "return_value": staged}


def published(
    lake: Path, exports: Callable[[], Any], run: Run, *, staged: Any, expected: Any = TEAMS, **arguments: Any
) -> dict[str, Any]:
    """Publish in a DAG whose other tasks `exports` makes."""
    with DAG("dag"):
        before = exports()
        publish = SeiPublishOperator(task_id="publish", staged=staged, expected=expected, lake=str(lake), **arguments)
        before >> publish
    return publish.execute(run.context)


def check(result: Any, states: Mapping[str, str | None]) -> None:
    with DAG("dag"):
        publish = SeiPublishOperator(task_id="publish", staged=[], expected=[], lake="/lake")
        checked = SeiCheckOperator(task_id="check", published=result)
        publish >> checked
    checked.execute(Run(states, {}).context)


def told(result: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [(lack.get("table"), lack["scope"], lack.get("start"), lack.get("end")) for lack in result["missing"]]


def test_what_it_asks_for_is_told_before_any_call(sandbox: SandboxControl, lake: Path, state: TaskState) -> None:
    sandbox.fault("500", call="create")
    failing = Task(lake, state=state, timeout=0.1)
    pushed: list[Any] = []
    failing._push = lambda *, key, value: pushed.append((key, value, len(sandbox.requests())))  # type: ignore[method-assign]
    with pytest.raises(SeiExportError):
        failing.run()
    asked = {
        "table": "sprint_team_monthly",
        "report": "sprint",
        "start": "2026-01-01",
        "end": "2026-02-28",
        "scopes": ["team:11", "team:12", "team:13"],
        "source": [sandbox.base_url.replace("http:", "sei:"), "acme/web/sprint"],
    }
    assert pushed[0] == ("asked", asked, 0)


def test_of_two_reports_the_one_that_handed_nothing_on_is_missing_by_report_and_range(
    sandbox: SandboxControl, lake: Path
) -> None:
    good, dead = handed_on(lake), handed_on(lake, report="productivity", task_id="dead")
    result = published(
        lake,
        lambda: [export("sprint", lake), export("productivity", lake, report="productivity")],
        Run(
            {"sprint": "success", "productivity": "failed"},
            {("sprint", -1): good, ("productivity", -1): {"asked": dead["asked"]}},
        ),
        staged=[good["return_value"], None],
    )
    table = "productivity_team_monthly"
    assert told(result) == [(table, f"team:{team}", "2026-01-01", "2026-01-31") for team in TEAMS]
    with pytest.raises(AirflowFailException) as red:
        check(result, {"publish": "success"})
    what, then = str(red.value).splitlines()
    assert what.startswith(
        "2 scopes are missing from the lake: productivity_team_monthly, 2026-01-01 to 2026-01-31: team:11, team:12: "
        "its export task productivity (productivity) handed nothing on: it failed"
    )
    assert then.startswith("What to do: clear productivity, with what is downstream")


@pytest.mark.parametrize("renamed", [None, "sprints_of_acme"])
def test_of_two_months_by_expand_kwargs_the_one_that_handed_nothing_on_is_missing_by_its_range(
    sandbox: SandboxControl, lake: Path, renamed: str | None
) -> None:
    good, dead = handed_on(lake), handed_on(lake, **FEBRUARY, task_id="dead")
    expected = [{"scopes": TEAMS, **JANUARY}, {"scopes": TEAMS, **FEBRUARY}]

    def exports() -> Any:
        return SeiExportOperator.partial(task_id="export", report="sprint", lake=str(lake)).expand_kwargs(expected)

    run = Run(
        {"export_0": "success", "export_1": "failed"}, {("export", 0): good, ("export", 1): {"asked": dead["asked"]}}
    )
    result = published(lake, exports, run, staged=[good["return_value"]], expected=expected, table=renamed)
    assert told(result) == [
        (renamed or "sprint_team_monthly", f"team:{team}", "2026-02-01", "2026-02-28") for team in TEAMS
    ]
    assert {lack["task"] for lack in result["missing"]} == {"export (map index 1)"}


def test_a_task_killed_before_it_could_tell_is_named_with_its_report_and_map_index(
    sandbox: SandboxControl, lake: Path
) -> None:
    good = handed_on(lake)
    expected = [{"scopes": TEAMS, "report": "sprint"}, {"scopes": TEAMS, "report": "productivity"}]

    def exports() -> Any:
        return SeiExportOperator.partial(task_id="export", lake=str(lake), **JANUARY).expand_kwargs(expected)

    run = Run({"export_0": "success", "export_1": "failed"}, {("export", 0): good})
    result = published(lake, exports, run, staged=[good["return_value"]], expected=expected)
    [lack] = result["missing"]
    assert "export (map index 1), for the report productivity, handed nothing on: it failed" in lack["error"]
    assert lack["task"] == "export (map index 1)"


def test_without_an_export_task_directly_upstream_the_ranges_of_expand_kwargs_are_looked_for(
    sandbox: SandboxControl, lake: Path
) -> None:
    staged = handed_on(lake)["return_value"]
    expected = [
        {"scopes": TEAMS, **JANUARY},
        {"scopes": TEAMS, **FEBRUARY},
        {"scopes": ["11"], "report": "productivity"},
    ]
    publish = SeiPublishOperator(task_id="publish", staged=staged, expected=expected, lake=str(lake))
    result = publish.execute({})  # type: ignore[arg-type]
    assert [
        (lack["scope"], "2026-02-01" in lack["error"], "productivity" in lack["error"]) for lack in result["missing"]
    ] == [
        ("team:11", True, False),
        ("team:12", True, False),
        ("team:11", False, True),
    ]


def test_within_a_mapped_group_only_the_export_of_the_same_map_index_counts(
    sandbox: SandboxControl, lake: Path
) -> None:
    good = handed_on(lake)
    with DAG("dag"):

        @task_group
        def each(scopes: list[str]) -> None:
            export("export", lake, scopes=scopes) >> SeiPublishOperator(
                task_id="publish", staged=good["return_value"], expected=TEAMS, lake=str(lake)
            )

        group = each.expand(scopes=[TEAMS, TEAMS])
    publish = group.dag.get_task("each.publish")  # type: ignore[union-attr]
    run = Run({"each.export_0": "success", "each.export_1": "failed"}, {("each.export", 0): good})
    run.map_index = 0
    assert publish.execute(run.context)["missing"] == []


def test_the_parts_of_a_split_export_are_all_of_it(sandbox: SandboxControl, lake: Path) -> None:
    whole = handed_on(lake, **{**JANUARY, "end": "2026-02-28"})
    parts = [handed_on(lake, task_id=month["start"], **month)["return_value"] for month in (JANUARY, FEBRUARY)]
    run = Run({"export": "success"}, {("export", -1): whole})
    assert published(lake, lambda: export("export", lake), run, staged=parts)["missing"] == []
    half = published(lake, lambda: export("export", lake), run, staged=parts[:1])
    assert told(half) == [("sprint_team_monthly", f"team:{team}", "2026-01-01", "2026-02-28") for team in TEAMS]


def test_a_legacy_report_tells_too_what_it_asks_for(sandbox: SandboxControl, lake: Path) -> None:
    def exports() -> Any:
        return SeiReportOperator(task_id="ask", report="team_report", scopes=TEAMS, lake=str(lake), **JANUARY)

    asked = {"table": "team_report", "report": "team_report", **JANUARY, "scopes": ["team:11", "team:12"]}
    result = published(lake, exports, Run({"ask": "failed"}, {("ask", -1): {"asked": asked}}), staged=[None])
    assert told(result) == [("team_report", f"team:{team}", "2026-01-01", "2026-01-31") for team in TEAMS]


@pytest.mark.parametrize("expected", [TEAMS, [TEAMS], [{"scopes": TEAMS}]])
def test_when_a_branch_skips_all_exports_publish_and_check_are_skipped(lake: Path, expected: Any) -> None:
    run = Run({"sprint": "skipped", "productivity": "skipped"}, {})
    with pytest.raises(AirflowSkipException):
        published(
            lake, lambda: [export("sprint", lake), export("productivity", lake)], run, staged=[], expected=expected
        )
    with pytest.raises(AirflowSkipException):
        check(None, {"publish": "skipped"})


@pytest.mark.parametrize("expected", [None, [], [[]]])
def test_when_exports_are_skipped_because_there_is_nothing_to_export_the_run_is_red(lake: Path, expected: Any) -> None:
    result = published(
        lake, lambda: export("export", lake), Run({"export": "skipped"}, {}), staged=[], expected=expected
    )
    with pytest.raises(AirflowFailException, match="no scope was asked for"):
        check(result, {"publish": "success"})


def test_of_two_reports_the_one_that_a_branch_skipped_is_not_missing(sandbox: SandboxControl, lake: Path) -> None:
    good = handed_on(lake)
    result = published(
        lake,
        lambda: [export("sprint", lake), export("productivity", lake, scopes=["13"])],
        Run({"sprint": "success", "productivity": "skipped"}, {("sprint", -1): good}),
        staged=[good["return_value"]],
        expected=[*TEAMS, "13"],
    )
    assert result["missing"] == []


def test_the_publish_task_that_failed_is_named(lake: Path) -> None:
    with pytest.raises(AirflowFailException, match=r"failed: publish\nWhat to do: "):
        check(None, {"publish": "failed"})


def test_the_same_reason_for_forty_scopes_is_one_line_and_says_nothing_of_rows_that_never_were() -> None:
    lacks = [
        {
            "scope": f"team:{team}", "table": "sprint_team_monthly", **JANUARY, "task": "export (map index 0)",
            "error": f"export exp_{team}9 failed: METRICS. SEI gives it back until 2026-11-26T17:{team}:00",
        }
        for team in range(11, 51)
    ]  # fmt: skip
    other = {"scope": "org:Sales", "table": "sprint_team_monthly", **JANUARY, "error": "HTTP 404: no such tree"}
    with pytest.raises(AirflowFailException) as red:
        SeiCheckOperator(task_id="check", published={"published": [], "missing": [*lacks, other]}).execute({})  # type: ignore[arg-type]
    lines = str(red.value).splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(
        "41 scopes are missing from the lake: sprint_team_monthly, 2026-01-01 to 2026-01-31: "
        "team:11, team:12, team:13, team:14, team:15 and 35 more: export exp_119 failed: METRICS."
    )
    assert lines[1].endswith("org:Sales: HTTP 404: no such tree")
    assert lines[2].startswith("What to do: clear export (map index 0), with what is downstream")
    assert "older rows" not in str(red.value)


def test_what_an_earlier_try_staged_is_handed_on_when_a_later_one_is_marked_as_failed(
    sandbox: SandboxControl, lake: Path, state: TaskState
) -> None:
    sandbox.fault("never", team="12")
    waiting = Task(lake, state=state, timeout=timedelta(seconds=1))
    with pytest.raises(SeiExportError):
        waiting.run()
    waiting.operator.deferrable = True
    with pytest.raises(TaskDeferred):
        waiting.run()
    assert sorted(manifest["scope"] for manifest in waiting.pushed["return_value"]) == ["team:11", "team:13"]


@pytest.mark.parametrize("result", [{}, [{}], "None", "", 5, True, {"published": []}, [["x"]], iter([])])
def test_the_check_refuses_what_is_no_result_of_a_publish_task(result: Any) -> None:
    with pytest.raises(AirflowFailException, match="published must be the results of publish tasks"):
        check(result, {"publish": "success"})


def test_the_check_finds_what_is_missing_in_lists_within_lists(lake: Path) -> None:
    lack = {"scope": "team:11", "error": "gone"}
    with pytest.raises(AirflowFailException, match="1 scope is missing from the lake: team:11: gone"):
        check([[{"published": [], "missing": [lack]}], []], {"publish": "success"})
