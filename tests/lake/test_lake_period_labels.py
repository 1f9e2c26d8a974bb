"""Rows that tell their period by a label alone: read where that is certain, dated by a range of one period, or refused.

The judge below is written from CONTRACT 1a's words: only `Jan 2026`, of a month, is documented.
"""

from __future__ import annotations

import calendar
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from lake_bench import Bench

from sei_provider.lake import CsvError, LabelError, Slice, coverage, read_table
from sei_provider.lake.staging.period_labels import PeriodLabels
from tests.examples import examples

HEADER = "granularity,team,team_hierarchy,total_issues,in_progress_hours,to_do_hours,total_lead_time_hours"
CONTRACT = f"""{HEADER}
Jan 2026,Platform Team,Engineering/Platform,2171,5284151.09,8706228.13,13990379.22
"""


def bench_of(bench: Bench, granularity: str = "monthly", level: str = "team", **fields: Any) -> Bench:
    bench.report, bench.granularity, bench.table = "time_in_status", granularity, f"time_in_status_{granularity}"
    bench.metrics, bench.definition = frozenset({"TOTAL_ISSUES", "TOTAL_LEAD_TIME_HOURS"}), {"level": level}
    bench.columns, bench.header = {}, HEADER
    for name, value in fields.items():
        setattr(bench, name, value)
    return bench


def row(label: str, team: str = "Payments Team") -> str:
    return f"{label},{team},Engineering/{team},1,2.50,3.50,6.00"


@pytest.mark.parametrize("end", ["2026-01-31", "2026-03-31"])
@pytest.mark.parametrize("policy", ["keep", "drop"])
def test_the_contracts_csv_lands_cell_for_cell(bench: Bench, end: str, policy: str) -> None:
    bench_of(bench, options={"personal_data": policy})
    bench.publish(bench.stage_bytes(CONTRACT.encode(), bench.slice(end=end), age=1))
    (landed,) = read_table(bench.lake, bench.table).to_pylist()
    assert {name: landed[name] for name in [*HEADER.split(","), "start_date", "end_date", "month"]} == {
        "granularity": "Jan 2026",
        "team": "Platform Team",
        "team_hierarchy": "Engineering/Platform",
        "total_issues": 2171.0,
        "in_progress_hours": 5284151.09,
        "to_do_hours": 8706228.13,
        "total_lead_time_hours": 13990379.22,
        "start_date": date(2026, 1, 1),
        "end_date": date(2026, 1, 31),
        "month": "2026-01",
    }


def test_an_export_of_several_months_is_dated_by_its_labels_and_clipped_to_its_range(bench: Bench) -> None:
    bench_of(bench).export("team:1", [row("Jan 2026"), row("FEB 2026")], age=1, start="2026-01-01", end="2026-02-10")
    assert bench.rows("start_date", "end_date", "granularity") == [
        (date(2026, 1, 1), date(2026, 1, 31), "Jan 2026"),
        (date(2026, 2, 1), date(2026, 2, 10), "FEB 2026"),
    ]


@pytest.mark.parametrize(
    ("granularity", "label", "end"),
    [
        *(("monthly", label, "2026-03-31") for label in ("Mär 2026", "Jan 26", "2026 Jan", "01/2026", "Q1 2026", "")),
        *(
            ("monthly", label, "2026-03-31")
            for label in ("May 2026", "Dec 2025", "monthly", "January2026", "Jan  2026")
        ),
        ("quarterly", "Jan 2026", "2026-06-30"),
        ("quarterly", "Q1 2026", "2026-06-30"),
        ("weekly", "Jan 2026", "2026-01-18"),
        ("weekly", "2026-01-05", "2026-01-18"),
        ("daily", "01/02/2026", "2026-01-05"),
    ],
)
@pytest.mark.parametrize("policy", ["fail", "quarantine"])
def test_a_label_that_is_not_certain_is_refused_where_the_range_holds_several_periods(
    bench: Bench, granularity: str, label: str, end: str, policy: str
) -> None:
    bench_of(bench, granularity, options={"on_bad_value": policy})
    start = "2026-01-05" if granularity == "weekly" else "2026-01-01"
    with pytest.raises(LabelError, match=f"export each {granularity} period by itself"):
        bench.stage("team:1", [row("Jan 2026", "A"), row(label)], age=1, start=start, end=end)


