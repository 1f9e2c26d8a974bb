"""Rows that do not fit are put aside when the user says so, with the place and the reason; the others land."""

from __future__ import annotations

import hashlib
import json
from io import BytesIO

import pyarrow.parquet as pq
import pytest
from lake_bench import EPOCH, STORES, team_row

from sei_provider import lake
from sei_provider.lake import CsvError, HeaderError, StagingError, TooManyError
from sei_provider.lake.staging import quarantine

JAN = "2026-01-01"
HEAD = "Developer,E-Mail Address,Team,Team_Hierarchy,Start_Date,PR_MERGED\n"
PERSON = "Developer 12-03,developer-12-03@example.com"


@pytest.fixture
def bench(bench):
    bench.options = {"on_bad_value": "quarantine"}
    return bench


def aside(bench):
    return [
        row
        for path, data in bench.objects(".parquet").items()
        if "/_quarantine/" in path
        for row in pq.read_table(BytesIO(data)).to_pylist()
    ]


@pytest.mark.parametrize("store", STORES, indirect=True)
def test_a_row_that_does_not_fit_is_put_aside_and_the_others_land(bench):
    rows = [team_row("Eng/1", JAN, 4), team_row("Eng/2", JAN, "N/A", note="x"), team_row("Eng/3", JAN, 5)]
    (month,) = bench.export("team:1", rows, age=1)
    assert bench.rows("team", "pr_merged") == [("1", 4.0), ("3", 5.0)]
    (found,) = aside(bench)
    assert json.loads(found.pop("row")) == {
        "Squad Path": "Eng/2",
        "Team": "2",
        "Start_Date": JAN,
        "End_Date": "",
        "PR_MERGED": "N/A",
        "Note": "x",
    }
    assert found == {
        "line": 3,
        "column": "pr_merged",
        "text": "N/A",
        "reason": "line 3, column 'PR_MERGED': a text of 3 characters (withheld, because it may name a person) "
        "is not a number",
        "scope": "team:1",
        "export_id": "exp_1",
    }
    (path,) = (path for path in bench.objects(".parquet") if "/_quarantine/" in path)
    assert path.endswith(f"/_quarantine/{bench.table}/f00d-exp_1.parquet")
    assert month["quarantined"] == 1
    assert [entry["quarantined"] for entry in lake.ledger(bench.lake, bench.table)["2026-01"]] == [1]


@pytest.mark.parametrize(
    ("row", "column"),
    [
        (b"Eng/2,2,2026-1-1,,1,", "start_date"),
        (b"Eng/2,,2026-01-01,,1,", "team"),
        (b"Eng/2,2,2026-02-01,,1,", "start_date"),
        (b"Eng/2,2,2026-01-01,,1,\xff", "note"),
        (b"Eng/2,2,2026-01-01,1", None),
        (b"Eng/2,2,2026-01-01,,1,2,3", None),
    ],
    ids=["date", "no team", "outside", "not UTF-8", "short", "long"],
)
def test_every_fault_of_a_single_row_can_be_put_aside(bench, row, column):
    good = f"{bench.header}\n{team_row('Eng/1', JAN)}\n".encode()
    bench.publish(bench.stage_bytes(good + row + b"\n" + good.splitlines()[1] + b"\n", bench.slice()))
    assert bench.rows("team") == [("1",), ("1",)]
    assert [(found["line"], found["column"]) for found in aside(bench)] == [(3, column)]


def test_cells_of_rows_that_stay_are_not_changed_on_the_way(bench):
    notes = ['a "quoted", cell', "two\nlines", "NA", " spaces ", "—", "Böse", '5"']
    quoted = ['"{}"'.format(note.replace('"', '""')) for note in notes]
    rows = [team_row("Eng/1", JAN, note=note) for note in quoted]
    bench.export("team:1", [team_row("Eng/0", JAN, "bad"), *rows], age=1)
    assert sorted(note for (note,) in bench.rows("note")) == sorted(notes)


