"""Faulty answers over a real socket: a call is retried within bounds, or raises an error that says what came."""

from __future__ import annotations

import gzip
import io
from typing import Any

import pytest
from isal import igzip

from sei_provider.api import (
    Export,
    SeiAuthError,
    SeiConnectionError,
    SeiDownloadError,
    SeiError,
    SeiNotFoundError,
    SeiReplyError,
    SeiServerError,
)
from sei_provider.api.polling import ExportPoller
from tests.api.conftest import DONE, ROWS, MakeClient
from tests.api.raw_server import Answer, http, raw_server, reset, said, sent, trickle
from tests.plain_http import closed_endpoint

ATTEMPTS = 5

pytestmark = pytest.mark.usefixtures("no_waiting")


def done(**fields: Any) -> Export:
    return Export.from_reply("productivity", DONE | fields)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers may take a third of a second in all."""
    for name in ("REPLY_SECONDS", "DOWNLOAD_SECONDS", "ERROR_SECONDS"):
        monkeypatch.setattr(f"sei_provider.api.bounds.{name}", 0.3)


def test_a_refused_connection_is_an_error_that_knows_that_nothing_was_sent(client_to: MakeClient) -> None:
    with pytest.raises(SeiConnectionError, match="Could not reach SEI to read the status") as lost:
        client_to(closed_endpoint()).get_export("productivity", "exp_1")
    assert lost.value.sent is False


LOST = {
    "reset before the answer": reset(),
    "closed before the answer": sent(b""),
    "reset in the middle of the headers": reset(b"HTTP/1.1 200 OK\r\nContent-"),
    "reset in the middle of the body": reset(http(b'{"exportId": ', length=100)),
    "closed in the middle of the body": sent(http(b'{"exportId": ', length=100)),
    "cut short": said(b'{"exportId": "exp_1", "sta'),
    "cut short after a number": said(b'{"exportId": 1'),
    "cut short within a letter": said('{"exportId": "é'.encode()[:-1]),
    "empty": said(b""),
    "a Content-Length that is too small": sent(http(b'{"exportId": "exp_1"}', length=10)),
    "no HTTP": sent(b"SSH-2.0-OpenSSH\r\n\r\n"),
    "a chunk that is none": sent(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
    "broken gzip": said(b"\x1f\x8b" + b"x" * 30, headers="Content-Encoding: gzip\r\n"),
    "cut gzip": said(gzip.compress(b'{"exportId": "exp_1"}')[:-12], headers="Content-Encoding: gzip\r\n"),
    "headers without end": sent(b"HTTP/1.1 200 OK\r\n" + b"X-Filler: " + b"x" * 300_000),
    "500": said(b"", status="500 Oops"),
    "502 with a page": said(
        b"<html>Bad Gateway</html>", status="502 Bad Gateway", headers="Content-Type: text/html\r\n"
    ),
    "503": said({"message": "down"}, status="503 Service Unavailable"),
    "504": said(b"upstream timed out", status="504 Gateway Timeout"),
    "429": said(b"", status="429 Too Many Requests"),
}


@pytest.mark.parametrize("answer", LOST.values(), ids=LOST)
def test_what_may_pass_is_asked_again_and_the_next_answer_counts(client_to: MakeClient, answer: Answer) -> None:
    with raw_server(answer, answer, said(DONE)) as server:
        assert client_to(server.base_url).get_export("productivity", "exp_1").id == "exp_1"
        assert len(server.requests) == 3


@pytest.mark.parametrize("name", [name for name in LOST if name != "429"])
def test_what_does_not_pass_is_an_error_after_five_attempts_that_says_what_was_asked(
    client_to: MakeClient, name: str
) -> None:
    with raw_server(LOST[name]) as server:
        with pytest.raises((SeiConnectionError, SeiServerError), match="read the status of productivity export") as e:
            client_to(server.base_url).get_export("productivity", "exp_1")
        assert len(server.requests) == ATTEMPTS
    assert len(str(e.value)) < 700
    assert e.value.is_transient, "a poller asks again"


def slow(head: bytes) -> Answer:
    return trickle(head, b"x", every=0.02)


@pytest.mark.usefixtures("impatient")
def test_a_reply_that_trickles_in_is_given_up(client_to: MakeClient) -> None:
    with raw_server(slow(http(b"{", length=10_000))) as server:
        with pytest.raises(SeiConnectionError, match="was not complete after"):
            client_to(server.base_url).get_export("productivity", "exp_1")
        assert len(server.requests) == ATTEMPTS


@pytest.mark.usefixtures("impatient")
def test_a_download_that_trickles_in_is_given_up(client_to: MakeClient) -> None:
    with raw_server(slow(http(ROWS, length=10_000))) as server:
        with pytest.raises(SeiConnectionError, match=r"download productivity export exp_1.*was not complete after"):
            client_to(server.base_url).download_export(done(), io.BytesIO())
        assert len(server.requests) == ATTEMPTS


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("status", "kind", "attempts"), [("400 Bad Request", SeiError, 1), ("500 Oops", SeiServerError, ATTEMPTS)]
)
def test_the_body_of_an_error_may_trickle_in_break_off_or_never_end(
    client_to: MakeClient, status: str, kind: type[SeiError], attempts: int
) -> None:
    head = http(b"it is the ", status=status, length=10_000_000)
    for answer in (slow(head), reset(head), trickle(head, b"x" * 50_000, every=0)):
        with raw_server(answer) as server:
            with pytest.raises(kind, match=f"HTTP {status[:3]}: it is the"):
                client_to(server.base_url).get_export("productivity", "exp_1")
            assert len(server.requests) == attempts


@pytest.mark.usefixtures("impatient")
def test_headers_that_trickle_in_are_given_up(client_to: MakeClient) -> None:
    with raw_server(slow(b"HTTP/1.1 200 OK\r\nX-Filler: ")) as server:
        with pytest.raises(SeiConnectionError, match="did not begin within"):
            client_to(server.base_url).get_export("productivity", "exp_1")
        assert len(server.requests) == ATTEMPTS


@pytest.mark.parametrize(
    "answer",
    [
        reset(http(ROWS[:20], length=len(ROWS))),
        sent(http(ROWS[:20], length=len(ROWS))),
        said(b""),
        said(b"", status="503 Service Unavailable"),
        said({"message": "Export not completed"}, status="404 Not Found"),
    ],
    ids=["reset", "closed", "empty", "503", "404"],
)
def test_a_download_that_failed_once_is_made_again_from_its_start(client_to: MakeClient, answer: Answer) -> None:
    file = io.BytesIO(b"what an earlier attempt left, longer than the file itself is going to be")
    with raw_server(answer, said(ROWS)) as server:
        assert client_to(server.base_url).download_export(done(), file) == len(ROWS)
        assert len(server.requests) == 2
    assert file.getvalue() == ROWS


def test_a_download_that_stays_absent_is_an_error_after_five_attempts(client_to: MakeClient) -> None:
    with raw_server(said({"message": "expired"}, status="404 Not Found")) as server:
        with pytest.raises(SeiNotFoundError, match="expired"):
            client_to(server.base_url).download_export(done(), io.BytesIO())
        assert len(server.requests) == ATTEMPTS


def test_the_download_of_an_export_not_known_to_be_completed_is_asked_for_once(client_to: MakeClient) -> None:
    with raw_server(said(b"", status="404 Not Found")) as server:
        with pytest.raises(SeiNotFoundError):
            client_to(server.base_url).download_export(done(status="processing"), io.BytesIO())
        assert len(server.requests) == 1


def test_a_download_shorter_than_sei_told_is_an_error_after_five_attempts(client_to: MakeClient) -> None:
    with raw_server(said(ROWS[:-5])) as server:
        with pytest.raises(SeiDownloadError, match=f"{len(ROWS) - 5} bytes of {len(ROWS)}"):
            client_to(server.base_url).download_export(done(download={"sizeBytes": len(ROWS)}), io.BytesIO())
        assert len(server.requests) == ATTEMPTS


NONSENSE = {
    "plain text": said(b"Service is starting"),
    "another shape": said({"id": "exp_1"}),
    "a list": said([DONE]),
    "null": said(None),
    "an unknown status": said(DONE | {"status": "archived"}),
    "another export": said(DONE | {"exportId": "exp_2"}),
    "a link that no URL can hold": said(DONE | {"downloadUrl": "/v2/\r\nHost: evil.test"}),
    "a link that is not text": said(DONE | {"downloadUrl": ["/v2/x"]}),
    "a link without end": said(DONE | {"downloadUrl": "/v2/" + "x" * 100_000}),
    "too deep": said(b"[" * 200_000),
}


@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE)
def test_an_answer_that_makes_no_sense_is_an_error_at_once(client_to: MakeClient, answer: Answer) -> None:
    with raw_server(answer) as server:
        with pytest.raises(SeiReplyError) as odd:
            client_to(server.base_url).get_export("productivity", "exp_1")
        assert len(server.requests) == 1
    assert not odd.value.is_transient
    assert len(str(odd.value)) < 700


def test_an_answer_packed_with_gzip_is_read(client_to: MakeClient) -> None:
    packed = said(
        gzip.compress(b'{"exportId": "exp_1", "createdAt": "2026-01-01"}'), headers="Content-Encoding: gzip\r\n"
    )
    with raw_server(packed) as server:
        assert client_to(server.base_url).get_export("productivity", "exp_1").id == "exp_1"


def test_an_answer_packed_with_what_knows_no_bounds_is_not_unpacked(client_to: MakeClient) -> None:
    packed = said(b"x", headers="Content-Encoding: br\r\n")
    with raw_server(packed) as server, pytest.raises(SeiReplyError, match="the unknown Content-Encoding 'br'"):
        client_to(server.base_url).get_export("productivity", "exp_1")


def test_a_gzip_bomb_for_a_reply_is_cut_off(client_to: MakeClient) -> None:
    bomb = said(igzip.compress(b"[" + b" " * 40_000_000), headers="Content-Encoding: gzip\r\n")
    with raw_server(bomb) as server, pytest.raises(SeiReplyError, match="larger than 4194304 bytes"):
        client_to(server.base_url).get_export("productivity", "exp_1")


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_a_redirect_to_a_login_page_is_an_error_that_says_so(client_to: MakeClient, status: str) -> None:
    login = said(b"", status=status, headers="Location: /login\r\n")
    with raw_server(login, said(DONE)) as server:
        with pytest.raises(SeiAuthError, match="A redirect usually means a login page"):
            client_to(server.base_url).get_export("productivity", "exp_1")
        assert len(server.requests) == 1


def processing(id_: str = "exp_1") -> Export:
    return Export.from_reply("sprint", DONE | {"exportId": id_, "status": "processing"})


def test_a_status_that_goes_back_changes_nothing_of_what_has_ended() -> None:
    poller = ExportPoller("sprint", ["exp_1", "exp_2"], interval=1.0, deadline=1e12)
    poller.record("exp_1", processing())
    poller.record("exp_1", Export.from_reply("sprint", DONE | {"status": "queued"}))
    assert poller.pending["exp_1"] is not None
    poller.record("exp_1", Export.from_reply("sprint", DONE))
    for later in (processing(), SeiNotFoundError("gone", status=404), SeiConnectionError("reset")):
        poller.record("exp_1", later)
    assert (list(poller.pending), list(poller.finished), poller.unavailable) == (["exp_2"], ["exp_1"], {})


def test_an_id_that_vanishes_ends_the_polling_of_it_and_no_other(client_to: MakeClient) -> None:
    with raw_server(said({"message": "Export not found"}, status="404 Not Found")) as server:
        poller = ExportPoller("business_alignment", ["exp_1"], interval=1.0, deadline=1e12)
        client_to(server.base_url).poll(poller)
        assert "Export not found" in poller.unavailable["exp_1"]
        assert poller.is_over


def test_one_odd_entry_of_a_list_hides_no_other(client_to: MakeClient, caplog: pytest.LogCaptureFixture) -> None:
    entries = [DONE | {"exportId": "exp_2", "status": "archived"}, DONE, {"exportId": "../x"}]
    for pagination in ({"hasMore": False}, {"total": 3}, {"totalPages": 1}):
        with raw_server(said({"exports": entries, "pagination": pagination})) as server:
            assert [each.id for each in client_to(server.base_url).list_exports("sprint")] == ["exp_1"]
            assert len(server.requests) == 1
    assert (
        "SEI's list of sprint exports: skipped 2 invalid entries; the first: SEI reported the unknown status"
        in caplog.text
    )
