"""Replace by what was asked, and a team's period has one owner (DESIGN, decisions 12 to 14)."""

from __future__ import annotations

import pytest
from lake_bench import STORES, at, team_row

from sei_provider import lake

pytestmark = pytest.mark.parametrize("store", STORES, indirect=True)

JAN, FEB = "2026-01-01", "2026-02-01"
BOTH = {"start": "2026-01-01", "end": "2026-02-28"}


def test_a_slice_lands_in_the_months_of_its_rows_start_dates(bench):
    published = bench.export("team:1", [team_row("Eng/A", JAN, 4), team_row("Eng/A", FEB, 5)], age=1, **BOTH)
    folder = bench.lake / "productivity_team_monthly"
    assert published == [
        {
            "table": "productivity_team_monthly",
            "month": month,
            "rows": 1,
            "slices": 1,
            "superseded": [],
            "quarantined": 0,
            "restated": None,
            "new_columns": [],
            "unknown_columns": [],
            "missing_columns": [],
            "path": str(folder / f"month={month}" / "data.parquet"),
        }
        for month in ("2026-01", "2026-02")
    ]
    assert bench.rows("team", "pr_merged", "month") == [("A", 4.0, "2026-01"), ("A", 5.0, "2026-02")]


def test_manifests_of_failed_scopes_are_passed_over(bench):
    good = bench.stage("team:1", [team_row("Eng/A", JAN)], age=1)
    failed = {**good, "scope": "team:2", "path": None, "rows": 0, "error": "SEI failed the export"}
    bench.publish(failed, good)
    assert bench.owners() == {"Eng/A": ["exp_1"]}


def test_a_re_run_replaces_its_own_rows_only(bench):
    bench.publish(
        bench.stage("team:1", [team_row("Eng/A", JAN, 1)], age=1),
        bench.stage("team:2", [team_row("Eng/B", JAN, 1)], age=2),
    )
    bench.export("team:1", [team_row("Eng/A", JAN, 9)], age=3)
    assert bench.rows("team", "pr_merged") == [("A", 9.0), ("B", 1.0)]


def test_an_export_with_a_row_outside_its_range_is_refused_and_the_old_rows_stay(bench):
    bench.export("team:1", [team_row("Eng/A", JAN, 1)], age=1)
    with pytest.raises(lake.CsvError, match="line 3: start date 2026-02-01 lies outside"):
        bench.export("team:1", [team_row("Eng/A", JAN, 2), team_row("Eng/A", "2026-02-01", 2)], age=2)
    assert bench.rows("month", "pr_merged") == [("2026-01", 1.0)]
    assert lake.staged(bench.staging) == {}


def test_a_header_alone_clears_its_scopes_rows_and_nobody_elses(bench):
    bench.export("team:1", [team_row("Eng/A", JAN), team_row("Eng/A", FEB)], age=1, **BOTH)
    bench.export("team:2", [team_row("Eng/B", JAN)], age=2)
    published = bench.export("team:1", [], age=3)
    assert [(month["month"], month["rows"]) for month in published] == [("2026-01", 1)]
    assert bench.rows("team", "month") == [("A", "2026-02"), ("B", "2026-01")]


def test_an_emptied_month_is_an_object_without_rows_that_keeps_its_columns(bench):
    bench.export("team:1", [team_row("Eng/A", JAN)], age=1)
    bench.export("team:1", [], age=2)
    assert len(bench.objects()) == 1
    table = lake.read_table(bench.lake, bench.table)
    assert (len(table), "pr_merged" in table.schema.names) == (0, True)
    held = lake.ledger(bench.lake, bench.table)["2026-01"]
    assert [(entry["export_id"], entry["rows"], entry["teams"]) for entry in held] == [
        ("exp_1", 0, ["Eng/A"]),
        ("exp_2", 0, []),
    ]


def test_an_empty_answer_clears_what_the_scope_covered_though_it_came_under_another(bench):
    bench.export("org:Eng", [team_row("Eng/A", JAN), team_row("Eng/B", JAN)], age=1)
    bench.export("team:A", [team_row("Eng/A", JAN)], age=2)
    bench.export("org:Eng", [], age=3)
    assert bench.owners() == {}


def test_empty_after_empty_still_clears(bench):
    bench.export("org:Eng", [team_row("Eng/A", JAN)], age=1)
    bench.export("org:Eng", [], age=3)
    bench.export("team:A", [team_row("Eng/A", JAN)], age=3.5)
    bench.export("org:Eng", [], age=4)
    assert bench.owners() == {}


