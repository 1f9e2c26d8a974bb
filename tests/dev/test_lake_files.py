"""Report of the demo on a lake: its files, its rows, and the changes of a second run."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dev import lake_files


def _write(lake: Path, path: str, **columns: list[object]) -> None:
    target = lake / path
    target.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), target)


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    _write(tmp_path, "sprint_team_monthly/month=2026-02/data.parquet", team=["NA", "null"], size=[1.0, 2.0])
    _write(tmp_path, "sprint_team_monthly/month=2026-03/data.parquet", team=["NA"], size=[3.0], _run_id=["first"])
    _write(tmp_path, "_staging/ab/slice.parquet", team=["NA"], size=[9.0])
    (tmp_path / "sprint_team_monthly/_schema.json").write_text("{}")
    return tmp_path


def test_a_table_is_all_its_months_and_staged_files_are_none(lake: Path) -> None:
    tables = lake_files.tables(lake)
    assert list(tables) == ["sprint_team_monthly"]
    assert tables["sprint_team_monthly"].column_names == ["team", "size", "_run_id"]
    assert tables["sprint_team_monthly"].column("team").to_pylist() == ["NA", "null", "NA"]


def test_every_file_is_listed_with_its_bytes_and_parquet_with_its_rows(lake: Path) -> None:
    listed = {str(file.path): file for file in lake_files.files(lake)}
    assert listed["sprint_team_monthly/month=2026-02/data.parquet"].rows == 2
    assert listed["sprint_team_monthly/_schema.json"].rows is None
    assert listed["sprint_team_monthly/_schema.json"].size == 2
    assert "_staging/ab/slice.parquet" in listed


def test_other_lineage_is_no_change_of_rows(lake: Path) -> None:
    before = lake_files.row_counts(lake)
    _write(lake, "sprint_team_monthly/month=2026-03/data.parquet", team=["NA"], size=[3.0], _run_id=["second"])
    assert lake_files.changes(before, lake_files.row_counts(lake)) == {}


def test_a_team_that_was_seen_again_is_no_change_of_rows(lake: Path) -> None:
    _write(lake, "teams/data.parquet", id=["11"], first_seen=["Monday"], last_seen=["Monday"])
    before = lake_files.row_counts(lake)
    _write(lake, "teams/data.parquet", id=["11"], first_seen=["Monday"], last_seen=["Tuesday"])
    assert lake_files.changes(before, lake_files.row_counts(lake)) == {}


def test_another_value_is_one_row_gone_and_one_new(lake: Path) -> None:
    before = lake_files.row_counts(lake)
    _write(lake, "sprint_team_monthly/month=2026-03/data.parquet", team=["NA"], size=[4.0], _run_id=["first"])
    assert lake_files.changes(before, lake_files.row_counts(lake)) == {"sprint_team_monthly": (1, 1)}


def test_a_row_that_is_there_twice_instead_of_once_is_a_change(lake: Path) -> None:
    before = lake_files.row_counts(lake)
    _write(lake, "sprint_team_monthly/month=2026-03/data.parquet", team=["NA", "NA"], size=[3.0, 3.0])
    assert lake_files.changes(before, lake_files.row_counts(lake)) == {"sprint_team_monthly": (0, 1)}


def test_a_table_that_vanished_is_a_change(lake: Path) -> None:
    before = lake_files.row_counts(lake)
    assert lake_files.changes(before, {}) == {"sprint_team_monthly": (3, 0)}


def test_a_table_that_was_not_there_before_is_no_change(lake: Path) -> None:
    assert lake_files.changes({}, lake_files.row_counts(lake)) == {}


def test_a_lake_that_is_not_there_has_no_tables(tmp_path: Path) -> None:
    assert lake_files.row_counts(tmp_path / "none") == {}
