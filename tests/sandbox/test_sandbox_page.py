"""The sandbox's page for people, and the date of its replies."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from html import unescape
from urllib.error import HTTPError
from urllib.parse import urljoin
from urllib.request import Request, urlopen

import pytest

from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.faults import EVERY_FAULT
from tests.sandbox import raw


def page(sandbox: SandboxControl, path: str = "/_sandbox/") -> str:
    as_browsers_do = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    asked = Request(f"{sandbox.base_url}{path}", headers=as_browsers_do)  # noqa: S310 - the test's own sandbox
    with urlopen(asked, timeout=10) as answer:  # noqa: S310 - as above
        assert answer.headers["content-type"].startswith("text/html")
        text: str = answer.read().decode()
    return text


def test_the_page_counts_requests_exports_and_faults(sandbox) -> None:
    assert "0 requests, 0 exports; the sandbox's clock says 2026-01-01T00:00:00Z" in page(sandbox)
    sandbox.fault("504", call="list", times=3, team=None)
    sandbox.fault("fail", team="13")
    raw.create(sandbox, team="12")
    seen = page(sandbox)
    raw.create(sandbox, team="13")
    raw.ask(sandbox, *raw.request("list"))
    sandbox.advance(30)
    text = page(sandbox)
    assert "1 request, 1 export; the sandbox's" in seen
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
    assert not re.search(r"https?://|src=|url\(|@import", text)
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


def test_the_pages_links_lead_to_pages(sandbox) -> None:
    raw.create(sandbox)
    links = re.findall(r'href="([^"]+)"', page(sandbox))
    assert links == ["./", "exports", "reports", "requests", "faults"]
    for link in links:
        assert "<h1>SEI sandbox</h1>" in page(sandbox, urljoin("/_sandbox/", link))


def test_exports_and_requests_are_pages_for_a_browser_and_json_for_programs(sandbox) -> None:
    export_id = raw.create(sandbox, team="12")
    assert f"<tr><td>{export_id}</td><td>sprint</td>" in page(sandbox, "/_sandbox/exports")
    assert "<td>create</td>" in page(sandbox, "/_sandbox/requests")
    assert sandbox.exports()[0]["id"] == export_id
    assert sandbox.requests()[0]["kind"] == "create"


def test_the_page_on_faults_shows_an_order_that_works_as_it_stands(sandbox) -> None:
    text = unescape(page(sandbox, "/_sandbox/faults"))
    assert {name for name in EVERY_FAULT if f"<td>{name}</td>" not in text} == set()
    [(body, address)] = re.findall(r"<pre>curl --json '(.*)' (\S+)</pre>", text)
    order = Request(address, data=body.encode(), headers={"Content-Type": "application/json"})  # noqa: S310 - as below
    urlopen(order, timeout=10).close()  # noqa: S310 - the test's own sandbox
    raw.create(sandbox, team="12")
    sandbox.advance(30)
    assert sandbox.exports()[0]["status"] == "failed"


@pytest.mark.parametrize("path", ["", "/", "/_sandbox"])
def test_a_browser_finds_the_page_from_the_sandboxs_address(sandbox, path: str) -> None:
    assert "Fault rules" in page(sandbox, path)
    with pytest.raises(HTTPError) as error:
        urlopen(f"{sandbox.base_url}{path}", timeout=10)  # noqa: S310 - the test's own sandbox
    assert error.value.code == 404, "to a program it is no address of the API"


def test_issue_17_a_teams_page_in_sei_is_the_sandboxs_own_for_a_browser(sandbox) -> None:
    text = page(sandbox, "/ng/account/acc/module/sei/insights/productivity?collectionId=11")
    assert "<h1>SEI sandbox</h1>" in text
