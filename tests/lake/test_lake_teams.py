"""The table of teams and the column `team_id`, case by case."""

from __future__ import annotations

from typing import Any

import pyarrow.parquet as pq
import pytest
from lake_bench import Bench, at, team_row

from sei_provider import lake
from sei_provider.lake import Manifest, TableDefinitionError, TreeTeam, UnknownColumnError, UnknownTableError
from sei_provider.lake.model import ALL_TREES
from sei_provider.lake.tables.maintenance import rewrite_months

ENG = {"1": ("Eng", None), "2": ("CI", "1"), "3": ("CD", "2"), "4": ("Web", "1")}
"""Id → name and id of the team above."""


def tree(teams: dict[str, tuple[str, str | None]], name: str = "Eng") -> list[TreeTeam]:
    def path(team: str) -> str:
        own, above = teams[team]
        return f"{path(above)}/{own}" if above else own

    return [
        TreeTeam(
            id=team,
            name=own,
            path=path(team),
            parent_id=above,
            tree=name,
            depth=0,
            leaf=all(other != team for _, other in teams.values()),
        )
        for team, (own, above) in teams.items()
    ]


def reading(bench: Bench, teams: list[TreeTeam], minute: float, **arguments: Any) -> Manifest:
    told = {"table": "teams", "scope": ALL_TREES, "started_at": at(minute), "read_at": at(minute), "run_id": "run"}
    return lake.stage_teams(teams, folder=bench.staging, single_writer=bench.single_writer, **(told | arguments))


def ids(bench: Bench) -> dict[str, str | None]:
    return {row["team_hierarchy"]: row["team_id"] for row in lake.read_table(bench.lake, bench.table).to_pylist()}


def around(bench: Bench, before: list[TreeTeam], export: Manifest, after: list[TreeTeam] | None = None) -> None:
    """Publish an export of minute 10 between two readings."""
    bench.publish(reading(bench, before, 1), export, reading(bench, before if after is None else after, 20))


@pytest.mark.parametrize("store", ["disk", "memory", "s3"], indirect=True)
def test_the_teams_lie_in_one_object_on_each_kind_of_store_and_rows_have_their_ids(bench: Bench) -> None:
    around(
        bench,
        tree(ENG),
        bench.stage("team:2", [team_row("Eng/CI", "2026-01-01"), team_row("Eng/CI/CD", "2026-01-01")], age=10),
    )
    assert ids(bench) == {"Eng/CI": "2", "Eng/CI/CD": "3"}
    rows = lake.read_table(bench.lake, "teams").to_pylist()
    assert [(row["id"], row["path"], row["leaf"]) for row in rows] == [
        ("1", "Eng", False), ("2", "Eng/CI", False), ("3", "Eng/CI/CD", True), ("4", "Eng/Web", True),
    ]  # fmt: skip
    assert {(row["first_seen"], row["last_seen"], row["unchanged_since"]) for row in rows} == {(at(1), at(20), at(1))}
    assert [key for key in bench.objects() if "/teams/" in key] == [
        key for key in bench.objects() if key.endswith("/teams/data.parquet")
    ]


def test_two_teams_of_one_path_get_no_id_though_their_names_differ(bench: Bench) -> None:
    teams = tree({**ENG, "5": ("CI/CD", "1")})
    around(
        bench,
        teams,
        bench.stage("team:1", [team_row("Eng/CI/CD", "2026-01-01"), team_row("Eng/Web", "2026-01-01")], age=10),
    )
    assert ids(bench) == {"Eng/CI/CD": None, "Eng/Web": "4"}


def test_the_scopes_own_leaf_keeps_its_id_though_another_team_has_its_path(bench: Bench) -> None:
    teams = tree({**ENG, "5": ("CI/CD", "1")})
    around(bench, teams, bench.stage("team:3", [team_row("Eng/CI/CD", "2026-01-01")], age=10))
    assert ids(bench) == {"Eng/CI/CD": "3"}


