"""Sprints cross the borders of requests and are identified by team and name (DESIGN, decision 12)."""

from __future__ import annotations

import sys
from contextlib import nullcontext

import pytest
from lake_bench import STORES

from sei_provider import lake
from sei_provider.lake.tables import table as tables

pytestmark = pytest.mark.parametrize("store", STORES, indirect=True)

DECEMBER = {"start": "2025-12-01", "end": "2025-12-31"}
JANUARY = {"start": "2026-01-01", "end": "2026-01-31"}
ACROSS = "S1,A,Eng/A,2025-12-25,2026-01-07"


@pytest.fixture
def bench(bench):
    bench.report, bench.table, bench.granularity = "sprint", "sprint_sprint_sprint", "sprint"
    bench.header = "Sprint Name,Team,Hierarchy,Sprint Start,Period End,SPRINT_COMMIT"
    bench.columns = {"Sprint Start": "start_date"}
    bench.metrics = frozenset({"SPRINT_COMMIT"})
    return bench


def sprints(bench):
    return bench.rows("sprint", "month", "sprint_commit")


def test_a_sprint_across_two_requests_lands_once_from_the_newer(bench):
    bench.export("team:1", [f"{ACROSS},5"], age=1, **DECEMBER)
    bench.export("team:1", [f"{ACROSS},8"], age=2, **JANUARY)
    assert sprints(bench) == [("S1", "2025-12", 8.0)]


def test_a_sprint_whose_dates_moved_into_another_month_lands_once(bench):
    bench.export("team:1", [f"{ACROSS},5"], age=1, **DECEMBER)
    bench.export("team:1", ["S1,A,Eng/A,2026-01-02,2026-01-15,5"], age=2, **JANUARY)
    assert sprints(bench) == [("S1", "2026-01", 5.0)]


def test_a_sprint_that_moved_on_does_not_come_back_with_the_older_month_that_arrives_late(bench):
    bench.export("team:1", ["S1,A,Eng/A,2026-01-02,2026-01-15,5"], age=2, **JANUARY)
    (late,) = bench.export("team:1", [f"{ACROSS},5", "S0,A,Eng/A,2025-12-11,2025-12-24,4"], age=1, **DECEMBER)
    assert sprints(bench) == [("S0", "2025-12", 4.0), ("S1", "2026-01", 5.0)]
    assert late["rows"] == 1


def test_a_sprint_that_ends_earlier_by_now_is_not_lost_when_an_earlier_night_is_cleared(bench):
    bench.export("team:1", ["S2,A,Eng/A,2026-01-19,2026-02-01,1"], age=1, start="2026-01-01", end="2026-01-21")
    bench.export("team:1", ["S2,A,Eng/A,2026-01-07,2026-01-20,2"], age=2, start="2026-01-04", end="2026-01-24")
    bench.export("team:1", ["S2,A,Eng/A,2026-01-07,2026-01-20,3"], age=3, start="2025-12-31", end="2026-01-20")
    assert sprints(bench) == [("S2", "2026-01", 2.0)]


def test_a_publisher_that_dies_after_a_put_has_looked_at_the_adjacent_months_before(bench, monkeypatch):
    bench.export("team:1", ["S1,A,Eng/A,2026-01-02,2026-01-15,5"], age=2, **JANUARY)
    late = bench.stage("team:1", [f"{ACROSS},5"], age=1, **DECEMBER)
    put_month = tables.put_month

    def put_and_die(*args, **kwargs):
        put_month(*args, **kwargs)
        sys.exit()

    with monkeypatch.context() as patch:
        patch.setattr(tables, "put_month", put_and_die)
        with pytest.raises(SystemExit):
            bench.publish(late)
    assert sprints(bench) == [("S1", "2026-01", 5.0)]
    bench.publish(late)
    assert sprints(bench) == [("S1", "2026-01", 5.0)]


def test_a_sprint_that_moves_into_another_month_is_never_nowhere(bench, monkeypatch):
    """Two sprints change places over the border of two months, and the publisher dies after each of its puts."""
    before = ["S1,A,Eng/A,2026-01-06,2026-01-19,1", "S2,A,Eng/A,2026-02-03,2026-02-16,1"]
    after = ["S1,A,Eng/A,2026-02-03,2026-02-16,2", "S2,A,Eng/A,2026-01-06,2026-01-19,2"]
    root, put_month = bench.lake, tables.put_month
    for fatal in range(4):
        bench.root = root / f"{fatal}"
        bench.export("team:1", before, age=1, start="2026-01-01", end="2026-02-28")
        moved = bench.stage("team:1", after, age=2, start="2026-01-01", end="2026-02-28")
        puts = []

        def put_or_die(*args, fatal=fatal, puts=puts, **kwargs):
            if len(puts) == fatal:
                sys.exit()
            put_month(*args, **kwargs)
            puts.append(args)

        with monkeypatch.context() as patch:
            patch.setattr(tables, "put_month", put_or_die)
            with pytest.raises(SystemExit) if fatal < 3 else nullcontext():
                bench.publish(moved)
        assert {sprint for sprint, *_ in sprints(bench)} == {"S1", "S2"}, f"put {fatal}"
        bench.publish(moved)
        assert sprints(bench) == [("S1", "2026-02", 2.0), ("S2", "2026-01", 2.0)], f"put {fatal}"


