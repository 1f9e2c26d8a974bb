"""`columns=`: the user names what SEI calls otherwise, and says its type (DESIGN, decision 11)."""

from __future__ import annotations

import ast
import json
import re

import pyarrow.parquet as pq
import pytest
from lake_bench import team_row

from sei_provider import lake
from sei_provider.lake import ColumnsError, CsvError, HeaderError, SchemaError
from sei_provider.lake.column_mapping import ColumnMapping
from sei_provider.lake.columns import snake_case

JAN = "2026-01-01"


def staged(bench, head, *rows):
    body = "\n".join([head, *rows, ""]).encode()
    return pq.read_table(bench.path(bench.stage_bytes(body, bench.slice())))


def written(error):
    """Return the first argument that an error tells the user to write."""
    found = re.search(r"columns=(\{.*?\})", str(error))
    assert found, error
    return ast.literal_eval(found[1])


@pytest.mark.parametrize("way", [dict, json.dumps, str])
def test_columns_name_dimensions_and_give_types(bench, way):
    bench.columns = way(
        {"Squad": "team", "Area": "team_hierarchy", "Von": "start_date", "Bis": "end_date", "Employee": "developer"}
        | {"Build": ["build", "string"], "Due": ["due", "date"], "Effort": ["effort", "float64"], "Mail": "mail"}
    )
    head = "Squad,Area,Von,Bis,Employee,Build,Due,Effort,Mail"
    (row,) = staged(bench, head, "A,Eng/A,2026-01-01,2026-01-31,Dev 1,007,2026-02-03,1e3,x").to_pylist()
    days = {name: f"{row.pop(name)}" for name in ("start_date", "end_date", "due")}
    assert days == {"start_date": JAN, "end_date": "2026-01-31", "due": "2026-02-03"}
    assert row == {
        "team": "A", "team_hierarchy": "Eng/A", "developer": "Dev 1", "build": "007", "effort": 1000.0, "mail": "x",
    }  # fmt: skip


def test_headers_are_matched_as_written_then_without_case_spaces_and_underscores_but_with_punctuation(bench):
    bench.columns = {"story  points": "points", "C++ Effort": "cpp", "BUILD": "loud", "Build": "quiet"}
    head = "Team,Start_Date,Story_Points,C# Effort,Build,BUILD"
    assert staged(bench, head, "A,2026-01-01,1,2,3,4").schema.names[:6] == [
        "team", "start_date", "points", "c_effort", "quiet", "loud",
    ]  # fmt: skip
    with pytest.raises(ColumnsError, match="'build' fits 2 headers in columns=: 'BUILD', 'Build'"):
        staged(bench, "Team,Start_Date,build")


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (["Employee"], "must be a mapping"),
        ("Employee=developer", "neither JSON nor a Python dict"),
        ("[1]", "must be a mapping"),
        ({1: "x"}, "key 1: a key is SEI's header"),
        ({"X": 1}, "must be a name or (name, type)"),
        ({"X": ("x", "float64", "y")}, "must be a name or (name, type)"),
        ({"X": []}, "must be a name or (name, type)"),
        ({"X": ("x", "int64")}, "unknown type 'int64'; the types are string, float64, date"),
        ({"X": ("x", "date32")}, "unknown type 'date32'"),
        ({"X": ("x", 1)}, "unknown type 1"),
        ({"X": "Full Name"}, "not snake_case; write 'full_name'"),
        ({"X": ""}, "not snake_case"),
        ({"X": "a__b"}, "not snake_case; write 'a_b'"),
        ({"X": "a/b"}, "not snake_case; write 'a_b'"),
        ({"X": "_run_id"}, "reserved"),
        ({"X": "month"}, "reserved"),
        ({"X": "is_leaf"}, "reserved"),
        ({"A": "x", "B": "x"}, "'A' and 'B' the same name 'x'"),
        ({"X": ("team", "float64")}, "team is a dimension of type 'string'"),
        ({"X": ("start_date", "string")}, "start_date is a dimension of type 'date'"),
        ({"caf\u00e9": "a", "cafe\u0301": "b"}, "one header twice"),
    ],
)
def test_a_wrong_argument_is_refused_before_the_file_is_opened(bench, columns, said):
    bench.columns = columns
    with pytest.raises(ColumnsError, match=re.escape(said)):
        bench.stage_file(bench.folder / "no such file", bench.slice(), age=1)


