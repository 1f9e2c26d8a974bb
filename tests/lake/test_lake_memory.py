"""Ten times the rows take the same memory, and rows that exceed memory are sorted on disk."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lake_bench import Bench

from sei_provider.lake.tables import external_sort
from sei_provider.lake.tables.external_sort import ExternalSorter

ROWS = 25_000


@pytest.fixture(scope="module")
def used(tmp_path_factory):
    """Rows → the lake, and the peaks after staging, publishing, staging, and publishing into what is there."""
    found = {}
    for rows in (ROWS, 10 * ROWS):
        folder = tmp_path_factory.mktemp("memory")
        command = [sys.executable, str(Path(__file__).with_name("memory_use.py")), str(folder), str(rows)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found[rows] = folder, json.loads(done.stdout)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("step", [0, 1, 2, 3], ids=["stage", "publish", "stage again", "publish into a month"])
def test_ten_times_the_rows_take_the_same_memory(used, step):
    (_, few), (_, many) = used.values()
    assert many[step] < 1.3 * few[step]


@pytest.mark.slow
def test_a_month_larger_than_memory_is_complete_and_sorted(used):
    folder, _ = used[10 * ROWS]
    (path,) = Bench(folder).lake.glob("productivity_team_monthly/month=*/data.parquet")
    file = pq.ParquetFile(path)
    assert file.num_row_groups > 10
    paths = file.read(["team_hierarchy"])["team_hierarchy"].to_pylist()
    assert len(paths) == 2 * 10 * ROWS
    assert paths == sorted(paths)


@pytest.mark.parametrize("run", [1, 1 << 30], ids=["spilled", "in memory"])
def test_rows_are_sorted_by_all_columns_with_nulls_last(tmp_path, monkeypatch, run):
    monkeypatch.setattr(external_sort, "RUN_BYTES", run)
    monkeypatch.setattr(external_sort, "_BLOCK_BYTES", 64)
    random.seed(5)
    rows = [(random.choice(["a", "b", "Ä", None]), random.choice([1, 2, 3, None]), n) for n in range(600)]  # noqa: S311  any will do
    sorter = ExternalSorter(tmp_path, lambda rows: rows.select(["team", "day"]))
    for first in range(0, len(rows), 37):
        part = rows[first : first + 37]
        sorter.add(pa.table({name: [row[i] for row in part] for i, name in enumerate(["team", "day", "id"])}))
    found = [tuple(row.values()) for piece in sorter.pieces() for row in piece.to_pylist()]

    def key(row):
        return tuple((cell is None, cell or 0) for cell in row[:2])

    assert sorted(found, key=str) == sorted(rows, key=str)
    assert [key(row) for row in found] == sorted(map(key, rows))


def test_no_rows_are_no_pieces(tmp_path):
    assert list(ExternalSorter(tmp_path, lambda rows: rows).pieces()) == []
