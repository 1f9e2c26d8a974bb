"""Coverage: published and missing months of each scope, from the ledgers."""

from __future__ import annotations

from datetime import date

import pytest
from lake_bench import EPOCH, STORES, at, team_row

from sei_provider import lake
from sei_provider.lake import UnknownTableError

JAN, FEB = "2026-01-01", "2026-02-01"
FEBRUARY = {"start": FEB, "end": "2026-02-28"}


def told(bench, *names, **asked):
    return [tuple(row[name] for name in names) for row in lake.coverage(bench.lake, bench.table, **asked)]


@pytest.mark.parametrize("store", STORES, indirect=True)
def test_each_scope_and_month_is_there_or_missing(bench):
    first = bench.stage("team:1", [team_row("Eng/1", JAN), team_row("Eng/1", FEB)], age=1, end="2026-02-28")
    bench.publish(first, minute=10)
    bench.publish(bench.stage("team:2", [], age=2), minute=20)
    assert told(bench, "scope", "month", "published_at", "complete", "rows") == [
        ("team:1", "2026-01", at(10), True, 1),
        ("team:1", "2026-02", at(10), True, 1),
        ("team:2", "2026-01", at(20), True, 0),
        ("team:2", "2026-02", None, False, 0),
    ]


def test_scopes_and_months_that_nobody_published_are_missing(bench):
    bench.export("team:1", [team_row("Eng/1", JAN)], age=1)
    found = told(
        bench, "scope", "month", "rows", scopes=["team:9", "team:1"], start=date(2025, 12, 5), end=date(2026, 2, 1)
    )
    assert found == [
        ("team:1", "2025-12", 0),
        ("team:1", "2026-01", 1),
        ("team:1", "2026-02", 0),
        ("team:9", "2025-12", 0),
        ("team:9", "2026-01", 0),
        ("team:9", "2026-02", 0),
    ]


def test_a_month_to_date_is_not_complete_until_its_last_day_was_asked_for(bench):
    bench.export("team:1", [team_row("Eng/1", JAN)], age=1, end="2026-01-10")
    assert told(bench, "complete") == [(False,)]
    bench.export("team:1", [], age=2, end="2026-01-31")
    assert told(bench, "complete") == [(True,)]


JAN_31 = (date(2026, 1, 31) - EPOCH.date()).days * 24 * 60  # at 02:30


@pytest.mark.parametrize(
    ("granularity", "asked"),
    [
        ("monthly", {}),
        ("weekly", {"start": "2025-12-29", "end": "2026-02-01"}),
        ("quarterly", {}),
        ("sprint", {}),
    ],
)
def test_a_run_of_the_last_day_does_not_make_a_month_complete(bench, granularity, asked):
    bench.granularity = granularity
    bench.export("team:1", [team_row("Eng/1", "2026-01-05", end="2026-01-18")], age=JAN_31, **asked)
    assert told(bench, "complete", start=date(2026, 1, 1), end=date(2026, 1, 31)) == [(False,)]
    asked |= {"end": "2026-03-31"} if granularity == "quarterly" else {}
    bench.export("team:1", [], age=JAN_31 + 24 * 60 * (90 if granularity == "quarterly" else 2), **asked)
    assert told(bench, "complete", start=date(2026, 1, 1), end=date(2026, 1, 31)) == [(True,)]


def test_a_week_that_runs_into_the_next_month_must_be_over(bench):
    bench.granularity = "weekly"
    weeks = {"start": "2025-12-29", "end": "2026-02-01"}
    bench.export("team:1", [team_row("Eng/1", "2026-01-26")], age=JAN_31 + 24 * 60, **weeks)
    assert (False,) in told(bench, "complete"), "1 February was not over"


def test_weeks_across_two_months_make_neither_of_them_complete_by_themselves(bench):
    bench.granularity = "weekly"
    bench.export("team:1", [team_row("Eng/1", "2026-01-26")], age=1, start="2026-01-26", end="2026-02-22")
    assert told(bench, "month", "complete", "rows") == [("2026-01", False, 1), ("2026-02", False, 0)]


def test_only_months_that_a_quarter_starts_in_are_told(bench):
    bench.granularity = "quarterly"
    bench.export("team:1", [team_row("Eng/1", JAN)], age=1, end="2026-06-30")
    assert told(bench, "month", end=date(2026, 9, 30)) == [("2026-01",), ("2026-04",), ("2026-07",)]


def test_rows_that_a_newer_scope_owns_are_counted_there_only(bench):
    bench.export("team:A", [team_row("Eng/A", JAN)], age=1)
    bench.export("team:Eng", [team_row("Eng", JAN), team_row("Eng/A", JAN)], age=2)
    assert told(bench, "scope", "rows") == [("team:A", 0), ("team:Eng", 2)]


