"""Exports that are too big for SEI: split by dates, then by teams, and whatever is lost is named."""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from hypothesis import given, settings
from hypothesis import strategies as st

from sei_provider.api import ExportRequest, Scope, SeiClient, Team
from sei_provider.api.planner import plan_scopes
from sei_provider.lake import read_table
from sei_provider.operators._base import SeiExportError
from sei_provider.operators._splitting import TIMED_OUT, Splitter
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.data.organisation import Organisation
from sei_provider.sandbox.server import serve
from sei_provider.testing import connect
from tests.operators.conftest import Task, publish
from tests.tasks import REUSE, TaskState

SPRINT = "sprint_team_monthly"


def land(task: Task) -> list[Any]:
    """Return the manifests that a task hands on, whether it fails or not."""
    try:
        return task.run()
    except SeiExportError:
        return task.pushed["return_value"]


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> Any:
    def to(sandbox: SandboxControl) -> SandboxControl:
        connect(monkeypatch, sandbox.base_url, account_identifier="acme")
        return sandbox

    return to


def test_a_range_that_is_too_long_is_halved_until_it_fits(connected: Any, lake: Path, state: TaskState) -> None:
    with serve(teams=2, seconds=0, timeout_days=62) as sandbox:
        connected(sandbox)
        manifests = Task(lake, state=state, scopes=["11"], start="2025-10-01", end="2026-02-28").run()
        ranges = [tuple(export["body"]["dateRange"].values()) for export in sandbox.exports()]
    assert ranges[0] == ("2025-10-01", "2026-02-28")
    landed = sorted((manifest["start"], manifest["end"]) for manifest in manifests)
    assert landed == [("2025-10-01", "2025-11-30"), ("2025-12-01", "2025-12-31"), ("2026-01-01", "2026-02-28")]
    assert all(manifest["error"] is None for manifest in manifests)
    assert state == {}


def test_an_address_as_the_name_of_a_split_team_is_in_no_result() -> None:
    team = Team(id="1", name="a@example.com", children=(Team(id="2", name="x"),))
    asked = ExportRequest(report="sprint", scope=Scope("1"), start=date(2026, 1, 1), end=date(2026, 1, 31))
    splitter = Splitter(client=None, asked=[], failures=TIMED_OUT, week_starts_on=0)  # type: ignore[arg-type]
    splitter.__dict__["_roots"] = [("Engineering", team)]
    split = splitter.split(asked)
    assert split is not None
    assert split.lost == "which do not carry the rows of '<e-mail>' itself"


def test_at_one_period_the_child_teams_take_its_place_and_its_own_rows_are_named_missing(
    connected: Any, lake: Path, state: TaskState, caplog: pytest.LogCaptureFixture
) -> None:
    group = Organisation(3).root.children[0]
    with serve(teams=3, seconds=0, timeout_teams=1) as sandbox:
        connected(sandbox)
        task = Task(lake, state=state, scopes=[group.id], start="2026-01-01", end="2026-01-31")
        manifests = task.run()
    assert [manifest["scope"] for manifest in manifests] == ["team:10", "team:11", "team:12", "team:13"]
    assert "do not carry the rows of" in manifests[0]["error"]
    assert "Splitting the sprint export of team:10" in caplog.text
    result = publish(lake, manifests, [group.id])
    assert [lack["scope"] for lack in result["missing"]] == ["team:10"]
    teams = Counter(read_table(str(lake), SPRINT)["team_hierarchy"].to_pylist())
    assert teams == {child.hierarchy: 1 for child in group.children}


def test_the_rows_of_a_team_that_is_too_big_stay_as_they_were(connected: Any, lake: Path) -> None:
    group = Organisation(3).root.children[0]
    month = {"start": "2026-01-01", "end": "2026-01-31", "scopes": [group.id]}
    for limit in (None, 1):
        with serve(teams=3, seconds=0, timeout_teams=limit) as sandbox:
            connected(sandbox)
            publish(lake, land(Task(lake, state=None, **month)), [group.id])
            if limit is None:
                first = read_table(str(lake), SPRINT).to_pylist()
    rows = read_table(str(lake), SPRINT).to_pylist()
    assert len(rows) == len(first) == 4
    by_team = {row["team_hierarchy"]: row["_export_id"] for row in first}
    assert [row["team_hierarchy"] for row in rows if row["_export_id"] == by_team[row["team_hierarchy"]]] == [
        group.hierarchy
    ]


def test_one_team_and_one_period_cannot_be_split(connected: Any, lake: Path) -> None:
    with serve(teams=2, seconds=0, timeout_days=20) as sandbox:
        connected(sandbox)
        task = Task(lake, state=None, scopes=["11"], start="2026-01-01", end="2026-01-31")
        with pytest.raises(SeiExportError, match=r"team:11: .*timed out.*one team and one period"):
            task.run()


@pytest.mark.parametrize("split_on", [None, ["out of memory"]])
def test_splitting_can_be_switched_off_or_taught_other_words(connected: Any, lake: Path, split_on: Any) -> None:
    with serve(teams=2, seconds=0, timeout_days=40) as sandbox:
        connected(sandbox)
        with pytest.raises(SeiExportError, match="timed out"):
            Task(lake, state=None, scopes=["11"], split_on=split_on).run()
        assert len(sandbox.exports()) == 1


