"""A column that comes late costs one month at once; the others are maintenance's, and no reader loses a row.

Over one lake with a column that came late, one that went, and an empty month, every reader that the docs name gives
the same rows.
"""

from __future__ import annotations

from contextlib import nullcontext
from datetime import date
from io import BytesIO

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from lake_bench import HEADER, at, team_row

from sei_provider import lake
from sei_provider.lake.tables import publish as publishing
from sei_provider.lake.tables.maintenance import rewrite_months
from sei_provider.lake.tables.stored_schema import read_schema

MONTHS = [date(2025, 11, 1), date(2025, 12, 1), date(2026, 1, 1), date(2026, 2, 1)]
COLUMNS = ["team", "pr_merged", "gone", "coding_days"]
EXPECTED = [
    ("A", 1.0, 7.0, None, "2025-11"),
    ("A", 1.0, 7.0, None, "2026-01"),
    ("A", 1.0, None, 2.5, "2026-02"),
]


def export(bench, month, rows, age):
    last = (pd.Timestamp(month) + pd.offsets.MonthEnd()).date()
    return bench.export("team:1", rows, age=age, start=f"{month}", end=f"{last}")


@pytest.fixture
def grown(bench):
    """November, an empty December and January without `coding_days`; February with it and without `gone`."""
    bench.header = HEADER.replace("Note", "Gone")
    for age, month in enumerate(MONTHS[:3], 1):
        export(bench, month, [team_row("Eng/A", f"{month}", note="7")] if month != MONTHS[1] else [], age)
    bench.header = HEADER.replace("Note", "CODING_DAYS")
    export(bench, MONTHS[3], [team_row("Eng/A", f"{MONTHS[3]}", note="2.5")], 9)
    return bench


@pytest.fixture(params=["before maintenance", "after maintenance"])
def folder(grown, request):
    if request.param == "after maintenance":
        rewrite_months(grown.lake, grown.table, at_most=10)
    return str(grown.lake / grown.table)


def rows_of(frame: pd.DataFrame) -> list[tuple[object, ...]]:
    frame = frame[[*COLUMNS, "month"]].astype(object)
    frame = frame.where(frame.notna(), None)
    rows = [(*row[:-1], str(row[-1])[:7]) for row in frame.itertuples(index=False, name=None)]
    return sorted(rows, key=lambda row: str(row[-1]))


def by_pandas(folder):
    return rows_of(pd.read_parquet(folder))


def by_pyarrow_dataset(folder):
    partitioning = ds.partitioning(flavor="hive", schema=pa.schema([("month", pa.string())]))
    return rows_of(ds.dataset(folder, partitioning=partitioning).to_table().to_pandas())


def by_polars(folder):
    found = pl.scan_parquet(f"{folder}/*/*.parquet", hive_partitioning=True, missing_columns="insert")
    return rows_of(found.collect().to_pandas())


def by_duckdb(folder):
    found = duckdb.read_parquet(f"{folder}/*/*.parquet", hive_partitioning=True, union_by_name=True)
    return rows_of(pd.DataFrame(found.fetchall(), columns=found.columns))


def by_read_table(folder):
    return rows_of(lake.read_table(*folder.rsplit("/", 1)).to_pandas())


@pytest.mark.parametrize("read", [by_pandas, by_pyarrow_dataset, by_polars, by_duckdb, by_read_table])
def test_every_reader_gives_the_same_rows_with_the_option_that_the_docs_name(folder, read):
    assert read(folder) == EXPECTED


def test_a_late_column_rewrites_the_first_month_only_and_maintenance_the_rest_bounded_per_run(grown):
    def with_column():
        files = sorted((grown.lake / grown.table).glob("month=*/data.parquet"))
        return [file.parent.name[6:] for file in files if "coding_days" in pq.read_schema(str(file)).names]

    assert with_column() == ["2025-11", "2026-02"]
    assert rewrite_months(grown.lake, grown.table, at_most=1) == ["2025-12"]
    assert with_column() == ["2025-11", "2025-12", "2026-02"]
    assert rewrite_months(grown.lake, grown.table, at_most=9) == ["2026-01"]
    assert rewrite_months(grown.lake, grown.table, at_most=9) == []
    assert with_column() == ["2025-11", "2025-12", "2026-01", "2026-02"]
    assert read_schema(grown.lake / grown.table).behind == ()


