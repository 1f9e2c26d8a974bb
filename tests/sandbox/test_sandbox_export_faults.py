"""Faults of exports for as long as they live: statuses, links and files, read over bare sockets."""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from typing import Any

import pytest

from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.faults.files import BOMB_BYTES
from sei_provider.sandbox.faults.table import EVERY_FAULT, ExportFault
from sei_provider.sandbox.server import serve
from tests.sandbox import raw

LISTED = ("productivity", "sprint")
LINKED = (*LISTED, "business_alignment", "efficiency")
REPORTS = (*LINKED, "time_in_status")
LEGACY = ("team_report", "contributor_report", "dora_report")


class Read:
    """One export, by the calls about it."""

    def __init__(self, sandbox: SandboxControl, report: str, fault: str | None = None) -> None:
        if fault:
            sandbox.fault(fault, times=1)
        self._sandbox, self._report = sandbox, report
        self.id = raw.create(sandbox, report)

    def _ask(self, call: str) -> raw.Heard:
        return raw.ask(self._sandbox, *raw.request(call, self._report, export_id=self.id))

    def status(self) -> dict[str, Any]:
        reply: dict[str, Any] = json.loads(self._ask("status").body)
        return reply

    def entry(self) -> dict[str, Any] | None:
        """The export in the report's list, if there are both."""
        found = json.loads(self._ask("list").body).get("exports", [])
        return next((entry for entry in found if entry["exportId"] == self.id), None)

    def download(self) -> raw.Heard:
        return self._ask("download")

    def link(self) -> str | None:
        reply = self.status()
        link: str | None = reply.get("downloadUrl") or reply.get("download", {}).get("url")
        return link

    def rows(self) -> bytes:
        """The CSV, unpacked by Python's own gzip if need be."""
        body = self.download().body
        return gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body


@pytest.mark.parametrize("report", REPORTS)
def test_a_status_goes_back_from_completed_to_processing_for_some_reads(report: str, faulty) -> None:
    export = Read(faulty, report, "status_goes_back")
    assert [export.status()["status"].lower() for _ in range(5)] == [
        *("completed", "processing", "processing", "processing", "completed")
    ]
    assert "link" not in export.status()
    assert export.download().status == 200


@pytest.mark.parametrize("report", ["productivity", "sprint"])
def test_a_status_goes_back_in_lists_as_well_and_downloads_count_as_reads(report: str, faulty) -> None:
    export = Read(faulty, report, "status_goes_back")
    assert export.entry()["status"].lower() == "completed"
    assert export.entry()["status"].lower() == "processing"
    assert [export.download().status for _ in range(3)] == [404, 404, 200]
    assert export.status()["status"] == "completed"


@pytest.mark.parametrize("report", REPORTS)
def test_an_export_that_vanishes_is_unknown_from_the_first_read_on(report: str, faulty) -> None:
    export = Read(faulty, report, "vanishes")
    assert export.status()["message"] == f"Export not found: {export.id}"
    assert export.download().status == 404
    assert export.entry() is None
    assert export.id in {made["id"] for made in faulty.exports()}, "the sandbox's own record has it"
    with serve(teams=10, seconds=0) as reusing:
        Read(reusing, report, "vanishes")
        assert Read(reusing, report).status()["status"].lower() == "completed", "what vanished is not reused"


@pytest.mark.parametrize("report", REPORTS)
def test_a_download_is_a_404_once(report: str, faulty) -> None:
    export = Read(faulty, report, "download_404_once")
    assert export.status()["status"].lower() == "completed"
    assert [export.download().status for _ in range(3)] == [404, 200, 200]


@pytest.mark.parametrize("report", LINKED)
def test_a_link_is_missing_leads_to_another_host_or_out_of_the_api(report: str, faulty) -> None:
    links = {}
    for fault in ("link_missing", "link_to_other_host", "link_with_dots"):
        export = Read(faulty, report, fault)
        links[fault] = export.link()
        assert export.status()["status"].lower() == "completed"
        if (entry := export.entry()) is not None:
            assert entry["downloadUrl"] == links[fault]
        assert export.download().status == 200, "only the link is wrong"
    assert links["link_missing"] is None
    assert links["link_to_other_host"].startswith("https://elsewhere.example/v2/insights/")
    assert links["link_with_dots"].startswith("/v2/../../elsewhere/")