def test_parent_child_parent_leaves_each_teams_rows_once_from_the_newest(bench):
    both = [team_row("Eng", JAN), team_row("Eng/A", JAN)]
    bench.export("team:Eng", both, age=1)
    bench.export("team:A", [team_row("Eng/A", JAN)], age=2)
    assert bench.owners() == {"Eng": ["exp_1"], "Eng/A": ["exp_2"]}
    bench.export("team:Eng", both, age=3)
    assert bench.owners() == {"Eng": ["exp_3"], "Eng/A": ["exp_3"]}


def test_parent_and_child_in_one_publish_leave_each_teams_rows_once(bench):
    parent = bench.stage("team:Eng", [team_row("Eng", JAN), team_row("Eng/A", JAN)], age=1)
    child = bench.stage("team:A", [team_row("Eng/A", JAN)], age=2)
    (month,) = bench.publish(child, parent)
    assert bench.owners() == {"Eng": ["exp_1"], "Eng/A": ["exp_2"]}
    assert month["slices"] == 2
    assert [(lost["scope"], lost["reason"]) for lost in month["superseded"]] == [
        ("team:Eng", "a newer export covers 1 of its 2 rows of this month")
    ]


def test_a_child_that_became_empty_takes_its_rows_from_its_older_parent(bench):
    bench.export("team:A", [team_row("Eng/A", JAN)], age=1)
    bench.export("team:Eng", [team_row("Eng", JAN), team_row("Eng/A", JAN)], age=2)
    bench.export("team:A", [], age=3)
    assert bench.owners() == {"Eng": ["exp_2"]}


def test_a_child_that_became_empty_stays_under_its_newer_parent(bench):
    bench.export("team:A", [team_row("Eng/A", JAN)], age=1)
    bench.export("team:Eng", [team_row("Eng", JAN), team_row("Eng/A", JAN)], age=3)
    bench.export("team:A", [], age=2)
    assert bench.owners() == {"Eng": ["exp_3"], "Eng/A": ["exp_3"]}


def test_two_people_of_one_name_in_one_team_both_stay(bench):
    bench.table, bench.header = "productivity_developer_monthly", "Contributor,Team,Start_Date,PR_MERGED"
    bench.export("team:1", [f"Developer 12-03,A,{JAN},{n}" for n in (4, 4, 7)], age=1)
    assert bench.rows("developer", "pr_merged") == [("Developer 12-03", n) for n in (4.0, 4.0, 7.0)]


def test_an_older_slice_that_arrives_late_is_skipped_and_reported(bench):
    old = bench.stage("team:1", [team_row("Eng/A", JAN, 1)], age=1)
    bench.export("team:1", [team_row("Eng/A", JAN, 2)], age=2)
    before = bench.objects()
    (month,) = bench.publish(old)
    assert month["superseded"] == [
        {
            "scope": "team:1",
            "start": "2026-01-01",
            "end": "2026-01-31",
            "export_id": "exp_1",
            "reason": "a newer export covers 1 of its 1 rows of this month",
            "by": [{"scope": "team:1", "export_id": "exp_2", "created_at": at(2).isoformat()}],
            "clock_went_back": False,
        }
    ]
    assert month["slices"] == 0
    assert bench.objects() == before


def test_a_late_older_slice_fills_only_the_days_that_nothing_newer_asked_for(bench):
    bench.granularity = "weekly"
    bench.export("team:1", [team_row("Eng/A", "2026-01-12", 2)], age=2, start="2026-01-12", end="2026-01-18")
    late = [team_row("Eng/A", f"2026-01-{day}", 1) for day in ("05", "12", "19")]
    bench.export("team:1", late, age=1, start="2026-01-05", end="2026-01-25")
    assert {day.isoformat(): merged for day, merged in bench.rows("start_date", "pr_merged")} == {
        "2026-01-05": 1.0,
        "2026-01-12": 2.0,
        "2026-01-19": 1.0,
    }


def test_a_late_older_slice_does_not_make_the_newer_one_clear_its_teams(bench):
    bench.export("org:Eng", [team_row("Eng/A", JAN)], age=2)
    bench.export("org:Eng", [team_row("Eng/A", JAN), team_row("Eng/B", JAN)], age=1)
    bench.run = "manual__2"
    bench.export("team:B", [team_row("Eng/B", JAN)], age=3)
    bench.export("org:Eng", [team_row("Eng/A", JAN)], age=4)
    assert bench.owners() == {"Eng/A": ["exp_4"], "Eng/B": ["exp_3"]}