def test_dimensions_may_be_given_their_own_types():
    mapping = ColumnMapping.parse({"Squad": ("team", "string"), "Von": ("start_date", "date")})
    assert mapping.to_json() == ColumnMapping.parse({"Von": "start_date", "Squad": "team"}).to_json()


def test_the_users_choice_stands_in_the_tables_schema_and_in_the_slices_identity(bench):
    body = f"Team,Start_Date,Build\nA,{JAN},7\n".encode()
    readings = []
    for columns in ({}, {"Build": "build"}, {"Build": ("build", "string")}, {"Build": ["build", "string"]}):
        bench.columns = columns
        footer = pq.read_metadata(bench.path(bench.stage_bytes(body, bench.slice()))).metadata
        readings.append(json.loads(footer[b"sei.slice"])["reading"])
    assert len(set(readings)) == 3
    assert readings[2] == readings[3]
    bench.publish(bench.stage_bytes(body, bench.slice()))
    remembered = json.loads((bench.lake / "_schemas" / f"{bench.table}.json").read_text())
    assert remembered["columns"]["build"] == {"type": "string", "header": "Build"}


@pytest.mark.parametrize(
    ("head", "row", "names"),
    [
        ("C++_tickets,C#_tickets", "1,2", {"c_tickets", "c_2_tickets"}),
        ("\U0001f680_tickets,\U0001f525_tickets", "1,2", {"tickets", "tickets_2"}),
        ("C++,C#,C", "1,2,3", {"c", "c_2", "c_3"}),
        ("TEAM", "B", {"team", "team_2"}),
        ("\U0001f680", "1", {"column_3"}),
        ("***,---", "1,2", {"column_3", "column_4"}),
    ],
)
def test_headers_that_meet_are_refused_with_an_argument_that_works(bench, head, row, names):
    header, line = f"Team,Start_Date,{head}", f"A,{JAN},{row}"
    bench.columns = {}
    for _ in range(2):  # headers without any letter are told one at a time
        with pytest.raises(HeaderError) as caught:
            staged(bench, header, line)
        assert not lake.staged(bench.staging)
        bench.columns |= written(caught.value)
        if names <= {str(name) for name in bench.columns.values()}:
            break
    assert names <= set(staged(bench, header, line).schema.names)


def test_headers_that_meet_over_time_are_refused_with_an_argument_that_works(bench):
    bench.columns, bench.metrics = {}, frozenset()
    base = "Team,Team_Hierarchy,Start_Date"
    bench.header = f"{base},C++_tickets"
    bench.export("team:1", [f"A,Eng/A,{JAN},1"], age=1)
    bench.header = f"{base},c#_tickets"
    with pytest.raises(SchemaError, match=r"another header than the table .* for column 'c_tickets'") as caught:
        bench.export("team:2", [f"B,Eng/B,{JAN},2"], age=2)
    bench.columns = written(caught.value)
    bench.export("team:2", [f"B,Eng/B,{JAN},2"], age=3)
    assert bench.rows("team", "c_tickets", "c_2_tickets") == [("A", 1.0, None), ("B", None, 2.0)]
    bench.header, bench.columns = f"{base},C++ Tickets", {}
    bench.export("team:1", [f"A,Eng/A,{JAN},5"], age=4)  # case, spaces and underscores make no other header
    assert bench.rows("team", "c_tickets")[0] == ("A", 5.0)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("टिकट_tickets", "टिकट_tickets"),
        ("ตั๋ว Count", "ตั๋ว_count"),
        ("Aufwände", "aufwände"),
        ("Aufwa\u0308nde", "aufwände"),
        ("İş Sayısı", "iş_sayısı"),
        ("עֲבוֹדָה", "עֲבוֹדָה"),
        ("❤️ Team", "team"),
        ("C++", "c"),
        ("Lead Time for Changes (mean)", "lead_time_for_changes_mean"),
    ],
)
def test_letters_and_marks_of_any_language_stay(header, name):
    assert snake_case(header) == name
    assert snake_case(name) == name


@pytest.mark.parametrize(
    ("head", "level", "argument"),
    [
        ("Squad,Start_Date", "team", {"Squad": "team"}),
        ("Team,Begin", "team", {"Begin": "start_date"}),
        ("Team,Start_Date,Employee", "developer", {"Employee": "developer"}),
    ],
)
def test_a_missing_column_is_told_with_the_argument_to_write(bench, head, level, argument):
    bench.definition, bench.columns = {"level": level}, {}
    row = ",".join(JAN if name in {"Start_Date", "Begin"} else "a" for name in head.split(","))
    with pytest.raises(HeaderError) as caught:
        staged(bench, head, row)
    bench.columns = written(caught.value)
    assert bench.columns == argument
    assert staged(bench, head, row).num_rows == 1


