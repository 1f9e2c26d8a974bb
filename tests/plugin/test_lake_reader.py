"""Reads of the lake by the page: a store that hangs holds few threads, and no secret of a lake or a store is shown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from threading import BoundedSemaphore, Event
from typing import Any
from urllib.parse import quote, unquote

import pytest
from fastapi.testclient import TestClient
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from obstore.store import S3Store

from sei_provider.hooks import lake as lake_hook
from sei_provider.lake.storage.store import lake_path
from sei_provider.lake.tables import coverage_summary
from sei_provider.plugin import lake_reader
from sei_provider.plugin.redaction import redacted
from tests.examples import examples
from tests.plugin.coverage_lakes import TABLE, TODAY, cell, put

THREADS = 2
AWS_ID, AWS_KEY = "AKIA" + "Q3EGXAMPLE7KEYID", "wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "EXAMPLEKEY"


@pytest.fixture
def hung(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """The calls of a store that answers none until the test is over."""
    over, calls, free = Event(), list[object](), BoundedSemaphore(THREADS)

    def hang(*asked: object, **_: object) -> None:
        calls.append(asked)
        over.wait(60)

    for name, value in {"_free": free, "_PATIENCE": 0.01, "_TURN": 0.01}.items():
        monkeypatch.setattr(lake_reader, name, value)
    monkeypatch.setattr(lake_hook, "open_lake", hang)
    monkeypatch.setattr(coverage_summary, "summarized_tables", hang)
    monkeypatch.setattr(coverage_summary, "read_summary", hang)
    yield calls
    over.set()
    for _ in range(THREADS):
        assert free.acquire(timeout=60), "a thread is free again once the store has answered"


def test_a_store_that_does_not_answer_holds_a_few_threads_and_no_page(
    page: TestClient, lake: Path, hung: list[object]
) -> None:
    replies = [page.get("/coverage") for _ in range(THREADS + 2)]
    assert {reply.status_code for reply in replies} == {200}
    assert "cannot be opened: its store has not answered within" in replies[0].text
    assert "other pages are already waiting for its store" in replies[-1].text
    assert len(hung) == THREADS


@pytest.mark.parametrize("lists", [True, False], ids=["list", "read"])
def test_a_store_that_stops_answering_is_asked_once_for_a_page(tmp_path: Path, hung: list[object], lists: bool) -> None:
    reader = lake_reader.LakeReader(root=lake_path(tmp_path))
    if lists:
        assert reader.tables() == []
    assert [reader.coverage(table, TODAY) for table in ("a", "b", "c")] == [(None, None)] * 3
    assert len(reader.trouble) == len(hung) == 1
    assert "cannot read the lake of the Variable sei_lake: its store has not answered within" in reader.trouble[0]


def test_a_page_of_many_tables_waits_for_the_store_no_longer_than_one_of_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, answered = [0.0], list[str]()

    def slow(_root: object, table: str, **_: object) -> None:
        answered.append(table)
        now[0] += 3.0

    monkeypatch.setattr(lake_reader, "monotonic", lambda: now[0])
    monkeypatch.setattr(coverage_summary, "read_summary", slow)
    reader = lake_reader.LakeReader(root=lake_path(tmp_path))
    for number in range(40):
        reader.coverage(f"t{number}", TODAY)
    assert len(answered) <= 5
    assert "has not answered within 10 seconds" in reader.trouble[-1]


def test_a_thread_that_cannot_be_started_keeps_no_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class NoThread:
        def __init__(self, **_: object) -> None: ...

        def start(self) -> None:
            msg = "can't start new thread"
            raise RuntimeError(msg)

    free = BoundedSemaphore(1)
    monkeypatch.setattr(lake_reader, "_free", free)
    monkeypatch.setattr(lake_reader, "Thread", NoThread)
    reader = lake_reader.LakeReader(root=lake_path(tmp_path))
    assert reader.tables() == []
    assert "can't start new thread" in reader.trouble[0]
    assert free.acquire(blocking=False)


@pytest.mark.parametrize(
    ("address", "secret"),
    [
        (f"s3://{AWS_ID}:{AWS_KEY}@bucket/lake", AWS_KEY),
        (f"s3://{AWS_ID}:{quote(AWS_KEY, safe='')}@bucket/lake", quote(AWS_KEY, safe="")),
        ("s3://user:hunter2@bucket/lake", "hunter2"),
        ("gs://user:hunter2@bucket/lake", "hunter2"),
        ("abfs://user:hunter2@container/lake", "hunter2"),
        ("https://user:hunter2@host.example/lake", "hunter2"),
        ("https://b.s3.amazonaws.com/lake?X-Amz-Signature=0f1e2d3c4b5a69788796a5b4c3d2e1f0", "0f1e2d3c4b5a6978"),
        ("abfs://c@a.dfs.core.windows.net/l?sv=2024&sig=c2lnbmF0dXJlMTIzNDU2Nzg5MA%3D%3D", "c2lnbmF0dXJlMTIz"),
        (f'{{"aws_secret_access_key": "{AWS_KEY}"}}', AWS_KEY),
        ("DefaultEndpointsProtocol=https;AccountName=a;AccountKey=c2VjcmV0c2VjcmV0;", "c2VjcmV0c2VjcmV0"),
    ],
    ids=["s3", "quoted", "s3-user", "gs", "abfs", "https", "signed", "sas", "json", "connection-string"],
)
def test_no_secret_in_the_lakes_address_is_shown(
    page: TestClient, monkeypatch: pytest.MonkeyPatch, address: str, secret: str
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_SEI_LAKE", address)

    def refuse(address: str) -> None:
        user = address.partition("://")[2].rpartition("@")[0]
        msg = f"cannot open {address!r}: The conn_id `{user}` isn't defined ({unquote(user.partition(':')[2])})"
        raise ValueError(msg)

    monkeypatch.setattr(lake_hook, "open_lake", refuse)
    for route in ("/coverage", f"/table?table={TABLE}", f"/fill?table={TABLE}&month=2026-01"):
        reply = page.get(route)
        assert reply.status_code == 200
        assert "The lake of the Variable sei_lake cannot be opened: " in reply.text
        assert secret not in reply.text
        assert unquote(secret) not in reply.text


@pytest.mark.parametrize(
    "said",
    [
        f"<Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>{AWS_ID}</AWSAccessKeyId></Error>",
        f"An error occurred (InvalidAccessKeyId): the key {AWS_ID} does not exist",
        f"no such secret {AWS_KEY}",
        f"aws_secret_access_key={AWS_KEY}",
        f'{{"secretAccessKey": "{AWS_KEY}"}}',
        f"GET https://b.s3.amazonaws.com/lake/_coverage?X-Amz-Credential={AWS_ID}%2F20260101&X-Amz-Signature={AWS_KEY}",
        f"Authorization: AWS4-HMAC-SHA256 Credential={AWS_ID}/20260101/eu/s3, Signature={AWS_KEY}",
        f"Authorization: Bearer {AWS_KEY}",
        f"proxy http://me:{AWS_KEY}@proxy.example:3128 refused",
        f"?sv=2024&sig={AWS_KEY}",
        f"password: {AWS_KEY}",
        f"two\nlines\x1b[31m\npasswd={AWS_KEY}",
    ],
    ids=["xml", "id", "key", "setting", "json", "signed", "header", "bearer", "proxy", "sas", "password", "lines"],
)
@pytest.mark.parametrize("call", ["open_lake", "summarized_tables", "read_summary"])
def test_no_secret_in_a_stores_words_is_shown(
    page: TestClient, lake: Path, monkeypatch: pytest.MonkeyPatch, said: str, call: str
) -> None:
    put(lake, [cell("team:1", path="Eng/A")])

    def refuse(*_: object, **__: object) -> None:
        raise OSError(said)

    monkeypatch.setattr(lake_hook if call == "open_lake" else coverage_summary, call, refuse)
    for route in ("/coverage", f"/table?table={TABLE}"):
        if call == "summarized_tables" and route != "/coverage":
            continue
        text = page.get(route).text
        assert 'class="note"' in text
        assert AWS_KEY not in text
        assert AWS_ID not in text


@pytest.mark.parametrize("place", ["sei", "other"], ids=["shown", "no-bucket"])
def test_a_lake_on_s3_is_shown_without_its_connection_or_told_without_its_key(
    page: TestClient, s3_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    connection = {"conn_type": "aws", "login": AWS_ID, "password": AWS_KEY, "extra": {"endpoint_url": s3_endpoint}}
    monkeypatch.setenv("AIRFLOW_CONN_PAGE_S3", json.dumps(connection))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    if place == "sei":
        put(lake_hook.open_lake(f"s3://page_s3@sei/{tmp_path.name}"), [cell("team:1", path="Eng/A")])
    monkeypatch.setenv("AIRFLOW_VAR_SEI_LAKE", f"s3://page_s3@{place}/{tmp_path.name}")
    texts = [page.get(route).text for route in ("/coverage", f"/table?table={TABLE}&by=scope&first=2026-01")]
    for text in texts:
        assert AWS_KEY not in text
        assert AWS_ID not in text
        assert "page_s3" not in text
    if place == "sei":
        assert f"<code>s3://sei/{tmp_path.name}</code>" in texts[0]
        assert "Eng/A, 2026-01: complete" in texts[1]
    else:
        assert all("there is no bucket &#39;other&#39;" in text for text in texts)


def test_a_file_of_somebody_else_is_no_table(page: TestClient, lake: Path) -> None:
    put(lake, [cell("team:1", path="Eng/A")])
    for name in ("A B<x>.arrow", "..arrow", ".arrow", "_x.arrow", f"{TABLE}.arrow.tmp", "notes.txt"):
        (lake / "_coverage" / name).write_bytes(b"")
    text = page.get("/coverage").text
    assert re.findall(r'<th scope="row"><a href="([^"]*)"', text) == [f"table?table={TABLE}"]
    assert 'class="note"' not in text


@pytest.mark.parametrize("is_there", [True, False], ids=["empty", "absent"])
def test_a_lake_without_tables_says_what_to_check(page: TestClient, lake: Path, is_there: bool) -> None:
    if not is_there:
        lake.rmdir()
    text = page.get("/coverage").text
    assert f"<code>{lake}</code>" in text
    assert "check the address in the Variable <code>sei_lake</code>" in text


def test_what_helps_in_a_stores_words_stays() -> None:
    for said in (
        "The conn_id `aws_lake` isn't defined",
        "cannot open s3://lake-conn@bucket/lake: check the account, the key and the endpoint there",
        "host refuses the credentials for bucket 'bucket' (403 InvalidAccessKeyId); check the key or role of the",
        "[Errno 13] Permission denied: '/data/sei/lake/_coverage/productivity_team_monthly.arrow'",
    ):
        assert redacted(said) == said.replace("lake-conn@", "")


def test_the_address_shown_has_no_connection() -> None:
    store = S3Store("bucket", prefix="a/lake", region="eu-central-1", skip_signature=True)
    reader = lake_reader.LakeReader(root=lake_path(store, address="s3://my-conn@bucket"))
    assert reader.place == "s3://bucket/a/lake"
    assert reader.holds("s3://my-conn@bucket/a/lake/t/month=2026-01/data.parquet")


@pytest.mark.parametrize("broken", ["raises", "null"])
def test_a_variable_that_cannot_be_read_is_told(page: TestClient, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    def get(*_: object, **__: object) -> Any:
        if broken == "raises":
            msg = f"vault: 403, token={AWS_KEY}"
            raise ValueError(msg)

    monkeypatch.setattr("airflow.sdk.Variable.get", get)
    reply = page.get("/coverage")
    assert reply.status_code == 200
    assert ("Variable sei_lake cannot be read" if broken == "raises" else "names no lake") in reply.text
    assert AWS_KEY not in reply.text


BETWEEN = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
SECRET = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/", min_size=12, max_size=60)
FORMS = st.sampled_from(
    ["s3://id:{}@bucket/lake", "https://u:{}@h/x", "https://h/x?sig={}", "password={}", "token: {}", '"api_key": "{}"',
     "<SecretKey>{}</SecretKey>", "Authorization: Bearer {}", "aws_session_token={}"]
)  # fmt: skip


@pytest.mark.fuzz
@settings(max_examples=examples(50))
@given(before=BETWEEN, form=FORMS, secret=SECRET, after=BETWEEN)
def test_no_words_around_it_reveal_a_secret(before: str, form: str, secret: str, after: str) -> None:
    assume(secret not in before + after)
    shown = redacted(f"{before} {form.format(secret)} {after}")
    assert secret not in shown
    assert len(shown) <= 301
    assert shown.isprintable()
