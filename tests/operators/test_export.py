"""The export task in this process: its requests, its manifests, and its errors about scopes that failed."""

from __future__ import annotations

import json
import logging
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from sei_provider.api import SeiAuthError, SeiInputError
from sei_provider.hooks.sei import SeiHook
from sei_provider.lake import read_table
from sei_provider.operators._base import SeiExportError
from sei_provider.operators.export import SeiExportOperator
from sei_provider.operators.publish import SeiPublishOperator
from sei_provider.sandbox.control import SandboxControl
from sei_provider.testing import connect
from tests.operators.conftest import Task, asked_for
from tests.tasks import TaskState

MANIFEST = {"scope", "start", "end", "table", "path", "rows", "export_id", "created_at", "error", "reading"}


def test_every_scope_lands_and_is_described_by_a_manifest(
    sandbox: SandboxControl, lake: Path, state: TaskState
) -> None:
    manifests = Task(lake, state=state).run()
    assert [manifest["scope"] for manifest in manifests] == ["team:11", "team:12", "team:13"]
    for manifest in manifests:
        assert set(manifest) == MANIFEST | {"request", "row_groups"}
        assert manifest["rows"] == 2
        assert Path(manifest["path"]).is_relative_to(lake / "_staging")
        assert manifest["error"] is None
    (path,) = {manifest["path"] for manifest in manifests}
    assert pq.read_metadata(path).num_rows == 6, "small slices of one task share a file"
    assert json.loads(json.dumps(manifests)) == manifests
    assert state == {}, "nobody needs the ids any more"


def test_a_scope_named_twice_is_asked_for_once(sandbox: SandboxControl, lake: Path, state: TaskState) -> None:
    Task(lake, state=state, scopes=["11", 11, {"teamId": "11"}]).run()
    assert asked_for(sandbox) == {"11": 1}


def test_dates_are_widened_to_whole_periods_but_not_past_the_day_of_the_run(
    sandbox: SandboxControl, lake: Path
) -> None:
    Task(lake, state=None, scopes=["11"], start=date(2026, 2, 9), end="2026-03-10").run()
    assert sandbox.exports()[0]["body"]["dateRange"] == {"start": "2026-02-01", "end": "2026-03-18"}


@pytest.mark.parametrize(("granularity", "sent"), [(None, "SPRINT"), ("monthly", "MONTHLY"), ("weekly", "WEEKLY")])
def test_at_level_sprint_sprints_land_whole_also_those_that_reach_over_the_range(
    sandbox: SandboxControl, lake: Path, granularity: str | None, sent: str
) -> None:
    [staged] = Task(lake, state=None, scopes=["11"], level="sprint", granularity=granularity).run()
    assert sandbox.exports()[0]["body"]["options"] == {"metricLevel": "sprint", "granularity": sent}
    assert staged["table"] == f"sprint_sprint_{sent.lower()}"
    result = SeiPublishOperator(task_id="publish", staged=[staged], expected=["11"], lake=str(lake)).execute(
        {"outlet_events": {}}  # type: ignore[arg-type]
    )
    assert result["missing"] == []
    rows = read_table(str(lake), staged["table"])
    assert rows.num_rows == staged["rows"] > 4
    assert min(rows["start_date"].to_pylist()) < date.fromisoformat(staged["start"]), "the first sprint began before"


def test_the_day_of_the_run_is_that_of_the_connections_time_zone(
    sandbox: SandboxControl, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, sandbox.base_url, timezone="America/Los_Angeles")  # 02:30 UTC is still the day before there
    Task(lake, state=None, scopes=["11"], end="2026-03-10").run()
    assert sandbox.exports()[0]["body"]["dateRange"]["end"] == "2026-03-17"


