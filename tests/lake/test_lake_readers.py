"""Any tool reads a table's folder, with the partition column, and ignores what is not data."""

from __future__ import annotations

import duckdb
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from lake_bench import team_row

from sei_provider import lake

TEAMS = ["Eng/NA", "Eng/null", "Eng/Böse", "Eng"]


@pytest.fixture
def folder(bench):
    days = {"start": "2026-01-01", "end": "2026-02-28"}
    rows = [team_row(path, day, 3) for path in TEAMS for day in ("2026-01-01", "2026-02-01")]
    bench.export("team:1", rows, age=1, **days)
    (bench.lake / bench.table / "month=2026-01" / "_put-0").write_text("left by a killed publisher")
    return str(bench.lake / bench.table)


EXPECTED = sorted((path.removeprefix("Eng/"), month, 3.0) for path in TEAMS for month in ("2026-01", "2026-02"))


@pytest.mark.usefixtures("folder")
def test_read_table_gives_what_was_published(bench):
    frame = lake.read_table(bench.lake, bench.table).to_pandas()
    assert sorted(zip(frame["team"], frame["month"], frame["pr_merged"], strict=True)) == EXPECTED


def test_pandas_reads_the_folder(folder):
    frame = pd.read_parquet(folder)
    assert sorted(zip(frame["team"], frame["month"].astype(str), frame["pr_merged"], strict=True)) == EXPECTED


def test_pyarrow_dataset_reads_the_folder(folder):
    rows = ds.dataset(folder, partitioning="hive").to_table(columns=["team", "month", "pr_merged"]).to_pylist()
    assert sorted(tuple(row.values()) for row in rows) == EXPECTED


def test_duckdb_reads_the_folder(folder):
    sql = "select team, month, pr_merged from read_parquet($files, hive_partitioning=true)"
    assert sorted(duckdb.execute(sql, {"files": f"{folder}/*/*.parquet"}).fetchall()) == EXPECTED


def test_polars_reads_the_folder(folder):
    found = pl.scan_parquet(f"{folder}/*/*.parquet", hive_partitioning=True).select("team", "month", "pr_merged")
    assert sorted((team, str(month)[:7], merged) for team, month, merged in found.collect().rows()) == EXPECTED


def test_the_partition_column_is_not_in_the_file(folder):
    schema = pq.read_schema(f"{folder}/month=2026-01/data.parquet")
    assert "month" not in schema.names
    assert schema.field("pr_merged").metadata[b"sei.header"] == b"PR_MERGED"


def test_objects_are_zstd_in_one_row_group(folder):
    metadata = pq.read_metadata(f"{folder}/month=2026-01/data.parquet")
    assert metadata.num_row_groups == 1
    assert metadata.row_group(0).column(0).compression == "ZSTD"
