"""Publish says which figures of a month that was over have changed (CONTRACT row 34)."""

from __future__ import annotations

import pytest
from lake_bench import team_row

JAN = "2026-01-01"
OVER, RUNNING = 1000, -60 * 24 * 40
"""Minutes of publishing: in March, and in January itself."""


def export(bench, rows, age, minute=OVER):
    (month,) = bench.publish(bench.stage("team:1", rows, age=age), minute=minute)
    return month["restated"]


def test_changed_figures_of_a_month_that_is_over_are_told_with_how_much_and_for_which_teams(bench):
    assert export(bench, [team_row("Eng/A", JAN, 100, "1"), team_row("Eng/B", JAN, 10, "1")], 1) is None
    assert export(bench, [team_row("Eng/A", JAN, 100, "1"), team_row("Eng/B", JAN, 10, "1")], 2) is None
    restated = export(bench, [team_row("Eng/A", JAN, 80, "1"), team_row("Eng/B", JAN, 10, "2")], 3)
    assert restated == {"figures": 2, "largest": 0.5, "teams": ["Eng/A", "Eng/B"], "team_count": 2}


def test_what_is_within_a_billionth_is_the_same_figure(bench):
    export(bench, [team_row("Eng/A", JAN, 0.1 + 0.2)], 1)
    assert export(bench, [team_row("Eng/A", JAN, 0.3)], 2) is None


def test_a_month_to_date_is_not_restated(bench):
    export(bench, [team_row("Eng/A", JAN, 100)], 1, RUNNING)
    assert export(bench, [team_row("Eng/A", JAN, 200)], 2, RUNNING) is None


def test_teams_that_come_and_go_and_figures_that_were_not_there_are_no_restatement(bench):
    export(bench, [team_row("Eng/A", JAN, ""), team_row("Eng/B", JAN, 5)], 1)
    assert export(bench, [team_row("Eng/A", JAN, 3), team_row("Eng/C", JAN, 5)], 2) is None


def test_developers_are_added_up_by_team(bench):
    bench.header = "Squad Path,Team,Start_Date,End_Date,PR_MERGED,Developer"
    export(bench, [team_row("Eng/A", JAN, 1, "Ann"), team_row("Eng/A", JAN, 3, "Ben")], 1)
    assert export(bench, [team_row("Eng/A", JAN, 3, "Ann"), team_row("Eng/A", JAN, 1, "Ben")], 2) is None
    restated = export(bench, [team_row("Eng/A", JAN, 3, "Ann"), team_row("Eng/A", JAN, 5, "Ben")], 3)
    assert restated == {"figures": 1, "largest": 0.5, "teams": ["Eng/A"], "team_count": 1}


@pytest.mark.parametrize(("report", "teams"), [("team_report", ["team:1/A"]), ("contributor_report", [])])
def test_a_report_whose_teams_are_people_names_none(bench, report, teams):
    bench.report, bench.table, bench.header = report, f"{report}_monthly", "Team,CODING_DAYS"
    export(bench, ["A,5"], 1)
    assert export(bench, ["A,4"], 2) == {"figures": 1, "largest": 0.2, "teams": teams, "team_count": 1}
