"""Schema evolution: columns that come and go are reported and null, and every month has the schema of its table."""

from __future__ import annotations

from io import BytesIO

import pyarrow.parquet as pq
import pytest
from lake_bench import STORES, team_row

from sei_provider.lake import SchemaError

pytestmark = pytest.mark.parametrize("store", STORES, indirect=True)
JAN, FEB = "2026-01-01", "2026-02-01"
FEBRUARY = {"start": "2026-02-01", "end": "2026-02-28"}


def schemas(bench):
    return [pq.read_schema(BytesIO(data)) for data in bench.objects().values()]


def test_a_new_column_is_null_in_old_rows_and_reported_once(bench):
    (first,) = bench.export("team:1", [team_row("Eng/1", JAN)], age=1)
    bench.header += ",CODING_DAYS"
    (second,) = bench.export("team:2", [team_row("Eng/2", JAN) + ",2.5"], age=2)
    (third,) = bench.export("team:2", [team_row("Eng/2", JAN) + ",3"], age=3)
    assert [month["new_columns"] for month in (first, second, third)] == [[], ["coding_days"], []]
    assert bench.rows("team", "coding_days") == [("1", None), ("2", 3.0)]


def test_a_column_that_no_slice_has_any_more_is_null_and_reported(bench):
    bench.export("team:1", [team_row("Eng/1", JAN, note="3")], age=1)
    bench.header = bench.header.removesuffix(",Note")
    (month,) = bench.export("team:2", [team_row("Eng/2", JAN).removesuffix(",")], age=2)
    assert (month["new_columns"], month["missing_columns"]) == ([], ["note"])
    assert bench.rows("team", "note") == [("1", 3.0), ("2", None)]


def test_a_type_that_comes_later_enters_the_tables_first_month_and_no_file_has_another(bench):
    bench.export("team:1", [team_row("Eng/1", JAN)], age=1)
    bench.header += ",CODING_DAYS"
    bench.export("team:1", [team_row("Eng/1", FEB, note="7") + ",2.5"], age=2, **FEBRUARY)
    january, february = schemas(bench)
    assert january == february
    assert (str(january.field("note").type), str(january.field("coding_days").type)) == ("double", "double")
    assert bench.rows("month", "note", "coding_days") == [("2026-01", None, None), ("2026-02", 7.0, 2.5)]


def test_months_are_written_again_only_when_the_columns_change(bench):
    bench.export("team:1", [team_row("Eng/1", JAN, note="7")], age=1)
    before = bench.objects()
    bench.export("team:1", [team_row("Eng/1", FEB, note="8")], age=2, **FEBRUARY)
    after = bench.objects()
    assert {path: after[path] for path in before} == before


def test_a_type_once_decided_stays_whatever_comes(bench):
    bench.export("team:1", [team_row("Eng/1", JAN, note="3")], age=1)
    before = bench.objects("")
    with pytest.raises(SchemaError, match=r"column 'note' of table \w+ is a number"):
        bench.export("team:2", [team_row("Eng/2", FEB, note="many")], age=2, **FEBRUARY)
    after = bench.objects("")
    assert {path: after[path] for path in before} == before


def test_business_alignments_categories_come_and_go_without_an_error(bench):
    bench.report, bench.table, bench.metrics = "business_alignment", "business_alignment_monthly", frozenset()
    base = "Granularity,Team,Team_Hierarchy,Start_Date,End_Date"
    categories = {1: "KTLO", 2: "KTLO,Security", 3: "Growth"}
    for month, names in categories.items():
        bench.header = ",".join([base, *(f"{name}_story_points" for name in names.split(","))])
        day, cells = f"2026-0{month}-01", ",".join("5" for _ in names.split(","))
        bench.export("team:1", [f"x,A,Eng/A,{day},,{cells}"], age=month, start=day, end=f"2026-0{month}-28")
    expected = [("2026-01", 5.0, None, None), ("2026-02", 5.0, 5.0, None), ("2026-03", None, None, 5.0)]
    columns = ["month", *(f"{name}_story_points" for name in ("ktlo", "security", "growth"))]
    assert bench.rows(*columns) == expected
