"""Files whose rows tell no hierarchy, and rows that went to quarantine: which teams an answer still shows."""

from __future__ import annotations

import pytest
from lake_bench import Bench, team_row

FLAT = "Team,Start_Date,PR_MERGED"
JAN = "2026-01-01"


@pytest.mark.parametrize(
    ("header", "row"),
    [(FLAT, "{team},2026-01-01,{value}"), (f"{FLAT},Team_Hierarchy", "{team},2026-01-01,{value},")],
    ids=["no such column", "an empty column"],
)
def test_teams_of_one_name_in_two_scopes_stay_two_where_no_row_has_a_hierarchy(bench: Bench, header, row) -> None:
    bench.header = header
    for age, (scope, value) in enumerate([("team:1", 1), ("team:2", 2), ("org:Engineering", 3)]):
        bench.export(
            scope, [row.format(team="Backend", value=value), row.format(team=f"Own {value}", value=9)], age=age
        )
    assert sorted(bench.rows("_scope", "team_hierarchy", "team_depth", "is_leaf", "pr_merged"))[::2] == [
        ("org:Engineering", "org:Engineering/Backend", 1, True, 3.0),
        ("team:1", "team:1/Backend", 1, True, 1.0),
        ("team:2", "team:2/Backend", 1, True, 2.0),
    ]
    bench.export("team:2", [row.format(team="Backend", value=5)], age=9)
    assert sorted(bench.rows("_scope", "team", "pr_merged")) == [
        ("org:Engineering", "Backend", 3.0),
        ("org:Engineering", "Own 3", 9.0),
        ("team:1", "Backend", 1.0),
        ("team:1", "Own 1", 9.0),
        ("team:2", "Backend", 5.0),
    ]


@pytest.mark.parametrize(
    ("bad", "left"),
    [
        (team_row("Eng/B", JAN, "many"), ["Eng", "Eng/A", "Eng/B"]),
        (team_row("Eng/B", JAN, "many") + ",another", ["Eng", "Eng/A", "Eng/B", "Eng/C"]),
        (f",,{JAN},,many,", ["Eng", "Eng/A", "Eng/B", "Eng/C"]),
        (f"Eng/B,C,{JAN},,many,", ["Eng", "Eng/A", "Eng/B", "Eng/C"]),
        (f'Eng/B,B,{JAN},,1,a"b', ["Eng", "Eng/A", "Eng/B", "Eng/C"]),
    ],
    ids=["known", "a cell too many", "no team", "another team's hierarchy", "a stray quote"],
)
def test_a_team_in_quarantine_is_not_gone_and_others_are_if_it_is_known_which_it_is(bench: Bench, bad, left) -> None:
    bench.options = {"on_bad_value": "quarantine"}
    bench.export("team:2", [team_row("Eng/B", JAN, 1)], age=1)
    bench.export("team:3", [team_row("Eng/C", JAN, 1)], age=2)
    bench.export("org:Eng", [team_row("Eng", JAN, 1), team_row("Eng/A", JAN, 1), bad], age=3)
    assert [path for (path,) in bench.rows("team_hierarchy")] == left
    bench.export("org:Eng", [team_row("Eng", JAN, 1), team_row("Eng/A", JAN, 1)], age=4)
    assert [path for (path,) in bench.rows("team_hierarchy")] == ["Eng", "Eng/A"]
