"""Untrusted answers: parts that travel on, and parts that are refused as no export, team or address of SEI."""

from __future__ import annotations

import io
import json
from typing import Any

import httpx
import pytest

from sei_provider.api import Export, SeiAuthError, SeiInputError, SeiReplyError
from sei_provider.api.base_client import BaseClient
from sei_provider.api.polling import ExportPoller
from tests.api.conftest import BASE_URL, DONE, ROWS, SETTINGS, MakeClient, export_request
from tests.api.hostile_answers import ADDRESS, KEY, SIGNATURE, leaks
from tests.api.raw_server import raw_server, said

pytestmark = pytest.mark.usefixtures("no_waiting")

SIGNED = DONE | {
    "downloadUrl": f"/v2/files/exp_1?projectIdentifier=web&X-Signature={SIGNATURE}&a=b%2Fc",
    "scope": {"teamId": "1", "orgTreeName": ADDRESS, "managerEmailId": ADDRESS},
    "createdBy": {"email": ADDRESS},
    "metadata": {"scope": {"orgTreeName": ADDRESS}, "note": SIGNATURE},
}


def test_line_2_ids_statuses_times_and_the_links_path_travel_and_nothing_more(client_to: MakeClient) -> None:
    with raw_server(said(SIGNED)) as server:
        poller = ExportPoller("business_alignment", ["exp_1"], interval=1.0, deadline=1e12)
        client_to(server.base_url, api_key=KEY).poll(poller)
    travels = poller.result()["ended"]["exp_1"]
    assert travels == {
        "exportId": "exp_1",
        "status": "completed",
        "createdAt": "2026-01-01T00:00:00+00:00",
        "download": {"url": "/v2/files/exp_1", "hasQuery": True},
    }
    assert leaks(json.dumps(poller.result()) + repr(poller.finished["exp_1"])) == []


def test_line_2_whoever_downloads_asks_once_more_for_what_the_links_query_held(client_to: MakeClient) -> None:
    export = Export.from_reply("sprint", Export.from_reply("sprint", SIGNED).to_reply())
    with raw_server(said(SIGNED), said(ROWS)) as server:
        assert client_to(server.base_url).download_export(export, io.BytesIO()) == len(ROWS)
        status, download = (request.splitlines()[0] for request in server.requests)
    assert "/exports/exp_1?" in status
    assert f"/v2/files/exp_1?X-Signature={SIGNATURE}&a=b%2Fc&projectIdentifier=web&orgIdentifier=acme" in download


def test_line_2_a_link_with_our_identifiers_alone_is_downloaded_at_once(client_to: MakeClient) -> None:
    link = DONE | {"downloadUrl": "/v2/x?projectIdentifier=other&orgIdentifier=o&accountIdentifier=a"}
    export = Export.from_reply("sprint", Export.from_reply("sprint", link).to_reply())
    with raw_server(said(ROWS)) as server:
        client_to(server.base_url).download_export(export, io.BytesIO())
        assert "/v2/x?projectIdentifier=web&orgIdentifier=acme " in server.requests[0]


@pytest.mark.parametrize(
    "link",
    [f"/v2/{KEY}", f"/v2/x?key={KEY}", f"/v2/x?k={KEY[3:14]}", "/v2/x?k=" + "".join(f"%{ord(c):x}" for c in KEY)],
)
def test_line_2_a_link_that_holds_the_key_is_refused(client_to: MakeClient, link: str) -> None:
    answer = said(DONE | {"downloadUrl": link})
    with raw_server(answer) as server, pytest.raises(SeiReplyError, match="holds the API key") as refused:
        client_to(server.base_url, api_key=KEY).get_export("sprint", "exp_1")
    assert leaks(str(refused.value)) == []


@pytest.mark.parametrize("id_", [KEY.replace("/", "-").replace("+", "-"), KEY[:14]])
def test_line_2_an_id_that_is_the_key_is_refused(client_to: MakeClient, id_: str) -> None:
    key = KEY.replace("/", "-").replace("+", "-")
    with raw_server(said(DONE | {"exportId": id_})) as server, pytest.raises(SeiReplyError, match="no usable exportId"):
        client_to(server.base_url, api_key=key).create_export(export_request())


TIMES = [
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "9999-12-31",
    "0001-01-01",
    "1999-12-31",
    0,
    1e9,
    True,
    [],
    {},
    "",
    None,
    "soon",
    "2026-13-01",
    "\ud800",
    "2026-01-01T00:00:00+99:99",
]


