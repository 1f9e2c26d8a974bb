"""What time does to a table: renames, half-failed nights, late clears, clocks that go back (DESIGN, decision 12)."""

from __future__ import annotations

from itertools import permutations

import pytest
from lake_bench import at, team_row

from sei_provider import lake
from sei_provider.lake import TableDefinitionError

JAN = "2026-01-01"
MONTH_TO_DATE = {"start": JAN, "end": "2026-01-20"}


def night(bench, number, teams, *, only=None):
    """One run over scopes of one team each: scope → the team's name that night; `only` are those that succeed."""
    bench.run = f"night_{number}"
    staged = [
        bench.stage(f"team:{scope}", [team_row(f"Eng/{name}", JAN, number)], age=number * 100 + minute)
        for minute, (scope, name) in enumerate(teams.items())
        if only is None or scope in only
    ]
    return bench.publish(*staged)


def test_teams_that_swap_names_in_one_night_both_keep_their_rows(bench):
    night(bench, 1, {1: "A", 2: "B"})
    night(bench, 2, {1: "B", 2: "A"})
    assert bench.rows("_scope", "team", "pr_merged") == [("team:1", "B", 2.0), ("team:2", "A", 2.0)]


@pytest.mark.parametrize("giver", [1, 2])
def test_a_name_that_one_team_gives_up_and_another_takes_belongs_to_the_other(bench, giver):
    taker = 3 - giver
    night(bench, 1, dict(sorted({giver: "Platform", taker: "Platform NG"}.items())))
    night(bench, 2, dict(sorted({giver: "Platform Legacy", taker: "Platform"}.items())))
    assert set(bench.rows("_scope", "team")) == {(f"team:{giver}", "Platform Legacy"), (f"team:{taker}", "Platform")}


@pytest.mark.parametrize("first", [1, 2])
def test_teams_that_swap_names_over_two_half_failed_nights_both_keep_their_rows(bench, first):
    night(bench, 1, {1: "A", 2: "B"})
    night(bench, 2, {1: "B", 2: "A"}, only={first})
    night(bench, 3, {1: "B", 2: "A"}, only={3 - first})
    assert {team for _, team in bench.rows("_scope", "team")} == {"A", "B"}
    night(bench, 4, {1: "B", 2: "A"})
    assert bench.rows("_scope", "team", "pr_merged") == [("team:1", "B", 4.0), ("team:2", "A", 4.0)]


def test_teams_that_swap_names_keep_their_rows_though_a_manual_runs_exports_are_reused(bench):
    night(bench, 1, {1: "A", 2: "B"})
    night(bench, 2, {1: "B"})
    bench.run = "night_3"
    bench.staged = 390
    reused = bench.stage("team:1", [team_row("Eng/B", JAN, 2)], age=200)
    bench.staged = None
    bench.publish(reused, bench.stage("team:2", [team_row("Eng/A", JAN, 3)], age=301))
    assert bench.rows("_scope", "team", "pr_merged") == [("team:1", "B", 2.0), ("team:2", "A", 3.0)]
    held = {entry["export_id"]: entry["runs"] for entry in lake.ledger(bench.lake, bench.table)["2026-01"]}
    assert held["exp_200"] == ["night_2", "night_3"], "a reused export belongs to every run that handed it on"


def test_a_deleted_child_is_cleared_by_its_parents_export_though_other_scopes_named_it(bench):
    bench.export("team:K", [team_row("Eng/A/K", JAN)], age=1)
    bench.export("team:A", [team_row("Eng/A", JAN), team_row("Eng/A/L", JAN)], age=2)
    assert bench.owners() == {"Eng/A": ["exp_2"], "Eng/A/L": ["exp_2"]}


def test_what_lies_below_is_told_by_team_cells_and_not_by_slashes(bench):
    sibling = f"Eng/CI/CD,CI/CD,{JAN},,1,"
    bench.export("team:CI/CD", [sibling], age=1)
    bench.export("team:CI", [team_row("Eng/CI", JAN), team_row("Eng/CI/L", JAN)], age=2)
    assert bench.owners() == {"Eng/CI": ["exp_2"], "Eng/CI/CD": ["exp_1"], "Eng/CI/L": ["exp_2"]}


def test_a_report_whose_exports_hold_the_scopes_own_row_only_clears_no_child(bench):
    bench.export("team:K", [team_row("Eng/A/K", JAN)], age=1)
    bench.export("team:A", [team_row("Eng/A", JAN)], age=2)
    assert bench.owners() == {"Eng/A": ["exp_2"], "Eng/A/K": ["exp_1"]}


def test_an_export_with_rows_in_quarantine_clears_only_what_it_names(bench):
    bench.export("team:K", [team_row("Eng/A/K", JAN)], age=1)
    bench.options = {"on_bad_value": "quarantine"}
    rows = [team_row("Eng/A", JAN), team_row("Eng/A/L", JAN), team_row("Eng/A/K", JAN, "bad")]
    bench.export("team:A", rows, age=2)
    assert bench.owners() == {"Eng/A": ["exp_2"], "Eng/A/K": ["exp_1"], "Eng/A/L": ["exp_2"]}


