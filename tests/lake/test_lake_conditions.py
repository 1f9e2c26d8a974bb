"""A store is asked whether it honours conditions; one that does not takes a single writer only (decision 14)."""

from __future__ import annotations

from uuid import uuid4

import pytest
from lake_bench import Bench, team_row
from s3_servers import Forwarding, serving
from stores import open_store

from sei_provider.lake import UnsupportedStoreError
from sei_provider.lake.storage.store import put_bytes, require_safe_writes

JAN = "2026-01-01"
SERVERS = {
    "ignores the condition If-None-Match": {"conditions": "ignored"},
    "ignores the condition If-Match": {"conditions": "ignored", "left_out": {"if-match"}},
    "answers 501": {"conditions": "501"},
}


@pytest.fixture(params=SERVERS)
def careless(request, s3_endpoint, tmp_path):
    """A bench on a server that does not honour conditions, and what it does to them."""
    with serving(Forwarding, endpoint=s3_endpoint, **SERVERS[request.param]) as endpoint:
        root = open_store("s3", endpoint, f"{uuid4().hex}/lake")
        yield Bench(tmp_path, root=root, store="s3", endpoint=endpoint), request.param


def test_a_server_that_does_not_honour_conditions_is_refused_before_anything_is_written(careless):
    bench, words = careless
    with pytest.raises(UnsupportedStoreError, match=rf"cannot write s3://sei/.*{words}.*single_writer=True"):
        bench.stage("team:1", [team_row("Eng/A", JAN)], age=1)
    assert set(bench.objects("")) <= {f"{bench.lake.key}/_conditions"}, "what the store was asked with, at most"


def test_a_server_that_does_not_honour_conditions_works_with_a_single_writer(careless):
    bench, _ = careless
    bench.single_writer = True
    bench.export("team:1", [team_row("Eng/A", JAN, 1)], age=1)
    bench.export("team:2", [team_row("Eng/B", JAN, 2)], age=2)
    bench.export("team:1", [team_row("Eng/A", JAN, 3)], age=3)
    assert bench.rows("team", "pr_merged") == [("A", 3.0), ("B", 2.0)]


@pytest.mark.parametrize("store", ["s3", "azure"], indirect=True)
def test_a_store_is_asked_once_by_puts_that_must_fail_and_leave_one_small_object(bench, monkeypatch):
    asked = []
    opened = type(bench.lake.store)
    ask = opened._ask
    monkeypatch.setattr(opened, "_ask", lambda *args: asked.append(args[-1]) or ask(*args))
    bench.export("team:1", [team_row("Eng/A", JAN)], age=1)
    bench.export("team:2", [team_row("Eng/B", JAN)], age=2)
    assert asked == ["create", "create", {"e_tag": '"0x0"'}]
    again = open_store(bench.store, bench.endpoint, bench.lake.key)
    require_safe_writes(again, single_writer=False)
    assert len(asked) == 5, "the object is there, so the first put fails already"
    assert [len(data) < 100 for data in bench.objects("_conditions").values()] == [True]


@pytest.mark.parametrize("store", ["s3"], indirect=True)
def test_a_single_writer_on_a_store_that_honours_conditions_still_sends_them(bench):
    bench.single_writer = True
    bench.export("team:1", [team_row("Eng/A", JAN)], age=1)
    put_bytes(bench.lake / "object", b"1", if_match="")
    assert bench.lake.store.conditional