def test_when_the_teams_cannot_be_listed_the_error_says_so(connected: Any, lake: Path, monkeypatch: Any) -> None:
    with serve(teams=2, seconds=0, timeout_teams=1) as sandbox:
        connect(monkeypatch, sandbox.base_url)
        task = Task(lake, state=None, scopes=["10"], start="2026-01-01", end="2026-01-31")
        with pytest.raises(SeiExportError, match=r"its child teams cannot be listed: .*account_identifier"):
            task.run()


def test_a_retry_goes_on_with_the_parts_and_asks_for_nothing_twice(
    connected: Any, lake: Path, state: TaskState
) -> None:
    with serve(teams=2, seconds=0, timeout_days=40) as sandbox:
        connected(sandbox)
        task = Task(lake, state=state, scopes=["11", "12"])
        sandbox.fault("cancel", team="12", times=2)  # the too long export and one of its halves
        land(task)
        made = len(sandbox.exports())
        sandbox.advance(REUSE)
        manifests = task.run()
        asked = Counter(
            (e["body"]["scope"]["teamId"], *e["body"]["dateRange"].values()) for e in sandbox.exports()[made:]
        )
    assert {scope for scope, *_ in asked} == {"12"}
    assert all(manifest["error"] is None for manifest in manifests)


def test_an_export_that_was_too_big_and_that_sei_gives_back_is_split_as_well(connected: Any, tmp_path: Path) -> None:
    with serve(teams=2, seconds=0, timeout_days=40) as sandbox:
        connected(sandbox)
        both = [Task(tmp_path / name, state=TaskState(), report="productivity", scopes=["11"]) for name in "ab"]
        first, second = ([manifest["export_id"] for manifest in task.run()] for task in both)
    assert first == second
    assert len(first) == 2


def test_parts_are_waited_for_deferred_with_the_same_deadline(connected: Any, lake: Path, state: TaskState) -> None:
    with serve(teams=2, seconds=0, timeout_days=40) as sandbox:
        connected(sandbox)
        task = Task(lake, state=state, scopes=["11"], deferrable=True)
        with pytest.raises(TaskDeferred) as first:
            task.run()
        event = seen_by(sandbox, first.value.trigger)
        with pytest.raises(TaskDeferred) as second:
            task.resume(first.value, event)
        assert second.value.trigger.deadline == first.value.trigger.deadline
        assert len(second.value.trigger.export_ids) == 2
        event = seen_by(sandbox, second.value.trigger)
        manifests = task.resume(second.value, event)
    assert [(manifest["start"], manifest["end"]) for manifest in manifests] == [
        ("2026-01-01", "2026-01-31"),
        ("2026-02-01", "2026-02-28"),
    ]


def seen_by(sandbox: SandboxControl, trigger: Any) -> dict[str, Any]:
    """Return a trigger's event once all its exports have ended."""
    settings_ = {"api_key": "sandbox", "org_identifier": "acme", "project_identifier": "web"}
    with SeiClient(base_url=sandbox.base_url, **settings_) as client:
        ended = {id_: client.get_export(trigger.report, id_).to_reply() for id_ in trigger.export_ids}
    return {"ended": ended, "lost": {}, "running": {}, "deadline": trigger.deadline, "error": None}


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    teams=st.integers(1, 18),
    max_teams=st.integers(1, 20),
    timeout_teams=st.one_of(st.none(), st.integers(1, 12)),
    timeout_days=st.one_of(st.none(), st.integers(28, 70)),
    months=st.integers(1, 3),
)
def test_whatever_times_out_every_teams_rows_arrive_once_or_are_named_missing(
    teams: int, max_teams: int, timeout_teams: int | None, timeout_days: int | None, months: int
) -> None:
    firsts = [date(2025, 12, 1), date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 1)][: months + 1]
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
        serve(teams=teams, seconds=0, timeout_teams=timeout_teams, timeout_days=timeout_days) as sandbox,
    ):
        connect(patch, sandbox.base_url, account_identifier="acme")
        lake = Path(folder)
        with SeiClient(
            base_url=sandbox.base_url,
            api_key="sandbox",
            org_identifier="a",
            project_identifier="b",
            account_identifier="c",
        ) as client:
            root = client.list_teams("Engineering")
        scopes = plan_scopes(root, max_teams)
        arguments = {"scopes": scopes, "start": firsts[0], "end": date.fromordinal(firsts[-1].toordinal() - 1)}
        result = publish(lake, land(Task(lake, state=TaskState(), poll_interval=0.01, **arguments)), scopes)
        rows = read_table(str(lake), SPRINT).to_pylist() if result["published"] else []
        asked = Counter((e["body"]["scope"]["teamId"], *e["body"]["dateRange"].values()) for e in sandbox.exports())
    assert max(asked.values()) == 1, "nothing is asked for twice"
    arrived = Counter((row["team_hierarchy"], row["start_date"]) for row in rows)
    missing = {lack["scope"] for lack in result["missing"]}
    wanted = itertools.product(Organisation(teams).root.walk(), firsts[:-1])
    for team, first in wanted:
        count = arrived.pop((team.hierarchy, first), 0)
        assert count == 1 or (count == 0 and f"team:{team.id}" in missing), (team.id, first, count, missing)
    assert not arrived
