"""Legacy reports: asked for at once, staged with the range that was asked for, published slice by slice."""

from __future__ import annotations

import csv
import io
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from sei_provider import lake as sei_lake
from sei_provider.api import SeiInputError
from sei_provider.lake import read_table
from sei_provider.lake.model import run_key
from sei_provider.lake.staging.staged_file import StagedFiles
from sei_provider.links import SeiExportLink
from sei_provider.operators._base import SeiExportError
from sei_provider.operators.report import SeiReportOperator
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.data.organisation import Organisation
from sei_provider.testing import connect
from tests.operators.conftest import publish
from tests.tasks import TaskState

WEEK = {"start": "2026-03-02", "end": "2026-03-08"}
GROUP = Organisation(6).root.children[0]


def context(pushed: dict[str, Any], *, tries: int = 1, state: TaskState | None = None) -> Any:
    ti = SimpleNamespace(
        dag_id="dag",
        run_id="run",
        task_id="report",
        map_index=0,
        try_number=tries,
        max_tries=2,
        task=SimpleNamespace(retries=2),
        xcom_push=lambda key, value: pushed.update({key: value}),
    )
    run = SimpleNamespace(run_after=datetime(2026, 3, 18, 2, 30, tzinfo=UTC), start_date=datetime.now(UTC))
    return {"ti": ti, "run_id": "run", "dag_run": run, "task_state_store": state}


def report(lake: Path, *, tries: int = 1, pushed: dict[str, Any] | None = None, **arguments: Any) -> list[Any]:
    settings = {"report": "team_report", "scopes": [GROUP.id], "granularity": "weekly", "lake": str(lake)} | WEEK
    operator = SeiReportOperator(task_id="report", **(settings | arguments))
    return operator.execute(context({} if pushed is None else pushed, tries=tries))


def publish_all(lake: Path, staged: list[Any]) -> dict[str, Any]:
    return publish(lake, staged, [manifest["scope"].removeprefix("team:") for manifest in staged])


def rows(lake: Path, table: str) -> list[dict[str, Any]]:
    return read_table(str(lake), table).to_pylist()


@pytest.mark.parametrize(
    ("account", "link"),
    [(None, ""), ("acc", f"/ng/account/acc/module/sei/insights/productivity?collectionId={GROUP.id}")],
)
def test_issue_17_a_report_links_to_its_teams_page_and_nowhere_without_an_account(
    sandbox: SandboxControl, lake: Path, monkeypatch: pytest.MonkeyPatch, account: str | None, link: str
) -> None:
    connect(monkeypatch, sandbox.base_url, account_identifier=account)
    operator = SeiReportOperator(task_id="report", report="team_report", scopes=[GROUP.id], lake=str(lake), **WEEK)
    operator.execute(context({}))
    assert SeiExportLink().get_link(operator, ti_key=None) == (link and sandbox.base_url + link)  # type: ignore[arg-type]


def test_rows_19_and_26_a_team_report_holds_the_team_and_its_child_teams_with_the_range_asked_for(
    sandbox: SandboxControl, lake: Path
) -> None:
    publish_all(lake, report(lake))
    landed = rows(lake, "team_report_weekly")
    assert Counter(row["team"] for row in landed) == Counter(team.name for team in GROUP.walk())
    assert {(row["start_date"], row["end_date"]) for row in landed} == {(date(2026, 3, 2), date(2026, 3, 8))}
    assert all(isinstance(row["coding_days_per_developer"], float) for row in landed)
    (request,) = sandbox.requests()
    assert (request["kind"], request["status"]) == ("report", 200)


def test_row_20_a_contributor_report_keeps_every_row(sandbox: SandboxControl, lake: Path) -> None:
    (manifest,) = report(lake, report="contributor_report", scopes=["11"], options={"includeRatings": True})
    publish_all(lake, [manifest])
    landed = rows(lake, "contributor_report_weekly")
    assert len(landed) == manifest["rows"] > 3


def test_row_22_a_rating_of_none_is_null(sandbox: SandboxControl, lake: Path) -> None:
    publish_all(lake, report(lake, report="contributor_report", options={"includeRatings": True}))
    table = read_table(str(lake), "contributor_report_weekly")
    ratings = [name for name in table.column_names if name.endswith("_rating")]
    values = {value for name in ratings for value in table[name].to_pylist()}
    assert ratings
    assert "—" not in values
    assert None in values
    assert (
        values - {None} <= {"High", "Medium", "Low", "Elite", "Good", "Needs Improvement", "Poor", "Excellent"} | values
    )


def test_row_21_an_empty_answer_is_a_report_without_rows(sandbox: SandboxControl, lake: Path) -> None:
    publish_all(lake, report(lake))
    sandbox.fault("zero_bytes", team=GROUP.id, report="team_report")
    (manifest,) = report(lake)
    assert (manifest["rows"], manifest["error"]) == (0, None)
    publish_all(lake, [manifest])
    assert rows(lake, "team_report_weekly") == []


def test_a_slice_is_exactly_its_team_and_range(sandbox: SandboxControl, lake: Path) -> None:
    publish_all(lake, report(lake))
    publish_all(lake, report(lake, start="2026-03-02", end="2026-03-15"))
    publish_all(lake, report(lake, scopes=["11"]))
    landed = Counter((row["_scope"], row["end_date"]) for row in rows(lake, "team_report_weekly"))
    size = sum(1 for _ in GROUP.walk())
    assert landed == {
        (f"team:{GROUP.id}", date(2026, 3, 8)): size,
        (f"team:{GROUP.id}", date(2026, 3, 15)): size,
        ("team:11", date(2026, 3, 8)): 1,
    }
    publish_all(lake, report(lake))
    assert Counter((row["_scope"], row["end_date"]) for row in rows(lake, "team_report_weekly")) == landed