def test_an_export_of_which_no_row_fits_fails_since_an_empty_one_would_clear_the_table(bench):
    bench.export("team:1", [team_row("Eng/1", JAN)], age=1)
    with pytest.raises(CsvError, match="none of 2 rows fits"):
        bench.export("team:1", [team_row("Eng/1", JAN, "bad")] * 2, age=2)
    assert bench.owners() == {"Eng/1": ["exp_1"]}
    assert aside(bench) == []


@pytest.mark.parametrize("fault", ['"never closed,1\n', "a" * (2 << 20) + ",1\n"], ids=["quote", "longer than a block"])
def test_what_hides_where_rows_end_fails_all_the_same(bench, fault):
    good = f"{bench.header}\n{team_row('Eng/1', JAN)}\n"
    with pytest.raises(CsvError):
        bench.stage_bytes((good + fault).encode(), bench.slice())
    assert bench.objects("") == {}


def test_a_header_that_does_not_fit_fails_all_the_same(bench):
    with pytest.raises(HeaderError):
        bench.stage_bytes(b"Squad,Begin\na,b\n", bench.slice())


def test_a_whole_export_puts_nothing_aside(bench):
    bench.export("team:1", [team_row("Eng/1", JAN, note='"5"" disk"')], age=1)
    assert aside(bench) == []


def test_staging_the_same_export_again_puts_its_rows_aside_once(bench):
    for _ in range(2):
        bench.stage("team:1", [team_row("Eng/1", JAN), team_row("Eng/2", JAN, "bad")], age=1)
    assert len(aside(bench)) == 1


def test_the_row_outside_is_kept_as_personal_data_is_kept(bench):
    body = (HEAD + f"{PERSON},A,Eng/A,{JAN},n/a\n{PERSON},A,Eng/A,{JAN},1\n{PERSON},A\n").encode()

    def put_aside(**options):
        bench.options = {"on_bad_value": "quarantine", **options}
        bench.stage_bytes(body, bench.slice())
        return [json.loads(found["row"]) if found["row"] else None for found in aside(bench)]

    kept, ragged = put_aside()
    assert (kept["Developer"], ragged) == ("Developer 12-03", [*PERSON.split(","), "A"])
    dropped, ragged = put_aside(personal_data="drop")
    assert (dropped["Developer"], dropped["E-Mail Address"], dropped["PR_MERGED"], ragged) == (None, None, "n/a", None)
    hashed, ragged = put_aside(personal_data="hash", hash_key=hashlib.sha256(b"key").digest())
    assert (len(hashed["Developer"]), ragged) == (64, None)


def test_contract_27_the_text_of_a_persons_cell_is_not_kept(bench):
    body = (HEAD + f"{PERSON},A,Eng/A,{JAN},1\n").encode() + b"Developer 12-0\xff,x,A,Eng/A,2026-01-01,1\n"
    bench.stage_bytes(body, bench.slice())
    (found,) = aside(bench)
    assert (found["column"], found["text"], "12-0" in found["reason"]) == ("developer", None, False)


SHIFTED = {
    "an address in a metric": f"x,y@example.com,A,Eng/A,{JAN},{PERSON.split(',')[1]}",
    "an address in a team": f"x,y@example.com,{PERSON.split(',')[1]},Eng/A,{JAN},bad",
    "a name in a metric": f"x,y@example.com,A,Eng/A,{JAN},Jane Doe",
    "a name in a date": "x,y@example.com,A,Eng/A,Jane Doe,1",
    "a name with a dot in a date": 'x,y@example.com,A,Eng/A,"Dr. Doe, Jane",1',
}


