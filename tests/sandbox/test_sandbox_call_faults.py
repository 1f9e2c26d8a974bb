"""Faults of single calls, byte by byte: other responses, and responses that do not arrive whole."""

from __future__ import annotations

import gzip
import json
import time
from email.utils import parsedate_to_datetime

import pytest

from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.faults import injection
from sei_provider.sandbox.faults.table import EVERY_FAULT, CallFault
from sei_provider.sandbox.server import serve
from tests.sandbox import raw
from tests.sandbox.raw import CALLS, Heard

JSON_CALLS = ("create", "status", "list", "trees")


class Struck:
    """One call with a fault: the bytes that came, the log entry, and the number of things that the call made."""

    def __init__(self, sandbox: SandboxControl, fault: str, call: str) -> None:
        report = "team_report" if call == "report" else "sprint"
        export_id = raw.create(sandbox) if call in {"status", "download"} else ""
        request = raw.request(call, report, export_id=export_id)
        made = len(sandbox.exports()) + len(sandbox.reports())
        sandbox.fault(fault, call=call, times=1)
        self.heard = raw.ask(sandbox, *request)
        self.recorded = sandbox.requests()[-1]
        self.made = len(sandbox.exports()) + len(sandbox.reports()) - made
        self.after = raw.ask(sandbox, *request)
        """The answer to the same call made again."""

    @property
    def outcome(self) -> tuple[object, object, object]:
        return self.recorded["kind"], self.recorded["status"], self.recorded["fault"]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", ["reset_unseen", "reset_before_answer"])
def test_a_connection_is_reset_without_an_answer_before_or_after_the_work(fault: str, call: str, faulty) -> None:
    struck = Struck(faulty, fault, call)
    assert struck.heard == Heard(b"", reset=True)
    assert struck.outcome == (call, None, fault)
    assert struck.made == (fault == "reset_before_answer" and call in {"create", "report"})
    assert struck.after.status in {200, 202}


@pytest.mark.parametrize("call", CALLS)
def test_a_connection_is_reset_after_half_of_the_answer(call: str, faulty) -> None:
    struck = Struck(faulty, "reset_in_body", call)
    assert struck.heard.reset
    assert len(struck.heard.body) == struck.heard.length // 2 > 0
    assert struck.outcome == (call, struck.after.status, "reset_in_body")


@pytest.mark.parametrize("call", CALLS)
def test_an_answer_says_that_it_is_longer_than_it_is(call: str, faulty) -> None:
    struck = Struck(faulty, "wrong_content_length", call)
    assert not struck.heard.reset
    assert struck.heard.length == len(struck.heard.body) + 100
    if call in {"status", "download"}:
        assert struck.heard.body == struck.after.body
    assert struck.outcome == (call, struck.after.status, "wrong_content_length")


@pytest.mark.parametrize("call", CALLS)
def test_a_slow_answer_arrives_whole_in_the_end(call: str, faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(injection, "SECONDS_PER_BYTE", 0.0)
    struck = Struck(faulty, "slow_body", call)
    assert len(struck.heard.body) == struck.heard.length > 0
    if call in {"status", "download"}:
        assert struck.heard.body == struck.after.body


@pytest.mark.timeout(60)  # the whole answer, which nothing may wait for, would take longer
def test_a_slow_answer_comes_a_byte_a_second_until_the_client_hangs_up() -> None:
    with serve(teams=10, seconds=0) as sandbox:
        sandbox.fault("slow_body")
        began = time.monotonic()
        with raw.sent(sandbox, *raw.request("list")) as connection:
            received = b""
            while len(received.partition(b"\r\n\r\n")[2]) < 2:
                received += connection.recv(4096)
        assert received.partition(b"\r\n\r\n")[2].startswith(b'{"')
        assert time.monotonic() - began > 0.9


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("fault", "status", "content_type", "start"),
    [
        ("429", 429, "application/json", '{"status":"ERROR","code":"TOO_MANY_REQUESTS",'),
        ("429_seconds", 429, "application/json", '{"status":"ERROR","code":"TOO_MANY_REQUESTS",'),
        ("429_date", 429, "application/json", '{"status":"ERROR","code":"TOO_MANY_REQUESTS",'),
        ("503_seconds", 503, "text/plain", "Made to fail by the sandbox's fault 503_seconds"),
        ("503_date", 503, "text/plain", "Made to fail by the sandbox's fault 503_date"),
        ("500", 500, "application/json", '{"status":500,"error":"Internal Server Error",'),
        ("502_html", 502, "text/html", "<html><head><title>502 Bad Gateway</title>"),
        ("504", 504, "text/plain", "Made to fail by the sandbox's fault 504"),
        ("500_after_work", 500, "application/json", '{"status":500,"error":"Internal Server Error",'),
        ("504_after_work", 504, "text/plain", "Made to fail by the sandbox's fault 504_after_work"),
        ("redirect_to_login", 302, "text/html", "<!DOCTYPE html>\n<html><head><title>Sign in</title>"),
        ("login_page", 200, "text/html", "<!DOCTYPE html>\n<html><head><title>Sign in</title>"),
    ],
)
def test_another_answer_takes_the_place_of_the_right_one(
    fault: str, status: int, content_type: str, start: str, call: str, faulty
) -> None:
    struck = Struck(faulty, fault, call)
    assert struck.heard.status == status
    assert struck.heard.headers["content-type"].partition(";")[0] == content_type
    assert struck.heard.body.decode().startswith(start)
    assert len(struck.heard.body) == struck.heard.length
    assert struck.outcome == (call, status, fault)
    assert struck.made == (fault.endswith("after_work") and call in {"create", "report"})
    assert struck.after.status in {200, 202}
    assert ("retry-after" in struck.heard.headers) == fault.endswith(("seconds", "date"))


