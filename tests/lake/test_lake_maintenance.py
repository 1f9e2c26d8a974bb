"""Staging of abandoned runs is swept, staging that a run may still need is not; on every store."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest
from lake_bench import STORES, team_row

from sei_provider import lake
from sei_provider.lake.storage.store import last_change, put_bytes
from sei_provider.lake.tables.maintenance import quarantined, sweep_staging

everywhere = pytest.mark.parametrize("store", STORES, indirect=True)
ROW = team_row("Eng/A", "2026-01-01")
MINUTE = timedelta(minutes=1)


def now():
    return datetime.now(UTC)


@everywhere
def test_staging_that_nothing_was_put_into_for_long_is_swept(bench):
    bench.stage("team:1", [ROW], age=1)
    assert sweep_staging(bench.lake, older_than=now() - MINUTE) == []
    assert len(lake.staged(bench.staging)) == 1
    assert sweep_staging(bench.lake, older_than=now() + MINUTE) == ["task"]
    assert lake.staged(bench.staging) == {}
    assert bench.objects("") == {}


@everywhere
def test_each_folder_is_judged_by_its_own_newest_object(bench):
    bench.stage("team:1", [ROW], age=1)
    other = bench.lake / "_staging" / "task_2"  # its name begins like the first's
    put_bytes(other / "f00d-exp_9.json", b"{}")
    while last_change(other) == last_change(bench.staging):  # S3 has a resolution of one second
        put_bytes(other / "f00d-exp_9.json", b"{}")
    assert sweep_staging(bench.lake, older_than=last_change(other)) == ["task"]
    assert lake.staged(bench.staging) == {}
    assert [path.rsplit("/", 2)[1] for path in bench.objects("")] == ["task_2"]


@everywhere
def test_there_is_nothing_to_sweep_or_to_report_in_a_new_lake(bench):
    assert sweep_staging(bench.lake, older_than=now() + MINUTE) == []
    assert quarantined(bench.lake) == []


@everywhere
def test_quarantined_rows_are_listed_by_table(bench):
    bench.options = {"on_bad_value": "quarantine"}
    bench.export("team:1", [ROW, team_row("Eng/B", "2026-01-01", "many")], age=1)
    bench.table += "_2"
    bench.export("team:1", [ROW, *[team_row("Eng/B", "2026-01-01", "many")] * 2], age=2)
    found = [(entry["table"], entry["rows"]) for entry in quarantined(bench.lake)]
    assert found == [("productivity_team_monthly", 1), ("productivity_team_monthly_2", 2)]
    assert [entry["path"].rpartition("/")[2] for entry in quarantined(bench.lake)] == [
        "f00d-exp_1.parquet",
        "f00d-exp_2.parquet",
    ]


def test_a_folder_just_made_is_left_to_who_made_it(bench):
    bench.staging.mkdir(parents=True)
    assert sweep_staging(bench.lake, older_than=now() - MINUTE) == []
    os.utime(bench.staging.path, (0, 0))
    assert sweep_staging(bench.lake, older_than=now() - MINUTE) == ["task"]
