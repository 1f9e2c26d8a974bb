"""Downloads that are unusual or broken: what each file is, judged by Python's own readers."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import re
import zipfile

import pytest

from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.faults import BROKEN_FILES, EVERY_FAULT, VALID_FILES
from tests.sandbox import raw

EXPORTS = ("productivity", "sprint", "business_alignment", "efficiency", "time_in_status")
REPORTS = (*EXPORTS, "team_report", "contributor_report", "dora_report")
TEXTS = {
    *("Granularity", "Team", "Team_Hierarchy", "Start_Date", "End_Date", "Developer", "Developer_Email"),
    *("Collection Name", "Notes_1", "Notes_2", "Notes_3"),
    *("LTTC_Rating", "DF_Rating", "MTTR_Rating", "CFR_Rating"),
    *("granularity", "team", "team_hierarchy"),
    *("Lead Time for Changes Rating", "Deployment Frequency Rating", "Change Failure Rate Rating"),
    *("Mean Time to Restore Rating", "Overall DORA Rating"),
}
LENGTHS = (512, 600, 5_000, 100_000)


def download(sandbox: SandboxControl, report: str, fault: str | None = None, team: str = "12") -> bytes:
    """The bytes of a new export or legacy report, made with a fault."""
    if fault:
        sandbox.fault(fault, times=1)
    if report not in EXPORTS:
        return raw.ask(sandbox, *raw.request("report", report, team)).body
    export_id = raw.create(sandbox, report, team)
    return raw.ask(sandbox, *raw.request("download", report, export_id=export_id)).body


def content(file: bytes) -> bytes:
    return gzip.decompress(file) if file[:2] == b"\x1f\x8b" else file


def read(file: bytes) -> list[list[str]]:
    """The rows of a file if it is a valid CSV, as strictly as Python's csv reads; else `ValueError` or `csv.Error`."""
    try:
        text = content(file).decode()
    except (gzip.BadGzipFile, EOFError) as error:
        raise ValueError(error) from error
    if "\0" in text:
        message = "NUL"
        raise ValueError(message)
    header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    if header[0] not in {"Granularity", "granularity", "Collection Name"}:
        message = f"no header of a report: {header}"
        raise ValueError(message)
    for row in rows:
        for name, cell in zip(header, row, strict=True):
            if name not in TEXTS:
                float(cell.replace("—", "") or 0)
    return [header, *rows]


@pytest.mark.parametrize("report", REPORTS)
@pytest.mark.parametrize("fault", VALID_FILES)
def test_an_unusual_file_is_valid_and_holds_what_the_right_one_does(fault: str, report: str, faulty) -> None:
    header, *rows = read(download(faulty, report))
    unusual_header, *unusual_rows = read(download(faulty, report, fault))
    shared = [name for name in header if name in unusual_header]
    assert unusual_header[: len(shared)] == shared == header[: len(shared)]
    assert len(shared) >= (1 if header[0] == "Collection Name" else 5)
    expected = [] if fault == "header_only" else [row[: len(shared)] for row in rows]
    assert [row[: len(shared)] for row in unusual_rows] == expected


@pytest.mark.parametrize(
    ("fault", "report"), [(fault, report) for fault in BROKEN_FILES for report in EVERY_FAULT[fault].reports]
)
def test_a_broken_file_is_refused_by_a_strict_reader(fault: str, report: str, faulty) -> None:
    with pytest.raises((ValueError, csv.Error)):
        read(download(faulty, report, fault))


def test_the_faults_say_of_a_file_whether_it_is_valid() -> None:
    assert not set(VALID_FILES) & set(BROKEN_FILES)
    assert all(EVERY_FAULT[name].transient for name in VALID_FILES if name != "header_only")
    assert not any(EVERY_FAULT[name].transient for name in BROKEN_FILES)


@pytest.mark.parametrize("report", REPORTS)
@pytest.mark.parametrize("length", LENGTHS)
def test_a_header_is_as_long_as_ordered_plain_or_gzip(length: int, report: str, faulty) -> None:
    plain, packed = (download(faulty, report, f"header_{length}_{packing}") for packing in ("plain", "gzip"))
    assert len(plain.partition(b"\n")[0]) == length
    assert (packed[:2], gzip.decompress(packed)) == (b"\x1f\x8b", plain)
    header, *rows = read(plain)
    assert len(set(header)) == len(header)
    assert all(cell for row in rows for name, cell in zip(header, row, strict=True) if name.startswith("Added_"))


