"""Names on disk, which are a file format: they stay as 751f940 wrote them, whatever the code calls them."""

from __future__ import annotations

import base64
import json
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lake_bench import Bench, team_row

from sei_provider import lake

STORED = Path(__file__).with_name("stored") / "751f940" / "lake"
SLICE = {"table", "report", "scope", "start", "end", "granularity", "metrics", "meaning"}
EXPORT = {"export_id", "created_at", "exported_at", "run_id", "quarantined"}
ADDED_TO_EXPORT = {"clear_number", "personal_data", "reading"}
ENTRY = {"scope", "start", "end", "export_id", "created_at", "teams", "clears", "rows", "quarantined", "published_at"}
LEDGER = """scope: string
start: date32[day]
end: date32[day]
export_id: string
created_at: time
published_at: time
staged_at: time
rows: int64
quarantined: int64
reading: shared
replace_exact_range: bool
unknown_paths: bool
runs: list<item: shared>
teams: list<item: shared>
tombstones: list<item: shared>
put_aside: list<item: shared>
unusual_parents: list<item: struct<team: shared, above: list<item: shared>>>
sprints: list<item: struct<team: shared, sprint: shared>>
sprint_days: list<item: struct<team: shared, sprint: shared, first: date32[day], last: date32[day]>>
earlier_runs: list<item: struct<run: shared, start: date32[day], end: date32[day], created_at: time>>"""
ADDED_TO_MANIFEST = {"reading"}
MANIFEST = {"scope", "start", "end", "table", "path", "rows", "export_id", "created_at", "error"}


def footer(path: Path) -> dict[str, object]:
    entries = pq.read_metadata(path).metadata
    return {
        key.decode(): value if key == b"sei.ledger" else json.loads(value)
        for key, value in entries.items()
        if key.startswith(b"sei.")
    }


def ledger_of(path: Path) -> pa.Table:
    """The ledger of format 2, parsed with nothing of ours."""
    with pa.ipc.open_stream(base64.b64decode(pq.read_metadata(path).metadata[b"sei.ledger"])) as reader:
        return reader.read_all()


def stored(pattern: str) -> Path:
    return min(STORED.glob(pattern))


def written(bench: Bench, pattern: str) -> Path:
    return min(Path(bench.lake.path).glob(pattern))


def test_a_staged_file_and_its_manifest(bench):
    bench.stage("team:1", [team_row("Eng/A", "2026-01-01")], age=1)
    files = written(bench, "_staging/*/*.parquet"), stored("_staging/*/*.parquet")
    for file, added, to_manifest in zip(files, (ADDED_TO_EXPORT, set()), (ADDED_TO_MANIFEST, set()), strict=True):
        entries = footer(file)
        assert entries.keys() == {"sei.slice", "sei.columns", "sei.paths", "sei.periods"}
        assert entries["sei.slice"].keys() == SLICE | EXPORT | added
        assert json.loads(file.with_suffix(".json").read_text(encoding="utf-8")).keys() == MANIFEST | to_manifest


def test_a_months_footer(bench):
    bench.export("team:1", [team_row("Eng/A", "2026-01-01"), team_row("Eng/B", "2026-01-01")], age=1)
    bench.export("team:1", [team_row("Eng/A", "2026-01-01")], age=2)
    for file in (written(bench, "*/month=*/data.parquet"), stored("*/month=*/data.parquet")):
        assert footer(file).keys() - {"sei.format", "sei.definition"} == {"sei.ledger"}
    assert all(entry.keys() == ENTRY for entry in json.loads(footer(file)["sei.ledger"]))
    ledger = ledger_of(written(bench, "*/month=*/data.parquet"))
    shared = "dictionary<values=string, indices=int32, ordered=0>"
    columns = "\n".join(f"{column.name}: {column.type}" for column in ledger.schema)
    assert columns.replace(shared, "shared").replace("timestamp[us, tz=UTC]", "time") == LEDGER
    assert ledger["teams"].to_pylist() == [["Eng/A", "Eng/B"], ["Eng/A"]]


def test_a_ledger_of_sprints_and_one_of_a_legacy_report(bench):
    bench.report, bench.table, bench.granularity = "sprint", "sprint_sprint_sprint", "sprint"
    bench.header = "Sprint Name,Team,Hierarchy,Start,End,SPRINT_COMMIT"
    bench.export("team:1", ["S1,A,Eng/A,2026-01-05,2026-01-18,5"], age=1)
    (entry,) = ledger_of(written(bench, "sprint*/month=*/data.parquet")).to_pylist()
    assert entry["sprints"] == [{"team": "Eng/A", "sprint": "S1"}]
    first, last = date(2026, 1, 5), date(2026, 1, 18)
    assert entry["sprint_days"] == [{"team": "Eng/A", "sprint": "S1", "first": first, "last": last}]
    assert entry["replace_exact_range"] is False
    bench.report, bench.table, bench.granularity = "team_report", "team_report_monthly", "monthly"
    bench.header = "Team,CODING_DAYS"
    bench.export("team:1", ["A,5"], age=1)
    (entry,) = ledger_of(written(bench, "team_report*/month=*/data.parquet")).to_pylist()
    assert (entry["sprints"], entry["replace_exact_range"]) == (None, True)


def test_a_tables_schema(bench):
    bench.export("team:1", [team_row("Eng/A", "2026-01-01")], age=1)
    for file in (written(bench, "_schemas/*.json"), stored("*/_schema.json")):
        schema = json.loads(file.read_text(encoding="utf-8"))
        assert schema.keys() - {"format"} == {"columns", "meaning", "behind"}
        assert all(column.keys() == {"type", "header"} for column in schema["columns"].values())
        assert {"report", "granularity", "aggregation"} <= schema["meaning"].keys()


def test_schema_and_months_carry_the_version_of_their_format(bench):
    bench.export("team:1", [team_row("Eng/A", "2026-01-01")], age=1)
    assert json.loads(written(bench, "_schemas/*.json").read_text(encoding="utf-8"))["format"] == 2
    assert footer(written(bench, "*/month=*/data.parquet"))["sei.format"] == 2


def newer(file: Path) -> None:
    """Write a file as a later version of this package might."""
    if file.suffix == ".json":
        file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | {"format": 3}), encoding="utf-8")
        return
    table = pq.ParquetFile(file).read()
    pq.write_table(table.replace_schema_metadata({**pq.read_metadata(file).metadata, b"sei.format": b"3"}), file)


@pytest.mark.parametrize("pattern", ["_schemas/*.json", "*/month=*/data.parquet"])
def test_a_newer_format_is_refused_by_every_reader_and_by_publish_and_stays_as_it_is(bench, pattern):
    bench.export("team:1", [team_row("Eng/A", "2026-01-01")], age=1)
    newer(written(bench, pattern))
    before = bench.objects("")
    for use in (lake.coverage, lake.ledger, *([lake.read_table] if "schemas" in pattern else [])):
        with pytest.raises(lake.NewerFormatError, match=r"format 3.*up to 2: upgrade the package"):
            use(bench.lake, bench.table)
    manifest = bench.stage("team:1", [team_row("Eng/A", "2026-01-01", 2)], age=2)
    with pytest.raises(lake.NewerFormatError):
        bench.publish(manifest)
    assert {path: data for path, data in bench.objects("").items() if path in before} == before
