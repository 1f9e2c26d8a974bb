"""Any tool reads a table's folder, with the partition column, and ignores what is not data."""

from __future__ import annotations

import re
from pathlib import Path

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


DOCS = Path(__file__).parents[2] / "docs"


def _blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_page_on_reading_shows_readers_that_agree(bench, folder):
    def as_shown(language, word):
        [shown] = [block for block in _blocks("reading.md", language) if word in block]
        return shown.replace("/data/lake/sprint_team_monthly", folder)

    *imports, dataset = as_shown("python", "exclude_invalid_files").strip().splitlines()
    names = {"polars": pl}
    exec("\n".join(imports), names)  # noqa: S102 - this project's own page
    tables = [
        eval(dataset, names).to_table(),  # noqa: S307 - as above
        eval(as_shown("python", "scan_parquet"), names).collect().to_arrow(),  # noqa: S307 - as above
        duckdb.sql(as_shown("sql", "SELECT * FROM").rstrip(";\n")).to_arrow_table(),
    ]
    for table in tables:
        frame = table.to_pandas()
        found = zip(frame["team"], frame["month"].astype(str).str[:7], frame["pr_merged"], strict=True)
        assert sorted(found) == EXPECTED


def test_all_pages_read_the_lake_in_the_same_way():
    ways = {
        "DuckDB": (r"read_parquet\('[^']*'(.*?)\)", ", hive_partitioning = true, union_by_name = true"),
        "Polars": (r"scan_parquet\(\"[^\"]*\"(.*?)\)", ', hive_partitioning=True, missing_columns="insert"'),
        "pyarrow": (r"ds\.dataset\(\"[^\"]*\"(.*?)\)", ", partitioning=partitioning, exclude_invalid_files=True"),
    }
    for tool, (pattern, options) in ways.items():
        shown = {page.name: re.findall(pattern, page.read_text(encoding="utf-8")) for page in DOCS.glob("*.md")}
        assert any(shown.values()), tool
        assert {name: given for name, given in shown.items() if set(given) - {options}} == {}, tool