@pytest.mark.parametrize(
    ("granularity", "label", "start", "end"),
    [
        ("daily", "05/01/2026", "2026-01-05", "2026-01-05"),
        ("weekly", "Week 2", "2026-01-05", "2026-01-11"),
        ("weekly", "", "2026-01-05", "2026-01-11"),
        ("monthly", "Jänner 2026", "2026-01-01", "2026-01-31"),
        ("monthly", "Jan 2026", "2026-01-01", "2026-01-10"),
        ("quarterly", "Jan 2026", "2026-01-01", "2026-03-31"),
    ],
)
def test_one_period_has_the_dates_of_its_range_whatever_the_label(
    bench: Bench, granularity: str, label: str, start: str, end: str
) -> None:
    bench_of(bench, granularity).export("team:1", [row(label)], age=1, start=start, end=end)
    assert bench.rows("start_date", "end_date") == [(date.fromisoformat(start), date.fromisoformat(end))]


def test_labels_of_several_periods_in_one_are_refused_with_the_cause(bench: Bench) -> None:
    bench_of(bench, "weekly")
    with pytest.raises(CsvError, match="have several labels: SEI's periods begin on other days, see week_starts_on"):
        bench.stage("team:1", [row("W1", "A"), row("W2", "B")], age=1, start="2026-01-05", end="2026-01-11")


def test_a_label_that_contradicts_the_one_month_asked_for_is_refused(bench: Bench) -> None:
    with pytest.raises(CsvError, match="labelled Feb 2026, and the requested range is 2026-01-01 to 2026-01-31"):
        bench_of(bench).stage("team:1", [row("Feb 2026")], age=1)


def test_sprints_of_one_period_may_have_a_label_each_even_one_that_looks_like_a_month(bench: Bench) -> None:
    bench_of(bench, level="sprint").export("team:1", [row("Jan 2026"), row("Feb 2026")], age=1)
    assert bench.rows("start_date", "granularity") == [(date(2026, 1, 1), f"{name} 2026") for name in ("Feb", "Jan")]


def test_efficiency_whose_columns_no_document_names_may_have_dates_labels_or_neither(bench: Bench) -> None:
    bench_of(bench, report="efficiency", table="efficiency_monthly", metrics=frozenset(), definition={})
    bench.header = "GRANULARITY,TEAM_NAME,LTTC_Mean_Days,LTTC_Rating"
    bench.export("team:1", ["Jan 2026,A,1.5,Elite", "Feb 2026,A,2,—"], age=1, end="2026-02-28")
    bench.header = "Team,Start_Date,LTTC_Mean_Days,LTTC_Rating"
    bench.export("team:2", ["B,2026-02-01,—,High"], age=2, end="2026-02-28")
    bench.header = "Team,LTTC_Mean_Days,LTTC_Rating"
    bench.export("team:3", ["C,4,7"], age=3)
    assert bench.rows("team", "start_date", "lttc_mean_days", "lttc_rating") == [
        ("A", date(2026, 1, 1), 1.5, "Elite"),
        ("A", date(2026, 2, 1), 2.0, None),
        ("B", date(2026, 2, 1), None, "High"),
        ("C", date(2026, 1, 1), 4.0, "7"),
    ]
    with pytest.raises(LabelError, match="no label"):
        bench.stage("team:3", ["C,4,7"], age=4, end="2026-02-28")


def test_days_are_covered_when_each_was_exported(bench: Bench) -> None:
    bench_of(bench, "daily")
    for day in range(1, 32):
        span = f"2026-01-{day:02}"
        bench.export("team:1", [row("x")], age=100_000 + day, start=span, end=span)
    (covered,) = coverage(bench.lake, bench.table)
    assert (covered["month"], covered["rows"], covered["complete"]) == ("2026-01", 31, True)


ENGLISH = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
CERTAIN = {
    f"{name.casefold()} {year:04}": date(year, number, 1)
    for year in range(1900, 2100)
    for number, name in enumerate(ENGLISH, 1)
}
"""All labels of the documented form, in lower case, written out."""

