"""Bounds of what the lake takes: a file or slice that would pass one is refused by itself (docs/lake.md, Bounds)."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest
from lake_bench import team_row

from sei_provider.lake import SchemaError, TooManyError
from sei_provider.lake.staging import csv_reader, staged_writer
from sei_provider.lake.tables import column_types, external_sort, plan

JAN = "2026-01-01"


def test_a_file_with_too_many_columns_is_refused(bench, monkeypatch):
    monkeypatch.setattr(csv_reader, "MAX_COLUMNS", 7)
    bench.header += ",Seventh"
    assert bench.stage("team:1", [team_row("Eng/1", JAN) + ",1"], age=1)["rows"] == 1
    bench.header += ",Eighth"
    with pytest.raises(TooManyError, match="the file has 8 columns, and the lake takes 7"):
        bench.stage("team:1", [team_row("Eng/1", JAN) + ",1,1"], age=2)


def test_a_slice_that_gives_its_table_too_many_columns_is_refused_alone(bench, monkeypatch):
    bench.export("team:1", [team_row("Eng/1", JAN)], age=1)
    monkeypatch.setattr(column_types, "MAX_COLUMNS", 7)
    first = bench.stage("team:2", [team_row("Eng/2", JAN)], age=2)
    bench.header += ",Seventh,Eighth"
    wide = bench.stage("team:3", [team_row("Eng/3", JAN) + ",1,2"], age=3)
    with pytest.raises(
        SchemaError, match=r"would have 8 columns with export exp_3 of team:3, and a table takes 7.*table="
    ):
        bench.publish(wide, first)
    assert bench.owners() == {"Eng/1": ["exp_1"], "Eng/2": ["exp_2"]}


def test_an_export_whose_teams_do_not_fit_a_footer_is_refused(bench, monkeypatch):
    monkeypatch.setattr(staged_writer, "MAX_FOOTER_BYTES", 4 << 10)
    with pytest.raises(TooManyError, match=r"names 200 teams.*request child teams"):
        bench.stage("team:1", [team_row(f"Engineering/{number}", JAN) for number in range(200)], age=1)
    assert bench.stage("team:1", [team_row("Eng/1", JAN)], age=1)["rows"] == 1


def test_a_slice_whose_teams_a_months_ledger_has_no_room_for_is_refused_alone(bench, monkeypatch):
    bench.export("team:1", [team_row("Eng/1", JAN)], age=1)
    monkeypatch.setattr(plan, "MAX_FOOTER_BYTES", 1 << 10)
    many = bench.stage("team:2", [team_row(f"Engineering/{number}", JAN) for number in range(200)], age=2)
    few = bench.stage("team:3", [team_row("Ops/3", JAN)], age=3)
    with pytest.raises(SchemaError, match=r"export exp_2 of team:2 names 200 teams, and the ledger of .* has no room"):
        bench.publish(many, few)
    assert bench.owners() == {"Eng/1": ["exp_1"], "Ops/3": ["exp_3"]}
    bench.export("team:1", [team_row("Eng/1", JAN)], age=4)
    assert bench.owners()["Eng/1"] == ["exp_4"], "a later export of a scope takes the room of the earlier"


def test_many_small_tables_of_many_columns_wait_as_one(bench, monkeypatch):
    monkeypatch.setattr(external_sort, "MAX_ARRAYS", 40)
    bench.publish(*(bench.stage(f"team:{n}", [team_row(f"Eng/{n}", JAN, n)], age=n) for n in range(12)))
    assert [row[0] for row in bench.rows("pr_merged")] == sorted(map(float, range(12)), key=str)


def test_columns_of_a_row_group_are_large_enough_for_its_footer(bench):
    bench.header += "".join(f",Column {number}" for number in range(2_000))
    cells = "," + ",".join(["a" * 20] * 2_000)
    manifest = bench.stage("team:1", [team_row(f"Eng/{number}", JAN) + cells for number in range(150)], age=1)
    assert pq.read_metadata(bench.path(manifest)).num_row_groups == 1, "7 MB, and a group of 2,000 columns takes 8"
