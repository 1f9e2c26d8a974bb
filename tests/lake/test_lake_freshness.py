"""Freshness: which scopes lack complete figures of some days, and why; a judge over generated histories."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lake_bench import EPOCH, STORES, Bench, team_row

from sei_provider import lake
from sei_provider.lake import UnknownTableError
from tests.examples import examples

MONDAY = date(2026, 1, 5)
JAN_20 = date(2026, 1, 20)
DAY = 24 * 60


def made(day, hour=2.5):
    """Return the bench's minute of an hour of a day, UTC."""
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=(day - date(2026, 1, 1)).days, hours=hour)
    return (moment - EPOCH).total_seconds() / 60


def told(bench, *scopes, start=JAN_20, end=JAN_20, **asked):
    found = lake.incomplete(bench.lake, bench.table, scopes=scopes or ["team:1"], start=start, end=end, **asked)
    return [(lack["scope"], lack["start"], lack["end"], lack["state"]) for lack in found]


@pytest.mark.parametrize("store", STORES, indirect=True)
def test_a_month_to_date_is_complete_up_to_the_last_day_that_was_over(bench):
    bench.export("team:1", [team_row("Eng/1", "2026-01-01")], age=made(date(2026, 1, 20)), end="2026-01-19")
    assert told(bench, end=date(2026, 1, 19), start=date(2026, 1, 19)) == []
    assert told(bench) == [("team:1", "2026-01-20", "2026-01-20", "to date")]
    bench.export("team:1", [team_row("Eng/1", "2026-01-01")], age=made(date(2026, 1, 21)), end="2026-01-20")
    assert told(bench, "team:1", "team:2") == [("team:2", "2026-01-01", "2026-01-20", "absent")]


def test_an_empty_answer_is_complete(bench):
    bench.export("team:1", [], age=made(date(2026, 1, 21)), end="2026-01-20")
    assert told(bench) == []


def test_an_export_that_was_made_before_the_day_was_over_is_early_whatever_its_range(bench):
    bench.export("team:1", [], age=made(JAN_20, 20), end="2026-01-31")
    assert told(bench) == [("team:1", "2026-01-01", "2026-01-20", "early")]


def test_the_figures_that_a_week_shows_count_and_not_what_was_exported_last(bench):
    bench.granularity = "weekly"
    # Reaches further into the week of the 19th, so that week keeps its rows; those of the week before are the newer's.
    bench.export("team:1", [], age=made(JAN_20), start="2026-01-05", end="2026-02-01")
    bench.export("team:1", [], age=made(date(2026, 1, 21)), start="2026-01-12", end="2026-01-20")
    assert told(bench) == [("team:1", "2026-01-19", "2026-01-20", "early")]
    assert told(bench, start=date(2026, 1, 12), end=date(2026, 1, 18)) == []


def test_a_day_is_over_by_the_clock_of_the_zone(bench):
    bench.export("team:1", [], age=made(JAN_20, 16), end="2026-01-20")  # 01:00 in Tokyo, the next day
    assert told(bench) == [("team:1", "2026-01-01", "2026-01-20", "early")]
    assert told(bench, zone=ZoneInfo("Asia/Tokyo")) == []


def test_rows_in_quarantine_are_not_complete_until_an_export_has_none(bench):
    bench.options = {"on_bad_value": "quarantine"}
    rows = [team_row("Eng/1", "2026-01-01"), team_row("Eng/2", "2026-01-01", "many")]
    bench.export("team:1", rows, age=made(date(2026, 1, 21)), end="2026-01-20")
    assert told(bench) == [("team:1", "2026-01-01", "2026-01-20", "quarantined")]
    bench.export("team:1", rows[:1], age=made(date(2026, 1, 21), 5), end="2026-01-20")
    assert told(bench) == []


def test_of_several_months_the_first_that_lacks_is_told(bench):
    bench.export("team:1", [], age=made(date(2026, 2, 1)), end="2026-01-31")
    asked = {"start": date(2026, 1, 5), "end": date(2026, 2, 3)}
    assert told(bench, **asked) == [("team:1", "2026-02-01", "2026-02-03", "absent")]


def test_the_week_and_the_quarter_of_a_day_may_start_in_another_month(bench):
    bench.granularity = "weekly"
    bench.export("team:1", [], age=made(date(2026, 2, 2)), start="2026-01-26", end="2026-02-01")
    assert told(bench, start=date(2026, 2, 1), end=date(2026, 2, 1)) == []
    assert told(bench, start=date(2026, 2, 1), end=date(2026, 2, 2)) == [
        ("team:1", "2026-02-02", "2026-02-02", "absent")
    ]
    quarters = Bench(bench.folder, table="productivity_team_quarterly", granularity="quarterly")
    quarters.export("team:1", [], age=made(date(2026, 3, 2)), start="2026-01-01", end="2026-03-01")
    assert told(quarters, start=date(2026, 3, 1), end=date(2026, 3, 1)) == []
    assert told(quarters, start=date(2026, 3, 2), end=date(2026, 3, 2)) == [
        ("team:1", "2026-03-02", "2026-03-02", "to date")
    ]