@pytest.mark.parametrize("report", REPORTS)
def test_a_crlf_lies_across_every_512_bytes_of_the_notes(report: str, faulty) -> None:
    file = content(download(faulty, report, "crlf_in_cells", team="10"))
    inside = [edge for edge in range(512, len(file), 512) if file[edge - 1 : edge + 1] == b"\r\n"]
    assert len(inside) > 4 * 580, "four rows have long notes"
    assert 512 * 1024 in inside
    header, *rows = read(file)
    notes = [row[-1] for row in rows]
    assert header[-1] == "Notes_3"
    assert all("\r\n" in note and "\n" not in note.replace("\r\n", "") for note in notes)
    assert max(map(len, notes)) < csv.field_size_limit()


@pytest.mark.parametrize("report", REPORTS)
def test_stray_quotes_open_the_first_and_the_last_of_four_rows(report: str, faulty) -> None:
    header, *lines = content(download(faulty, report, "stray_opening_quotes")).decode().splitlines()
    assert [line.startswith('"') for line in lines] == [True, False, False, True]
    whole = content(download(faulty, report)).decode().splitlines()
    assert header == whole[0]
    assert {line.removeprefix('"') for line in lines} <= set(whole)


@pytest.mark.parametrize(
    ("fault", "cell"),
    [("backslash_before_quote", r'"say \"hi\" now"'), ("bare_quote_in_quoted_cell", '"say "hi" now"')],
)
@pytest.mark.parametrize("report", REPORTS)
def test_a_team_is_written_with_quotes_that_are_not_doubled(fault: str, cell: str, report: str, faulty) -> None:
    _, first, *_ = content(download(faulty, report, fault)).decode().splitlines()
    assert first.split(",")[1 if report in EXPORTS else 0] == cell


@pytest.mark.parametrize("report", REPORTS)
def test_a_nul_stands_in_the_header(report: str, faulty) -> None:
    whole = content(download(faulty, report))
    broken = content(download(faulty, report, "nul_in_header"))
    assert broken.partition(b"\n")[0].count(b"\0") == 1
    assert broken.replace(b"\0", b"") == whole


@pytest.mark.parametrize("report", REPORTS)
def test_a_file_in_utf_16_has_a_byte_order_mark_or_none(report: str, faulty) -> None:
    whole = content(download(faulty, report)).decode()
    assert content(download(faulty, report, "utf_16")) == b"\xff\xfe" + whole.encode("utf-16-le")
    assert content(download(faulty, report, "utf_16_without_bom")) == whole.encode("utf-16-le")


@pytest.mark.parametrize("report", EXPORTS)
def test_a_number_has_40_000_digits_and_a_letter(report: str, faulty) -> None:
    _, first, *_ = content(download(faulty, report, "digits_and_a_letter")).decode().splitlines()
    assert re.search(r",9{40000}x$", first)


@pytest.mark.parametrize("report", REPORTS)
def test_a_file_begins_with_the_separator_or_is_packed_otherwise(report: str, faulty) -> None:
    whole = content(download(faulty, report))
    assert content(download(faulty, report, "separator_line")) == b"sep=,\n" + whole
    assert bz2.decompress(download(faulty, report, "bz2")) == whole
    assert lzma.decompress(download(faulty, report, "xz")) == whole
    assert gzip.decompress(gzip.decompress(download(faulty, report, "gzip_in_gzip"))) == whole
    with zipfile.ZipFile(io.BytesIO(download(faulty, report, "zip"))) as archive:
        assert [archive.read(name) for name in archive.namelist()] == [whole]


@pytest.mark.parametrize("fault", [*VALID_FILES, *BROKEN_FILES])
def test_a_file_without_rows_can_be_ordered_too(fault: str, faulty) -> None:
    faulty.fault(fault, times=1)
    scope = {"scope": {"teamId": "5"}, "dateRange": {"start": "2026-01-01", "end": "2026-01-31"}}
    options = {"options": {"granularity": "monthly", "metricLevel": "developer"}}
    method, path, _ = raw.request("create", "productivity")
    answer = raw.ask(faulty, method, path, scope | options)
    assert answer.status == 202
    export_id = re.search(r"exp_\w+", answer.body.decode())[0]
    assert raw.ask(faulty, *raw.request("download", "productivity", export_id=export_id)).status == 200