def test_weeks_are_those_of_the_connection(
    sandbox: SandboxControl, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, sandbox.base_url, week_starts_on="Sunday")
    Task(lake, state=None, scopes=["11"], granularity="weekly", start="2026-02-04", end="2026-02-04").run()
    assert sandbox.exports()[0]["body"]["dateRange"] == {"start": "2026-02-01", "end": "2026-02-07"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"report": "velocity"}, "unknown report 'velocity'; the report names are: productivity, sprint"),
        (
            {"report": "team_report"},
            "SeiExportOperator takes the reports productivity, sprint, business_alignment, efficiency",
        ),
        ({"level": "squad"}, "unknown level 'squad'; the level names of sprint are: team, sprint"),
        ({"granularity": "daily"}, "unknown granularity 'daily'"),
        ({"aggregation": "mean"}, "sprint takes no aggregation"),
        ({"computation_mode": "hours"}, "STORY_POINTS, TICKETS"),
    ],
)
def test_a_wrong_argument_is_an_error_when_the_dag_is_read(lake: Path, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(SeiInputError, match=words):
        Task(lake, state=None, **arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"metric_groups": ["velocty"]}, "unknown metric group 'velocty'; the metric group names of sprint are: work"),
        ({"metrics": ["SPEED"]}, "unknown team-level metric 'SPEED'"),
        ({"start": "2026-03-02", "end": "2026-03-01"}, "ends .2026-03-01. before it starts .2026-03-02."),
        ({"start": "2026-04-01", "end": "2026-04-02"}, "lies entirely after 2026-03-18"),
        ({"scopes": ["11", None]}, "None is not a scope; a scope is a team id"),
        ({"scopes": [{"teamId": "11", "orgTreeName": "Engineering"}]}, "a team or an org tree, not both"),
        ({"scopes": []}, "there is no scope to export"),
    ],
)
def test_wrong_input_is_an_error_before_any_call(
    sandbox: SandboxControl, lake: Path, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(AirflowFailException, match=words) as failed:
        Task(lake, state=None, **arguments).run()
    assert isinstance(failed.value.__cause__, SeiInputError)
    assert sandbox.requests() == []


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"project_identifier": None}, "the connection 'sei_default' needs a value for: project_identifier"),
        ({"project_identifier": "", "org_identifier": None}, "needs a value for: org_identifier, project_identifier"),
        ({"password": ""}, "needs a value for: password .the API key."),
        ({"timezone": "Mars/Phobos"}, "unknown timezone 'Mars/Phobos'"),
        ({"week_starts_on": "Caturday"}, "no weekday is called 'Caturday'"),
        ({"machines": 0.5}, "must be whole numbers that leave each machine at least 1"),
    ],
)
def test_a_connection_that_lacks_something_is_an_error_before_any_call(
    sandbox: SandboxControl, lake: Path, monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any], words: str
) -> None:
    connect(monkeypatch, sandbox.base_url, **extra)
    with pytest.raises(AirflowFailException, match=words):
        Task(lake, state=None).run()
    assert sandbox.requests() == []