@pytest.mark.parametrize("report", REPORTS)
def test_two_gzip_members_are_one_valid_file_with_half_of_the_rows_each(report: str, faulty) -> None:
    right = Read(faulty, report).rows()
    export = Read(faulty, report, "two_gzip_members")
    assert export.rows() == right
    first = zlib.decompressobj(wbits=31)
    start = first.decompress(export.download().body)
    assert first.eof
    assert first.unused_data[:2] == b"\x1f\x8b"
    assert start.endswith(b"\n")
    assert abs(start.count(b"\n") - right.count(b"\n") / 2) <= 1.5


@pytest.mark.parametrize("report", REPORTS)
def test_garbage_after_the_gzip_is_noticed_by_nothing_but_its_end(report: str, faulty) -> None:
    export = Read(faulty, report, "gzip_trailing_garbage")
    answer = export.download()
    if report == "sprint":
        assert export.status()["download"]["sizeBytes"] == len(answer.body)
    whole = zlib.decompressobj(wbits=31)
    assert whole.decompress(answer.body).lower().startswith(b"granularity,")
    assert (whole.eof, whole.unused_data) == (True, b"trailing garbage")
    with pytest.raises(gzip.BadGzipFile):
        gzip.decompress(answer.body)


@pytest.mark.parametrize("report", [*REPORTS, *LEGACY])
def test_a_gzip_bomb_is_small_and_unpacks_to_rows_without_end(report: str, faulty) -> None:
    faulty.fault("gzip_bomb", report=report)
    answer = raw.ask(faulty, *raw.request("report", report)) if report in LEGACY else Read(faulty, report).download()
    body = answer.body
    assert len(body) < 64 * 1024**2 < BOMB_BYTES / 100
    lines = gzip.GzipFile(fileobj=io.BytesIO(body)).read(40 * 1024**2).splitlines()
    assert len(set(lines[-100_000:-1])) == 1, "one row over and over"
    assert lines[-2] in lines[1:20]
    assert lines[-2].count(b",") == lines[0].count(b",")
    # All but the first member are equal, so the first of them and their number tell how much there is.
    member = body[body.index(b"\x1f\x8b\x08", 10) :]
    unpacked = zlib.decompressobj(wbits=31)
    size = len(unpacked.decompress(member))
    count = len(member) / (len(member) - len(unpacked.unused_data))
    assert count == int(count)
    assert 0.99 < size * count / BOMB_BYTES <= 1


@pytest.mark.parametrize(
    "fault",
    [fault for fault in EVERY_FAULT.values() if isinstance(fault, ExportFault)],
    ids=lambda fault: fault.name,
)
@pytest.mark.parametrize("report", REPORTS)
def test_the_table_says_in_which_calls_about_an_export_a_fault_shows(fault: ExportFault, report: str, faulty) -> None:
    right = _answers(Read(faulty, report))
    wrong = _answers(Read(faulty, report, fault.name))
    shows = {call for call in right if wrong[call] != right[call]}
    expected = {call for call in fault.calls if call in right}
    if report not in LISTED:
        expected -= {"list"}
    if report not in LINKED and fault.name.startswith("link_"):
        expected -= {"status"}
    assert shows == expected


def _answers(export: Read) -> dict[str, list[str]]:
    """Answers of the calls about an export, without its id and times, and without what tells of the file's bytes."""
    answers: dict[str, list[str]] = {"status": [], "list": [], "download": []}
    for call, ask in (
        ("status", export.status),
        ("list", export.entry),
        ("download", lambda: export.download().body[:100_000]),
        ("status", export.status),
        ("list", export.entry),
    ):
        text = str(ask()).replace(export.id, "ID")
        answers[call].append(
            re.sub(r"'(filename|sizeBytes|correlationId)': [^,}]+|\d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT", "", text)
        )
    return answers


@pytest.mark.parametrize("report", LEGACY)
def test_the_table_says_which_faults_a_legacy_report_can_have(report: str, faulty) -> None:
    ask = raw.request("report", report)
    right = raw.ask(faulty, *ask)
    for fault in EVERY_FAULT.values():
        if not isinstance(fault, ExportFault) or fault.name == "gzip_bomb":
            continue
        assert ("report" in fault.calls) == (report in fault.reports)
        faulty.clear_faults()
        faulty.fault(fault.name)
        answer = raw.ask(faulty, *ask)
        assert ((answer.status, answer.body) != (right.status, right.body)) == (report in fault.reports), fault.name
