"""No answer costs more than its bound, leads elsewhere, or is taken for what it is not, over a real socket."""

from __future__ import annotations

import gzip
import io
import json
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from isal import igzip

from sei_provider.api import (
    AsyncSeiClient,
    Export,
    SeiConnectionError,
    SeiDownloadError,
    SeiError,
    SeiRateLimitError,
    SeiReplyError,
    bounds,
    endpoints,
)
from sei_provider.api.errors import SeiTooLargeError
from sei_provider.api.exchange import ExchangeLimits
from sei_provider.api.polling import ExportPoller
from tests.api.conftest import DONE, ROWS, SETTINGS, MakeClient, export_request
from tests.api.raw_server import Answer, http, raw_server, said, sent, trickle

MEMORY = 64 << 20

pytestmark = pytest.mark.usefixtures("no_waiting")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers may take a tenth of a second, and a call is made once."""
    for name in ("REPLY_SECONDS", "REPORT_SECONDS", "DOWNLOAD_SECONDS", "ERROR_SECONDS"):
        monkeypatch.setattr(bounds, name, 0.1)
    monkeypatch.setattr("sei_provider.api.retry._MAX_ATTEMPTS", 1)


@pytest.fixture
def peak() -> Iterator[Callable[[], int]]:
    """Tells the most memory in use since the test began, in bytes."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


MANY = {
    "zeros": b"0," * 1_000_000 + b"0",
    "objects": b"{}," * 400_000 + b"{}",
    "lists": b"[]," * 400_000 + b"[]",
    "nulls": b"null," * 400_000 + b"null",
    "exports": b",".join([json.dumps(DONE).encode()] * 20_000),
    "beyond 16 MiB": b"0," * 9_000_000 + b"0",
}


@pytest.mark.parametrize("entries", MANY.values(), ids=MANY)
def test_line_1_a_page_of_too_many_entries_is_refused_before_it_is_parsed(
    client_to: MakeClient, entries: bytes, monkeypatch: pytest.MonkeyPatch, peak: Callable[[], int]
) -> None:
    monkeypatch.setattr("sei_provider.api.call.json.loads", None)
    page = b'{"exports": [' + entries + b'], "records": [' + entries + b"]}"
    with raw_server(said(page)) as server:
        client = client_to(server.base_url, account_identifier="acme")
        for ask in (
            lambda: list(client.list_exports("sprint")),
            lambda: client.get_export("sprint", "exp_1"),
            client.list_org_trees,
        ):
            with pytest.raises(SeiReplyError, match=r"larger than 4194304 bytes|more than 100000 JSON values"):
                ask()
        assert len(server.requests) == 3
        assert peak() < MEMORY + 2 * len(page), "the page itself is this test's"


def test_line_1_a_page_of_more_entries_than_asked_for_is_refused_by_their_number(client_to: MakeClient) -> None:
    page = {"exports": [0] * (bounds.PAGE_ENTRIES + 1), "records": [0] * (bounds.PAGE_ENTRIES + 1)}
    with raw_server(said(page)) as server:
        client = client_to(server.base_url, account_identifier="acme")
        for ask in (lambda: list(client.list_exports("sprint")), client.list_org_trees):
            with pytest.raises(SeiReplyError, match="has 201 entries on one page; at most 200 are read"):
                ask()


NUMBERS = {"digits": b"9" * 10_000, "NaN": b"NaN", "Infinity": b"-Infinity"}


@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS)
def test_line_1_a_number_that_is_none_is_an_error_at_once(client_to: MakeClient, number: bytes) -> None:
    with raw_server(said(b'{"exportId": ' + number + b"}")) as server:
        with pytest.raises(SeiReplyError, match="a number that is invalid or too long"):
            client_to(server.base_url).get_export("sprint", "exp_1")
        assert len(server.requests) == 1


NESTED = {"lists": b"[" * 900 + b"]" * 900, "objects": b'{"a":' * 900 + b"1" + b"}" * 900}


