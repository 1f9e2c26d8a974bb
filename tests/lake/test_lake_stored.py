"""A lake that an older version wrote is still read, and published into.

`stored/751f940/` holds a lake as commit 751f940 wrote it: a table of one month, and one of two months in which an empty
answer has cleared the rows of team:14. Its staging folder is that of a publisher that died before it had emptied it:
the slice of team:12 is published, that of team:13 is not. `manifests.json` is the export task's result. Made by

    git worktree add ../751f940 751f940 && cd FOLDER && PYTHONPATH=../751f940 python - <<'END'
    import json, shutil
    from datetime import UTC, date, datetime
    from pathlib import Path
    import pytest
    from sei_provider import lake
    from sei_provider.sandbox.server import serve
    from tests.connections import connect
    from tests.operators.conftest import Task

    root = Path("lake")

    def publish(manifests): lake.publish(root, manifests, published_at=datetime.now(UTC))

    with serve(teams=4, seconds=0) as sandbox, pytest.MonkeyPatch.context() as patch:
        connect(patch, sandbox.base_url)
        publish(Task(root, state=None, report="business_alignment", scopes=["11", "12"], end="2026-01-31").run())
        publish(Task(root, state=None, scopes=["14"]).run())
        sandbox.fault("header_only", team="14")
        manifests = Task(root, state=None, scopes=["11", "12", "13", "14"]).run()
        staging = next(Path("lake/_staging").iterdir())
        shutil.copytree(staging, "kept")
        publish([manifest for manifest in manifests if manifest["scope"] != "team:13"])
        for file in Path("kept").glob("*"):  # as if the publisher had died before it had removed all
            if json.loads(file.with_suffix(".json").read_text())["scope"] in {"team:12", "team:13"}:
                shutil.copy(file, staging)
        shutil.rmtree("kept")
    Path("manifests.json").write_text(json.dumps(manifests, indent=1) + "\\n")
    END

`stored/55e7842/` holds two tables as commit 55e7842 wrote them, in format 1, by team:1 and then by team:11 and an empty
answer for team:14. Made by the same commands there, with

    with serve(teams=4, seconds=0) as sandbox, pytest.MonkeyPatch.context() as patch:
        connect(patch, sandbox.base_url)
        for table in ({"granularity": "SPRINT", "level": "sprint"}, {"report": "productivity", "end": "2026-01-31"}):
            publish(Task(root, state=None, scopes=["1"], **table).run())
            sandbox.fault("header_only", team="14", times=1)
            publish(Task(root, state=None, scopes=["11", "14"], task_id="later", **table).run())
"""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from sei_provider import lake
from sei_provider.lake.tables.ledger_columns import decode_ledger
from sei_provider.lake.tables.maintenance import rewrite_months

STORED = Path(__file__).with_name("stored") / "751f940"
SPRINT, ALIGNMENT = "sprint_team_monthly", "business_alignment_monthly"