@pytest.mark.parametrize("time_", TIMES, ids=repr)
@pytest.mark.parametrize(
    "date", ["", "Date: Mon, 01 Jan 0001 00:00:00 +2359\r\n", "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"]
)
def test_line_6_a_time_that_is_none_is_that_exports_error(client_to: MakeClient, time_: object, date: str) -> None:
    with raw_server(said(DONE | {"createdAt": time_}, headers=date)) as server:
        client = client_to(server.base_url)
        poller = ExportPoller("business_alignment", ["exp_1"], interval=1.0, deadline=1e12)
        client.poll(poller)
        assert "no usable createdAt" in poller.unavailable["exp_1"]
        with pytest.raises(SeiReplyError, match="no usable createdAt"):
            client.create_export(export_request())


DATES = [
    "",
    "1",
    "Thu, 01 Jan 2026 00:00:00 +99999999999999999999",
    "Fri, 31 Dec 9999",
]


@pytest.mark.parametrize("date", DATES)
def test_line_6_a_date_header_that_is_none_counts_as_absent(client_to: MakeClient, date: str) -> None:
    with raw_server(said(DONE, headers=f"Date: {date}\r\n")) as server:
        assert client_to(server.base_url).get_export("sprint", "exp_1").id == "exp_1"


TEAM_IDS = [
    None,
    True,
    1.5,
    [],
    {},
    "",
    " ",
    "\ud800",
    "a\x00b",
    "a\nb",
    "x" * 201,
    10**300,
    KEY,
    KEY[:12],
]


@pytest.mark.parametrize("id_", TEAM_IDS, ids=lambda id_: repr(id_)[:20])
def test_line_6_a_team_id_that_no_scope_can_be_is_an_error_of_the_reply(client_to: MakeClient, id_: object) -> None:
    tree = {"refId": 1, "name": "A", "children": [{"refId": id_, "name": "B"}]}
    with raw_server(said(tree)) as server:
        with pytest.raises(SeiReplyError, match="a team without a usable refId") as refused:
            client_to(server.base_url, api_key=KEY, account_identifier="acme").list_teams(1)
        assert leaks(str(refused.value)) == []


ODD = [
    None,
    0,
    1.5,
    "x",
    [],
    [[]],
    {},
    True,
    {"exportId": None},
    {"id": "1", "name": "T"},
    {"id": 1},
    {"id": 1, "name": 1},
]


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_line_6_an_odd_entry_of_a_page_hides_no_other_and_a_page_of_them_is_an_error(
    client_to: MakeClient, odd: object
) -> None:
    good = {"exports": [odd, DONE], "records": [odd, {"id": 7, "name": "Good"}], "pagination": {"hasMore": False}}
    with raw_server(said(good | {"totalCount": 2})) as server:
        client = client_to(server.base_url, account_identifier="acme")
        assert [each.id for each in client.list_exports("sprint")] == ["exp_1"]
        assert [tree.id for tree in client.list_org_trees()] == [7]
    with raw_server(said({"exports": [odd], "records": [odd]})) as server:
        client = client_to(server.base_url, account_identifier="acme")
        for ask in (lambda: list(client.list_exports("sprint")), client.list_org_trees):
            with pytest.raises(SeiReplyError):
                ask()


LOCATIONS = [
    "/login",
    "",
    "http://[::1",
    "http://a:99999999/",
    "//",
    "http://",
    "\x80\xff",
    "javascript:alert(1)",
    "http://\x7f/",
]


@pytest.mark.parametrize(
    ("status", "location"),
    [
        *(("302 Found", location) for location in [None, *LOCATIONS]),
        *(
            (status, "//")
            for status in ("300 Choices", "301 Moved", "303 See", "304 Same", "307 Temporary", "308 Moved")
        ),
    ],
)
def test_line_7_a_redirect_to_no_address_is_an_authentication_error_after_one_post(
    client_to: MakeClient, status: str, location: str | None
) -> None:
    headers = "" if location is None else f"Location: {location}\r\n"
    with raw_server(said(b"", status=status, headers=headers), said(DONE)) as server:
        with pytest.raises(SeiAuthError, match="A redirect usually means a login page"):
            client_to(server.base_url).create_export(export_request())
        assert [request.split()[0] for request in server.requests] == ["POST"]