def test_what_went_to_quarantine_is_told(bench):
    bench.options = {"on_bad_value": "quarantine"}
    bench.export("team:1", [team_row("Eng/A", JAN), team_row("Eng/A", JAN, "bad")], age=1)
    assert told(bench, "rows", "quarantined") == [(1, 1)]


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param({"scopes": "team:1"}, id="one text, which is a list of letters"),
        pytest.param({"scopes": [1, "team:1"]}, id="an id that is a number"),
        pytest.param({"scopes": [None]}, id="no scope"),
        pytest.param({"start": "2026-01-01"}, id="a day as text"),
        pytest.param({"end": at(1)}, id="a moment"),
        pytest.param({"start": date.min}, id="from the year 1"),
        pytest.param({"start": date(2026, 1, 1), "end": date.max}, id="to the year 9999"),
    ],
)
def test_scopes_and_days_that_are_none_are_refused(bench, asked):
    bench.export("team:1", [team_row("Eng", "2026-01-01")], age=1)
    with pytest.raises((TypeError, ValueError), match=r"scopes must be|must be a day|must lie in the years"):
        lake.coverage(bench.lake, bench.table, **asked)


def test_an_unknown_table_is_an_error(bench):
    with pytest.raises(UnknownTableError):
        lake.coverage(bench.lake, "nothing")


def test_a_scope_that_is_exported_no_more_is_stale_and_retiring_it_removes_its_rows_until_it_is_exported_again(bench):
    week = 7 * 24 * 60
    for scope in ("team:1", "team:2"):
        for month in (JAN, FEB):
            days = FEBRUARY if month == FEB else {}
            manifest = bench.stage(scope, [team_row(f"Eng/{scope[5:]}", month)], age=float(scope[5:]), **days)
            bench.publish(manifest, minute=10)
    bench.publish(bench.stage("team:2", [team_row("Eng/2", FEB)], age=20, **FEBRUARY), minute=10 + week)
    assert not any(stale for (stale,) in told(bench, "stale"))
    bench.publish(bench.stage("team:2", [team_row("Eng/2", FEB)], age=21, **FEBRUARY), minute=11 + week)
    assert told(bench, "scope", "month", "rows", "stale") == [
        ("team:1", "2026-01", 1, True),
        ("team:1", "2026-02", 1, True),
        ("team:2", "2026-01", 1, False),
        ("team:2", "2026-02", 1, False),
    ]
    assert lake.retire(bench.lake, bench.table, "team:1", retired_at=at(12 + week)) == ["2026-01", "2026-02"]
    assert lake.retire(bench.lake, bench.table, "team:1", retired_at=at(13 + week)) == []
    assert told(bench, "scope", "rows", "stale") == [
        ("team:1", 0, False),
        ("team:1", 0, False),
        ("team:2", 1, False),
        ("team:2", 1, False),
    ]
    bench.export("team:1", [team_row("Eng/1", JAN)], age=30)  # made before it was retired
    assert [row[0] for row in bench.rows("team")] == ["2", "2"]
    bench.export("team:1", [team_row("Eng/1", JAN)], age=14 + week)
    assert [row[0] for row in bench.rows("team")] == ["1", "2", "2"]


@pytest.mark.parametrize("granularity", ["weekly", "sprint"])
def test_a_retired_scope_leaves_no_row_in_any_month(bench, granularity):
    bench.granularity = granularity
    if granularity == "sprint":
        bench.report, bench.header = "sprint", "Squad Path,Team,Start_Date,End_Date,PR_MERGED,Sprint"
    rows = [team_row("Eng/1", day, note="S1", end=end) for day, end in (("2026-01-26", "2026-02-08"),)]
    bench.export("team:1", rows, age=1, start="2026-01-26", end="2026-02-22")
    bench.export(
        "team:2", [row.replace("Eng/1,1", "Eng/2,2") for row in rows], age=2, start="2026-01-26", end="2026-02-22"
    )
    lake.retire(bench.lake, bench.table, "team:1", retired_at=at(99))
    assert bench.rows("team") == [("2",)]


def test_a_retired_scope_of_a_legacy_report_leaves_no_row_of_any_range(bench):
    bench.report, bench.table, bench.header = "team_report", "team_report_monthly", "Team,CODING_DAYS"
    bench.export("team:1", ["A,5"], age=1)
    bench.export("team:1", ["A,5"], age=2, end="2026-01-15")
    assert len(bench.rows("team")) == 2
    assert lake.retire(bench.lake, bench.table, "team:1", retired_at=at(99)) == ["2026-01"]
    assert bench.rows("team") == []