def test_weeks_start_on_the_day_on_which_exports_start(bench):
    bench.granularity = "weekly"
    bench.export("team:1", [], age=made(date(2026, 1, 26)), start="2026-01-18", end="2026-01-24")  # Sundays
    assert told(bench, end=date(2026, 1, 25)) == [("team:1", "2026-01-25", "2026-01-25", "absent")]


def test_of_sprints_each_day_counts(bench):
    bench.granularity = "sprint"
    row = team_row("Eng/1", "2026-01-12", end="2026-01-25")
    bench.export("team:1", [row], age=made(date(2026, 1, 19)), start="2026-01-01", end="2026-01-18")
    assert told(bench, start=date(2026, 1, 15)) == [("team:1", "2026-01-19", "2026-01-20", "absent")]
    bench.export("team:1", [row], age=made(date(2026, 1, 21)), start="2026-01-18", end="2026-01-20")
    assert told(bench, start=date(2026, 1, 15)) == []


def test_a_legacy_table_needs_the_very_range_of_several_days(bench):
    legacy = Bench(
        bench.folder, table="team_report_monthly", report="team_report", header="Team,Coding Days", columns={},
        definition={},
    )  # fmt: skip
    legacy.export("team:1", ["Eng,1"], age=made(date(2026, 1, 21)), start="2026-01-01", end="2026-01-20")
    assert told(legacy) == []
    assert told(legacy, start=date(2026, 1, 1)) == []
    assert told(legacy, start=date(2026, 1, 2)) == [("team:1", "2026-01-02", "2026-01-20", "absent")]
    assert told(legacy, start=date(2026, 1, 21), end=date(2026, 1, 21)) == [
        ("team:1", "2026-01-21", "2026-01-21", "absent")
    ]


def test_reasons_tell_export_and_time(bench):
    bench.export("team:1", [], age=made(JAN_20), end="2026-01-19")
    [lack] = lake.incomplete(bench.lake, bench.table, scopes=["team:1"], start=JAN_20, end=JAN_20)
    export = f"export exp_{made(JAN_20):g} of 2026-01-20T02:30+00:00"
    assert lack["reason"] == f"{export} was asked for the days up to 2026-01-19 only"


def test_a_table_that_is_not_there_is_an_error_that_names_those_that_are(bench):
    with pytest.raises(UnknownTableError, match="none yet"):
        told(bench)
    bench.export("team:1", [], age=1)
    with pytest.raises(UnknownTableError, match="tables: productivity_team_monthly"):
        lake.incomplete(bench.lake, "productivity_team_montly", scopes=["team:1"], start=JAN_20, end=JAN_20)


def period_of(day, granularity):
    """Return the period of a day from the words of DESIGN, decision 4: whole weeks, months or quarters."""
    days = [day + timedelta(days=offset) for offset in range(-100, 101)]
    key = {
        "weekly": lambda d: (d - MONDAY).days // 7,
        "monthly": lambda d: (d.year, d.month),
        "quarterly": lambda d: (d.year, (d.month - 1) // 3),
        "sprint": lambda d: d,
    }[granularity]
    own = [d for d in days if key(d) == key(day)]
    return own[0], own[-1]


def is_complete(day, last, exports, granularity):
    """Judge one day from the words of DESIGN, decision 12: `exports` are (first day, last day, minute made)."""
    first, end = period_of(day, granularity)
    asked = [export for export in exports if export[0] <= first <= export[1]]
    if not asked:
        return False
    _, until, minute = max(asked, key=lambda export: (min(end, export[1]), export[2]))
    wanted = min(end, last)
    return until >= wanted and (EPOCH + timedelta(minutes=minute)).date() > wanted


@st.composite
def nights(draw):
    granularity = draw(st.sampled_from(["weekly", "monthly", "quarterly", "sprint"]))
    exports = []
    for minute in draw(st.lists(st.integers(-90, 5), min_size=0, max_size=4, unique=True)):
        first = date(2026, 3, 1) + timedelta(days=draw(st.integers(-120, 10)))
        last = first + timedelta(days=draw(st.integers(0, 60)))
        exports.append((period_of(first, granularity)[0], last, minute * DAY))
    start = date(2026, 3, 1) + timedelta(days=draw(st.integers(-70, 20)))
    return granularity, exports, start, start + timedelta(days=draw(st.integers(0, 40)))


@pytest.mark.fuzz
@settings(max_examples=examples(12), deadline=None)
@given(nights())
def test_a_judge_that_looks_at_each_day_agrees(night):
    granularity, exports, start, end = night
    with TemporaryDirectory() as folder:
        bench = Bench(Path(folder), granularity=granularity)
        staged = [
            bench.stage("team:1", [], age=minute, start=first.isoformat(), end=last.isoformat())
            for first, last, minute in exports
        ]
        # One that says when weeks begin, of a scope that nobody asks about.
        staged.append(bench.stage("team:2", [], age=-1, start="2026-01-05", end="2026-03-29"))
        bench.publish(*staged)
        days = [start + timedelta(days=offset) for offset in range((end - start).days + 1)]
        judged = all(is_complete(day, end, exports, granularity) for day in days)
        assert (told(bench, start=start, end=end) == []) is judged
