"""Forms of a CSV that the lake takes, and its words about one that it cannot take."""

from __future__ import annotations

import gzip
import re
from datetime import date

import pyarrow.parquet as pq
import pytest

from sei_provider.lake import (
    BodyError,
    CsvError,
    EmptyBodyError,
    HeaderError,
    LakeError,
    NotCsvError,
    TooLargeError,
    TruncatedError,
    read_table,
)
from sei_provider.lake.staging.csv_stream import CsvStream

HEAD = b"Team,Team Hierarchy,Start Date,End Date,PR_Merged\n"
ROW = b"Alpha,Eng/Alpha,2026-01-01,2026-01-31,4\n"


def read(bench, body):
    return pq.read_table(bench.stage_bytes(body, bench.slice())["path"]).to_pylist()


def refused(bench, body, error=CsvError):
    with pytest.raises(error) as caught:
        bench.stage_bytes(body, bench.slice(), export_id="refused")
    assert not list(bench.staging.glob("*refused*"))
    assert caught.value.__cause__ is None, "Arrow's own message quotes the row"
    return caught.value


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_gzip_is_known_by_its_first_bytes_and_not_by_a_name(bench, pack):
    assert read(bench, pack(HEAD + ROW))[0]["pr_merged"] == 4.0


def test_two_gzip_members_are_one_body(bench):
    assert len(read(bench, gzip.compress(HEAD + ROW) + gzip.compress(ROW))) == 2


@pytest.mark.parametrize("cut", [1, 8, 20])
def test_a_gzip_that_ends_early_is_refused_though_its_rows_read_well(bench, cut):
    body = gzip.compress(HEAD + ROW * 2000)
    assert "download it again" in str(refused(bench, body[:-cut], TruncatedError))


def test_a_second_gzip_member_that_ends_early_is_refused(bench):
    refused(bench, gzip.compress(HEAD + ROW) + gzip.compress(ROW * 50)[:-9], TruncatedError)


@pytest.mark.parametrize("garbage", [b"garbage", b"<html>" * 99, b"\0\0garbage", b"\x1f\x8bgarbage"])
def test_a_gzip_followed_by_something_else_is_refused_and_says_so(bench, garbage):
    error = refused(bench, gzip.compress(HEAD + ROW) + garbage, TruncatedError)
    assert "not all gzip" in str(error)


def test_zeros_behind_a_gzip_are_padding_as_gunzip_takes_them(bench):
    assert len(read(bench, gzip.compress(HEAD + ROW) + b"\0" * 512)) == 1


@pytest.mark.parametrize("at", [15, 25, -30])
def test_a_damaged_gzip_is_refused_wherever_the_damage_is(bench, at):
    body = bytearray(gzip.compress(HEAD + b"".join(ROW.replace(b"4", b"%d" % number) for number in range(500))))
    body[at] ^= 0xFF
    refused(bench, bytes(body), TruncatedError)


def test_a_gzip_with_a_wrong_checksum_is_refused(bench):
    body = bytearray(gzip.compress(HEAD + ROW))
    body[-8] ^= 0xFF
    refused(bench, bytes(body), TruncatedError)


@pytest.mark.parametrize("body", [b"", gzip.compress(b"")], ids=["plain", "gzip"])
def test_contract_21_zero_bytes_are_an_error(bench, body):
    assert "zero bytes" in str(refused(bench, body, EmptyBodyError))


@pytest.mark.parametrize("body", [b"\n <!DOCTYPE html><html>", b"\xef\xbb\xbf<html>", b'{"message": "no"}'])
def test_contract_24_html_or_json_is_not_a_csv(bench, body):
    assert "login page" in str(refused(bench, body, NotCsvError))
    assert issubclass(NotCsvError, BodyError)


@pytest.mark.parametrize("body", [HEAD, HEAD.strip(), HEAD + b"\r\n\n"], ids=["line", "no line end", "blank lines"])
def test_a_header_alone_is_an_empty_answer_whose_columns_are_known(bench, body):
    staged = pq.read_table(bench.stage_bytes(body, bench.slice())["path"])
    assert len(staged) == 0
    assert {"team", "team_hierarchy", "start_date", "pr_merged"} <= set(staged.schema.names)


