"""Requests that anybody may send to the page: parameters have bounds, and answers have the headers and are escaped."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.core_api.security import get_user
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sei_provider.plugin import HEADERS, pages
from sei_provider.plugin import application as application_module
from tests.examples import examples
from tests.plugin.coverage_lakes import FEB, TABLE, TODAY, cell, put
from tests.plugin.test_coverage_pages import Structure

ROUTES = ["/coverage", "/table", "/cell", "/fill", "/style.css", "/page.js"]
PARAMETERS = ["table", "scope", "month", "first", "last", "q", "below", "by", "page"]
GOOD = {"table": TABLE, "scope": "team:1", "month": "2026-01", "first": "2026-01", "last": "2026-02", "q": "a",
        "below": "Eng", "by": "scope", "page": "1"}  # fmt: skip
TAKES = {
    "/table": ["table", "q", "below", "by", "first", "last", "page"],
    "/cell": ["table", "scope", "month"],
    "/fill": ["table", "scope", "month", "below", "q"],
}
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "EXAMPLEKEY"


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application_module, "_today", lambda: TODAY)


@dataclass
class Reply:
    """An answer of the application, asked without a client that refuses odd requests itself."""

    status: int
    headers: dict[str, str]
    text: str


def ask(
    application: FastAPI, path: str, query: bytes = b"", method: str = "GET",
    headers: Sequence[tuple[bytes, bytes]] = ((b"host", b"airflow.example"),),
) -> Reply:  # fmt: skip
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": quote(path).encode(), "root_path": "", "query_string": query,
        "headers": list(headers), "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    asyncio.run(application(scope, receive, send))
    pairs = {name.decode("latin-1"): value.decode("latin-1") for name, value in sent[0]["headers"]}
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return Reply(sent[0]["status"], pairs, body.decode())


def query(values: dict[str, str]) -> bytes:
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in values.items()).encode()


@pytest.fixture
def viewed(application: FastAPI) -> FastAPI:
    application.dependency_overrides[get_user] = lambda: SimpleAuthManagerUser(username="viewer", role="viewer")
    return application


WRONG = {
    "table": ["", "../x", "A", "a" * 501, "a\n", "é", "_x"],
    "scope": ["x" * 2006, "org:" + "x" * 2002, "1", "team:", "org:", "tree:1", "\n", "TEAM:1"],
    "month": ["", "2026-13", "2026-00", "2026-1", "0000-01", "1000-01", "1899-12", "3000-01", "9999-12", "2026-01\n",
              "２０２６-01", "2026-01-01", "x" * 100_000],
    "first": ["0001-01", "1000-01", "3000-01", "2026-13", "2026"],
    "last": ["0001-01", "1000-01", "9999-12", "-1-01", " "],
    "q": ["x" * 501],
    "below": ["x" * 20_001],
    "by": ["", "teams", "TEAM", "team\n"],
    "page": ["", "0", "-1", "1.5", "1000001", "9" * 5000, "x", "1e3"],
}  # fmt: skip
CASES = [(route, name, value) for route, names in TAKES.items() for name in names for value in WRONG[name]]


@pytest.mark.parametrize("route", TAKES, ids=[route[1:] for route in TAKES])
def test_each_parameter_has_bounds_and_a_page_that_tells_them(viewed: FastAPI, lake: Path, route: str) -> None:
    put(lake, [cell("team:1", path="Eng/A")])
    good = {name: GOOD[name] for name in TAKES[route]}
    assert ask(viewed, route, query(good)).status == 200
    for name in TAKES[route]:
        for value in WRONG[name]:
            reply = ask(viewed, route, query(good | {name: value}))
            assert reply.status == 422, (name, value)
            assert headers_of(reply) == HEADERS
            assert "<h1>Not a usable address</h1>" in reply.text
            assert re.findall("<li><code>([a-z]+)</code> must be ", reply.text) == [name], (name, value)
            assert len(reply.text) < 2000


@pytest.mark.parametrize("route", ["/cell", "/fill"], ids=["cell", "fill"])
def test_what_a_page_is_about_has_to_be_named(viewed: FastAPI, lake: Path, route: str) -> None:
    reply = ask(viewed, route)
    needed = {"/cell": ["table", "scope", "month"], "/fill": ["table", "month"]}[route]
    assert reply.status == 422
    assert re.findall("<li><code>([a-z]+)</code>", reply.text) == needed
    empty = ask(viewed, "/cell", query({"table": TABLE, "scope": "", "month": "2026-01"}))
    assert (empty.status, "<code>scope</code> must be a scope" in empty.text) == (422, True)


@pytest.mark.parametrize(
    ("first", "last", "shown"),
    [
        ("1900-01", "", "2016-03"), ("", "1900-01", "1900-01"), ("2999-12", "", "2999-12"), ("", "2999-12", "2025-03"),
        ("2026-02", "2026-01", "2026-02"), ("1900-01", "1950-06", "1940-07"),
    ],
    ids=["long", "early", "late", "future", "backwards", "past"],
)  # fmt: skip
def test_the_months_asked_for_are_bounded_and_can_be_asked_for_again(
    page: TestClient, lake: Path, first: str, last: str, shown: str
) -> None:
    put(lake, [cell("team:1", path="Eng/A"), cell("team:1", FEB, path="Eng/A", complete=False)])
    text = page.get("/table", params={"table": TABLE, "first": first, "last": last}).text
    found = dict(re.findall(r'<input type="month" name="(first|last)" value="([^"]*)"', text))
    assert found == {"first": shown, "last": last}
    assert page.get("/table", params={"table": TABLE, **found}).status_code == 200


def test_no_page_redirects_to_the_host_that_a_client_claims(viewed: FastAPI, lake: Path) -> None:
    for path in ("/coverage/", "/table/", "//evil.example/coverage", "/"):
        reply = ask(viewed, path, headers=[(b"host", b"evil.example")])
        assert (reply.status, "evil.example" in reply.text) == (404, False)
        assert "location" not in reply.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "FOO"])
def test_the_pages_can_only_be_read(viewed: FastAPI, lake: Path, method: str) -> None:
    for route in ROUTES:
        reply = ask(viewed, route, query(GOOD), method)
        assert reply.status == 405
        assert reply.headers["allow"] == "GET"
        assert headers_of(reply) == HEADERS


def test_an_error_of_the_page_itself_is_a_page_with_its_headers(
    application: FastAPI, viewed: FastAPI, monkeypatch: pytest.MonkeyPatch, lake: Path
) -> None:
    def gone() -> None:
        msg = f"postgresql://airflow:{SECRET}@db/airflow is gone"
        raise OSError(msg)

    monkeypatch.setattr(pages, "read_events", gone)
    reply = TestClient(viewed, raise_server_exceptions=False).get("/coverage")
    assert reply.status_code == 500
    assert "The log of the API server tells why" in reply.text
    assert SECRET not in reply.text
    assert headers_of(Reply(500, dict(reply.headers), "")) == HEADERS


def headers_of(reply: Reply) -> dict[str, str]:
    return {name: reply.headers.get(name.lower(), "") for name in HEADERS}


HOSTILE = st.sampled_from(
    ["<script>probe()</script>", '"><probe>', "'><probe>", "</textarea><probe>", "</title><probe>", "{{ 7*7 }}",
     "javascript:probe()", '" onfocus="probe', "../../etc/passwd", "..", "\x00", "\u202e", "\r\nSet-Cookie: a=b", "%00",
     "\ud800", "team:1", "org:<probe>", "Eng", "2026-01", TABLE, "1" * 400, "A" * 30_000, "'; DROP TABLE dag; --"]
)  # fmt: skip
TEXT = HOSTILE | st.text(max_size=60)
VALUE = st.one_of(
    TEXT.map(lambda text: quote(text.encode("utf-8", "surrogatepass"), safe="").encode()), st.binary(max_size=20)
)


@st.composite
def queries(draw: st.DrawFn) -> bytes:
    """A query with most parameters good, so that it gets far, and some hostile, repeated, unknown or no parameters."""
    parts = [
        name.encode() + b"=" + (draw(VALUE) if draw(st.integers(0, 3)) == 0 else quote(GOOD[name]).encode())
        for name in draw(st.lists(st.sampled_from(PARAMETERS), min_size=1, max_size=12))
    ]
    parts += draw(st.lists(VALUE, max_size=1))
    return b"&".join(parts)


HEADER = st.tuples(
    st.sampled_from([b"host", b"cookie", b"authorization", b"x-forwarded-host", b"x-forwarded-prefix", b"referer"]),
    st.sampled_from([b"", b"evil.example", b"_token=<probe>", b"Bearer <probe>", b"\xff\xfe", b"//evil.example/x"]),
)


def harmful(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Tags that no template has: those of a hostile text, handlers of events, and scripts within the page."""
    for tag, names in Structure(text).tags:
        if tag == "probe" or any(name.startswith("on") for name in names) or (tag == "script" and "src" not in names):
            yield tag, names


