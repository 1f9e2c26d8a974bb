"""The org trees before and after the exports: a table of teams by id, and the ids of rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from sei_provider.lake import read_table
from sei_provider.operators.check import SeiCheckOperator
from sei_provider.operators.teams import SeiTeamsOperator
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.server import serve
from sei_provider.testing import connect
from tests.operators.conftest import Task, publish
from tests.tasks import task_context

DOCS = Path(__file__).parents[2] / "docs" / "teams.md"
TABLE = "productivity_team_monthly"


def read_trees(lake: Path, name: str, **arguments: Any) -> list[Any]:
    operator = SeiTeamsOperator(task_id=name, lake=str(lake), **arguments)
    return operator.execute(
        task_context(operator, tries=1, max_tries=0, run_began=datetime.now(UTC), push=lambda **_: None)
    )


def export(lake: Path, name: str, scopes: list[Any], month: str, **arguments: Any) -> list[Any]:
    asked = {"report": "productivity", "scopes": scopes, "start": f"{month}-01", "end": f"{month}-28"} | arguments
    return Task(lake, state=None, task_id=name, **asked).run()


def night(lake: Path, scopes: list[Any], month: str) -> dict[str, Any]:
    before = read_trees(lake, f"before-{month}")
    exported = export(lake, f"export-{month}", scopes, month)
    after = read_trees(lake, f"after-{month}")
    return publish(lake, [before, exported, after], scopes)


def query(number: int, lake: Path) -> list[tuple[Any, ...]]:
    found = re.findall(r"^```sql\n(.*?)^```", DOCS.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)[number]
    return duckdb.sql(found.replace("/data/lake", str(lake))).fetchall()


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxControl]:
    with serve(teams=6, seconds=0) as control:
        connect(monkeypatch, control.base_url, account_identifier="acc")
        yield control


@pytest.fixture
def nights(sandbox: SandboxControl, lake: Path) -> Path:
    """Three months: team 11 is renamed before the second, and moved and then split before the third."""
    night(lake, ["1"], "2026-01")
    sandbox.change_teams(rename={"11": "Renamed"})
    night(lake, ["1"], "2026-02")
    sandbox.change_teams(move={"11": "6"}, split={"11": ["Part A", "Part B"]})
    night(lake, ["1", "6"], "2026-03")
    return lake


def test_a_team_renamed_moved_and_split_has_one_row_in_teams_and_one_id_in_its_history(nights: Path) -> None:
    [row] = [row for row in read_table(nights, "teams").to_pylist() if row["id"] == "11"]
    assert (row["name"], row["path"], row["parent_id"], row["tree"], row["depth"], row["leaf"]) == (
        "Renamed", "Research/Field Studies/Renamed", "6", "Research", 2, False,
    )  # fmt: skip
    assert row["first_seen"] <= row["last_seen"]
    assert [(month, team) for month, team, _ in query(0, nights)] == [
        ("2026-01", "Platform Team"),
        ("2026-02", "Renamed"),
        ("2026-03", "Renamed"),
    ]


def test_every_row_of_an_unchanged_night_has_its_teams_id(nights: Path) -> None:
    rows = read_table(nights, TABLE).to_pylist()
    assert [row["team_hierarchy"] for row in rows if row["team_id"] is None] == []
    ids = {row["id"] for row in read_table(nights, "teams").to_pylist()}
    assert {row["team_id"] for row in rows} <= ids


def test_the_query_of_the_docs_adds_up_the_leaves_under_todays_groups(nights: Path) -> None:
    rows = read_table(nights, TABLE).to_pylist()
    merged = {(row["month"], row["team_id"]): row["pr_merged"] for row in rows}
    # Team 11, of the group 10 then, is below team 6 now; an inner team's figure is that of the leaves below it.
    assert query(1, nights) == [
        ("2026-01", "Field Studies", merged["2026-01", "11"]),
        ("2026-01", "Platform", merged["2026-01", "10"] - merged["2026-01", "11"]),
        ("2026-02", "Field Studies", merged["2026-02", "11"]),
        ("2026-02", "Platform", merged["2026-02", "10"] - merged["2026-02", "11"]),
        ("2026-03", "Field Studies", merged["2026-03", "6"]),
        ("2026-03", "Platform", merged["2026-03", "10"]),
    ]


def test_the_teams_of_the_leaf_scopes_have_their_ids_and_a_team_renamed_between_the_readings_too(
    sandbox: SandboxControl, lake: Path
) -> None:
    before = read_trees(lake, "before")
    exported = export(lake, "export", ["11", "12", "10"], "2026-01")
    sandbox.change_teams(rename={"11": "Later", "13": "Other"})
    after = read_trees(lake, "after")
    publish(lake, [before, exported, after], ["11", "12", "10"])
    ids = {row["team"]: row["team_id"] for row in read_table(lake, TABLE).to_pylist()}
    # Team 13 came with its parent only, and the trees do not agree on its path.
    assert (ids["NA"], ids["null"], ids["Platform"]) == ("12", None, "10")
    scopes = {row["team"]: row["_scope"] for row in read_table(lake, TABLE).to_pylist()}
    assert ids["Platform Team"] == ("11" if scopes["Platform Team"] == "team:11" else None)


def test_an_export_that_sei_gives_back_keeps_the_ids_of_teams_that_have_not_changed_since(
    sandbox: SandboxControl, lake: Path
) -> None:
    before = read_trees(lake, "before")
    sandbox.advance(2)
    publish(lake, [before, export(lake, "export", ["10"], "2026-01"), read_trees(lake, "after")], ["10"])
    assert None not in read_table(lake, TABLE)["team_id"].to_pylist()
    sandbox.advance(60)
    sandbox.change_teams(rename={"12": "null", "13": "NA"})
    again = [read_trees(lake, "before-2"), export(lake, "export-2", ["10"], "2026-01"), read_trees(lake, "after-2")]
    assert [manifest["reused"] for manifest in again[1]] == [True]
    publish(lake, again, ["10"])
    ids = {row["team"]: row["team_id"] for row in read_table(lake, TABLE).to_pylist()}
    assert (ids["NA"], ids["null"], ids["Platform"], ids["Platform Team"]) == (None, None, "10", "11")


def test_without_readings_every_id_is_null(sandbox: SandboxControl, lake: Path) -> None:
    publish(lake, export(lake, "export", ["10"], "2026-01"), ["10"])
    assert set(read_table(lake, TABLE)["team_id"].to_pylist()) == {None}


def test_the_trees_are_read_past_the_cache(sandbox: SandboxControl, lake: Path) -> None:
    sandbox.change_teams(rename={"12": "New"})
    publish(lake, [read_trees(lake, "before")], [])
    names = {row["id"]: row["name"] for row in read_table(lake, "teams").to_pylist()}
    assert names["12"] == "New"


def test_one_tree_of_several_is_read_and_the_others_keep_their_rows(sandbox: SandboxControl, lake: Path) -> None:
    publish(lake, [read_trees(lake, "all")], [])
    sandbox.advance(10)
    [reading] = read_trees(lake, "one", org_tree="Research")
    assert (reading["scope"], reading["rows"]) == ("org:Research", 5)
    publish(lake, [reading], [])
    rows = read_table(lake, "teams").to_pylist()
    newer = {row["tree"] for row in rows if row["last_seen"] > row["first_seen"]}
    assert (newer, {row["tree"] for row in rows}) == ({"Research"}, {"Engineering", "Research"})


def test_a_reading_that_failed_is_named_and_turns_the_run_red(
    sandbox: SandboxControl, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = {"teams_after": {-1: "failed"}, "teams_before": {-1: "success"}}
    monkeypatch.setattr("sei_provider.operators.publish.upstream_states", lambda *_, **__: states)
    result = publish(lake, [read_trees(lake, "before"), export(lake, "export", ["11"], "2026-01"), None], ["11"])
    assert [(lack["scope"], lack["task"]) for lack in result["missing"]] == [("all org trees", "teams_after")]
    with pytest.raises(Exception, match="task teams_after has not read the org trees"):
        SeiCheckOperator(task_id="check", published=result).execute({})  # type: ignore[arg-type]


def test_a_reading_whose_file_is_gone_is_named_and_the_figures_land(sandbox: SandboxControl, lake: Path) -> None:
    reading = read_trees(lake, "before")
    Path(reading[0]["path"]).unlink()
    result = publish(lake, [reading, export(lake, "export", ["11"], "2026-01")], ["11"])
    assert [lack["scope"] for lack in result["missing"]] == ["all org trees"]
    assert len(read_table(lake, TABLE)) == 1


def test_two_publish_tasks_of_one_run_both_use_the_readings(sandbox: SandboxControl, lake: Path) -> None:
    before, exported = read_trees(lake, "before"), export(lake, "export", ["11"], "2026-01")
    sprints = export(lake, "sprints", ["11"], "2026-01", report="sprint")
    after = read_trees(lake, "after")
    for staged in (exported, sprints):
        publish(lake, [before, staged, after], ["11"])
    assert {*read_table(lake, "sprint_team_monthly")["team_id"].to_pylist()} == {"11"}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"lake": "relative"}, "absolute"),
        ({"lake": "/lake", "org_tree": " "}, "org_tree must be text"),
        ({"lake": "/lake", "org_tree": 101}, "org_tree must be text"),
        ({"lake": "/lake", "table": "_teams"}, "a table cannot be called"),
        ({"lake": "/lake", "single_writer": "true"}, "single_writer must be True or False"),
        ({"lake": "/lake", "sei_conn_id": ""}, "sei_conn_id must be text"),
    ],
)
def test_a_wrong_argument_is_an_error_where_the_dag_is_read(arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(Exception, match=reason):
        SeiTeamsOperator(task_id="teams", **arguments)


def test_a_template_is_checked_once_it_is_rendered(lake: Path) -> None:
    operator = SeiTeamsOperator(task_id="teams", lake="{{ var.value.sei_lake }}", org_tree="{{ x }}")
    operator.lake, operator.org_tree = str(lake), ""
    with pytest.raises(Exception, match="org_tree must be text"):
        operator.execute(SimpleNamespace())  # type: ignore[arg-type]
