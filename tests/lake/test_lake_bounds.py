"""Bounds of what the lake takes: a file or slice that would pass one is refused by itself (docs/lake.md, Bounds)."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lake_bench import at, team_row

from sei_provider import lake
from sei_provider.lake import CsvError, DamagedObjectError, SchemaError, TooManyError
from sei_provider.lake.staging import csv_reader, csv_validation, staged_file, staged_writer
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
    monkeypatch.setattr(column_types, "MAX_COLUMNS", 8)
    first = bench.stage("team:2", [team_row("Eng/2", JAN)], age=2)
    bench.header += ",Seventh,Eighth"
    wide = bench.stage("team:3", [team_row("Eng/3", JAN) + ",1,2"], age=3)
    with pytest.raises(
        SchemaError, match=r"would have 9 columns with export exp_3 of team:3, and a table takes 8.*table="
    ):
        bench.publish(wide, first)
    assert bench.owners() == {"Eng/1": ["exp_1"], "Eng/2": ["exp_2"]}


def test_an_export_whose_teams_do_not_fit_a_footer_is_refused(bench, monkeypatch):
    monkeypatch.setattr(staged_writer, "MAX_FOOTER_BYTES", 4 << 10)
    with pytest.raises(TooManyError, match=r"names 200 teams.*request child teams"):
        bench.stage("team:1", [team_row(f"Engineering/{number}", JAN) for number in range(200)], age=1)
    assert bench.stage("team:1", [team_row("Eng/1", JAN)], age=1)["rows"] == 1


def test_names_are_counted_while_an_export_is_read_and_not_at_its_end_alone(bench, monkeypatch):
    monkeypatch.setattr(staged_writer, "MAX_FOOTER_BYTES", 4 << 10)
    monkeypatch.setattr(staged_file, "ROW_GROUP_BYTES", 4 << 10)
    read, by_bytes = [], staged_writer.by_bytes
    monkeypatch.setattr(staged_writer, "by_bytes", lambda tables: (read.append(t) or t for t in by_bytes(tables)))
    with pytest.raises(TooManyError, match="request child teams"):
        bench.stage("team:1", [team_row(f"Engineering/{number}", JAN) for number in range(20_000)], age=1)
    assert len(read) <= 5


DEEP = {
    "one cell of slashes": ["/".join("ab" for _ in range(250_000))],
    "each below the other": ["/".join(map(str, range(depth))) for depth in range(1, 600)],
    "one long name": ["x" * 1_000_000],
}


@pytest.mark.parametrize("paths", DEEP.values(), ids=DEEP)
def test_an_export_whose_hierarchies_are_too_deep_or_too_long_is_refused_and_others_land(bench, paths):
    with pytest.raises(TooManyError, match="the lake takes 200 and 20,000"):
        bench.stage("team:1", [team_row(path, JAN) for path in paths], age=1)
    deepest = "/".join("a" * 99 for _ in range(200))
    bench.export("team:2", [team_row(deepest, JAN)], age=2)
    assert bench.owners() == {deepest: ["exp_2"]}
    assert bench.rows("team_depth") == [(199,)]


def test_a_slice_whose_teams_a_months_ledger_has_no_room_for_is_refused_alone(bench, monkeypatch):
    rows = [team_row(f"Eng/{number}", JAN) for number in range(60)]
    bench.export("team:1", rows, age=1)
    monkeypatch.setattr(plan, "MAX_FOOTER_BYTES", 1 << 10)
    many = bench.stage("team:2", [team_row(f"Engineering/{number}", JAN) for number in range(200)], age=2)
    few = bench.stage("team:3", [team_row("Ops/3", JAN)], age=3)
    with pytest.raises(SchemaError, match=r"export exp_2 of team:2 names 200 teams, and the ledger of .* has no room"):
        bench.publish(many, few)
    first = {f"Eng/{number}": ["exp_1"] for number in range(60)}
    assert bench.owners() == first | {"Ops/3": ["exp_3"]}
    bench.export("team:1", rows, age=4)
    assert bench.owners()["Eng/1"] == ["exp_4"], "a later export of a scope takes the room of the earlier"


def test_many_small_tables_of_many_columns_wait_as_one(tmp_path, monkeypatch):
    monkeypatch.setattr(external_sort, "MAX_ARRAYS", 40)
    sorter = external_sort.ExternalSorter(tmp_path, lambda rows: rows.select(["number"]))
    waiting = []
    for number in range(12):
        sorter.add(pa.table({"number": [11 - number], **{f"column_{each}": [number] for each in range(9)}}))
        waiting.append(len(sorter._waiting))
    assert max(waiting) == 4, "of ten columns each"
    assert pa.concat_tables(sorter.pieces())["number"].to_pylist() == list(range(12))


def test_columns_of_a_row_group_are_large_enough_for_its_footer(bench):
    bench.header += "".join(f",Column {number}" for number in range(2_000))
    cells = "," + ",".join(["a" * 20] * 2_000)
    manifest = bench.stage("team:1", [team_row(f"Eng/{number}", JAN) + cells for number in range(150)], age=1)
    assert pq.read_metadata(bench.path(manifest)).num_row_groups == 1, "7 MB, and a group of 2,000 columns takes 8"


def test_files_of_different_columns_are_read_as_one_piece_unless_a_type_differs(bench, monkeypatch):
    monkeypatch.setattr(staged_file, "_SMALL_BYTES", 0)
    manifests = []
    for number, (header, columns) in enumerate(
        [
            ("Apples_count", {}),
            ("Pears_count", {}),
            ("Note,Plums", {"Plums": "plums"}),
            ("Note", {"Note": ("note", "float64")}),
        ]
    ):
        bench.header, bench.columns = f"Team,Start_Date,{header}", columns
        manifests.append(
            bench.stage(
                f"team:{number}",
                [",".join([f"T{number}", JAN, "7", "x"][: bench.header.count(",") + 1])],
                age=number + 1,
            )
        )
    staged = staged_file.StagedFiles(bench.path(manifest) for manifest in manifests)
    (plums,) = staged.pieces(columns={"plums", "_scope"})
    assert plums.to_pylist() == [{"plums": "x", "_scope": "team:2"}], "files without the column are left out"
    pieces = list(staged.pieces())
    assert [piece["team"].to_pylist() for piece in pieces] == [["T0", "T1", "T2"], ["T3"]], "text and numbers apart"
    assert [piece["_scope"].to_pylist() for piece in pieces] == [["team:0", "team:1", "team:2"], ["team:3"]]
    assert pieces[0].select(["apples_count", "pears_count", "note", "plums"]).to_pylist() == [
        {"apples_count": 7.0, "pears_count": None, "note": None, "plums": None},
        {"apples_count": None, "pears_count": 7.0, "note": None, "plums": None},
        {"apples_count": None, "pears_count": None, "note": "7", "plums": "x"},
    ]
    bench.publish(*manifests)
    assert bench.rows("team", "apples_count", "pears_count", "note", "plums") == [
        ("T0", 7.0, None, None, None),
        ("T1", None, 7.0, None, None),
        ("T2", None, None, 7.0, "x"),
        ("T3", None, None, 7.0, None),
    ]


def test_a_large_file_without_a_column_that_another_file_brings_is_published(bench, monkeypatch):
    monkeypatch.setattr(staged_file, "_SMALL_BYTES", 0)
    manifests = []
    for number, header in enumerate(["PR_MERGED", "Plums"]):
        bench.header, bench.columns = f"Team,Start_Date,{header}", {}
        manifests.append(bench.stage(f"team:{number}", [f"T{number},{JAN},7"], age=number + 1))
    bench.publish(*manifests)
    assert bench.rows("team", "pr_merged", "plums") == [("T0", 7.0, None), ("T1", None, 7.0)]


YEAR_1 = "Eng,Eng,0001-01-01,2026-01-20,S1,1"
"""Row of a sprint without a first day, as programs write the lowest date that they have."""


@pytest.fixture
def sprints(bench):
    bench.report, bench.table, bench.granularity = "sprint", "sprint_team_sprint", "sprint"
    bench.header, bench.definition = "Squad Path,Team,Start_Date,End_Date,Sprint,PR_MERGED", {"level": "SPRINT"}
    return bench


@pytest.mark.parametrize("reads_fast", [True, False], ids=["fast", "exactly"])
def test_a_sprint_that_begins_in_the_year_1_fails_its_scope_or_goes_aside(sprints, reads_fast):
    rows = [YEAR_1, "Eng,Eng,2026-01-21,2026-01-31,S2,2", *([] if reads_fast else ["Eng,Eng,2026-01-21,,S3,,"])]
    with pytest.raises(CsvError, match=r"line 2: start date 0001-01-01 .* from 1900 on"):
        sprints.stage("team:1", rows, age=1)
    sprints.options = {"on_bad_value": "quarantine"}
    manifest = sprints.stage("team:1", rows, age=2)
    assert (manifest["rows"], manifest["quarantined"]) == (1, 2 - reads_fast)


def test_a_slice_that_was_staged_with_the_year_1_is_refused_alone_and_its_table_takes_others(sprints, monkeypatch):
    """Its month would be no name of a month, so each later publish of the table would take it for changed by others."""
    with monkeypatch.context() as patch:
        for module in (csv_reader, csv_validation):
            patch.setattr(module, "YEARS", range(1, 3000))
        old = sprints.stage("team:1", [YEAR_1], age=1)
    refused = []
    for _ in range(2):
        new = sprints.stage("team:2", ["Eng/A,A,2026-01-01,2026-01-20,S1,1"], age=2)
        published = lake.publish(
            sprints.lake, [old, new], published_at=at(9), on_refused=lambda one, error: refused.append((one, error))
        )
        assert [month["month"] for month in published] == ["2026-01"]
    assert [(one, type(error)) for one, error in refused] == [(old, DamagedObjectError)] * 2


@pytest.mark.parametrize(
    ("start", "end"),
    [("0001-01-01", "2026-01-31"), ("1899-12-31", "1900-01-01"), ("2026-01-01", "9999-12-31"), ("2026-02-01", JAN)],
    ids=["from the year 1", "from 1899", "to the year 9999", "to a day before"],
)
def test_a_slice_has_days_of_the_years_1900_to_2999(bench, start, end):
    with pytest.raises(ValueError, match=r"the years 1900 to 2999|ends .* before it starts"):
        bench.slice("team:1", start, end)