def test_a_byte_order_mark_is_no_part_of_the_first_header(bench):
    assert read(bench, b"\xef\xbb\xbf" + HEAD + ROW)[0]["team"] == "Alpha"


def test_lines_may_end_in_crlf_and_the_last_in_nothing(bench):
    body = (HEAD + ROW + ROW).replace(b"\n", b"\r\n").removesuffix(b"\r\n")
    assert [row["pr_merged"] for row in read(bench, body)] == [4.0, 4.0]


def test_blank_lines_before_the_header_and_between_rows_are_passed_over(bench):
    assert len(read(bench, b"\n\r\n" + HEAD + ROW + b"\n" + ROW + b"\n\n")) == 2


def test_quoted_commas_line_breaks_and_quotes_belong_to_the_cell(bench):
    body = HEAD + '"Alpha, ""Böse""\nTeam","Eng/Alpha, ""Böse""\nTeam",2026-01-01,,4\n'.encode()
    assert read(bench, body)[0]["team"] == 'Alpha, "Böse"\nTeam'


def test_a_header_may_hold_a_line_break(bench):
    assert read(bench, HEAD.replace(b"PR_Merged", b'"PR\nMerged"') + ROW)[0]["pr_merged"] == 4.0


@pytest.mark.parametrize("name", ["NA", "null", "NULL", "nan", "None", "#N/A", "—", "0", "true"])
def test_no_team_name_means_null(bench, name):
    row = f"{name},Eng/{name},2026-01-01,2026-01-31,4\n".encode()
    assert [(row["team"], row["team_hierarchy"]) for row in read(bench, HEAD + row)] == [(name, f"Eng/{name}")]


@pytest.mark.parametrize("cell", ["", '""', "—"])
def test_contract_22_only_an_empty_cell_and_a_dash_are_no_number(bench, cell):
    assert read(bench, HEAD + f"Alpha,Eng/Alpha,2026-01-01,,{cell}\n".encode())[0]["pr_merged"] is None


@pytest.mark.parametrize(("cell", "number"), [("1.5", 1.5), ("-2", -2.0), (".5", 0.5), ("1e3", 1000.0), (" 7", 7.0)])
def test_numbers_are_read_as_numbers(bench, cell, number):
    assert read(bench, HEAD + f"Alpha,Eng/Alpha,2026-01-01,,{cell}\n".encode())[0]["pr_merged"] == number


@pytest.mark.parametrize("cell", ["N/A", "nan", "NaN", "inf", "-Infinity", "1e999", '"1,234"', "12%", "1_000", "null"])
def test_text_in_a_metric_is_an_error_that_names_line_column_and_value(bench, cell):
    error = refused(bench, HEAD + ROW + b"\n" + f'"A\nB",x,2026-01-01,,{cell}\n'.encode())
    assert (error.line, error.column) == (4, "pr_merged")
    assert "line 4" in str(error)
    assert "PR_Merged" in str(error)
    shown = cell.strip('"') if cell.strip('"')[0].isdigit() else f"a text of {len(cell)} characters (withheld"
    assert shown in str(error)


@pytest.mark.parametrize("cell", ["2026-1-1", "01/02/2026", "2026-02-30", "2026-01-01T00:00:00Z", "Jan 2026"])
def test_a_date_is_written_in_one_way_only(bench, cell):
    assert "yyyy-MM-dd" in str(refused(bench, HEAD + f"Alpha,x,{cell},,4\n".encode()))


@pytest.mark.parametrize(("row", "what"), [(",x,2026-01-01,,4", "team"), ("Alpha,x,,,4", "start_date")])
def test_an_empty_team_or_start_date_is_an_error_with_the_line(bench, row, what):
    error = refused(bench, HEAD + ROW + row.encode() + b"\n")
    assert (error.line, error.column) == (3, what)


@pytest.mark.parametrize("row", [b"Alpha,x,2026-01-01\n", b"Alpha,x,2026-01-01,,4,5\n"], ids=["short", "long"])
def test_a_ragged_row_is_an_error_with_its_line_and_length(bench, row):
    error = refused(bench, HEAD + ROW + row)
    assert error.line == 3
    assert "the header has 5" in str(error)


