"""Staging folder of a task: its contents, and when a slice counts as staged."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime
from threading import Thread

import pyarrow.parquet as pq
import pytest
from lake_bench import HEADER, at, team_row
from upath import UPath

from sei_provider import lake
from sei_provider.lake import Slice
from sei_provider.lake.column_mapping import ColumnMapping
from sei_provider.lake.staging import csv_records


def test_a_manifest_has_exactly_the_keys_of_decision_7_and_how_it_was_read_and_is_json(bench):
    manifest = bench.stage("team:456", [team_row("Eng/A", "2026-01-01")], age=1)
    assert json.loads(json.dumps(manifest)) == {
        "scope": "team:456",
        "start": "2026-01-01",
        "end": "2026-01-31",
        "table": "productivity_team_monthly",
        "path": str(bench.staging / "f00d-exp_1.parquet"),
        "rows": 1,
        "export_id": "exp_1",
        "created_at": "2026-03-01T02:31:00+00:00",
        "error": None,
        "reading": lake.reading_of(columns=ColumnMapping.parse(bench.columns), **bench.options),
    }
    assert lake.staged(bench.staging) == {"f00d": manifest}


def test_a_staged_file_carries_the_slice_the_teams_and_the_lineage(bench):
    manifest = bench.stage("team:456", [team_row("Eng/A", "2026-01-01"), team_row("Eng/A", "2026-01-08")], age=1)
    footer = pq.read_metadata(manifest["path"]).metadata
    assert Slice.from_json(json.loads(footer[b"sei.slice"])) == bench.slice("team:456")
    assert json.loads(footer[b"sei.paths"]) == [["A", "Eng/A"]]
    bench.publish(manifest)
    lineage = bench.rows("_scope", "_export_id", "_exported_at", "_run_id")
    assert lineage == [("team:456", "exp_1", at(1.5), "manual__1")] * 2


def test_a_folder_that_nobody_staged_into_holds_nothing(bench):
    assert lake.staged(bench.staging) == {}
    lake.discard(bench.staging)


def test_parquet_without_manifest_and_manifest_without_parquet_do_not_count(bench):
    first = bench.stage("team:1", [], age=1)
    second = bench.stage("team:2", [], age=2)
    third = bench.stage("team:3", [], age=3)
    UPath(first["path"]).unlink()
    UPath(second["path"]).with_suffix(".json").unlink()
    assert lake.staged(bench.staging) == {"f00d": third}


def test_discard_removes_what_stage_put_there_and_nothing_else(bench):
    bench.stage("team:1", [], age=1)
    (bench.staging / "notes.txt").write_text("mine")
    (bench.staging / "_put-0").write_text("left by a killed worker")
    lake.discard(bench.staging)
    assert [path.name for path in bench.staging.iterdir()] == ["notes.txt"]
    (bench.staging / "notes.txt").unlink()
    lake.discard(bench.staging)
    assert not bench.staging.exists()


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "..", "a/b", "x" * 300, "", "ä", "a\0b"])
def test_an_export_id_is_never_used_as_a_path(bench, name):
    body = f"{HEADER}\n".encode()
    manifest = bench.stage_bytes(body, bench.slice(), export_id=name or None)
    assert UPath(manifest["path"]).parent == bench.staging
    assert manifest["export_id"] == (name or "exp_1")
    assert {path.name for path in bench.folder.iterdir()} == {"lake", "body"}


def test_staging_the_same_export_again_replaces_it(bench):
    bench.stage("team:1", [team_row("Eng/A", "2026-01-01")], age=1)
    again = bench.stage("team:1", [team_row("Eng/A", "2026-01-01")], age=1)
    assert lake.staged(bench.staging) == {"f00d": again}


def test_blocks_are_gathered_into_few_row_groups(bench):
    rows = [team_row(f"Eng/Team {i % 500}", "2026-01-01", i, "x" * 60) for i in range(30_000)]
    manifest = bench.stage("org:Eng", rows, age=1)
    metadata = pq.read_metadata(manifest["path"])
    assert metadata.num_rows == 30_000
    assert metadata.num_row_groups == 1


def test_issue_19_a_file_of_one_block_is_staged_without_a_thread(bench, monkeypatch):
    started = []
    start = Thread.start
    monkeypatch.setattr(Thread, "start", lambda thread: started.append(thread.name) or start(thread))
    rows = [team_row(f"Eng/{n}", "2026-01-01") for n in range(9)]
    assert bench.stage("team:1", rows, age=1)["rows"] == 9
    assert started == []
    monkeypatch.setattr(csv_records, "BLOCK_BYTES", 30)
    assert bench.stage("team:2", rows, age=2)["rows"] == 9
    assert {name.rpartition("_")[0] for name in started} == {"sei-csv-cut", "sei-csv-parse"}


def test_a_time_without_a_zone_is_refused_since_ages_are_compared(bench):
    bench.stage("team:1", [], age=1)
    with pytest.raises(ValueError, match="time zone"):
        lake.stage(
            bench.folder / "body",
            folder=bench.staging,
            slice=bench.slice(),
            request="f00d",
            export_id="e",
            created_at=datetime(2026, 1, 1),  # noqa: DTZ001  the error under test
            run_id="r",
            exported_at=at(1),
        )


def test_a_store_whose_puts_are_not_atomic_is_refused(bench):
    (bench.folder / "body").write_text(f"{HEADER}\n")
    with pytest.raises(lake.UnsupportedStoreError, match="memory://"):
        lake.stage(
            bench.folder / "body",
            folder=UPath("memory://lake/_staging"),
            slice=bench.slice(),
            request="f00d",
            export_id="e",
            created_at=at(1),
            run_id="r",
            exported_at=at(1),
        )


def test_a_put_that_fails_leaves_the_old_object_and_no_rubbish(bench, monkeypatch):
    bench.stage("team:1", [], age=1)
    before = {path.name: path.read_bytes() for path in bench.staging.iterdir()}

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(lake.StoreError, match="No space left"):
        bench.stage("team:1", [team_row("Eng/A", "2026-01-01")], age=1)
    assert {path.name: path.read_bytes() for path in bench.staging.iterdir()} == before


def test_naming_the_package_costs_no_arrow_and_no_airflow():
    """Decision 18: operators import it when Airflow parses DAGs."""
    code = (
        "import sys; from sei_provider import lake; from sei_provider.lake import Slice, staged, discard;"
        "print([name for name in ('pyarrow', 'pandas', 'numpy', 'httpx', 'airflow') if name in sys.modules]);"
        "print([name for name in lake.__all__ if not hasattr(lake, name)])"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.split("\n")[:2] == ["[]", "[]"]


@pytest.mark.parametrize(
    ("asked", "table"),
    [
        (("productivity", "developer", "monthly"), "productivity_developer_monthly"),
        (("sprint", "team", "SPRINT"), "sprint_team_sprint"),
        (("business_alignment", None, "MONTHLY"), "business_alignment_monthly"),
    ],
)
def test_tables_are_named_by_report_level_and_granularity(asked, table):
    assert lake.default_table(*asked) == table