def test_the_range_is_never_widened_and_may_lie_in_two_months(sandbox: SandboxControl, lake: Path) -> None:
    (manifest,) = report(lake, start="2026-02-25", end="2026-03-03", granularity="monthly")
    result = publish_all(lake, [manifest])
    assert (manifest["start"], manifest["end"]) == ("2026-02-25", "2026-03-03")
    assert [month["month"] for month in result["published"]] == ["2026-02"]


def test_one_bad_team_is_named_and_a_retry_asks_for_that_one_only(sandbox: SandboxControl, lake: Path) -> None:
    pushed: dict[str, Any] = {}
    with pytest.raises(SeiExportError, match=r"1 of 2 scopes .* team:999: SEI refused to run the team_report"):
        report(lake, scopes=["11", "999"], pushed=pushed)
    assert [bool(manifest["path"]) for manifest in pushed["return_value"]] == [True, False]
    before = len(sandbox.requests())
    with pytest.raises(SeiExportError):
        report(lake, scopes=["11", "999"], tries=2)
    assert len(sandbox.requests()) == before + 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {"report": "sprint"},
            "SeiReportOperator takes the reports team_report, contributor_report, dora_report; got sprint",
        ),
        ({"granularity": "yearly"}, "unknown granularity 'yearly'"),
        ({"scopes": [{"orgTreeName": "Engineering"}]}, "team"),
        ({"metrics": ["SPEED"]}, "unknown .*metric 'SPEED'"),
    ],
)
def test_wrong_input_is_refused_before_any_call(
    sandbox: SandboxControl, lake: Path, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises((SeiInputError, AirflowFailException), match=words):
        report(lake, **arguments)
    assert sandbox.requests() == []


def test_every_figure_is_as_sent(sandbox: SandboxControl, lake: Path) -> None:
    publish_all(lake, report(lake))
    (sent,) = sandbox.reports()
    text = sandbox.bytes(sent["id"]).decode("utf-8-sig")
    expected = Counter(
        frozenset(float(cell) if name != "Collection Name" else cell for name, cell in row.items() if cell)
        for row in csv.DictReader(io.StringIO(text, newline=""))
    )
    ours = {"team_hierarchy", "start_date", "end_date", "month", "team_depth", "is_leaf"}
    landed = Counter(
        frozenset(value for name, value in row.items() if value is not None and name not in ours and name[0] != "_")
        for row in rows(lake, "team_report_weekly")
    )
    assert landed == expected


def test_a_staged_file_holds_the_run_and_how_often_it_had_been_cleared(sandbox: SandboxControl, lake: Path) -> None:
    operator = SeiReportOperator(
        task_id="report", report="team_report", scopes=[GROUP.id], granularity="weekly", lake=str(lake), **WEEK
    )
    of_run = context({})
    of_run["dag_run"].clear_number = 2
    (manifest,) = operator.execute(of_run)
    (staged,) = StagedFiles([Path(manifest["path"])]).files.values()
    assert staged.runs == {run_key("run", 2)} != {run_key("run", 1)}
    publish_all(lake, [manifest])
    assert {row["_run_id"] for row in rows(lake, "team_report_weekly")} == {"run"}


def test_a_dora_report_is_a_table_of_its_own_with_figures_as_numbers_and_ratings_as_text(
    sandbox: SandboxControl, lake: Path
) -> None:
    publish_all(lake, report(lake, report="dora_report", scopes=["1"], options={"calculationType": "median"}))
    landed = rows(lake, "dora_report_weekly")
    assert sandbox.reports()[0]["body"]["efficiency"] == {"metrics": [], "calculationType": "MEDIAN"}
    assert {row["lead_time_for_changes_rating"] for row in landed} <= {"Elite", "High", "Medium", "Low", None}
    for name in ("lead_time_for_changes_median", "deployment_frequency", "change_failure_rate"):
        assert any(isinstance(row[name], float) for row in landed)
        assert all(row[name] is None or isinstance(row[name], float) for row in landed)
    assert all(row["overall_dora_rating"] != "—" for row in landed)


@pytest.mark.parametrize("report_name", ["dora_report", "efficiency"])
@pytest.mark.parametrize("header", ["Overall DORA", "overallRating", "Tier"])
def test_contract_22_a_dash_is_none_in_a_rating_of_any_name(tmp_path: Path, report_name: str, header: str) -> None:
    (tmp_path / "file").write_text(f"Granularity,Team,{header}\nJan 2026,—,Elite\nJan 2026,Web,—\n")
    day = datetime(2026, 2, 1, tzinfo=UTC)
    manifest = sei_lake.stage(
        tmp_path / "file",
        folder=tmp_path / "lake" / "_staging",
        slice=sei_lake.Slice(
            table="dora",
            report=report_name,
            scope="team:1",
            start=date(2026, 1, 1),
            end=date(2026, 1, 31),
            granularity="monthly",
            metrics=frozenset(),
            definition={},
        ),
        request="request",
        export_id="exp_1",
        created_at=day,
        run_id="run",
        exported_at=day,
    )
    sei_lake.publish(tmp_path / "lake", [manifest], published_at=day)
    landed = sei_lake.read_table(tmp_path / "lake", "dora").to_pydict()
    column = header.lower().replace(" ", "_")
    assert dict(zip(landed["team"], landed[column], strict=True)) == {"—": "Elite", "Web": None}


def test_another_calculation_is_another_table(sandbox: SandboxControl, lake: Path) -> None:
    publish_all(lake, report(lake, report="dora_report"))
    result = publish_all(lake, report(lake, report="dora_report", options={"calculationType": "P95"}))
    assert "a table has one definition" in result["missing"][0]["error"]