def test_a_quote_that_never_closes_is_an_error_even_if_the_row_is_whole(bench):
    head = HEAD.replace(b"PR_Merged", b"Note")
    assert "quote" in str(refused(bench, head + b'Alpha,x,2026-01-01,,"lost\n' + ROW))


def test_bytes_that_are_no_utf8_are_an_error_with_line_and_column(bench):
    error = refused(bench, HEAD + ROW + b"Alph\xe4,x,2026-01-01,,4\n")
    assert (error.line, error.column) == (3, "team")


def test_a_very_long_cell_is_read_and_one_beyond_a_block_is_an_error(bench):
    head = HEAD.replace(b"PR_Merged", b"Note")
    row = b"Alpha,x,2026-01-01,,"
    assert len(read(bench, head + row + b"x" * 500_000 + b"\n")[0]["note"]) == 500_000
    refused(bench, head + row + b"x" * 10_000_000 + b"\n")


@pytest.mark.parametrize("head", [b'Team,"' + b"x" * 200_000, b"x" * 2_000_000])
def test_a_header_that_never_ends_is_an_error(bench, head):
    refused(bench, head + HEAD)


BOMBS = {"rows": HEAD + ROW * 400_000, "one line": HEAD + b"x" * 20_000_000, "no line end": b"x" * 20_000_000}


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("aside", ["fail", "quarantine"])
def test_a_gzip_bomb_is_read_up_to_the_largest_allowed_and_no_further(bench, bomb, aside, monkeypatch):
    unpacked = []
    read = CsvStream.read
    monkeypatch.setattr(CsvStream, "read", lambda body, size: unpacked.append(read(body, size)) or unpacked[-1])
    bench.options = {"max_file_bytes": 5_000_000, "on_bad_value": aside}
    error = refused(bench, gzip.compress(BOMBS[bomb], 1), LakeError)
    assert isinstance(error, TooLargeError if bomb == "rows" else CsvError), error
    if bomb == "rows":
        assert "more than 5,000,000 bytes of CSV" in str(error)
    assert max(len(data) for data in unpacked) <= 2 << 20


def test_a_body_of_just_the_largest_size_is_read(bench):
    bench.options = {"max_file_bytes": len(HEAD + ROW)}
    assert len(read(bench, gzip.compress(HEAD + ROW))) == 1
    bench.options = {"max_file_bytes": len(HEAD + ROW) - 1}
    refused(bench, gzip.compress(HEAD + ROW), TooLargeError)


def test_a_fault_far_behind_the_first_block_leaves_nothing_staged(bench):
    error = refused(bench, HEAD + ROW * 200_000 + b"Alpha,x,2026-01-01,,many\n")
    assert error.line == 200_002


@pytest.mark.parametrize("day", ["2025-12-31", "2026-02-01"])
def test_rows_outside_the_request_are_an_error(bench, day):
    error = refused(bench, HEAD + ROW + f"Alpha,x,{day},,4\n".encode())
    assert error.line == 3
    assert f"{day} lies outside the requested range, 2026-01-01 to 2026-01-31" in str(error)


def test_a_sprint_may_reach_into_the_range_but_not_miss_it(bench):
    bench.granularity, bench.report = "sprint", "sprint"
    head = b"Sprint Name,Team,Start,End\n"
    assert len(read(bench, head + b"S1,Alpha,2025-12-25,2026-01-07\nS2,Alpha,2026-01-31,2026-02-12\n")) == 2
    assert "outside" in str(refused(bench, head + b"S0,Alpha,2025-12-01,2025-12-31\n"))
    assert "outside" in str(refused(bench, head + b"S3,Alpha,2026-02-01,2026-02-12\n"))


@pytest.mark.parametrize(
    "head",
    [
        "Team,Team_Hierarchy,Start_Date,End_Date,PR_MERGED",
        "team,team hierarchy,start date,end date,pr merged",
        "teamName,teamHierarchy,startDate,endDate,prMerged",
        "TEAM,HIERARCHY,PERIOD START,PERIOD END,Pr_Merged",
    ],
)
def test_headers_are_known_in_any_case_and_punctuation(bench, head):
    row = read(bench, head.encode() + b"\n" + ROW)[0]
    assert (row["team"], row["team_hierarchy"]) == ("Alpha", "Eng/Alpha")
    assert (row["start_date"], row["end_date"]) == (date(2026, 1, 1), date(2026, 1, 31))
    assert row["pr_merged"] == 4.0