@pytest.fixture
def old(tmp_path, monkeypatch):
    """The folder with a copy of the lake; manifests name their files by paths relative to it."""
    shutil.copytree(STORED, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def manifests(old):
    return json.loads((old / "manifests.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("table", "rows"), [(SPRINT, 4), (ALIGNMENT, 2)])
def test_its_tables_are_read_as_they_were_written(old, table, rows):
    read = lake.read_table("lake", table)
    written = [
        row for path in sorted(Path("lake", table).glob("month=*/*")) for row in pq.ParquetFile(path).read().to_pylist()
    ]
    assert read.drop_columns("month").to_pylist() == written
    assert len(written) == rows


def test_its_staged_slices_are_found(old, manifests):
    (folder,) = Path("lake", "_staging").iterdir()
    assert [manifest for manifest in manifests if manifest["scope"] in {"team:12", "team:13"}] == sorted(
        lake.staged(folder).values(), key=lambda manifest: manifest["scope"]
    )


def test_publishing_its_manifests_again_completes_what_was_interrupted(old, manifests):
    before = lake.read_table("lake", SPRINT).to_pylist()
    lake.publish("lake", manifests, published_at=datetime.now(UTC))
    after = lake.read_table("lake", SPRINT).to_pylist()
    assert [row for row in after if row["_scope"] != "team:13"] == [{**row, "team_id": None} for row in before]
    assert Counter(row["_scope"] for row in after) == {"team:11": 2, "team:12": 2, "team:13": 2}


def test_a_slice_that_was_only_staged_lands_beside_what_is_published(old, manifests):
    unpublished = next(manifest for manifest in manifests if manifest["scope"] == "team:13")
    lake.publish("lake", [unpublished], published_at=datetime.now(UTC))
    months = lake.coverage("lake", SPRINT)
    assert {(part["scope"], part["month"]) for part in months if part["published_at"]} == {
        (f"team:{team}", month) for team in (11, 12, 13, 14) for month in ("2026-01", "2026-02")
    }
    assert lake.read_table("lake", ALIGNMENT).num_rows == 2


def test_publish_moves_its_schema_out_of_the_tables_folder_and_maintenance_upgrades_its_months(old, manifests):
    before = lake.read_table("lake", SPRINT).to_pylist()
    lake.publish("lake", manifests, published_at=datetime.now(UTC))
    assert not Path("lake", SPRINT, "_schema.json").exists()
    assert not Path("lake", SPRINT, "_lock").exists()
    assert json.loads(Path("lake", "_schemas", f"{SPRINT}.json").read_text(encoding="utf-8"))["format"] == 2
    rewrite_months(Path("lake"), SPRINT, at_most=10)
    for file in Path("lake", SPRINT).glob("month=*/data.parquet"):
        assert pq.read_metadata(file).metadata[b"sei.format"] == b"2"
    polars = pl.scan_parquet(f"lake/{SPRINT}/", missing_columns="insert").collect()
    assert polars.height == lake.read_table("lake", SPRINT).num_rows == len(before) + 2
    assert lake.read_table("lake", ALIGNMENT).num_rows == 2
    assert Path("lake", ALIGNMENT, "_schema.json").exists(), "a table that nobody publishes to stays as it is"


def test_its_entries_get_the_runs_and_parents_of_their_rows_and_keep_their_tombstones(old, manifests):
    before = {entry["scope"]: entry for entry in lake.ledger("lake", SPRINT)["2026-01"]}
    assert all("runs" not in entry and "parents" not in entry for entry in json.loads(stored_ledger()))
    lake.publish("lake", manifests, published_at=datetime.now(UTC))
    rows = lake.read_table("lake", SPRINT).to_pylist()
    entries = decode_ledger(stored_ledger())
    assert {entry.scope for entry in entries} == {"team:11", "team:12", "team:13", "team:14"}
    for entry in entries:
        own = [row for row in rows if row["_export_id"] == entry.export_id and row["month"] == "2026-01"]
        assert entry.runs == {row["_run_id"] for row in own}
        assert {path for path, _ in entry.parents} == entry.teams == {row["team_hierarchy"] for row in own}
        assert entry.tombstones == frozenset(before.get(entry.scope, {"clears": []})["clears"])
    assert any(entry.tombstones for entry in entries)


def stored_ledger():
    return pq.read_metadata(f"lake/{SPRINT}/month=2026-01/data.parquet").metadata[b"sei.ledger"]


@pytest.mark.parametrize("table", ["sprint_sprint_sprint", "productivity_team_monthly"])
def test_a_lake_of_format_1_is_read_and_upgraded_with_every_entry_as_it_was(tmp_path, table):
    shutil.copytree(STORED.with_name("55e7842") / "lake", tmp_path / "lake")
    files = sorted((tmp_path / "lake" / table).glob("month=*/data.parquet"))
    kept = {f"{file.parent.name}"[6:]: json.loads(pq.read_metadata(file).metadata[b"sei.ledger"]) for file in files}
    rows, coverage = lake.read_table(tmp_path / "lake", table), lake.coverage(tmp_path / "lake", table)
    assert as_json(lake.ledger(tmp_path / "lake", table)) == kept
    assert sum(entry["rows"] for entries in kept.values() for entry in entries) == rows.num_rows > 0
    assert {entry["scope"] for entries in kept.values() for entry in entries} >= {"team:1", "team:14"}
    assert rewrite_months(tmp_path / "lake", table, at_most=10) == sorted(kept)
    for file in files:
        assert pq.read_metadata(file).metadata[b"sei.format"] == b"2"
    assert as_json(lake.ledger(tmp_path / "lake", table)) == kept
    assert (lake.read_table(tmp_path / "lake", table), lake.coverage(tmp_path / "lake", table)) == (rows, coverage)
    assert rewrite_months(tmp_path / "lake", table, at_most=10) == []


@pytest.mark.parametrize(
    ("commit", "table"),
    [
        ("751f940", SPRINT),
        ("751f940", ALIGNMENT),
        ("55e7842", "sprint_sprint_sprint"),
        ("55e7842", "productivity_team_monthly"),
    ],
)
def test_new_rows_are_merged_between_those_of_its_months(tmp_path, commit, table):
    root = tmp_path / "lake"
    shutil.copytree(STORED.with_name(commit) / "lake", root)
    schemas = (root / table / "_schema.json", root / "_schemas" / f"{table}.json")
    meaning = json.loads(next(path for path in schemas if path.exists()).read_text(encoding="utf-8"))["meaning"]
    before = lake.read_table(root, table)
    paths = ["0", *(f"{path}/0" for path in before["team_hierarchy"].unique().to_pylist()), "~"]
    file = tmp_path / "new.csv"
    with file.open("w", newline="") as body:
        csv.writer(body).writerows(
            [
                ["Team_Hierarchy", "Team", "Start_Date", "End_Date", "Sprint"],
                *([path, path[-1], "2026-01-01", "2026-01-31", "S9"] for path in reversed(paths)),
            ]
        )
    known = {name: meaning.pop(name) for name in ("report", "granularity")}
    origin = {name: meaning.pop(name) for name in ("organization", "project") if name in meaning}
    new = lake.stage(
        file,
        folder=root / "_staging" / "new",
        slice=lake.Slice(
            table=table, scope="team:99", start=date(2026, 1, 1), end=date(2026, 1, 31), metrics=frozenset(),
            definition=meaning, origin=origin, **known,
        ),
        request="f00d", export_id="new", created_at=datetime.now(UTC), run_id="new", exported_at=datetime.now(UTC),
    )  # fmt: skip
    lake.publish(root, [new], published_at=datetime.now(UTC))
    after = lake.read_table(root, table)
    left = [row for row in after.to_pylist() if row["_scope"] != "team:99"]
    assert [{name: row[name] for name in before.schema.names if name != "is_leaf"} for row in left] == [
        {name: row[name] for name in row if name != "is_leaf"} for row in before.to_pylist()
    ]
    january = pq.ParquetFile(root / table / "month=2026-01" / "data.parquet").read()
    assert january["team_hierarchy"].to_pylist() == sorted(january["team_hierarchy"].to_pylist())
    assert [row["team_hierarchy"] for row in january.to_pylist() if row["_scope"] == "team:99"] == sorted(paths)


def as_json(value):
    return json.loads(json.dumps(value))