def test_a_month_to_date_that_is_cleared_and_run_again_later_does_not_replace_the_month(bench):
    bench.run = "backfill"
    bench.export("team:1", [team_row("Eng/A", JAN, 31)], age=1)
    bench.run = "scheduled__2026-01-20"
    (month,) = bench.export("team:1", [team_row("Eng/A", JAN, 20)], age=2, **MONTH_TO_DATE)
    assert bench.rows("pr_merged", "_export_id") == [(31.0, "exp_1")]
    (lost,) = month["superseded"]
    assert lost["reason"] == "an export that reaches further into the period covers 1 of its 1 rows of this month"
    assert lost["by"] == [{"scope": "team:1", "export_id": "exp_1", "created_at": at(1).isoformat()}]
    assert not lost["clock_went_back"]
    assert [part["complete"] for part in lake.coverage(bench.lake, bench.table)] == [True]


def test_the_same_exports_in_any_order_leave_the_same_rows(bench):
    exports = [
        ("run_1", "org:Eng", ["Eng", "Eng/A", "Eng/B"], {"age": 1}),
        ("run_1", "team:A", ["Eng/B"], {"age": 2}),
        ("run_2", "org:Eng", ["Eng", "Eng/A"], {"age": 3, **MONTH_TO_DATE}),
        ("run_2", "team:A", ["Eng/A"], {"age": 4}),
    ]
    found = set()
    for number, order in enumerate(permutations(exports)):
        bench.table = f"table_{number}"
        for bench.run, scope, paths, asked in order:
            bench.export(scope, [team_row(path, JAN) for path in paths], **asked)
        found.add(tuple(bench.rows("team_hierarchy", "_scope", "_export_id")))
    assert found == {(("Eng", "org:Eng", "exp_1"), ("Eng/A", "team:A", "exp_4"))}


def test_an_export_read_otherwise_replaces_itself(bench):
    bench.options, bench.header = {"on_bad_value": "quarantine"}, "Squad Path,Unit,Team,Start_Date,End_Date,PR_MERGED"
    body = f"{bench.header}\nEng/A,Eng/X,A,{JAN},,1\nEng/B,Eng/Y,B,{JAN},,bad\n".encode()
    bench.publish(bench.stage_bytes(body, bench.slice(), age=1))
    assert bench.rows("team_hierarchy") == [("Eng/A",)]
    bench.aliases, bench.staged = {"team_hierarchy": ["unit"]}, 50
    bench.publish(bench.stage_bytes(body, bench.slice(), age=1))
    assert bench.rows("team_hierarchy") == [("Eng/X",)], "other aliases"
    body, bench.staged = body.replace(b"bad", b"7"), 60
    bench.options = {"on_bad_value": "fail"}
    bench.publish(bench.stage_bytes(body, bench.slice(), age=1))
    assert bench.rows("team_hierarchy", "pr_merged") == [("Eng/X", 1.0), ("Eng/Y", 7.0)], "another policy"


def test_an_export_read_as_before_after_it_was_read_otherwise_replaces_itself_too(bench):
    body = f"Squad Path,Unit,Team,Start_Date,PR_MERGED\nEng/A,Eng/X,A,{JAN},1\n".encode()
    for staged, header, expected in ((1, "squad_path", "Eng/A"), (2, "unit", "Eng/X"), (3, "squad_path", "Eng/A")):
        bench.aliases, bench.staged = {"team_hierarchy": [header]}, staged
        bench.publish(bench.stage_bytes(body, bench.slice(), age=1))
        assert bench.rows("team_hierarchy") == [(expected,)]


@pytest.mark.parametrize("rows", [[team_row("Eng/A", JAN, 2)], []], ids=["rows", "empty"])
def test_an_export_that_loses_to_one_staged_earlier_by_our_clock_is_told(bench, rows):
    bench.staged = 60
    bench.export("team:1", [team_row("Eng/A", JAN, 1)], age=60)
    bench.staged = 120
    (month,) = bench.export("team:1", rows, age=30)
    assert [(lost["export_id"], lost["clock_went_back"]) for lost in month["superseded"]] == [("exp_30", True)]
    bench.staged = 64
    (month,) = bench.export("team:1", rows, age=29)
    assert [(lost["export_id"], lost["clock_went_back"]) for lost in month["superseded"]] == [("exp_29", False)]


def test_developers_and_teams_in_one_table_are_refused(bench):
    bench.definition = {"aggregation": "mean", "level": "developer"}
    bench.header = "Contributor,Squad Path,Team,Start_Date,PR_MERGED"
    bench.export("team:1", [f"Developer 12-03,Eng/A,A,{JAN},4"], age=1)
    bench.definition = {"aggregation": "mean", "level": "team"}
    bench.header = "Squad Path,Team,Start_Date,PR_MERGED"
    with pytest.raises(TableDefinitionError, match=r"level='developer'.*level='team'.*table="):
        bench.export("team:1", [f"Eng/A,A,{JAN},4"], age=2)
    assert bench.rows("developer") == [("Developer 12-03",)]


def test_a_table_that_does_not_tell_its_level_takes_the_first_that_is_told(bench):
    bench.export("team:1", [team_row("Eng/A", JAN)], age=1)
    for level in ("team", None):
        bench.definition = {"aggregation": "mean", "level": level}
        bench.export("team:1", [team_row("Eng/A", JAN)], age=2)
    bench.definition = {"aggregation": "mean", "level": "developer"}
    with pytest.raises(TableDefinitionError, match="level="):
        bench.export("team:1", [team_row("Eng/A", JAN)], age=3)
