"""Publishing what is staged, naming what is missing, and turning the run red for it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import Asset

from sei_provider.lake import Manifest, Slice, read_table, stage
from sei_provider.lake.storage.store import lake_path
from sei_provider.operators._base import SeiExportError
from sei_provider.operators.check import SeiCheckOperator
from sei_provider.operators.publish import SeiPublishOperator
from sei_provider.sandbox.control import SandboxControl
from sei_provider.testing import connect
from tests.operators.conftest import Task, publish
from tests.tasks import REUSE, OutletEvents

SPRINT = "sprint_team_monthly"


class Event(SimpleNamespace):
    """An asset's outlet event as in Airflow 3.3."""

    def add_partitions(self, keys: list[str]) -> None:
        self.partitions = keys


def check(published: Any) -> None:
    SeiCheckOperator(task_id="check", published=published).execute({})  # type: ignore[arg-type]


def test_what_was_staged_is_published_and_nothing_is_missing(sandbox: SandboxControl, lake: Path) -> None:
    staged = Task(lake, state=None).run()
    result = publish(lake, [staged], [["11", "12", "13"]])
    assert [(month["table"], month["month"], month["rows"]) for month in result["published"]] == [
        (SPRINT, "2026-01", 3),
        (SPRINT, "2026-02", 3),
    ]
    assert result["missing"] == []
    check(result)


@pytest.mark.parametrize("kind", [Event, SimpleNamespace])
def test_each_asset_is_told_the_months_with_their_rows_exports_and_manifest(
    sandbox: SandboxControl, lake: Path, kind: type[SimpleNamespace]
) -> None:
    events: Any = OutletEvents(kind)
    tables = [Asset("sei_sprint_team_monthly"), Asset("sprints_of_acme")]
    publish(lake, Task(lake, state=None).run(), ["11", "12", "13", "14"], events=events, outlets=tables)
    for asset in tables:
        assert events[asset].extra == {
            "published": [
                {
                    "table": SPRINT,
                    "month": month,
                    "rows": 3,
                    "exports": 3,
                    "manifest": str(lake / SPRINT / f"month={month}" / "data.parquet"),
                    "scopes": {"complete": 3},
                    "restated": None,
                }
                for month in ("2026-01", "2026-02")
            ],
            "missing": 1,
        }
        # Before 3.3 a task cannot name partitions.
        assert getattr(events[asset], "partitions", None) == (["2026-01", "2026-02"] if kind is Event else None)


def test_publishing_again_changes_nothing(sandbox: SandboxControl, lake: Path) -> None:
    staged = Task(lake, state=None).run()
    first = publish(lake, staged, ["11", "12", "13"])
    files = {path: path.stat().st_mtime_ns for path in lake.glob("*/*/data.parquet")}
    assert publish(lake, staged, ["11", "12", "13"]) == first
    assert {path: path.stat().st_mtime_ns for path in lake.glob("*/*/data.parquet")} == files


@pytest.mark.parametrize("reused", [False, True])
def test_a_new_export_that_loses_to_one_staged_well_before_is_missing(lake: Path, tmp_path: Path, reused: bool) -> None:
    """As when SEI's clock goes back by an hour: its later exports look older."""

    def staged(export_id: str, created: datetime, exported: datetime) -> Manifest:
        file = tmp_path / "body"
        file.write_text("Team,Team_Hierarchy,Start_Date,SPRINT_COMMIT\nA,Eng/A,2026-01-01,1\n")
        january = {"start": date(2026, 1, 1), "end": date(2026, 1, 31)}
        slice_ = Slice(
            table=SPRINT, report="sprint", scope="team:11", granularity="monthly", metrics=frozenset(), definition={},
            **january,
        )  # fmt: skip
        return stage(
            file, folder=lake_path(str(lake / "_staging" / export_id)), slice=slice_, request=export_id,
            export_id=export_id, created_at=created, run_id="manual__1", exported_at=exported,
        )  # fmt: skip

    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    publish(lake, staged("exp_1", noon, noon), ["11"])
    later = staged("exp_2", noon - timedelta(minutes=50), noon + timedelta(minutes=10))
    if reused:
        later["reused"] = True
    result = publish(lake, later, ["11"])
    (lost,) = result["published"][0]["superseded"]
    assert [by["export_id"] for by in lost["by"]] == ["exp_1"]
    if reused:
        assert result["missing"] == []
        check(result)
    else:
        assert [lack["scope"] for lack in result["missing"]] == ["team:11"]
        with pytest.raises(AirflowFailException, match=r"export exp_2 is new, but .*SEI's clock"):
            check(result)


def test_two_levels_in_one_table_are_refused(sandbox: SandboxControl, lake: Path) -> None:
    for level in ("developer", "team"):
        task = Task(lake, state=None, task_id=level, report="productivity", level=level, scopes=["11"])
        staged = task.run()
        if level == "developer":
            publish(lake, staged, ["11"], table="both")
    before = read_table(str(lake), "both")
    result = publish(lake, staged, ["11"], table="both")
    assert read_table(str(lake), "both").equals(before)
    with pytest.raises(AirflowFailException, match=r"level='developer'.*level='team'.*table="):
        check(result)


