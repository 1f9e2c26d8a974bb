"""The coverage summary says what `coverage` reads from the ledgers, whatever happened to a table or to the summary."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lake_bench import EPOCH, STORES, Bench, at, team_row
from upath import UPath

from sei_provider import lake
from sei_provider.lake.storage import store
from sei_provider.lake.storage.store import put_bytes, remove_each
from sei_provider.lake.tables import coverage_summary
from sei_provider.lake.tables.coverage_grid import State, coverage_grid
from sei_provider.lake.tables.coverage_summary import (
    CELLS,
    GRID_COLUMNS,
    read_summary,
    refresh_summary,
    summarized_tables,
    summary_path,
)
from sei_provider.lake.tables.maintenance import rewrite_months
from tests.examples import examples

JAN, FEB = "2026-01-01", "2026-02-01"
KEY = sha256(b"a test").digest()
TODAY = EPOCH.date()


def by_summary(bench):
    summary = read_summary(bench.lake, bench.table)
    return {
        (cell["scope"], f"{cell['month']:%Y-%m}"): (
            cell["published_at"],
            cell["complete"],
            cell["rows"],
            cell["quarantined"],
        )
        for cell in summary.cells.to_pylist()
        if cell["published_at"]
    }


def by_coverage(bench):
    return {
        (row["scope"], row["month"]): (row["published_at"], row["complete"], row["rows"], row["quarantined"])
        for row in lake.coverage(bench.lake, bench.table)
        if row["published_at"]
    }


def judged(row, granularity, today):
    """The state of a cell in the words of the documentation."""
    year, month = map(int, row["month"].split("-"))
    months = 3 if granularity == "quarterly" else 1
    end = date(year + (month + months - 1) // 12, (month + months - 1) % 12 + 1, 1) - timedelta(days=1)
    end += timedelta(days=6 if granularity == "weekly" else 0)
    if row["published_at"] is None:
        return State.MISSING
    if row["stale"]:
        return State.STALE
    if row["quarantined"]:
        return State.QUARANTINED
    if row["complete"]:
        return State.COMPLETE
    return State.TO_DATE if (today - end).days <= 1 else State.PARTLY


def check(bench, today=TODAY):
    assert by_summary(bench) == by_coverage(bench)
    grid = coverage_grid(read_summary(bench.lake, bench.table, columns=GRID_COLUMNS), today=today)
    states = {
        (scope, f"{month:%Y-%m}"): grid.states[row, column]
        for row, scope in enumerate(grid.scopes)
        for column, month in enumerate(grid.months)
    }
    end = max(today - timedelta(days=1), date.fromisoformat(f"{max(month for _, month in by_coverage(bench))}-28"))
    rows = lake.coverage(bench.lake, bench.table, end=end)
    assert states == {(row["scope"], row["month"]): judged(row, bench.granularity, today) for row in rows}
    return grid


@pytest.mark.parametrize("store", STORES, indirect=True)
def test_publishing_writes_the_summary_of_what_the_ledgers_hold(bench):
    first = bench.stage("team:1", [team_row("Eng/A", JAN), team_row("Eng/A/B", JAN)], age=1)
    bench.publish(first, minute=10)
    bench.publish(bench.stage("team:2", [team_row("Eng/C", FEB)], age=2, start=FEB, end="2026-02-28"), minute=20)
    grid = check(bench)
    assert summarized_tables(bench.lake) == [bench.table]
    assert dict(zip(grid.scopes, grid.lineages, strict=True)) == {
        "team:1": ("Eng", "Eng/A"),
        "team:2": ("Eng", "Eng/C"),
    }
    cell = read_summary(bench.lake, bench.table).cells.to_pylist()[0]
    assert (cell["export_id"], cell["exported_at"], cell["runs"], cell["exports"]) == ("exp_1", at(1), ["manual__1"], 1)
    assert (cell["start"], cell["end"]) == (date(2026, 1, 1), date(2026, 1, 31))


def test_a_publish_that_changes_nothing_puts_no_summary(bench, monkeypatch):
    bench.export("team:1", [team_row("Eng/A", JAN)], age=1)
    monkeypatch.setattr(coverage_summary, "put_bytes", lambda *_args, **_kwargs: pytest.fail("a put"))
    bench.publish(bench.stage("team:1", [team_row("Eng/A", JAN)], age=1))
    check(bench)


@pytest.mark.parametrize("harm", ["lost", "damaged", "of a newer format", "another file"])
def test_a_summary_that_is_lost_or_unreadable_is_rebuilt_from_all_months(bench, harm, caplog):
    bench.export("team:1", [team_row("Eng/A", JAN)], age=1)
    path = summary_path(bench.lake, bench.table)
    if harm == "lost":
        remove_each([path])
        assert read_summary(bench.lake, bench.table) is None
    else:
        good = store.read(path, lambda file: file.read())
        newer = good.replace(b'"format": 1', b'"format": 7')
        put_bytes(path, {"damaged": good[:50], "of a newer format": newer, "another file": b"{}"}[harm])
        with pytest.raises(lake.DamagedObjectError, match="the next publish or maintenance writes it anew"):
            read_summary(bench.lake, bench.table)
    bench.export("team:1", [team_row("Eng/A", FEB)], age=2, start=FEB, end="2026-02-28")
    check(bench)


def test_maintenance_mends_a_summary_that_is_behind(bench, monkeypatch):
    bench.export("team:1", [team_row("Eng/A", JAN)], age=1)
    with monkeypatch.context() as patch:
        patch.setattr("sei_provider.lake.tables.publish.refresh_summary", lambda *_args: True)  # a killed publisher
        bench.export("team:2", [team_row("Eng/B", JAN)], age=2)
    assert by_summary(bench) != by_coverage(bench)
    rewrite_months(bench.lake, bench.table, at_most=1)
    check(bench)


def test_a_publish_whose_summary_cannot_be_put_says_so_and_keeps_every_row(bench, monkeypatch, caplog):
    def no_space(path, *_args, **_kwargs):
        msg = f"cannot write {path}: there is no space left"
        raise lake.StoreError(msg)

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(coverage_summary, "put_bytes", no_space)
        assert bench.export("team:1", [team_row("Eng/A", JAN)], age=1)[0]["rows"] == 1
    assert "the coverage summary of table productivity_team_monthly is behind" in caplog.text
    assert "no space left" in caplog.text
    assert bench.rows("team") == [("A",)]
    bench.publish(bench.stage("team:1", [team_row("Eng/A", JAN)], age=1))  # the next one of this month mends it
    check(bench)


def test_a_month_that_cannot_be_read_is_told_and_told_no_more_once_it_is_there_again(bench):
    bench.export("team:1", [team_row("Eng/A", JAN)], age=1)
    bench.export("team:1", [team_row("Eng/A", FEB)], age=2, start=FEB, end="2026-02-28")
    path = bench.lake / bench.table / "month=2026-01" / "data.parquet"
    good = path.read_bytes()
    path.write_bytes(good[:100])
    assert refresh_summary(store.lake_path(bench.lake) / bench.table)
    grid = coverage_grid(read_summary(bench.lake, bench.table), today=TODAY)
    assert grid.states.tolist() == [[State.UNREADABLE, State.COMPLETE]]
    path.write_bytes(good)
    bench.export("team:2", [], age=3, start=FEB, end="2026-02-28")
    check(bench)


def test_the_teams_of_a_contributor_report_are_people_and_not_in_the_summary(bench):
    bench.report = bench.table = "contributor_report"
    bench.granularity = "monthly"
    bench.export("team:1", [team_row("Somebody", JAN)], age=1)
    assert read_summary(bench.lake, bench.table).cells["path"].to_pylist() == [None]
    assert b"Somebody" not in store.read(summary_path(bench.lake, bench.table), lambda file: file.read())


def test_erasing_a_person_brings_the_summary_up_to_the_rows_that_are_left(bench):
    bench.report = bench.table = "contributor_report"
    bench.export("team:1", [team_row("Somebody", JAN), team_row("Another", JAN)], age=1)
    lake.erase(bench.lake, ["Somebody"], hash_key=KEY, erased_at=at(9))
    check(bench)
    assert read_summary(bench.lake, bench.table).cells["rows"].to_pylist() == [1]


def test_retiring_a_scope_brings_the_summary_up_to_what_is_left(bench):
    bench.export("team:1", [team_row("Eng/A", JAN)], age=1)
    lake.retire(bench.lake, bench.table, "team:1", retired_at=at(9))
    check(bench)
    assert read_summary(bench.lake, bench.table).cells["rows"].to_pylist() == [0]


@pytest.mark.parametrize(
    ("rows", "lineage"),
    [
        ([("Eng/CI/CD", "CI/CD")], ("Eng", "Eng/CI/CD")),
        ([("Eng/A", "A"), ("Eng/B", "B")], ("Eng",)),
        ([("Eng/A", "A"), ("Ops/B", "B")], ()),
        ([("Eng", "Eng"), ("Eng/A", "A")], ("Eng",)),
        ([], ()),
    ],
    ids=["a slash in a name", "children only", "two trees", "a root", "no rows"],
)
def test_the_team_of_a_scope_is_told_where_its_rows_leave_no_doubt(bench, rows, lineage):
    bench.export("team:1", [f"{path},{team},{JAN},,1," for path, team in rows], age=1)
    grid = coverage_grid(read_summary(bench.lake, bench.table), today=TODAY)
    assert list(grid.lineages) == [lineage]


def test_a_month_of_yesterday_is_one_to_date_and_older_ones_are_there_in_part(bench):
    bench.export("team:1", [team_row("Eng/A", JAN)], age=1, end="2026-01-20")
    for today, state in ((date(2026, 2, 1), State.TO_DATE), (date(2026, 2, 2), State.PARTLY)):
        assert check(bench, today).states[0, 0] == state


def test_months_after_the_last_one_up_to_yesterday_are_missing(bench):
    bench.export("team:1", [team_row("Eng/A", JAN)], age=1)
    grid = check(bench, date(2026, 4, 1))
    assert [f"{month:%Y-%m}" for month in grid.months] == ["2026-01", "2026-02", "2026-03"]
    assert list(grid.month_counts().values()) == [{"complete": 1}, {"missing": 1}, {"missing": 1}]


@pytest.mark.parametrize(
    ("today", "last"), [(date(2026, 3, 7), "2026-02"), (date(2026, 3, 8), "2026-03")], ids=["six days", "a week"]
)
def test_a_month_of_weeks_is_missing_once_a_week_has_begun_in_it_whichever_its_first_day(bench, today, last):
    bench.granularity = "weekly"
    bench.export("team:1", [team_row("Eng/A", "2026-01-05")], start="2026-01-05", end="2026-01-11", age=1)
    assert f"{check(bench, today).months[-1]:%Y-%m}" == last


exports = st.tuples(
    st.just("export"),
    st.integers(1, 4),
    st.integers(0, 3),
    st.integers(1, 100),
    st.sampled_from(["rows", "none", "quarantined"]),
)
others = st.tuples(st.sampled_from(["retire", "maintenance", "lost", "killed", "wait"]), st.integers(1, 4))
HISTORIES = st.tuples(
    st.sampled_from(["monthly", "weekly", "quarterly", "daily"]),
    st.lists(exports | exports | others, min_size=1, max_size=8),
)
KILLED_MONTH, KILLED_DAYS = 1, 40
"""Exports that a killed publisher publishes without writing the summary."""
TRIED: Counter[str] = Counter()


@settings(max_examples=examples(12))
@given(history=HISTORIES)
@example(
    history=("monthly", [("export", 1, 0, 31, "rows"), ("killed", 2), ("retire", 1), ("export", 1, 1, 40, "rows")])
)
@pytest.mark.fuzz
def test_after_any_history_the_summary_says_what_the_ledgers_say(history):
    granularity, steps = history
    with TemporaryDirectory() as folder:
        bench = Bench(Path(folder), root=UPath(f"memory://{folder}/lake"), single_writer=True, granularity=granularity)
        bench.options = {"on_bad_value": "quarantine"}
        age, behind = 1, ""
        for number, (kind, scope, *rest) in enumerate(steps):
            age += 1
            TRIED[kind] += 1
            if kind == "export":
                month, days, answer = rest
                export(bench, f"team:{scope}", month, days, answer, age)
                if behind == "lost" or (month == KILLED_MONTH and days >= KILLED_DAYS):
                    behind = ""  # a lost one is rebuilt from all months, the months of a publish are read anew
            elif kind == "wait":
                age += 9 * 24 * 60
            elif kind == "lost":
                remove_each([summary_path(bench.lake, bench.table)])
                behind = "lost"
            elif number and bench.table in lake_tables(bench):
                other_step(bench, kind, scope, age)
                behind = {"killed": behind or "killed", "maintenance": ""}.get(kind, behind)
            if not behind and bench.table in lake_tables(bench):
                check(bench, TODAY + timedelta(days=scope))


def lake_tables(bench):
    return store.names(store.lake_path(bench.lake))


def export(bench, scope, month, days, answer, age):
    start = date(2025, 10 + month, 1) if month < 3 else date(2026, 1, 1)
    if bench.granularity == "weekly":
        start -= timedelta(days=start.weekday())
    if bench.granularity == "quarterly":
        start = date(start.year, (start.month - 1) // 3 * 3 + 1, 1)
    end = start + timedelta(days=days)
    rows = {
        "rows": [team_row(f"Eng/{scope}", f"{start}")],
        "none": [],
        "quarantined": [team_row(f"Eng/{scope}", f"{start}"), team_row(f"Eng/{scope}", f"{start}", "many")],
    }[answer]
    bench.export(scope, rows, age=age, start=f"{start}", end=f"{end}")


def other_step(bench, kind, scope, age):
    """Do what is no export of a living publisher."""
    if kind == "retire":
        lake.retire(bench.lake, bench.table, f"team:{scope}", retired_at=at(age), single_writer=True)
    elif kind == "maintenance":
        rewrite_months(bench.lake, bench.table, at_most=2, single_writer=True)
    else:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sei_provider.lake.tables.publish.refresh_summary", lambda *_args: True)
            export(bench, f"team:{scope}", KILLED_MONTH, KILLED_DAYS, "rows", age)


def _rewritten(summary, harm):
    cells = summary.cells
    where = cells.schema.get_field_index
    if harm == "a thousand years":
        return replace(summary, months=(date(1001, 1, 1), *summary.months))
    if harm == "months twice":
        return replace(summary, months=summary.months * 2)
    if harm == "no first day":
        return replace(summary, months=(date(2026, 1, 2),))
    name = {"months as text": "month", "no scope": "scope", "no time": "seen_at", "rows as text": "rows"}[harm]
    values = cells[name].cast(pa.string()) if "text" in harm else pa.nulls(len(cells), CELLS.field(name).type)
    return replace(summary, cells=cells.set_column(where(name), name, values))


@pytest.mark.parametrize(
    "harm",
    [
        *("a thousand years", "months twice", "no first day"),
        *("months as text", "no scope", "no time", "rows as text"),
    ],
)
def test_a_summary_that_somebody_has_rewritten_is_damage_and_the_next_publish_mends_it(bench, harm):
    bench.export("team:1", [team_row("Eng/1", JAN)], age=1)
    good = read_summary(bench.lake, bench.table)
    path = summary_path(bench.lake, bench.table)
    put_bytes(path, coverage_summary._encoded(_rewritten(good, harm)))
    with pytest.raises(lake.DamagedObjectError):
        read_summary(bench.lake, bench.table)
    bench.export("team:1", [team_row("Eng/1", JAN)], age=1)
    assert read_summary(bench.lake, bench.table).months == good.months