@pytest.mark.fuzz
@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    path=st.sampled_from(ROUTES * 3) | TEXT.map(lambda text: "/" + text),
    asked=queries(),
    method=st.sampled_from(["GET"] * 6 + ["POST", "HEAD", "OPTIONS", "<probe>"]),
    headers=st.lists(HEADER, max_size=3),
    known=st.integers(0, 3).map(bool),
    opens=st.integers(0, 3).map(bool),
    name=TEXT,
)
@example(path="/fill", asked=b"table=a&month=", method="GET", headers=[], known=True, opens=True, name="a")
@example(path="/table", asked=b"table=a&last=1000-01", method="GET", headers=[], known=True, opens=True, name="a")
@example(
    path="/coverage/", asked=b"", method="GET", headers=[(b"host", b"evil.example")], known=False, opens=True, name="a"
)
def test_no_request_breaks_the_page_or_gets_past_its_headers_and_its_escaping(
    application: FastAPI, lake: Path, path: str, asked: bytes, method: str, headers: list[tuple[bytes, bytes]],
    known: bool, opens: bool, name: str, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    name = name.encode("utf-8", "replace").decode()
    monkeypatch.setenv(
        "AIRFLOW_VAR_SEI_LAKE", str(lake) if opens else f"ftp://user:{SECRET}@store.example/lake?sig={SECRET}"
    )
    put(lake, [cell(f"org:{name}", path=f"Eng/{name}"), cell("team:1", FEB, path="Eng/A", complete=False)])
    application.dependency_overrides.clear()
    if known:
        application.dependency_overrides[get_user] = lambda: SimpleAuthManagerUser(username="viewer", role="viewer")
    path = path.encode("utf-8", "replace").decode()
    reply = ask(application, path, asked, method, [(b"host", b"airflow.example"), *headers])
    assert reply.status in ({200, 404, 405, 422} if known else {401, 403, 404, 405})
    assert headers_of(reply) == HEADERS
    assert "set-cookie" not in reply.headers
    assert "location" not in reply.headers
    assert SECRET not in reply.text
    if reply.headers["content-type"].startswith("text/html"):
        assert list(harmful(reply.text)) == []
        assert "evil.example" not in unescape(reply.text).replace(name, "")
    if not known:
        assert "Eng" not in reply.text