def test_a_table_may_be_named(sandbox: SandboxControl, lake: Path) -> None:
    publish(lake, Task(lake, state=None).run(), ["11"], table="sprints_of_acme")
    assert read_table(str(lake), "sprints_of_acme").num_rows == 6
    assert not (lake / SPRINT).exists()


def test_a_bad_scope_is_missing_with_its_reason_and_its_old_rows_stay(sandbox: SandboxControl, lake: Path) -> None:
    publish(lake, Task(lake, state=None).run(), ["11", "12", "13"])
    sandbox.advance(REUSE)
    sandbox.fault("fail", team="12")
    again = Task(lake, state=None, task_id="again")
    with pytest.raises(SeiExportError):
        again.run()
    result = publish(lake, [again.pushed["return_value"]], [["11", "12", "13"]])
    assert [lack["scope"] for lack in result["missing"]] == ["team:12"]
    assert "failed" in result["missing"][0]["error"]
    assert read_table(str(lake), SPRINT).num_rows == 6
    with pytest.raises(
        AirflowFailException,
        match=r"1 scope is missing from the lake and keeps its older rows: sprint_team_monthly, 2026-01-01 to "
        r"2026-02-28: team:12 \(Engineering/\w+/\w+\): export",
    ):
        check(result)


def test_on_an_empty_lake_check_speaks_of_no_older_rows_and_says_what_to_clear(
    sandbox: SandboxControl, lake: Path
) -> None:
    sandbox.fault("fail", team="12")
    task = Task(lake, state=None)
    with pytest.raises(SeiExportError):
        task.run()
    with pytest.raises(AirflowFailException) as red:
        check(publish(lake, [task.pushed["return_value"]], ["11", "12", "13"]))
    what, then = str(red.value).splitlines()
    assert what.startswith("1 scope is missing from the lake: sprint_team_monthly, 2026-01-01 to 2026-02-28: team:12: ")
    assert "older rows" not in what
    assert then.startswith("What to do: clear ")


def test_a_slice_that_does_not_fit_its_table_is_missing_and_the_others_land(
    sandbox: SandboxControl, lake: Path
) -> None:
    publish(lake, Task(lake, state=None, scopes=["11"]).run(), ["11"])
    other = Task(lake, state=None, task_id="other", scopes=["12"], computation_mode="TICKETS").run()
    good = Task(lake, state=None, task_id="good", scopes=["13"]).run()
    result = publish(lake, [other, good], ["12", "13"])
    assert [lack["scope"] for lack in result["missing"]] == ["team:12"]
    assert "computation_mode" in result["missing"][0]["error"]
    assert set(read_table(str(lake), SPRINT)["_scope"].to_pylist()) == {"team:11", "team:13"}
    with pytest.raises(AirflowFailException, match="team:12: table sprint_team_monthly has"):
        check(result)


def test_two_projects_do_not_replace_each_others_rows(
    sandbox: SandboxControl, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(lake, Task(lake, state=None, scopes=["11"]).run(), ["11"])
    before = read_table(str(lake), SPRINT).to_pylist()
    connect(monkeypatch, sandbox.base_url, project_identifier="shop")
    result = publish(lake, Task(lake, state=None, task_id="shop", scopes=["11"]).run(), ["11"])
    assert "project='web'" in result["missing"][0]["error"]
    assert "table=" in result["missing"][0]["error"]
    assert read_table(str(lake), SPRINT).to_pylist() == before


def test_a_batch_that_handed_nothing_on_is_missing_scope_by_scope(sandbox: SandboxControl, lake: Path) -> None:
    staged = Task(lake, state=None, scopes=["11"]).run()
    result = publish(lake, [staged], [["11"], [12, {"teamId": "13"}], [{"orgTreeName": "Engineering"}]])
    assert [lack["scope"] for lack in result["missing"]] == ["team:12", "team:13", "org:Engineering"]
    assert all("handed nothing on" in lack["error"] for lack in result["missing"])


@pytest.mark.parametrize(("staged", "expected"), [(None, None), ([], []), ([None], [[]])])
def test_when_no_scope_was_asked_for_everything_is_missing(lake: Path, staged: Any, expected: Any) -> None:
    result = publish(lake, staged, expected)
    assert result["published"] == []
    with pytest.raises(AirflowFailException, match="all: no scope was asked for"):
        check(result)


@pytest.mark.parametrize("published", [None, [], [None], [{"published": [], "missing": []}, None]])
def test_when_publishing_failed_the_check_fails_too(published: Any) -> None:
    with pytest.raises(AirflowFailException, match="nothing was published"):
        check(published)


def test_several_results_are_checked_together() -> None:
    good = {"published": [], "missing": []}
    bad = {"published": [], "missing": [{"scope": "team:7", "error": "gone"}]}
    check([good, good])
    with pytest.raises(AirflowFailException, match="team:7: gone"):
        check([good, bad])


def test_both_run_whatever_became_of_the_tasks_before() -> None:
    operator = SeiPublishOperator(task_id="publish", staged=[], expected=[], lake="/lake")
    assert operator.trigger_rule == SeiCheckOperator(task_id="check", published=[]).trigger_rule == "all_done"
