"""A table's name and a manifest's path lead nowhere but into the lake (issue on hostile neighbours)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lake_bench import at, team_row

from sei_provider import lake
from sei_provider.lake import StagingError, TableNameError

ROW = [team_row("Eng/A", "2026-01-01")]
NAMES = ["../victim", "..", ".", "", "a/b", "/x", "_staging", "_schemas", "A", "ä", "a b", "a\n", "a.b", "a\x00", 7]


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_a_table_name_that_leads_elsewhere_is_refused_by_everything_that_takes_one(bench, name):
    bench.export("team:1", ROW, age=1)
    manifest = bench.stage("team:1", ROW, age=2)
    before = sorted(map(str, bench.folder.rglob("*")))
    calls = [
        lambda: lake.publish(bench.lake, [{**manifest, "table": name}], published_at=at(9)),
        lambda: bench.stage_file(bench.folder / "none", replace(bench.slice(), table=name), age=3),
        lambda: lake.read_table(bench.lake, name),
        lambda: lake.coverage(bench.lake, name),
        lambda: lake.ledger(bench.lake, name),
        lambda: lake.retire(bench.lake, name, "team:1", retired_at=at(9)),
    ]
    if name:  # an empty one is none: the manifest's own counts
        calls.append(lambda: lake.publish(bench.lake, [manifest], table=name, published_at=at(9)))
    for call in calls:
        with pytest.raises(TableNameError, match="cannot be called"):
            call()
    assert sorted(map(str, bench.folder.rglob("*"))) == before


@pytest.mark.parametrize(
    "inside", ["../victim/x.parquet", "_staging/../x.parquet", "t/x.parquet", "_staging//x.parquet"]
)
def test_a_manifest_that_lies_elsewhere_than_in_staging_is_refused(bench, inside):
    manifest = bench.stage("team:1", ROW, age=1)
    with pytest.raises(StagingError, match="outside the lake"):
        lake.publish(bench.lake, [{**manifest, "path": f"{bench.lake}/{inside}"}], published_at=at(9))