def test_the_order_of_columns_means_nothing(bench):
    assert read(bench, b"PR_MERGED,Start_Date,Team\n3,2026-01-05,Alpha\n")[0]["pr_merged"] == 3.0


def test_users_name_columns_that_nobody_foresaw(bench):
    bench.columns = {"Squad": "team", "Von": "start_date"}
    assert read(bench, b"Von,Squad,Team Name\n2026-01-05,Alpha,other\n")[0]["team"] == "Alpha"


@pytest.mark.parametrize(("head", "what"), [("Squad,Start_Date,X", "the team"), ("Team,Begin,X", "the start_date")])
def test_a_missing_team_or_date_column_is_an_error_that_lists_the_headers(bench, head, what):
    error = refused(bench, f"{head}\na,b,c\n".encode(), HeaderError)
    assert what in str(error)
    assert "columns={'Squad': 'team'}" in str(error) or "columns={'Begin': 'start_date'}" in str(error)
    assert all(repr(name) in str(error) for name in head.split(",")[:2])
    assert "and 1 more, which are withheld" in str(error)


@pytest.mark.parametrize("twin", ["PR Merged", "pr_merged", "PR_Merged", "Start-Date"])
def test_two_headers_that_meet_in_one_name_are_an_error(bench, twin):
    head = HEAD.strip() + f",{twin}\n".encode()
    error = str(refused(bench, head, HeaderError))
    assert re.search(rf"columns=.*'{twin}': '", error) or "two have one header: rename one in SEI" in error


def test_a_header_without_a_name_is_an_error(bench):
    assert "column 6 of 6" in str(refused(bench, HEAD.strip() + b",()\n", HeaderError))


def test_without_any_hierarchy_the_scope_is_the_root(bench):
    rows = read(bench, b"Team,Start_Date\nAlpha,2026-01-01\n")
    assert [(row["team_hierarchy"], row["end_date"]) for row in rows] == [("team:1/Alpha", None)]
    assert read(bench, HEAD + b"Beta,,2026-01-01,,1\n")[0]["team_hierarchy"] == "team:1/Beta", "an empty column is none"


def test_beside_rows_with_a_hierarchy_a_team_without_one_is_a_root(bench):
    rows = read(bench, HEAD + b"Eng,,2026-01-01,,1\nAlpha,Eng/Alpha,2026-01-01,,1\n")
    assert [row["team_hierarchy"] for row in rows] == ["Eng", "Eng/Alpha"]


def test_columns_are_named_in_snake_case_and_keep_their_header(bench):
    head = b"Team,Start Date,Lead Time for Changes (mean),KTLO_story_points,Gr\xc3\xb6\xc3\x9fe,Month,is_leaf\n"
    staged = bench.stage_bytes(head, bench.slice())
    names = ["lead_time_for_changes_mean", "ktlo_story_points", "größe", "sei_month", "sei_is_leaf"]
    assert pq.read_schema(staged["path"]).names[2:7] == names, "month and is_leaf are columns of the table's own"
    bench.publish(staged)
    fields = read_table(bench.lake, staged["table"]).schema
    assert fields.field("lead_time_for_changes_mean").metadata[b"sei.header"] == b"Lead Time for Changes (mean)"


def test_contract_27_an_error_never_shows_a_person(bench):
    person = "Developer 12-03,developer-12-03@example.com"
    head = "Developer,E-Mail Address,Team,Start_Date,PR_MERGED\n"
    faults = [
        head + f"{person},Alpha,2026-01-01,many\n",
        head + f"{person},Alpha,2026-01-01\n",
        head + f"{person},,2026-01-01,1\n",
        head + f"{person},Alpha,2027-01-01,1\n",
        head + f'"{person},Alpha,2027-01-01,1\n',
        f"{person},Alpha,2026-01-01,1\n",
    ]
    for fault in faults:
        text = str(refused(bench, fault.encode(), LakeError))
        assert "example.com" not in text
        assert fault is faults[-1] or "12-03" not in text