def test_a_leaf_that_was_renamed_between_the_readings_keeps_its_id_under_either_name(bench: Bench) -> None:
    after = tree({**ENG, "4": ("Mobile", "1")})
    around(bench, tree(ENG), bench.stage("team:4", [team_row("Eng/Mobile", "2026-01-01")], age=10), after)
    assert ids(bench) == {"Eng/Mobile": "4"}


def test_teams_that_swap_their_names_between_the_readings_get_no_id(bench: Bench) -> None:
    after = tree({**ENG, "2": ("Web", "1"), "4": ("CI", "1")})
    rows = [team_row(path, "2026-01-01") for path in ("Eng", "Eng/CI", "Eng/Web")]
    around(bench, tree(ENG), bench.stage("team:1", rows, age=10), after)
    assert ids(bench) == {"Eng": "1", "Eng/CI": None, "Eng/Web": None}


def test_of_time_in_status_whose_hierarchy_ends_with_the_team_above_the_scopes_leaf_has_its_id(bench: Bench) -> None:
    teams = tree({"1": ("Engineering", None), "2": ("Platform", "1"), "3": ("Platform Team", "2")})
    row = "Engineering/Platform,Platform Team,2026-01-01,,1,"  # SEI's own example (CONTRACT, section 1a)
    around(bench, teams, bench.stage("team:3", [row], age=10))
    assert ids(bench) == {"Engineering/Platform": "3"}


def test_that_row_of_a_parents_export_is_not_taken_for_the_parent(bench: Bench) -> None:
    teams = tree({"1": ("Engineering", None), "2": ("Platform", "1"), "3": ("Platform Team", "2")})
    row = "Engineering/Platform,Platform Team,2026-01-01,,1,"
    around(bench, teams, bench.stage("team:2", [row], age=10))
    assert ids(bench) == {"Engineering/Platform": None}


def test_a_path_of_another_tree_is_not_taken_for_one_that_begins_at_the_scope(bench: Bench) -> None:
    teams = tree(ENG) + tree({"7": ("CI", None), "8": ("CD", "7")}, "Other")
    rows = [team_row("CI", "2026-01-01"), team_row("CI/CD", "2026-01-01")]
    around(bench, teams, bench.stage("team:2", rows, age=10))
    assert ids(bench) == {"CI": "2", "CI/CD": "3"}


def test_an_export_of_an_org_tree_has_the_ids_of_its_teams(bench: Bench) -> None:
    teams = tree(ENG) + tree({"7": ("Eng", None), "8": ("Web", "7")}, "Other")
    rows = [team_row("Eng", "2026-01-01"), team_row("Eng/Web", "2026-01-01")]
    around(bench, teams, bench.stage("org:Other", rows, age=10))
    assert ids(bench) == {"Eng": "7", "Eng/Web": "8"}


@pytest.mark.parametrize("minutes", [(11, 20), (1, 10.2), (1, 2), (11, 12)])
def test_readings_that_are_not_around_the_export_tell_no_id(bench: Bench, minutes: tuple[float, float]) -> None:
    export = bench.stage("team:1", [team_row("Eng/Web", "2026-01-01")], age=10)  # staged at minute 10.5
    bench.publish(export, *(reading(bench, tree(ENG), minute) for minute in minutes))
    assert ids(bench) == {"Eng/Web": None}


def test_a_reading_after_the_export_in_the_same_second_is_not_taken_for_the_one_before(bench: Bench) -> None:
    rows = [team_row(path, "2026-01-01") for path in ("Eng", "Eng/CI", "Eng/Web")]
    export = bench.stage("team:1", rows, age=10)  # staged at minute 10.5
    after = tree({**ENG, "2": ("Web", "1"), "4": ("CI", "1")})
    told = {"read_at": at(10)}
    before = reading(bench, tree(ENG), 10, **told)
    bench.publish(before, export, reading(bench, after, 10.6, **told))
    assert ids(bench) == {"Eng": "1", "Eng/CI": None, "Eng/Web": None}