@pytest.mark.parametrize("suffix", ["story_points", "tickets", "hours", "days", "percent", "count"])
@pytest.mark.parametrize("report", ["productivity", "team_report"])
def test_a_suffix_declares_a_number_and_columns_make_it_text(bench, report, suffix):
    bench.report, bench.columns = report, {}
    head = f"Team,Start_Date,Review {suffix}"
    assert staged(bench, head, f"A,{JAN},007")[f"review_{suffix}"].to_pylist() == [7.0]
    with pytest.raises(CsvError, match="is not a number") as caught:
        staged(bench, head, f"A,{JAN},many")
    bench.columns = written(caught.value)
    assert staged(bench, head, f"A,{JAN},many")[f"review_{suffix}"].to_pylist() == ["many"]


@pytest.mark.parametrize("cell", ["00123", "9007199254740993", "1e3", "1E3", "+1", ".5", "5.", " 7", "0x1F", "1_000"])
def test_an_undeclared_number_that_would_not_come_back_as_written_is_text(bench, cell):
    bench.export("team:1", [team_row("Eng/1", JAN, note=cell), team_row("Eng/2", JAN, note="3")], age=1)
    assert bench.rows("team", "note") == [("1", cell), ("2", "3")]


@pytest.mark.parametrize("cell", ["A0123", "00123", "9007199254740993", "1e3"])
def test_a_slice_that_does_not_fit_a_remembered_number_is_refused_alone_and_told_the_way(bench, cell):
    bench.export("team:1", [team_row("Eng/1", JAN, note="4")], age=1)
    fits = bench.stage("team:2", [team_row("Eng/2", JAN, note="33.333333333333336")], age=2)
    unfit = bench.stage("team:3", [team_row("Eng/3", JAN, note=cell)], age=3)
    with pytest.raises(SchemaError, match="column 'note'") as caught:
        bench.publish(fits, unfit)
    assert f"airflow sei retype {bench.table} note string" in str(caught.value)
    assert cell not in str(caught.value)
    ways = [ast.literal_eval(found) for found in re.findall(r"columns=(\{.*?\})", str(caught.value))]
    assert ways == [{"Note": ("note", "float64")}, {"Note": ("note_text", "string")}]
    assert bench.rows("note") == [(33.333333333333336,), (4.0,)], "a long average comes back as it is written"
    bench.columns |= ways[1]
    bench.export("team:3", [team_row("Eng/3", JAN, note=cell)], age=4)
    assert bench.rows("team", "note_text")[-1] == ("3", cell)


@pytest.mark.parametrize("text", ['{"X": "y", "X": "z"}', "{'X': 'y', 'X': 'z'}", "{'X': 'y', 'X': ('y', 'string')}"])
def test_a_header_that_stands_twice_in_rendered_text_is_refused(text):
    with pytest.raises(ColumnsError, match="'X' twice"):
        ColumnMapping.parse(text)


def test_no_error_advises_a_type_that_a_dimension_cannot_have(bench):
    bench.header, bench.columns = "Team,Start_Date,Until", {"Until": "end_date"}
    with pytest.raises(CsvError) as caught:
        bench.stage("team:1", ["A,2026-01-01,31/01/2026"], age=1)
    assert "is not a date" in str(caught.value)
    assert "columns=" not in str(caught.value)


def test_aliases_are_further_headers_to_look_for_and_columns_decides_before_them(bench):
    bench.columns = {"Guild": "team_hierarchy"}
    bench.options = {"aliases": {"team": ["Crew", "Squad"], "team_hierarchy": ["Area"], "developer": ["Absent"]}}
    head = "squad,AREA,Guild,Start_Date"
    (row,) = staged(bench, head, "A,1,Eng/A,2026-01-01").to_pylist()
    assert (row["team"], row["team_hierarchy"], row["area"]) == ("A", "Eng/A", "1")
    bench.options = {"aliases": {"squad": ["Squad"]}}
    with pytest.raises(ColumnsError, match="aliases for squad: unknown dimension; use granularity, team, "):
        staged(bench, head, "A,1,Eng/A,2026-01-01")