LINKS = [
    "/v2/..;/admin",
    "/v2/x;a=b/y",
    "/v2/%2e%2e/x",
    "/v2/%252e%252e/x",
    "/v2/%25252e/x",
    "/v2/..%2fx",
    "/v2/..%5cx",
]
LINKS += [
    "/v2/\uff0e\uff0e/x",
    "/v2/%ef%bc%8e%ef%bc%8e/x",
    "/v2/\u2024\u2024/x",
    "/v2/%c0%ae%c0%ae/x",
    "/v2/%u002e/x",
    "https://evil/v2/x",
    "HTTPS://evil/v2/x",
    "ftp://sei.test/v2/x",
    "file:///v2/x",
    "javascript:x",
    "http:/v2/x",
]
LINKS += [
    "/v2\\..\\x",
    "\\\\evil\\x",
    "/\\evil/x",
    "//evil/x",
    "///evil/x",
    "/v2//x",
    "/v2/./x",
    "/v2/.../x",
    "/v2/x/..",
]
LINKS += [
    "v2/x",
    "@evil/x",
    ":80/x",
    "?x",
    "#x",
    "/v2/x#y",
    "/v2/x\ty",
    "/v2/x\r\nHost: evil",
    "/v2/x\x00",
    "/v2/ x",
    "/v2/x\u202e",
]

LINKS += [
    f"{BASE_URL}@evil/v2/x",
    "https://sei.test@evil/prod1/sei/api/v2/x",
    f"{BASE_URL}.evil/v2/x",
    "https://sei.test/v2/x",
]
LINKS += [
    f"{BASE_URL}/../v2/x",
    f"{BASE_URL}/v2/..;/x",
    "https://sei.test:444/prod1/sei/api/v2/x",
    "https://sei.test:x/prod1/sei/api/v2/x",
]
LINKS += [
    "https://u:p@sei.test/prod1/sei/api/v2/x",
    "http://sei.test/prod1/sei/api/v2/x",
    "https://sei.test\\@evil/prod1/sei/api/v2/x",
    "https://[sei.test/v2/x",
    "https://sei.test]/prod1/sei/api/v2/x",
    "https://[sei.test]/prod1/sei/api/v2/x",
]


@pytest.mark.parametrize("link", LINKS, ids=ascii)
@pytest.mark.parametrize("name", ["downloadUrl", "download"])
def test_line_8_a_link_that_servers_may_read_differently_is_refused_before_any_call(
    client_to: MakeClient, link: str, name: str
) -> None:
    def answer(request: Any) -> Any:
        raise AssertionError(request.url)

    reply = DONE | {name: {"url": link} if name == "download" else link}
    with pytest.raises(SeiReplyError):
        client_to(answer).download_export(Export.from_reply("sprint", reply), io.BytesIO())


@pytest.mark.parametrize(
    "link",
    [
        "/v2/x/exp_1.~-A/download",
        f"{BASE_URL}/v2/x/exp_1.~-A/download",
        "https://SEI.test:443/prod1/sei/api/v2/x/exp_1.~-A/download",
    ],
)
def test_line_8_a_link_below_the_base_url_is_followed_however_its_host_is_written(
    client_to: MakeClient, link: str
) -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200, content=ROWS)

    client_to(answer).download_export(Export.from_reply("sprint", DONE | {"downloadUrl": link}), io.BytesIO())
    assert asked == ["/prod1/sei/api/v2/x/exp_1.~-A/download"]


SECRET_URLS = {
    "https://user:s3same-open@sei.test/prod1": "'https://sei.test'",
    "https://s3same-open@sei.test": "'https://sei.test'",
    "https://sei.test/prod1?token=s3same-open": "'https://sei.test'",
    "https://sei.test/prod1#s3same-open": "'https://sei.test'",
    "https://sei.test?": "'https://sei.test'",
    "https://sei.test#": "'https://sei.test'",
    "https://user:s3same/open@sei.test/": "the given address",
    "https://user:s3s@me-open@sei.test/": "the given address",
    "https://s3same-open\\@sei.test/": "the given address",
    "user:s3same-open@sei.test": "the given address",
    "https://sei.test:s3same-open/x": "the given address",
    "ftp://user:s3same-open@sei.test": "the given address",
    "http://sei.test/s3same-open": "'http://sei.test'",
}


@pytest.mark.parametrize(("url", "shown"), SECRET_URLS.items())
def test_line_14_an_error_about_a_base_url_shows_scheme_and_host_only(url: str, shown: str) -> None:
    with pytest.raises(SeiInputError) as refused:
        BaseClient(**SETTINGS, base_url=url)
    assert str(refused.value).startswith(f"{shown} ")
    assert "s3s" not in str(refused.value)
    assert "open" not in str(refused.value)