def test_a_late_older_slice_clears_nothing_for_what_a_newer_one_names(bench):
    bench.granularity = "weekly"
    weeks = {"start": "2026-01-05", "end": "2026-01-18"}
    bench.export("team:B", [team_row("Eng/B", "2026-01-05")], age=1, **weeks)
    newer = [team_row("Eng/A", "2026-01-12"), team_row("Eng/B", "2026-01-12")]
    bench.export("org:Eng", newer, age=3, start="2026-01-12", end="2026-01-18")
    bench.export("org:Eng", [team_row("Eng/A", "2026-01-05")], age=2, **weeks)
    assert bench.owners() == {"Eng/A": ["exp_2", "exp_3"], "Eng/B": ["exp_1", "exp_3"]}


def test_age_is_the_servers_createdat_then_the_id_and_not_the_order_of_publishing(bench):
    def export(name, age):
        body = f"{bench.header}\n{team_row('Eng/A', JAN)}\n".encode()
        bench.publish(bench.stage_bytes(body, bench.slice(f"team:{name}"), age=age, export_id=name))
        return bench.owners()["Eng/A"]

    assert export("exp_b", 5) == ["exp_b"]
    assert export("exp_a", 5) == ["exp_b"]
    assert export("exp_0", 6) == ["exp_0"]
    assert export("exp_z", 4) == ["exp_0"]


def test_a_team_that_moved_leaves_its_old_place_even_if_another_scope_had_put_it_there(bench):
    bench.export("team:Eng", [team_row("Eng/Old/A", JAN)], age=1)
    bench.export("team:Old", [team_row("Eng/Old/A", JAN)], age=2)
    bench.export("team:Eng", [team_row("Eng/New/A", JAN)], age=3)
    assert bench.owners() == {"Eng/New/A": ["exp_3"]}


def test_what_a_scope_gave_up_long_ago_does_not_come_back_with_a_late_slice(bench):
    late = bench.stage("team:A", [team_row("Eng/A", JAN)], age=1)
    bench.export("org:Eng", [team_row("Eng/A", JAN)], age=2)
    for age in (3, 4, 5, 6):
        bench.export("org:Eng", [team_row("Eng/B", JAN)], age=age)
    bench.publish(late)
    assert bench.owners() == {"Eng/B": ["exp_6"]}


def test_a_quarter_lies_in_its_first_month_and_is_replaced_whole(bench):
    bench.granularity = "quarterly"
    quarter = {"start": "2026-01-01", "end": "2026-06-30"}
    published = bench.export(
        "team:1", [team_row("Eng/A", JAN, 1), team_row("Eng/A", "2026-04-01", 2)], age=1, **quarter
    )
    assert [month["month"] for month in published] == ["2026-01", "2026-04"]
    bench.export("team:1", [team_row("Eng/A", JAN, 3)], age=2, **quarter)
    assert bench.rows("month", "pr_merged") == [("2026-01", 3.0)]


def test_a_week_across_two_months_stays_whole_in_the_month_it_starts_in(bench):
    bench.granularity = "weekly"
    weeks = {"start": "2025-12-29", "end": "2026-02-01"}
    published = bench.export(
        "team:1", [team_row("Eng/A", "2025-12-29"), team_row("Eng/A", "2026-01-26")], age=1, **weeks
    )
    assert [month["month"] for month in published] == ["2025-12", "2026-01"]
    bench.export("team:1", [team_row("Eng/A", "2025-12-29")], age=2, **weeks)
    assert bench.rows("month", "_export_id") == [("2025-12", "exp_2")]


def test_weeks_that_start_on_another_day_than_ours_are_cleared_too(bench):
    bench.granularity = "weekly"
    weeks = {"start": "2025-12-29", "end": "2026-02-01"}
    bench.export("team:1", [team_row("Eng/A", "2026-02-01")], age=1, **weeks)
    bench.export("team:1", [], age=2, **weeks)
    assert bench.owners() == {}


def test_rows_are_sorted_by_team(bench):
    bench.publish(
        bench.stage("team:1", [team_row("Eng/B", JAN), team_row("Eng/A", JAN)], age=1),
        bench.stage("team:2", [team_row("Eng/AA", JAN)], age=2),
    )
    table = lake.read_table(bench.lake, bench.table)
    assert table["team_hierarchy"].to_pylist() == ["Eng/A", "Eng/AA", "Eng/B"]


def test_several_tables_are_published_at_once(bench):
    first = bench.stage("team:1", [team_row("Eng/A", JAN)], age=1)
    bench.table = "other"
    second = bench.stage("team:1", [team_row("Eng/B", JAN)], age=2)
    assert [month["table"] for month in bench.publish(first, second)] == ["other", "productivity_team_monthly"]
    assert bench.owners() == {"Eng/B": ["exp_2"]}