@pytest.mark.parametrize("store", ["disk", "s3", "azure"], indirect=True)
@pytest.mark.parametrize(
    ("month", "behind"), [(MONTHS[0], MONTHS[2:3]), (MONTHS[3], MONTHS[2:])], ids=["first", "last"]
)
def test_a_month_put_under_an_older_schema_is_marked_by_who_put_it(bench, monkeypatch, month, behind):
    """The other publisher widens the schema after this one has read it, and before this one puts its month."""
    export(bench, MONTHS[2], [team_row("Eng/A", f"{MONTHS[2]}")], 1)
    real, others = publishing.commit, []

    def commit(before, changes, schema, **options):
        if not others:
            others.append("widened")
            monkeypatch.setattr(publishing, "commit", real)
            header, bench.header = bench.header, HEADER.replace("Note", "CODING_DAYS")
            monkeypatch.setattr(publishing, "locked", lambda _folder: nullcontext())
            export(bench, MONTHS[1], [team_row("Eng/A", f"{MONTHS[1]}", note="2.5")], 2)
            bench.header = header
        return real(before, changes, schema, **options)

    monkeypatch.setattr(publishing, "commit", commit)
    export(bench, month, [team_row("Eng/A", f"{month}")], 3)
    assert others
    columns = {path[-20:-13]: pq.read_schema(BytesIO(data)).names for path, data in bench.objects().items()}
    assert "coding_days" in columns[min(columns)], "readers take the columns from the first month"
    assert read_schema(bench.lake / bench.table).behind == tuple(behind)
    expected = {"2025-12": 2.5, "2026-01": None, f"{month:%Y-%m}": None}
    assert bench.rows("month", "coding_days") == sorted(expected.items())
    rewrite_months(bench.lake, bench.table, at_most=9)
    assert all("coding_days" in pq.read_schema(BytesIO(data)).names for data in bench.objects().values())


def test_a_lost_schema_is_rebuilt_from_the_months(grown):
    path = grown.lake / "_schemas" / f"{grown.table}.json"
    before, rows = read_schema(grown.lake / grown.table), grown.rows(*COLUMNS, "month")
    for damage in (path.unlink, lambda: path.write_text("{"), lambda: path.write_text("[]")):
        damage()
        assert grown.rows(*COLUMNS, "month") == rows
        rebuilt = read_schema(grown.lake / grown.table)
        assert (rebuilt.typed, rebuilt.definition) == (before.typed, before.definition)
        export(grown, MONTHS[3], [team_row("Eng/A", f"{MONTHS[3]}", note="2.5")], 20)
        assert read_schema(grown.lake / grown.table).typed == before.typed
        assert path.exists()
        assert grown.rows(*COLUMNS, "month") == rows


def test_a_damaged_month_is_one_error_that_names_it_and_the_other_months_and_tables_go_on(grown):
    damaged = grown.lake / grown.table / "month=2026-01" / "data.parquet"
    whole = damaged.read_bytes()
    damaged.write_bytes(b"PAR1 and no more")
    for use in (lake.read_table, lake.coverage, lake.ledger):
        with pytest.raises(lake.DamagedObjectError, match=r"month=2026-01/data\.parquet is damaged.*restore it"):
            use(grown.lake, grown.table)
    assert lake.read_table(grown.lake, grown.table, start=date(2026, 2, 1)).num_rows == 1
    row = team_row("Eng/A", "2026-01-01", 5, "1") + "\n" + team_row("Eng/A", "2026-02-01", 5, "1")
    both = grown.stage("team:1", [row], age=30, start="2026-01-01", end="2026-02-28")
    grown.table += "_other"
    other = grown.stage("team:2", [team_row("Eng/B", "2026-01-01", 5, "1")], age=31)
    refused = []
    lake.publish(grown.lake, [both, other], published_at=at(900), on_refused=lambda *told: refused.append(told))
    assert grown.rows("team") == [("B",)]
    grown.table = grown.table.removesuffix("_other")
    assert lake.read_table(grown.lake, grown.table, start=date(2026, 2, 1))["pr_merged"].to_pylist() == [5.0]
    ((manifest, error),) = refused
    assert (manifest["scope"], type(error)) == ("team:1", lake.DamagedObjectError)
    assert "month=2026-01/data.parquet" in str(error)
    damaged.write_bytes(whole)
    grown.publish(both)  # is still staged
    assert grown.rows("pr_merged", "month")[1:] == [(5.0, "2026-01"), (5.0, "2026-02")]


def test_foreign_names_in_a_tables_folder_are_passed_over(grown):
    folder = grown.lake / grown.table
    (folder / "month=2026-01~").mkdir()
    (folder / "month=2026-02_$folder$").write_text("")
    (folder / "month=latest").mkdir()
    (folder / "month=2026-13").mkdir()
    assert [(row["team"], row["month"]) for row in lake.read_table(grown.lake, grown.table).to_pylist()] == [
        ("A", "2025-11"),
        ("A", "2026-01"),
        ("A", "2026-02"),
    ]
    assert len(lake.coverage(grown.lake, grown.table)) == 4
    export(grown, MONTHS[3], [team_row("Eng/A", f"{MONTHS[3]}", note="3")], 20)