@pytest.mark.parametrize("status", ["429", "503"])
def test_a_retry_after_is_two_seconds_away_in_seconds_or_as_a_date(status: str, faulty) -> None:
    assert Struck(faulty, f"{status}_seconds", "list").heard.headers["retry-after"] == "2"
    headers = Struck(faulty, f"{status}_date", "list").heard.headers
    after, now = (parsedate_to_datetime(headers[name]) for name in ("retry-after", "date"))
    assert (after - now).total_seconds() == 2


def test_a_redirect_leads_to_a_host_that_is_not_the_apis(faulty) -> None:
    location = Struck(faulty, "redirect_to_login", "status").heard.headers["location"]
    assert location.startswith("https://elsewhere.example/signin?")


@pytest.mark.parametrize("call", JSON_CALLS)
def test_json_is_cut_short_in_an_answer_that_is_whole_for_http(call: str, faulty) -> None:
    struck = Struck(faulty, "json_cut_short", call)
    assert struck.heard.status == struck.after.status
    assert len(struck.heard.body) == struck.heard.length
    assert struck.heard.body[:1] == struck.after.body[:1]
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(struck.heard.body)
    assert struck.made == (call == "create")


@pytest.mark.parametrize("call", JSON_CALLS)
def test_json_of_another_shape_has_nothing_where_the_documents_say(call: str, faulty) -> None:
    struck = Struck(faulty, "json_of_another_shape", call)
    found = json.loads(struck.heard.body)
    assert found.keys() == {"data"}
    assert struck.heard.status == struck.after.status
    if call in {"status", "trees"}:
        assert found["data"] == json.loads(struck.after.body)


@pytest.mark.parametrize("fault", [fault.name for fault in EVERY_FAULT.values() if isinstance(fault, CallFault)])
def test_the_table_says_which_calls_of_which_reports_a_fault_strikes(fault: str, faulty, monkeypatch) -> None:
    monkeypatch.setattr(injection, "SECONDS_PER_BYTE", 0.0)
    reports = {
        "trees": [None],
        "report": ["team_report", "contributor_report", "dora_report"],
        "list": ["productivity", "sprint"],
    }
    for call in EVERY_FAULT[fault].calls:
        for report in reports.get(call, ["productivity", "sprint", "business_alignment"]):
            export_id = raw.create(faulty, report) if call in {"status", "download"} else ""
            faulty.fault(fault, call=call, report=report, times=1)
            raw.ask(faulty, *raw.request(call, report or "", export_id=export_id))
            last = faulty.requests()[-1]
            assert (last["kind"], last["report"], last["fault"]) == (call, report, fault)
    assert faulty.summary()["by_fault"][fault] >= len(EVERY_FAULT[fault].calls)


def test_a_large_download_arrives_up_to_its_half_before_the_reset(faulty) -> None:
    faulty.fault("gzip_bomb", times=1)
    export_id = raw.create(faulty)
    faulty.fault("reset_in_body", call="download")
    answer = raw.ask(faulty, *raw.request("download", export_id=export_id))
    assert answer.reset
    # The kernel throws away what the client was too slow to take.
    assert 0 < len(answer.body) <= answer.length // 2
    with pytest.raises(EOFError):
        gzip.decompress(answer.body[:1000])


def test_wrong_requests_are_refused_whatever_the_fault_rate() -> None:
    with serve(teams=10, seconds=0, fault_rate=1.0) as sandbox:
        method, path, body = raw.request("create")
        assert raw.ask(sandbox, method, path, body | {"color": "red"}).status == 400
        assert raw.ask(sandbox, method, path, body, key="wrong").status == 401
        assert raw.ask(sandbox, *raw.request("status", export_id="exp_1")).status == 404
        assert raw.ask(sandbox, *raw.request("create", team="99")).status == 404
        assert {request["fault"] for request in sandbox.requests()} == {None}
        assert raw.ask(sandbox, method, path, body).bytes == b"" or sandbox.requests()[-1]["fault"]