_days = st.dates(date(2019, 1, 1), date(2030, 12, 31))
_labels = st.one_of(
    _days.map(lambda day: f"{ENGLISH[day.month - 1]} {day.year}"),
    _days.map(lambda day: f"{ENGLISH[day.month - 1]} {day.year}".upper()),
    _days.map(lambda day: f"{calendar.month_name[day.month]} {day.year}"),
    _days.map(lambda day: f"{ENGLISH[day.month - 1]} {day.year % 100:02}"),
    _days.map(lambda day: f"{day.year} {ENGLISH[day.month - 1]}"),
    _days.map(lambda day: f"{ENGLISH[day.month - 1]}-{day.year}"),
    _days.map(lambda day: f"Q{(day.month + 2) // 3} {day.year}"),
    _days.map(lambda day: "W{1} {0}".format(*day.isocalendar())),
    _days.map(lambda day: f"Week of {day}"),
    _days.map(lambda day: f"{day:%d/%m/%Y}"),
    _days.map(lambda day: f"{day:%Y-%m}"),
    _days.map(date.isoformat),
    st.sampled_from(["Mär 2026", "janv. 2026", "Ene 2026", "Янв 2026", "１月 2026", "Jan ２０２６", "Jan 2026\u00a0"]),
    st.sampled_from(["Sprint 7", "Jan 2026 hardening", "Mars 2026", "May", "2026", "Jan 02026", "Jan 0000", "monthly"]),
    st.none(),
)


@pytest.mark.fuzz
@settings(max_examples=examples(300))
@given(
    granularity=st.sampled_from(["daily", "weekly", "monthly", "monthly", "monthly", "quarterly"]),
    level=st.sampled_from(["team", "team", "sprint", None]),
    first=_days,
    periods=st.integers(1, 4),
    labels=st.lists(_labels, min_size=1, max_size=4),
    pieces=st.booleans(),
    near=st.booleans(),
)
def test_a_row_gets_the_dates_that_its_label_or_its_range_tells_for_certain_or_none(
    granularity: str, level: str | None, first: date, periods: int, labels: list[Any], pieces: bool, near: bool
) -> None:
    months = {"monthly": 1, "quarterly": 3}.get(granularity)
    if months:
        start = first.replace(month=(first.month - 1) // months * months + 1, day=1)
        after = start.year * 12 + start.month - 1 + months * periods
        end = date(after // 12, after % 12 + 1, 1) - timedelta(days=1)
    else:
        start, end = first, first + timedelta(days=periods * (7 if granularity == "weekly" else 1) - 1)
    if near and granularity == "monthly":  # so that enough files can be read
        labels = [f"{ENGLISH[(start.month + n - 1) % 12]} {start.year}" for n in range(len(labels))]
    slice_ = Slice(
        table="t",
        report="time_in_status",
        scope="team:1",
        start=start,
        end=end,
        granularity=granularity,
        metrics=frozenset(),
        definition={"level": level},
    )
    reader = PeriodLabels(slice_)
    read: list[tuple[date, date]] | type[Exception] = []
    try:
        for piece in [[label] for label in labels] if pieces else [labels]:
            arrays = {"team": pa.array(["A"] * len(piece)), "granularity": pa.array(piece, pa.string())}
            found = reader.dates(arrays)
            read += zip(found["start_date"].to_pylist(), found["end_date"].to_pylist(), strict=True)
    except CsvError as error:
        read = type(error)
    meant = _judge(granularity, level, start, end, labels, one=periods == 1)
    event(
        f"{granularity}, {'one period' if periods == 1 else 'several'}: {meant if isinstance(meant, type) else 'dated'}"
    )
    assert read == meant


def _judge(
    granularity: str, level: str | None, start: date, end: date, labels: list[str | None], *, one: bool
) -> list[tuple[date, date]] | type[Exception]:
    """Return the dates of the rows: those of a range of one period, or those that each label tells for certain."""
    documented = granularity == "monthly" and level != "sprint"
    told = [CERTAIN.get(label.casefold()) if label and documented else None for label in labels]
    if one:
        other = any(month not in {None, start} for month in told)
        several = level != "sprint" and len({label for label in labels if label is not None}) > 1
        return CsvError if other or several else [(start, end)] * len(labels)
    if any(month is None or not start <= month <= end for month in told):
        return LabelError
    ends = [date(month.year, month.month, calendar.monthrange(month.year, month.month)[1]) for month in told if month]
    return list(zip([month for month in told if month], ends, strict=True))