def test_the_wrong_key_ends_the_task_after_one_refusal_and_is_not_shown(
    sandbox: SandboxControl, lake: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    connect(monkeypatch, sandbox.base_url, password="sesame-open")
    with pytest.raises(
        AirflowFailException, match=r"create the sprint export of team:\d+.* HTTP 401.*Check the API key"
    ) as refused:
        Task(lake, state=None, scopes=[str(team) for team in range(11, 60)]).run()
    assert len(sandbox.requests()) <= 2 * 8, "calls on their way may end, no new one starts"
    assert isinstance(refused.value.__cause__, SeiAuthError)
    assert "sesame" not in str(refused.value) + caplog.text


@pytest.mark.parametrize(
    ("report", "fault", "words"),
    [
        ("sprint", "fail", r"team:12: export {id} failed: \S+"),
        ("sprint", "cancel", r"team:12: export {id} cancelled: "),
        (
            "business_alignment",
            "unknown_status",
            "team:12: export {id}: SEI reported the unknown status 'ARCHIVED'; known",
        ),
        ("sprint", "never", "team:12: export {id} was still processing at .* timeout was up; it keeps running at SEI"),
        ("productivity", "html", "team:12: .*download productivity export {id}.*an HTML page instead of data"),
        ("productivity", "zero_bytes", "team:12: .*download productivity export {id}.*an empty body"),
        ("business_alignment", "truncated_gzip", "team:12: export {id}: .*gzip"),
    ],
)
def test_one_bad_scope_is_named_and_the_others_are_handed_on(
    sandbox: SandboxControl, lake: Path, no_waiting: None, report: str, fault: str, words: str
) -> None:
    sandbox.fault(fault, team="12")
    task = Task(lake, state=None, report=report, timeout=2)
    with pytest.raises(SeiExportError) as failed:
        task.run()
    bad = next(export["id"] for export in sandbox.exports() if export["body"]["scope"]["teamId"] == "12")
    assert str(failed.value).startswith(f"1 of 3 scopes of the {report} export failed: team:12: ")
    assert failed.match(words.replace("{id}", bad))
    pushed = {manifest["scope"]: manifest for manifest in task.pushed["return_value"]}
    assert [scope for scope, manifest in pushed.items() if manifest["path"]] == ["team:11", "team:13"]
    assert pushed["team:12"]["path"] is None
    assert pushed["team:12"]["error"] in str(failed.value)


def test_a_refused_scope_is_named_in_seis_words_and_the_others_land(sandbox: SandboxControl, lake: Path) -> None:
    task = Task(lake, state=None, scopes=["11", "999"])
    with pytest.raises(SeiExportError, match=r"team:999: SEI refused to create .* HTTP 404: Team not found: '999'"):
        task.run()
    assert [bool(manifest["path"]) for manifest in task.pushed["return_value"]] == [True, False]


def test_a_try_after_everything_was_staged_has_nothing_to_ask(
    sandbox: SandboxControl, lake: Path, state: TaskState
) -> None:
    task = Task(lake, state=state)
    before = task.run()
    calls = len(sandbox.requests())
    assert task.run() == before
    assert len(sandbox.requests()) == calls


def test_waiting_is_deferred_with_an_absolute_deadline(sandbox: SandboxControl, lake: Path, state: TaskState) -> None:
    task = Task(lake, state=state, deferrable=True, timeout=timedelta(minutes=7))
    with pytest.raises(TaskDeferred) as deferred:
        task.run()
    trigger = deferred.value.trigger
    assert deferred.value.timeout > timedelta(minutes=7), "Airflow's own limit is only a backstop behind ours"
    _, kwargs = trigger.serialize()
    assert json.loads(json.dumps(kwargs)) == kwargs
    assert json.loads(json.dumps(deferred.value.kwargs)) == deferred.value.kwargs
    assert {request["kind"] for request in sandbox.requests()} == {"create"}, "no poll before an export can be ready"


def test_what_a_user_would_expect_is_templated(lake: Path) -> None:
    assert {"scopes", "start", "end", "lake"} <= set(SeiExportOperator.template_fields)


def test_a_task_resolves_its_connection_once_before_and_once_after_it_is_deferred(
    sandbox: SandboxControl, lake: Path, state: TaskState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time is a call to Airflow's API server, and to a secrets backend behind it."""
    connect(monkeypatch, sandbox.base_url, personal_data_secret="a secret of sixteen")
    resolved = []
    get_connection = SeiHook.get_connection

    def counted(conn_id: str) -> Any:
        resolved.append(conn_id)
        return get_connection(conn_id)

    monkeypatch.setattr(SeiHook, "get_connection", staticmethod(counted))
    task = Task(lake, state=state, scopes=["11"], deferrable=True, personal_data="hash")
    with pytest.raises(TaskDeferred) as deferred:
        task.run()
    assert resolved == ["sei_default"]
    reply = {"exportId": sandbox.exports()[0]["id"], "status": "completed", "createdAt": "2026-03-18T02:30:00Z"}
    event = {"ended": {reply["exportId"]: reply}, "lost": {}, "running": {}, "deadline": 0.0, "error": None}
    assert [manifest["rows"] for manifest in task.resume(deferred.value, event)] == [2]
    assert resolved == ["sei_default"] * 2