def test_a_path_that_the_tree_has_twice_gets_no_id_though_the_scope_has_it_once(bench: Bench) -> None:
    teams = tree({**ENG, "5": ("CI/CD", "1")})
    around(bench, teams, bench.stage("team:2", [team_row("Eng/CI/CD", "2026-01-01")], age=10))
    assert ids(bench) == {"Eng/CI/CD": None}


def test_people_are_no_teams(tmp_path: Any) -> None:
    bench = Bench(tmp_path, table="contributor_report_weekly", report="contributor_report", granularity="weekly",
                  header="Collection Name,Coding Days,Note", columns={})  # fmt: skip
    around(bench, tree(ENG), bench.stage("team:4", ["Web,1,", "Developer 1,2,"], age=10))
    assert set(ids(bench).values()) == {None}


def test_without_a_hierarchy_the_scopes_own_leaf_has_its_id_and_others_have_none(tmp_path: Any) -> None:
    bench = Bench(tmp_path, header="Team,Start_Date,End_Date,PR_MERGED,Note", columns={})
    leaf = bench.stage("team:4", ["Web,2026-01-01,,1,"], age=10)
    around(bench, tree(ENG), leaf)
    bench.publish(
        reading(bench, tree(ENG), 30),
        bench.stage("team:2", ["CD,2026-01-01,,1,"], age=31),
        reading(bench, tree(ENG), 40),
    )
    assert ids(bench) == {"team:4/Web": "4", "team:2/CD": None}


