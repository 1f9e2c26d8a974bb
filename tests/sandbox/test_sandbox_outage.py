"""A sandbox that is not there for a while, its page for people, and the date of its replies."""

from __future__ import annotations

import re
import socket
import time
from email.utils import parsedate_to_datetime
from functools import partial
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import uvicorn

from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.server import serve
from tests.sandbox import raw
from tests.sandbox.test_sandbox_process import sandbox_process

PATIENCE = 60.0


def wait_for_connection(sandbox: SandboxControl) -> None:
    """Connect until it works; an error other than a refusal fails the test."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            raw.connect(sandbox).close()
        except ConnectionRefusedError:
            continue
        return
    pytest.fail(f"no connection within {PATIENCE} s")


def test_connections_are_refused_for_the_time_of_an_outage(sandbox) -> None:
    export_id = raw.create(sandbox)
    began = time.monotonic()
    sandbox.outage(0.4)
    wait_for_connection(sandbox)
    assert time.monotonic() - began >= 0.4
    assert raw.ask(sandbox, *raw.request("status", export_id=export_id)).status == 200, "it forgot nothing"


def test_one_outage_can_follow_another(sandbox) -> None:
    for _ in range(2):
        began = time.monotonic()
        sandbox.outage(0.2)
        wait_for_connection(sandbox)
        assert time.monotonic() - began >= 0.2
    assert raw.ask(sandbox, *raw.request("list")).status == 200


def test_an_outage_ends_the_connections_that_are_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn, "Config", partial(uvicorn.Config, timeout_keep_alive=3600))  # nor does idleness
    with serve(teams=10) as sandbox, raw.connect(sandbox) as connection:
        connection.sendall(b"GET /_sandbox/summary HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        sandbox.outage(0.1)
        while connection.recv(65536):
            pass


def test_nobody_else_gets_the_port_in_an_outage(sandbox) -> None:
    where = raw.place(sandbox)
    sandbox.outage(0.5)
    with pytest.raises(OSError, match="in use"), socket.socket() as other:
        other.bind(where)
    wait_for_connection(sandbox)


def test_a_sandbox_can_be_stopped_in_an_outage_and_gives_its_port_back() -> None:
    with serve(teams=10) as sandbox:
        where = raw.place(sandbox)
        sandbox.outage(3600)
    socket.create_server(where).close()


def test_a_sandbox_process_has_outages_and_faults_too() -> None:
    with sandbox_process("--teams", "9", "--seconds", "0", "--fault-rate", "1", "--seed", "7") as (line, process):
        sandbox = SandboxControl(line.rpartition(" ")[2])
        first = [raw.ask(sandbox, *raw.request("list")).bytes[:12] for _ in range(5)]
        sandbox.outage(0.2)
        wait_for_connection(sandbox)
        assert [request["fault"] is not None for request in sandbox.requests()] == [True] * 5
        process.terminate()
        assert process.communicate(timeout=10)[0] == "", "no complaint about answers that were cut"
    with serve(teams=9, seconds=0, fault_rate=1, seed=7) as same:
        assert [raw.ask(same, *raw.request("list")).bytes[:12] for _ in range(5)] == first


@pytest.mark.parametrize("seconds", [0, -1, "1"])
def test_an_outage_without_a_length_is_refused(seconds, sandbox) -> None:
    with pytest.raises(HTTPError, match="400"):
        sandbox.outage(seconds)
    assert sandbox.summary()["requests"] == 0


def page(sandbox: SandboxControl) -> str:
    with urlopen(f"{sandbox.base_url}/_sandbox/", timeout=10) as answer:  # noqa: S310 - the test's own sandbox
        assert answer.headers["content-type"].startswith("text/html")
        text: str = answer.read().decode()
    return text


def test_the_page_counts_requests_exports_and_faults(sandbox) -> None:
    assert "0 requests, 0 exports; the sandbox's clock says 2026-01-01T00:00:00Z" in page(sandbox)
    sandbox.fault("504", call="list", times=3, team=None)
    sandbox.fault("fail", team="13")
    for team in ("12", "13"):
        raw.create(sandbox, team=team)
    raw.ask(sandbox, *raw.request("list"))
    sandbox.advance(30)
    text = page(sandbox)
    assert "3 requests, 2 exports; the sandbox's clock says 2026-01-01T00:00:30Z" in text
    assert cells(text, "sprint") == ["0", "0", "1", "1", "0", "0"]
    assert cells(text, "202") == ["2", "0", "0", "0", "0", "0", "0"]
    assert cells(text, "504") == ["0", "0", "1", "0", "0", "0", "0"], "by kind of call"
    assert "<tr><td>504</td><td>any</td><td>any</td><td>list</td><td>2</td><td>1</td></tr>" in text
    assert "<tr><td>fail</td><td>13</td><td>any</td><td>any</td><td>always</td><td>1</td></tr>" in text


def cells(text: str, first: str) -> list[str]:
    """The cells after the first of the first row that begins with it."""
    (row,) = re.findall(rf"<tr><td>{first}</td>(.*?)</tr>", text)[:1]
    return re.findall(r"<td>(.*?)</td>", row)


def test_the_page_needs_nothing_else_and_names_nobody(sandbox) -> None:
    sandbox.fault("fail", team="<script>alert(1)</script>")
    raw.create(sandbox)
    text = page(sandbox)
    assert '<meta http-equiv="refresh" content="2">' in text
    assert not re.search(r"https?://|src=|href=|url\(|@import", text)
    assert "<script>" not in text
    assert "Sandbox User" not in text
    assert sandbox.summary()["requests"] == 1, "looking is not a request to the API"


def test_replies_are_dated_by_the_sandboxs_clock(sandbox, clock) -> None:
    clock.now += 3600
    sandbox.advance(60)
    export_id = raw.create(sandbox)
    sandbox.advance(30)
    requests = [
        raw.request("list"),
        raw.request("download", export_id=export_id),
        raw.request("report", "team_report"),
        raw.request("status", export_id="exp_1"),
        ("GET", "/nowhere", None),
    ]
    dates = [raw.ask(sandbox, *request).headers["date"] for request in requests]
    assert {parsedate_to_datetime(date).timestamp() for date in dates} == {clock.now + 90}