@pytest.mark.parametrize("row", SHIFTED.values(), ids=SHIFTED)
@pytest.mark.parametrize("choice", ["keep", "hash", "drop"])
def test_contract_27_a_person_in_a_column_that_names_none_is_in_no_message_and_in_no_masked_row(bench, row, choice):
    key = {"hash_key": hashlib.sha256(b"key").digest()} if choice == "hash" else {}
    body = f"{HEAD}{PERSON},A,Eng/A,{JAN},1\n{row}\n".encode()
    bench.options = {"on_bad_value": "quarantine", "personal_data": choice, **key}
    bench.stage_bytes(body, bench.slice())
    (found,) = aside(bench)
    assert "12-03@" not in found["reason"]
    assert "Doe" not in found["reason"]
    assert (found["row"] is None) == (found["text"] is None) == (choice != "keep")
    bench.options |= {"on_bad_value": "fail"}
    with pytest.raises(CsvError) as caught:
        bench.stage_bytes(body, bench.slice(), export_id="again")
    assert "12-03@" not in str(caught.value)
    assert "Doe" not in str(caught.value)


@pytest.mark.parametrize(
    "row",
    ["Jane Doe,jane@example.com,A,Eng/A", "Jane Doe,7,Jane Doe", f"Jane Doe,Jane Doe,{JAN}", "a,jane@example.com,Jane"],
)
def test_contract_27_a_file_without_its_header_shows_nobody(bench, row):
    with pytest.raises(HeaderError) as caught:
        bench.stage_bytes(f"{row}\n{row}\n".encode(), bench.slice())
    assert "jane" not in str(caught.value).casefold()
    assert "row of data" in str(caught.value)


def test_rows_put_aside_do_not_wait_in_memory_whatever_their_size(bench):
    good = f"{bench.header}\n{team_row('Eng/1', JAN)}\n"
    bad = team_row("Eng/2", JAN, "bad", note="x" * 400_000) + "\n"
    bench.stage_bytes((good + bad * 50).encode(), bench.slice())
    ((_, data),) = ((path, data) for path, data in bench.objects(".parquet").items() if "/_quarantine/" in path)
    file = pq.ParquetFile(BytesIO(data))
    assert file.metadata.num_rows == 50
    assert max(file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)) <= 12


def test_a_file_of_nothing_but_bad_rows_is_read_no_further_than_the_quarantine_takes(bench, monkeypatch):
    monkeypatch.setattr(quarantine, "MAX_ROWS_ASIDE", 50)
    bad = [team_row(f"Eng/{number}", JAN, "N/A") for number in range(51)]
    bench.export("team:1", [*bad[:50], team_row("Eng/good", JAN, 4)], age=1)
    assert len(aside(bench)) == 50
    with pytest.raises(TooManyError, match=r"more than 50 rows do not fit.*line 52"):
        bench.export("team:2", [*bad, team_row("Ops/good", JAN, 4)], age=2)
    assert len(aside(bench)) == 50


@pytest.mark.parametrize("path", ["/".join("ab" for _ in range(100_000)), "x" * 300_000], ids=["deep", "long"])
def test_a_bad_row_of_an_endless_hierarchy_is_one_of_an_unknown_team(bench, path):
    bench.export("team:1", [team_row("Eng/good", JAN, 4), team_row(path, JAN, "N/A")], age=1)
    assert bench.owners() == {"Eng/good": ["exp_1"]}
    ((entry,),) = lake.ledger(bench.lake, bench.table).values()
    assert entry["quarantined"] == 1
    assert len(str(entry)) < 10_000


def test_an_unknown_choice_and_a_folder_outside_staging_are_refused(bench):
    bench.options = {"on_bad_value": "ignore"}
    with pytest.raises(ValueError, match="fail, quarantine"):
        bench.stage("team:1", [], age=1)
    with pytest.raises(StagingError, match="<lake>/_staging/"):
        lake.stage(
            bench.folder / "body",
            folder=bench.lake / "elsewhere",
            slice=bench.slice(),
            request="f00d",
            export_id="e",
            created_at=EPOCH,
            run_id="r",
            exported_at=EPOCH,
            on_bad_value="quarantine",
        )