def test_a_sprint_of_six_months_and_a_late_older_slice_land_once(bench):
    long = "S1,A,Eng/A,2026-01-05,2026-06-30,{}"
    bench.export("team:1", [long.format(2)], age=2, start="2026-06-01", end="2026-06-30")
    bench.export("team:1", [long.format(1)], age=1, **JANUARY)
    assert sprints(bench) == [("S1", "2026-01", 2.0)]


def test_a_sprint_of_six_months_that_began_later_than_a_late_older_slice_says_lands_once(bench):
    bench.export("team:1", ["S1,A,Eng/A,2026-06-02,2026-06-30,2"], age=2, start="2026-06-01", end="2026-06-30")
    bench.export("team:1", ["S1,A,Eng/A,2026-01-05,2026-06-30,1"], age=1, **JANUARY)
    assert sprints(bench) == [("S1", "2026-06", 2.0)]


def test_a_sprint_is_not_cleared_by_a_request_that_may_not_have_asked_for_it(bench):
    """SEI does not document whether it selects sprints by first day, last day or overlap."""
    bench.export("team:1", [f"{ACROSS},5"], age=1, **DECEMBER)
    bench.export("team:1", [], age=2, **JANUARY)
    assert sprints(bench) == [("S1", "2025-12", 5.0)]


def test_a_sprint_is_cleared_by_the_same_request_asked_again(bench):
    bench.export("team:1", [f"{ACROSS},5", "S2,A,Eng/A,2026-01-08,2026-01-21,6"], age=1, **JANUARY)
    bench.export("team:1", ["S2,A,Eng/A,2026-01-08,2026-01-21,7"], age=2, **JANUARY)
    assert sprints(bench) == [("S2", "2026-01", 7.0)]


def test_two_sprints_of_one_name_far_apart_both_stay(bench):
    bench.export("team:1", ["S1,A,Eng/A,2026-01-02,2026-01-15,5"], age=1, **JANUARY)
    bench.export("team:1", ["S1,A,Eng/A,2026-02-02,2026-02-15,6"], age=2, start="2026-02-01", end="2026-02-28")
    assert [(month, commit) for _, month, commit in sprints(bench)] == [("2026-01", 5.0), ("2026-02", 6.0)]


def test_sprints_without_a_name_are_told_apart_by_their_first_day(bench):
    bench.header = bench.header.removeprefix("Sprint Name,")
    rows = ["A,Eng/A,2025-12-25,2026-01-07,{}", "A,Eng/A,2026-01-08,2026-01-21,{}"]
    bench.export("team:1", [rows[0].format(4), "A,Eng/A,2025-12-11,2026-01-01,4"], age=1, **DECEMBER)
    for age in (5, 6):
        bench.export("team:1", [row.format(age) for row in rows], age=age, **JANUARY)
    assert {f"{day}": commit for day, commit in bench.rows("start_date", "sprint_commit")} == {
        "2025-12-11": 4.0,
        "2025-12-25": 6.0,
        "2026-01-08": 6.0,
    }


def test_a_childs_sprints_have_one_owner_too(bench):
    bench.export("team:1", [f"{ACROSS},5", "S9,P,Eng,2026-01-05,2026-01-18,1"], age=1, **JANUARY)
    bench.export("team:2", [f"{ACROSS},6"], age=2, **JANUARY)
    bench.export("team:1", [f"{ACROSS},7", "S9,P,Eng,2026-01-05,2026-01-18,2"], age=3, **JANUARY)
    assert sprints(bench) == [("S1", "2025-12", 7.0), ("S9", "2026-01", 2.0)]


def test_nightly_re_runs_do_not_pile_up_in_the_ledger(bench):
    for night in range(1, 6):
        bench.export("team:1", [f"{ACROSS},{night}"], age=night, start="2026-01-01", end=f"2026-01-{night + 10}")
    held = {
        month: [entry["export_id"] for entry in entries]
        for month, entries in lake.ledger(bench.lake, bench.table).items()
    }
    assert held == {"2025-12": ["exp_5"], "2026-01": ["exp_5"]}
