"""Files as servers and spreadsheets send them: each lands cell for cell, or the error says what it is and where."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import zipfile
import zlib

import pyarrow.parquet as pq
import pytest

from sei_provider.lake import BodyError, CsvError, HeaderError, LakeError, TruncatedError

HEAD = "Team,Team_Hierarchy,Start_Date,End_Date,PR_MERGED,Note\n"
ROW = "Alpha,Eng/Alpha,2026-01-01,2026-01-31,4,fine\n"
POLICIES = pytest.mark.parametrize("on_bad_value", ["fail", "quarantine"])


def read(bench, body, **options):
    bench.options = options
    body = body.encode() if isinstance(body, str) else body
    return pq.read_table(bench.stage_bytes(body, bench.slice())["path"]).to_pylist()


def refused(bench, body, error=LakeError, **options):
    with pytest.raises(error) as caught:
        read(bench, body, **options)
    assert bench.objects("") == {}, "something of a refused file is in the lake"
    return caught.value


@pytest.mark.parametrize("size", [511, 512, 513, 600, 5_000, 100_000, 1_000_000])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_header_may_be_as_long_as_it_likes(bench, size, pack):
    columns = min(size // 30, 3_000)  # more take seconds, whatever their length
    names = [f"Category {number:06}{'y' * (size // columns - 30)} story points" for number in range(columns)]
    head = ",".join([HEAD.strip(), *names])
    head += "x" * (size - len(head))
    row = ROW.strip() + ",1" * (head.count(",") - ROW.count(","))
    (found,) = read(bench, pack(f"{head}\n{row}\n".encode()))
    assert (found["team"], found["pr_merged"], found["note"]) == ("Alpha", 4.0, "fine")
    assert len(found) == head.count(",") + 1


@pytest.mark.parametrize("breaks", ["\n", "\r\n", "\n\n\n"])
def test_blank_lines_before_a_long_header_change_nothing(bench, breaks):
    head = HEAD.strip() + "".join(f",Category {number} story points" for number in range(40))
    assert len(read(bench, breaks * 400 + head + breaks + ROW.strip() + "," * 40 + breaks)) == 1


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_megabytes_of_blank_lines_before_the_header_are_passed_over_at_once_and_counted(bench, line_end):
    blank = 3_000_001
    (found,) = read(bench, line_end * blank + HEAD + ROW)
    assert found["team"] == "Alpha"
    bench.options = {"on_bad_value": "fail"}
    with pytest.raises(CsvError) as caught:
        bench.stage_bytes((line_end * blank + HEAD + "x\n").encode(), bench.slice(), export_id="ragged")
    assert caught.value.line == blank + 2


def test_a_file_of_blank_lines_alone_is_refused_at_once(bench):
    assert "only blank lines" in str(refused(bench, gzip.compress(b"\r\n" * 4_000_000), CsvError))


@pytest.mark.parametrize("names", [[f"c{number}" for number in range(10_000)], ["c" * 100_000] * 2])
def test_the_error_about_a_header_stays_short_however_long_the_header_is(bench, names):
    error = refused(bench, ",".join(names) + "\n", HeaderError)
    assert len(str(error)) < 2_000
    assert len(error.headers) == len(names)


def test_the_error_about_a_cell_stays_short_however_long_its_header_is(bench):
    body = f'{HEAD.strip()},{"long" * 10_000}\n{ROW.strip()},a 5" disk\n'
    assert len(str(refused(bench, body, CsvError))) < 300


STRAY_QUOTES = {
    "rows that two stray quotes join": '"A Team,A,2026-01-01,,5,x\nB,B,2026-01-01,,6,x\n"D,D,2026-01-01,,8,x\n',
    "the same in the middle of rows": 'A,"A,2026-01-01,,5,x\nB,B,2026-01-01,,6,x\nC,C"x,2026-01-01,,7,x\n',
    "a closing quote followed by a space": '"A" ,A,2026-01-01,,5,x\nB,B,2026-01-01,,6,x\n',
    "an escape that is no CSV's": 'A,A,2026-01-01,,5,"say \\"hi\\" now"\n',
    "a bare quote inside a quoted cell": 'A,A,2026-01-01,,5,"a 5" disk"\n',
    "a bare quote in a quoted team": '"A "B" C",A,2026-01-01,,5,x\n',
    "an empty quoted cell that goes on": 'A,A,2026-01-01,,5,""x""\n',
    "a quote that is never closed": 'A,A,2026-01-01,,5,"x\nB,B,2026-01-01,,6,x\n',
    "three quotes at the end": 'A,A,2026-01-01,,5,"x"""\nB,B,2026-01-01,,6,"""x\n',
}


@POLICIES
@pytest.mark.parametrize("rows", STRAY_QUOTES.values(), ids=STRAY_QUOTES)
def test_broken_quoting_refuses_the_file_with_line_and_column(bench, rows, on_bad_value):
    error = refused(bench, HEAD + ROW + rows, CsvError, on_bad_value=on_bad_value)
    assert error.line >= 3
    assert error.column in {"team", "team_hierarchy", "note"}
    assert f"line {error.line}, column '" in str(error)


def test_a_quote_inside_an_unquoted_cell_is_a_bad_row_which_quarantine_puts_aside(bench):
    body = HEAD + ROW + 'B,B,2026-01-01,,5,a 5" disk\n' + 'C,C,2026-01-01,,6,"a 5"" disk"\n'
    error = refused(bench, body, CsvError)
    assert (error.line, error.column) == (3, "note")
    assert [row["note"] for row in read(bench, body, on_bad_value="quarantine")] == ["fine", 'a 5" disk']
    (aside,) = (
        pq.read_table(io.BytesIO(data)).to_pylist()
        for path, data in bench.objects(".parquet").items()
        if "/_quarantine/" in path
    )
    assert [(row["line"], row["column"]) for row in aside] == [(3, "note")]


@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_line_break_inside_a_cell_arrives_as_it_was_sent_wherever_a_block_ends(bench, shift, pack):
    note = "x" * shift + "\r\n" * 220_000  # over any block's end, one of the two shifts between CR and LF
    rows = "".join(f'"Two\r\nlines",Eng,2026-01-01,,{number},"{note}"\r\n' for number in range(4))
    found = read(bench, pack((HEAD + rows).encode()))
    assert [row["note"] == note for row in found] == [True] * 4
    assert {row["team"] for row in found} == {"Two\r\nlines"}


@pytest.mark.parametrize("sent", ["\r\n", "\n", "\r"])
def test_teams_with_a_line_break_in_their_name_are_one_team_over_many_blocks(bench, sent):
    rows = "".join(f'"Two{sent}lines",Eng,2026-01-01,,{number},{"x" * (number % 97)}{sent}' for number in range(40_000))
    found = read(bench, HEAD.replace("\n", sent) + rows)
    assert {row["team"] for row in found} == {f"Two{sent}lines"}
    assert [row["pr_merged"] for row in found] == list(range(40_000))


@POLICIES
@pytest.mark.parametrize("at", [0, 3, 40, len(HEAD) - 2])
def test_nul_in_the_header_is_refused_and_no_row_is_lost(bench, at, on_bad_value):
    error = refused(bench, HEAD[:at] + "\0" + HEAD[at:] + ROW + ROW, on_bad_value=on_bad_value)
    assert "NUL" in str(error)


def test_nul_in_a_cell_arrives_as_it_was_sent(bench):
    assert read(bench, HEAD + ROW.replace("fine", "a\0b"))[0]["note"] == "a\0b"


@POLICIES
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "utf-16", "utf-32"])
@pytest.mark.parametrize("rows", ["", ROW, ROW * 500], ids=["header only", "one row", "many rows"])
def test_utf_16_is_no_empty_answer(bench, encoding, rows, on_bad_value):
    error = refused(bench, (HEAD + rows).encode(encoding), on_bad_value=on_bad_value)
    assert "UTF-" in str(error)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_text_of_wide_characters_without_a_byte_order_mark_is_named(bench, encoding):
    assert f"looks like {encoding[:6].upper()}:" in str(refused(bench, (HEAD + ROW).encode(encoding), CsvError))


def test_a_header_that_is_not_utf_8_is_refused_with_its_cell(bench):
    error = refused(bench, (HEAD.replace("Note", "Größe") + ROW).encode("latin-1"), CsvError)
    assert "line 1, cell 6" in str(error)


@pytest.mark.parametrize("cell", ["9" * 300_000 + "x", "9" * 300_000 + ".x", "1e" + "9" * 300_000 + "x", "-" * 300_000])
def test_a_cell_of_endless_digits_is_refused_without_trying_each_way_to_read_it(bench, cell):
    error = refused(bench, HEAD + ROW.replace(",4,", f",{cell},"), CsvError)
    assert (error.line, error.column) == (2, "pr_merged")
    assert len(str(error)) < 200


def _zipped(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("export.csv", data)
    return file.getvalue()


BODY = (HEAD + ROW * 50).encode()
FOREIGN = {
    "zip": (_zipped(BODY), "zip"),
    "bzip2": (bz2.compress(BODY), "bzip2"),
    "xz": (lzma.compress(BODY), "xz"),
    "gzip in gzip": (gzip.compress(gzip.compress(BODY)), "packed twice by gzip"),
    "zip in gzip": (gzip.compress(_zipped(BODY)), "zip"),
    "UTF-16": (BODY.decode().encode("utf-16"), "UTF-16"),
    "UTF-16 in gzip": (gzip.compress(BODY.decode().encode("utf-16")), "UTF-16"),
    "sep=,": (b"sep=,\n" + BODY, "sep="),
    "sep=; with a byte order mark": (b"\xef\xbb\xbfsep=;\r\n" + BODY, "sep="),
    '"sep=,"': (b'"sep=,"\r\n' + BODY, "sep="),
    "an empty bzip2": (bz2.compress(b""), "bzip2"),
    "lzma": (lzma.compress(BODY, lzma.FORMAT_ALONE), "LZMA"),
    "zlib, fast": (zlib.compress(BODY, 1), "zlib"),
    "zlib": (zlib.compress(BODY), "zlib"),
    "Snappy": (b"\xff\x06\0\0sNaPpY" + BODY, "Snappy"),
}


@POLICIES
@pytest.mark.parametrize(("body", "what"), FOREIGN.values(), ids=FOREIGN)
def test_the_error_names_what_a_file_is_that_is_no_csv(bench, body, what, on_bad_value):
    error = refused(bench, body, BodyError, on_bad_value=on_bad_value)
    assert what in str(error)
    assert "\ufffd" not in str(error)
    assert str(error).isprintable()


@POLICIES
def test_a_damaged_gzip_is_downloaded_again_though_a_row_of_it_looks_bad_first(bench, on_bad_value):
    rows = (f'Team {n},Eng,2026-01-01,,{n},"note ""{n * n}"""\n' for n in range(50_000))
    whole = gzip.compress((HEAD + "".join(rows)).encode())
    for number, at in enumerate(range(30, len(whole), len(whole) // 4)):
        damaged = whole[:at] + bytes([whole[at] ^ (1 << number % 8)]) + whole[at + 1 :]
        refused(bench, damaged, TruncatedError, on_bad_value=on_bad_value)


def test_a_bad_row_of_a_whole_gzip_is_its_own_error_however_much_follows(bench):
    body = gzip.compress((HEAD + "x\n" + ROW * 90_000).encode())
    assert refused(bench, body, CsvError).line == 2
    assert refused(bench, body, CsvError, max_file_bytes=2_200_000).line == 2


@POLICIES
def test_no_setting_of_the_process_is_changed_while_reading(bench, on_bad_value, monkeypatch):
    changed = []
    limit = csv.field_size_limit
    monkeypatch.setattr(csv, "field_size_limit", lambda *new: changed.append(new) if new else limit())
    before = limit()
    try:
        read(bench, HEAD + ROW + 'B,B,2026-01-01,,many,"two\nlines"\n' + "x" * 200_000, on_bad_value=on_bad_value)
    except CsvError:
        assert on_bad_value == "fail"
    assert changed == []
    assert limit() == before


def test_a_number_with_a_sign_in_front_lands_though_arrow_refuses_it(bench):
    assert [row["pr_merged"] for row in read(bench, HEAD + ROW + ROW.replace(",4,", ",+5,"))] == [4.0, 5.0]


def test_a_team_whose_name_begins_with_a_byte_order_mark_keeps_it_at_a_block_start(bench):
    rows = "".join(f"\ufeffTeam,Eng,2026-01-01,,{number},x\n" for number in range(30_000))
    assert {row["team"] for row in read(bench, HEAD + rows)} == {"\ufeffTeam"}


@pytest.mark.parametrize("day", ["0000-01-01", "-001-01-01", "10000-01-01"])
def test_a_day_that_no_calendar_has_is_an_error_with_its_line(bench, day):
    error = refused(bench, HEAD + ROW + ROW.replace("2026-01-31", day), CsvError)
    assert (error.line, error.column) == (3, "end_date")


@POLICIES
@pytest.mark.parametrize("ahead", [0, 1, 300_000, 524_288])
def test_how_long_a_record_may_be_does_not_depend_on_where_blocks_end(bench, ahead, on_bad_value):
    filler = HEAD + ROW * (ahead // len(ROW) + 1)
    row = "Alpha,Eng,2026-01-01,,1,"
    longest = "x" * ((2 << 20) - len(row) - 1)
    found = read(bench, filler + row + longest + "\n" + ROW, on_bad_value=on_bad_value)
    assert len(found[-2]["note"]) == len(longest)
    for cell in (longest + "x", '"' + longest + '"'):
        bench.options = {"on_bad_value": on_bad_value}
        with pytest.raises(CsvError, match="2,097,152 bytes"):
            bench.stage_bytes((filler + row + cell + "\n" + ROW).encode(), bench.slice(), export_id="long")