def without_team_id(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Publish two months as a version before the column did."""
    with monkeypatch.context() as patch:
        patch.setattr("sei_provider.lake.tables.schema.TableSchema.with_team_id", lambda schema: schema)
        for month in ("2026-01", "2026-02", "2026-03"):
            bench.export("team:4", [team_row("Eng/Web", f"{month}-01")], age=1, start=f"{month}-01", end=f"{month}-28")


def columns_of(bench: Bench, month: str) -> list[str]:
    return pq.read_schema(str(bench.lake / bench.table / f"month={month}" / "data.parquet")).names


def test_a_table_of_before_gets_the_column_by_the_rule_for_late_columns(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_team_id(bench, monkeypatch)
    assert "team_id" not in columns_of(bench, "2026-01")
    export = bench.stage("team:4", [team_row("Eng/Web", "2026-03-01")], age=10, start="2026-03-01", end="2026-03-31")
    [published] = bench.publish(reading(bench, tree(ENG), 1), export, reading(bench, tree(ENG), 20))
    assert (published["new_columns"], published["missing_columns"]) == (["team_id"], [])
    have = {month for month in ("2026-01", "2026-02", "2026-03") if "team_id" in columns_of(bench, month)}
    assert have == {"2026-01", "2026-03"}  # the first, from which readers take the columns, and the one published
    assert bench.rows("month", "team_id") == [("2026-01", None), ("2026-02", None), ("2026-03", "4")]
    assert rewrite_months(bench.lake, bench.table, at_most=9) == ["2026-02"]
    assert "team_id" in columns_of(bench, "2026-02")


def test_a_column_that_an_older_version_took_from_seis_header_stays_as_it_is(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.header = "Squad Path,Team,Start_Date,End_Date,PR_MERGED,Team ID"
    with monkeypatch.context() as patch:
        patch.setattr("sei_provider.lake.header.RESERVED", frozenset({"month"}))
        bench.export("team:4", [team_row("Eng/Web", "2026-01-01", note="seis")], age=1)
    rows = [team_row("Eng", "2026-01-01", note="seis")]
    bench.publish(reading(bench, tree(ENG), 2), bench.stage("team:1", rows, age=10), reading(bench, tree(ENG), 20))
    assert sorted(bench.rows("team_hierarchy", "team_id", "sei_team_id"), key=str) == [
        ("Eng", None, "seis"), ("Eng/Web", "seis", None),
    ]  # fmt: skip


def test_in_a_new_table_seis_header_gets_another_name(bench: Bench) -> None:
    bench.header = "Squad Path,Team,Start_Date,End_Date,PR_MERGED,Team ID"
    around(bench, tree(ENG), bench.stage("team:4", [team_row("Eng/Web", "2026-01-01", note="007")], age=10))
    assert bench.rows("team_id", "sei_team_id") == [("4", "007")]


def test_readings_in_any_order_leave_the_last_and_first_seen_the_same(bench: Bench) -> None:
    renamed = tree({**ENG, "4": ("Mobile", "1")})
    for minute, teams in ((30, renamed), (10, tree(ENG)), (20, tree(ENG)), (30, renamed)):
        bench.publish(reading(bench, teams, minute))
    [row] = [row for row in lake.read_table(bench.lake, "teams").to_pylist() if row["id"] == "4"]
    assert (row["name"], row["first_seen"], row["last_seen"]) == ("Mobile", at(10), at(30))


def test_a_team_that_is_gone_keeps_its_row_and_is_unchanged_no_more(bench: Bench) -> None:
    bench.publish(reading(bench, tree(ENG), 1))
    bench.publish(reading(bench, [team for team in tree(ENG) if team.id != "4"], 2))
    [row] = [row for row in lake.read_table(bench.lake, "teams").to_pylist() if row["id"] == "4"]
    assert (row["path"], row["last_seen"], row["unchanged_since"]) == ("Eng/Web", at(1), None)


def test_the_teams_of_two_projects_do_not_share_a_table(bench: Bench) -> None:
    bench.publish(reading(bench, tree(ENG), 1, origin={"project": "web", "account": None}))
    bench.publish(reading(bench, tree(ENG), 2, origin={"project": "web", "account": "acme"}))
    with pytest.raises(TableDefinitionError, match="holds the teams of the project 'web', and these are of 'ops'"):
        bench.publish(reading(bench, tree(ENG), 3, origin={"project": "ops", "account": "acme"}))
    bench.publish(reading(bench, tree(ENG), 3, table="ops_teams", origin={"project": "ops", "account": "acme"}))
    assert len(lake.read_table(bench.lake, "ops_teams")) == 4


def test_figures_and_teams_never_share_a_table_whichever_came_first(bench: Bench) -> None:
    export = bench.stage("team:2", [team_row("Eng/CI", "2026-01-01")], age=10)
    second = bench.stage("team:3", [team_row("Eng/CI/CD", "2026-01-01")], age=9)
    bench.publish(export)
    with pytest.raises(TableDefinitionError, match=f"table {bench.table} holds figures: give the teams another one"):
        bench.publish(reading(bench, tree(ENG), 1, table=bench.table))
    bench.publish(reading(bench, tree(ENG), 1))
    with pytest.raises(TableDefinitionError, match="table teams holds the teams: give the figures another one"):
        lake.publish(bench.lake, [second], published_at=at(1000), table="teams")
    assert set(ids(bench)) == {"Eng/CI"}
    assert len(lake.read_table(bench.lake, "teams")) == len(ENG)
    bench.publish(second)
    assert set(ids(bench)) == {"Eng/CI", "Eng/CI/CD"}


def test_columns_of_the_teams_are_selected_like_those_of_any_table(bench: Bench) -> None:
    bench.publish(reading(bench, tree(ENG), 1))
    assert lake.read_table(bench.lake, "teams", columns=["path", "id"]).schema.names == ["path", "id"]
    with pytest.raises(UnknownColumnError, match="table teams has no column pth; it has id, name"):
        lake.read_table(bench.lake, "teams", columns=["pth"])
    with pytest.raises(UnknownTableError):
        lake.read_table(bench.lake, "tems")