@pytest.mark.parametrize("name", ["exportId", "status", "createdAt", "error", "downloadUrl", "scope", "completedAt"])
@pytest.mark.parametrize("nested", NESTED.values(), ids=NESTED)
def test_line_1_deep_nesting_is_no_raw_error_wherever_it_is(client_to: MakeClient, name: str, nested: bytes) -> None:
    fields = {key: json.dumps(value).encode() for key, value in DONE.items()} | {name: nested}
    body = b"{" + b",".join(b'"%s": %s' % (key.encode(), value) for key, value in fields.items()) + b"}"
    for status in ("200 OK", "400 Bad Request"):
        # A field that nobody needs may hold anything.
        with raw_server(said(body, status=status)) as server, suppress(SeiError):
            client_to(server.base_url).get_export("sprint", "exp_1")


async def test_line_1_a_large_reply_is_parsed_off_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []
    parse = endpoints.parse_json

    def parse_json(reply: Any, **options: Any) -> Any:
        threads.append(threading.current_thread() is threading.main_thread())
        return parse(reply, **options)

    monkeypatch.setattr(endpoints, "parse_json", parse_json)
    for filler in (0, 100_000):
        with raw_server(said(DONE | {"metadata": "x" * filler})) as server:
            async with AsyncSeiClient(**SETTINGS, base_url=server.base_url) as client:
                assert (await client.get_export("sprint", "exp_1")).id == "exp_1"
    assert threads == [True, False]


BOMB = igzip.compress(b"[" + b" " * 150_000_000)  # twenty times as fast as gzip, and each worker imports it


def test_line_1_a_packed_reply_takes_no_more_memory_than_a_plain_one(
    client_to: MakeClient, peak: Callable[[], int]
) -> None:
    for status, error in (("200 OK", SeiReplyError), ("400 Bad Request", SeiError)):
        packed = said(BOMB, status=status, headers="Content-Encoding: gzip\r\n")
        with raw_server(packed) as server, pytest.raises(error):
            client_to(server.base_url).get_export("sprint", "exp_1")
    assert peak() < MEMORY // 2, "what one read brings would unpack to more"


PACKED = "HTTP/1.1 %s\r\nContent-Encoding: gzip\r\n\r\n"
NOTHING_MORE = {
    "behind the end": (gzip.compress(b'{"exportId": '), b"\x1f\x8b" * 32_000),
    "empty blocks": (gzip.compress(b"", 0)[:10], b"\0\0\0\xff\xff" * 13_000),
}


