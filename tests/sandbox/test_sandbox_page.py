"""The sandbox's page for people, and the date of its replies."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from urllib.request import urlopen

from sei_provider.sandbox.control import SandboxControl
from tests.sandbox import raw


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
    assert "<tr><td>504</td><td>any</td><td>any</td><td>list</td><td>2</td></tr>" in text
    assert "<tr><td>fail</td><td>13</td><td>any</td><td>any</td><td>always</td></tr>" in text


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
