"""Coverage: published and missing months of each scope, from the ledgers."""

from __future__ import annotations

from datetime import date

import pytest
from lake_bench import EPOCH, STORES, at, team_row

from sei_provider import lake
from sei_provider.lake import UnknownTableError

JAN, FEB, MAR = "2026-01-01", "2026-02-01", "2026-03-01"
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


def test_an_unknown_table_is_an_error(bench):
    with pytest.raises(UnknownTableError):
        lake.coverage(bench.lake, "nothing")