@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request"])
@pytest.mark.parametrize(("begin", "piece"), NOTHING_MORE.values(), ids=NOTHING_MORE)
def test_line_1_a_packed_reply_that_unpacks_to_nothing_more_is_read_no_further_than_a_plain_one(
    client_to: MakeClient, begin: bytes, piece: bytes, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    received: list[int] = []
    count_read = ExchangeLimits.count_read
    monkeypatch.setattr(
        ExchangeLimits, "count_read", lambda self, data: received.append(len(data)) or count_read(self, data)
    )
    head = (PACKED % status).encode()
    with raw_server(endless(head + begin, piece)) as server, pytest.raises(SeiError):
        client_to(server.base_url).get_export("sprint", "exp_1")
    assert sum(received) < bounds.REPLY_BYTES + (1 << 20)


def test_line_1_a_body_of_single_bytes_is_given_up(client_to: MakeClient) -> None:
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 3_000_000
    with raw_server(sent(chunks)) as server, pytest.raises(SeiReplyError, match="1001 chunks, which are too small"):
        client_to(server.base_url).get_export("sprint", "exp_1")


def endless(head: bytes, piece: bytes) -> Answer:
    return trickle(head, piece, every=0)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
UNTIL_CLOSED = b"HTTP/1.1 200 OK\r\n\r\n"
ENDLESS = {
    "plain": endless(UNTIL_CLOSED, b"A,2026-01-01\n" * 1000),
    "chunked": endless(CHUNKED, b"3e8\r\n" + b"A" * 1000 + b"\r\n"),
    "with a length": endless(http(b"", length=10**15), b"A" * 10_000),
    "gzip": endless(UNTIL_CLOSED, gzip.compress(b"A,2026-01-01\n" * 100)),
}


@pytest.mark.parametrize("answer", ENDLESS.values(), ids=ENDLESS)
def test_line_4_a_download_stops_at_the_size_that_sei_told(client_to: MakeClient, answer: Answer) -> None:
    export, file = Export.from_reply("sprint", DONE | {"download": {"sizeBytes": 100_000}}), io.BytesIO()
    with raw_server(answer) as server, pytest.raises(SeiDownloadError, match="more than the 100000 bytes"):
        client_to(server.base_url).download_export(export, file)
    assert len(file.getvalue()) <= 100_000


@pytest.mark.parametrize("answer", ENDLESS.values(), ids=ENDLESS)
def test_line_4_a_file_stops_at_the_bytes_that_the_caller_takes(client_to: MakeClient, answer: Answer) -> None:
    with raw_server(answer) as server:
        client, file = client_to(server.base_url), io.BytesIO()
        for ask in (
            lambda: client.download_export(Export.from_reply("sprint", DONE), file, max_bytes=200_000),
            lambda: client.run_report(export_request("team_report"), file, max_bytes=200_000),
        ):
            with pytest.raises(SeiTooLargeError, match="more than 200,000 bytes, so no more was read") as refused:
                ask()
            assert refused.value.is_permanent
            assert len(file.getvalue()) <= 200_000
        assert len(server.requests) == 2


def test_line_4_a_size_beyond_what_the_caller_takes_is_refused_before_the_call(client_to: MakeClient) -> None:
    export = Export.from_reply("sprint", DONE | {"download": {"sizeBytes": 200_001}})
    with raw_server(said(ROWS)) as server:
        with pytest.raises(SeiTooLargeError):
            client_to(server.base_url).download_export(export, io.BytesIO(), max_bytes=200_000)
        assert server.requests == []


SLOW = {
    "headers": trickle(b"HTTP/1.1 200 OK\r\nX-Filler: ", b"x", every=0.02),
    "a status line": trickle(b"HTTP/1.1 2", b"0", every=0.02),
    "interim answers": trickle(b"", b"HTTP/1.1 100 Continue\r\n\r\n", every=0.02),
    "a flood of interim answers": endless(b"", b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" * 100),
    "a chunk's extension": trickle(CHUNKED + b"5;", b"x", every=0.02),
    "trailers": trickle(CHUNKED + b"1\r\n{\r\n0\r\nX-Filler: ", b"x", every=0.02),
    "a body": trickle(http(b"{", length=10_000), b"x", every=0.02),
    "a packed body": trickle(
        http(b"\x1f\x8b", length=10_000, headers="Content-Encoding: gzip\r\n"), b"\x08", every=0.02
    ),
    "nothing": trickle(b"", b"", every=0.02),
}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("answer", SLOW.values(), ids=SLOW)
@pytest.mark.parametrize("call", ["status", "download"])
def test_line_5_an_answer_that_comes_a_byte_at_a_time_is_given_up(
    client_to: MakeClient, answer: Answer, call: str
) -> None:
    with raw_server(answer) as server:
        client = client_to(server.base_url)
        ask = {
            "status": lambda: client.get_export("sprint", "exp_1"),
            "download": lambda: client.download_export(Export.from_reply("sprint", DONE), io.BytesIO()),
        }[call]
        with pytest.raises(SeiConnectionError):
            ask()


@pytest.mark.parametrize("status", ["400 Bad Request", "401 Unauthorized"])
def test_line_5_an_error_whose_body_comes_a_byte_at_a_time_is_that_error(
    client_to: MakeClient, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "ERROR_SECONDS", 0.1)
    head = f"HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n\r\n5;".encode()
    with raw_server(trickle(head, b"x", every=0.02)) as server:
        with pytest.raises(SeiError, match=f"HTTP {status[:3]}"):
            client_to(server.base_url).get_export("sprint", "exp_1")
        assert len(server.requests) == 1


@pytest.mark.parametrize("headers", ["", "Retry-After: 1\r\n", "Retry-After: 3600\r\n"])
def test_line_13_a_429_for_ever_ends_by_the_deadline(client_to: MakeClient, headers: str) -> None:
    deadline = time.time() + 3
    busy = said(b"", status="429 Too Many Requests", headers=headers)
    with raw_server(busy) as server, pytest.raises(SeiRateLimitError):
        client_to(server.base_url, deadline=deadline, requests_per_minute=4).get_export("sprint", "exp_1")
    assert time.time() < deadline + 30, "the key's window lasts a minute"


@pytest.mark.parametrize("call", ["get_export", "list_exports", "download_export", "poll", "create_export"])
def test_line_13_no_call_waits_for_the_keys_limit_past_the_deadline(client_to: MakeClient, call: str) -> None:
    deadline = time.time() + 2
    with raw_server(said(DONE)) as server:
        client = client_to(server.base_url, deadline=deadline, requests_per_minute=1)
        client.get_export("sprint", "exp_1")
        poller = ExportPoller("business_alignment", ["exp_1"], interval=1.0, deadline=deadline)
        asks: dict[str, Callable[[], object]] = {
            "get_export": lambda: client.get_export("sprint", "exp_1"),
            "list_exports": lambda: list(client.list_exports("sprint")),
            "download_export": lambda: client.download_export(Export.from_reply("sprint", DONE), io.BytesIO()),
            "create_export": lambda: client.create_export(export_request()),
        }
        if call == "poll":
            client.poll(poller)
            assert list(poller.pending) == ["exp_1"], "the next task's poll may still get through"
        else:
            with pytest.raises(
                SeiRateLimitError, match="before the deadline: the key's requests per minute are used up"
            ):
                asks[call]()
        assert len(server.requests) == 1


def test_every_bound_is_in_the_documentation() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in Path("docs/security.md").read_text().splitlines()
        if line.startswith("|")
    ]
    told = {row[0]: row[1] for row in rows if len(row) == 3}
    kib, mib, gib = 1 << 10, 1 << 20, 1 << 30
    assert {
        "headers, with all interim answers": f"{bounds.HEAD_BYTES // kib} KiB",
        "a JSON reply, unpacked": f"{bounds.REPLY_BYTES // mib} MiB, {bounds.REPLY_VALUES:,} values",
        "a JSON reply as it comes, packed": f"{bounds.REPLY_BYTES // mib} MiB, those that unpack to nothing too",
        "the teams of an org tree": (
            f"{bounds.TREE_BYTES // mib} MiB, {bounds.TREE_VALUES:,} values, {bounds.TREE_LEVELS} levels, "
            f"{bounds.TREE_PATH_CHARS // mib} Mi characters of paths"
        ),
        "a page of a list": f"{bounds.PAGE_ENTRIES} entries",
        "a list": f"{bounds.LIST_PAGES:,} pages",
        "the body of an error": f"{bounds.ERROR_BYTES // kib} KiB, {bounds.ERROR_SECONDS:.0f} seconds",
        "a file": f"`sizeBytes` where SEI tells it; `max_file_bytes` ({bounds.DOWNLOAD_BYTES // gib} GiB)",
        "chunks of a body": f"{bounds.SMALL_CHUNK_BYTES} bytes on average after {bounds.SMALL_CHUNKS:,}",
        "an id; a name or link": f"{bounds.ID_CHARS}; {bounds.LINK_CHARS:,} characters",
        "SEI's words in an error": f"{bounds.MESSAGE_CHARS} characters",
        "connecting; silence within an answer": f"{bounds.CONNECT_SECONDS:.0f}; {bounds.SILENCE_SECONDS:.0f} seconds",
        "a JSON reply, or the headers of a file": f"{bounds.REPLY_SECONDS:.0f} seconds",
        "the headers of a legacy report": f"{bounds.REPORT_SECONDS:.0f} seconds",
        "a file, from its headers": f"{bounds.DOWNLOAD_SECONDS:,.0f} seconds",
        "Retry-After": f"{bounds.RETRY_AFTER_SECONDS:.0f} seconds",
        "the attempts of a call": f"the task's deadline; {bounds.PATIENCE_SECONDS:.0f} seconds without one",
        "a call under way at the deadline": f"{bounds.GRACE_SECONDS:.0f} seconds more",
        "parsing on the triggerer's event loop": f"{bounds.THREAD_BYTES // kib} KiB",
    }.items() <= told.items()
