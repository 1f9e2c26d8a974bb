"""A column is retyped once, by a command: every month, and what does not fit is put aside (DESIGN, decision 11)."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
from lake_bench import team_row

from sei_provider import lake
from sei_provider.lake import ColumnsError, SchemaError, UnknownColumnError, UnknownTableError
from sei_provider.lake.tables import retype as retyping

MONTHS = {"2026-01": "2026-01-31", "2026-02": "2026-02-28"}


@pytest.fixture
def bench(bench):
    """A column that is text for good, because its first value was no number."""
    for age, (month, end) in enumerate(MONTHS.items()):
        rows = [team_row(f"Eng/{name}", f"{month}-01", note=cell) for name, cell in zip("ABCD", CELLS, strict=True)]
        bench.export("team:1", rows, age=age, start=f"{month}-01", end=end)
    assert bench.rows("note", "month")[0][0] == "007"
    return bench


CELLS = ["N/A", "007", "2.50", "—"]


def aside(bench):
    folder = bench.lake / "_quarantine" / bench.table
    return [row for path in sorted(folder.iterdir()) for row in pq.read_table(path).to_pylist()]


def test_text_becomes_a_number_in_all_months_and_what_does_not_fit_is_put_aside(bench):
    told = lake.retype(bench.lake, bench.table, "note", "float64")
    assert told == [{"month": month, "rows": 4, "quarantined": 1} for month in MONTHS]
    assert bench.rows("team", "note") == [
        (t, v) for t, v in zip("ABCD", (None, 7.0, 2.5, None), strict=True) for _ in MONTHS
    ]
    first, _ = aside(bench)
    assert (first["column"], first["text"], first["scope"], first["export_id"]) == ("note", "N/A", "team:1", "exp_0")
    assert json.loads(first["row"]) == {
        "team": "A", "team_hierarchy": "Eng/A", "start_date": "2026-01-01", "note": "N/A",
    }  # fmt: skip
    schema = json.loads((bench.lake / "_schemas" / f"{bench.table}.json").read_text())
    assert (schema["columns"]["note"]["type"], schema["behind"]) == ("float64", [])
    assert lake.retype(bench.lake, bench.table, "note", "float64") == [], "once"


def test_a_retyped_table_takes_what_it_refused(bench):
    bench.columns |= {"Note": ("note", "float64")}
    numbers = bench.stage("team:2", [team_row("Ops/E", "2026-01-01", note="3")], age=5)
    with pytest.raises(SchemaError, match=f"airflow sei retype {bench.table} note float64"):
        bench.publish(numbers)
    lake.retype(bench.lake, bench.table, "note", "float64")
    bench.publish(numbers)
    assert bench.rows("team", "note")[-1] == ("E", 3.0)


def test_numbers_become_text_and_text_days(bench):
    lake.retype(bench.lake, bench.table, "note", "float64")
    told = lake.retype(bench.lake, bench.table, "note", "string")
    assert [month["quarantined"] for month in told] == [0, 0]
    assert bench.rows("note")[:4] == [("2.5",), ("2.5",), ("7",), ("7",)]
    assert [month["quarantined"] for month in lake.retype(bench.lake, bench.table, "note", "date")] == [2, 2]


def test_a_retype_that_dies_is_finished_by_the_next_and_no_publish_loses_a_value_in_between(bench, monkeypatch):
    changes = retyping._Retyping._changes

    def dying(self, *arguments):
        yield next(changes(self, *arguments))
        raise KeyboardInterrupt

    monkeypatch.setattr(retyping._Retyping, "_changes", dying)
    with pytest.raises(KeyboardInterrupt):
        lake.retype(bench.lake, bench.table, "note", "float64")
    monkeypatch.undo()
    assert [row["text"] for row in aside(bench)] == ["N/A", "N/A"], "before the schema is put"
    assert bench.rows("note")[0] == (2.5,), "readers see the new type in every month"
    bench.columns |= {"Note": ("note", "float64")}
    more = bench.stage(
        "team:2", [team_row("Ops/E", "2026-02-01", note="3")], age=5, start="2026-02-01", end="2026-02-28"
    )
    with pytest.raises(SchemaError, match=f"interrupted: finish it by `airflow sei retype {bench.table} note float64"):
        bench.publish(more)
    assert [month["month"] for month in lake.retype(bench.lake, bench.table, "note", "float64")] == ["2026-02"]
    bench.publish(more)
    assert bench.rows("team", "note")[-1] == ("E", 3.0)


@pytest.mark.parametrize(
    ("column", "kind", "error"),
    [
        ("note", "int64", ColumnsError),
        ("team", "float64", ColumnsError),
        ("start_date", "string", ColumnsError),
        ("_scope", "string", ColumnsError),
        ("is_leaf", "string", ColumnsError),
        ("month", "string", ColumnsError),
        ("nothing", "string", UnknownColumnError),
    ],
)
def test_a_retype_that_cannot_be_is_refused(bench, column, kind, error):
    before = bench.objects("")
    with pytest.raises(error):
        lake.retype(bench.lake, bench.table, column, kind)
    with pytest.raises(UnknownTableError):
        lake.retype(bench.lake, "no_table", "note", "string")
    assert bench.objects("") == before


@pytest.mark.parametrize(("kind", "value", "other"), [("float64", "5", "date"), ("date", "2026-01-05", "float64")])
def test_no_number_becomes_a_date_and_no_date_a_number(bench, kind, value, other):
    bench.header, bench.columns = "Team,Start_Date,X", {"X": ("x", kind)}
    bench.export("team:1", [f"A,2026-01-01,{value}"], age=1)
    assert [each["quarantined"] for each in lake.retype(bench.lake, bench.table, "x", other)] == [1]
    assert set(bench.rows("x")) == {(None,)}
