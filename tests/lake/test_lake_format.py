"""What lies on disk is a file format: its names stay as 751f940 wrote them, whatever the code calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from lake_bench import Bench, team_row

from sei_provider import lake

STORED = Path(__file__).with_name("stored") / "751f940" / "lake"
SLICE = {"table", "report", "scope", "start", "end", "granularity", "metrics", "meaning"}
EXPORT = {"export_id", "created_at", "exported_at", "run_id", "quarantined"}
ADDED_TO_EXPORT = {"clear_number", "personal_data", "reading"}
ENTRY = {"scope", "start", "end", "export_id", "created_at", "teams", "clears", "rows", "quarantined", "published_at"}
ADDED_TO_ENTRY = {"staged_at", "reading", "runs", "parents"}
MANIFEST = {"scope", "start", "end", "table", "path", "rows", "export_id", "created_at", "error"}


def footer(path: Path) -> dict[str, object]:
    entries = pq.read_metadata(path).metadata
    return {key.decode(): json.loads(value) for key, value in entries.items() if key.startswith(b"sei.")}


def stored(pattern: str) -> Path:
    return min(STORED.glob(pattern))


def written(bench: Bench, pattern: str) -> Path:
    return min(Path(bench.lake.path).glob(pattern))


def test_a_staged_file_and_its_manifest(bench):
    bench.stage("team:1", [team_row("Eng/A", "2026-01-01")], age=1)
    files = written(bench, "_staging/*/*.parquet"), stored("_staging/*/*.parquet")
    for file, added in zip(files, (ADDED_TO_EXPORT, set()), strict=True):
        entries = footer(file)
        assert entries.keys() == {"sei.slice", "sei.columns", "sei.paths", "sei.periods"}
        assert entries["sei.slice"].keys() == SLICE | EXPORT | added
        assert json.loads(file.with_suffix(".json").read_text(encoding="utf-8")).keys() == MANIFEST


def test_a_months_footer(bench):
    bench.export("team:1", [team_row("Eng/A", "2026-01-01"), team_row("Eng/B", "2026-01-01")], age=1)
    bench.export("team:1", [team_row("Eng/A", "2026-01-01")], age=2)
    for file, added in (
        (written(bench, "*/month=*/data.parquet"), ADDED_TO_ENTRY),
        (stored("*/month=*/data.parquet"), set()),
    ):
        entries = footer(file)
        assert entries.keys() - {"sei.format", "sei.definition"} == {"sei.ledger"}
        assert all(entry.keys() == ENTRY | added for entry in entries["sei.ledger"])


def test_a_ledger_of_sprints_and_one_of_a_legacy_report(bench):
    bench.report, bench.table, bench.granularity = "sprint", "sprint_sprint_sprint", "sprint"
    bench.header = "Sprint Name,Team,Hierarchy,Start,End,SPRINT_COMMIT"
    bench.export("team:1", ["S1,A,Eng/A,2026-01-05,2026-01-18,5"], age=1)
    (entry,) = footer(written(bench, "sprint*/month=*/data.parquet"))["sei.ledger"]
    assert entry.keys() == {*ENTRY, *ADDED_TO_ENTRY, "sprints", "sprint_days"}
    assert entry["sprints"] == [["Eng/A", "S1"]]
    assert entry["sprint_days"] == [["Eng/A", "S1", "2026-01-05", "2026-01-18"]]
    bench.report, bench.table, bench.granularity = "team_report", "team_report_monthly", "monthly"
    bench.header = "Team,CODING_DAYS"
    bench.export("team:1", ["A,5"], age=1)
    (entry,) = footer(written(bench, "team_report*/month=*/data.parquet"))["sei.ledger"]
    assert entry.keys() == {*ENTRY, *ADDED_TO_ENTRY, "exact"}
    assert entry["exact"] is True


def test_a_tables_schema(bench):
    bench.export("team:1", [team_row("Eng/A", "2026-01-01")], age=1)
    for file in (written(bench, "_schemas/*.json"), stored("*/_schema.json")):
        schema = json.loads(file.read_text(encoding="utf-8"))
        assert schema.keys() - {"format"} == {"columns", "meaning", "behind"}
        assert all(column.keys() == {"type", "header"} for column in schema["columns"].values())
        assert {"report", "granularity", "aggregation"} <= schema["meaning"].keys()


def test_schema_and_months_carry_the_version_of_their_format(bench):
    bench.export("team:1", [team_row("Eng/A", "2026-01-01")], age=1)
    assert json.loads(written(bench, "_schemas/*.json").read_text(encoding="utf-8"))["format"] == 1
    assert footer(written(bench, "*/month=*/data.parquet"))["sei.format"] == 1


def newer(file: Path) -> None:
    """Write a file as a later version of this package might."""
    if file.suffix == ".json":
        file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | {"format": 2}), encoding="utf-8")
        return
    table = pq.ParquetFile(file).read()
    pq.write_table(table.replace_schema_metadata({**pq.read_metadata(file).metadata, b"sei.format": b"2"}), file)


@pytest.mark.parametrize("pattern", ["_schemas/*.json", "*/month=*/data.parquet"])
def test_a_newer_format_is_refused_by_every_reader_and_by_publish_and_stays_as_it_is(bench, pattern):
    bench.export("team:1", [team_row("Eng/A", "2026-01-01")], age=1)
    newer(written(bench, pattern))
    before = bench.objects("")
    for use in (lake.coverage, lake.ledger, *([lake.read_table] if "schemas" in pattern else [])):
        with pytest.raises(lake.NewerFormatError, match=r"format 2.*up to 1: upgrade the package"):
            use(bench.lake, bench.table)
    manifest = bench.stage("team:1", [team_row("Eng/A", "2026-01-01", 2)], age=2)
    with pytest.raises(lake.NewerFormatError):
        bench.publish(manifest)
    assert {path: data for path, data in bench.objects("").items() if path in before} == before
