"""Polling many exports with few requests: by list while that pays, otherwise by one status call each."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sei_provider.api import (
    Export,
    SeiAuthError,
    SeiConnectionError,
    SeiError,
    SeiNotFoundError,
    SeiReplyError,
    SeiServerError,
)
from sei_provider.api.call import Call
from sei_provider.api.pagination import Page
from sei_provider.api.polling import MAX_WORKERS, ExportPoller
from sei_provider.sandbox.control import SandboxControl
from tests.api.conftest import MakeClient, export_request


def export(id_: str, status: str = "completed", **fields: Any) -> Export:
    return Export.from_reply(
        "sprint", {"exportId": id_, "createdAt": "2026-01-01T00:00:00Z", "status": status} | fields
    )


class Sei:
    """Stand-in for the calls of a round: exports listed newest first, some of them not (yet) in the list."""

    def __init__(self, listed: list[Export], unlisted: list[Export] | None = None) -> None:
        self.listed = listed
        self.exports = {each.id: each for each in [*(unlisted or []), *listed]}
        self.list_error: SeiError | None = None
        self.pages: list[int] = []
        self.singly: list[str] = []

    @property
    def requests(self) -> int:
        return len(self.pages) + len(self.singly)

    def answer(self, call: Call[Any]) -> Any:
        if "page" not in call.params:
            self.singly.append(call.path.rpartition("/")[2])
            return self.exports.get(self.singly[-1]) or SeiNotFoundError("gone", status=404)
        number, limit = int(call.params["page"]), int(call.params["limit"])
        self.pages.append(number)
        more = (number + 1) * limit < len(self.listed)
        here = tuple(self.listed[number * limit : (number + 1) * limit])
        return self.list_error or Page(items=here, total=len(self.listed), has_more=more)


def poll(sei: Sei, poller: ExportPoller) -> None:
    """One round, as both clients drive it; `sei` counts anew."""
    sei.pages, sei.singly = [], []
    asking = poller.poll_round()
    try:
        calls = next(asking)
        while True:
            assert 0 < len(calls) <= MAX_WORKERS
            calls = asking.send([sei.answer(call) for call in calls])
    except StopIteration:
        return


def poller_of(ids: list[str], report: str = "sprint") -> ExportPoller:
    return ExportPoller(report, ids, interval=10.0, deadline=1e12)


def ours(count: int, status: str = "processing") -> list[Export]:
    return [export(f"exp_{number}", status) for number in range(count)]


def others(count: int) -> list[Export]:
    return [export(f"other_{number}") for number in range(count)]


def ids(exports: list[Export]) -> list[str]:
    return [each.id for each in exports]


def test_a_hundred_exports_are_followed_with_one_request() -> None:
    sei = Sei(ours(100))
    following = poller_of(ids(sei.listed))
    poll(sei, following)
    assert (sei.pages, sei.singly) == ([0], [])
    assert [each and each.status for each in following.pending.values()] == ["processing"] * 100


def test_what_has_ended_by_the_list_has_ended() -> None:
    sei = Sei([export("a", "COMPLETED", downloadUrl="/v2/a"), export("b", "cancelled"), export("c", "queued")])
    following = poller_of(["a", "b", "c"])
    poll(sei, following)
    assert sei.requests == 1
    assert following.finished["a"].download_link == "/v2/a"
    assert (set(following.finished), set(following.pending)) == ({"a", "b"}, {"c"})


def test_a_single_export_is_asked_for_by_itself() -> None:
    sei = Sei(ours(1))
    poll(sei, poller_of(["exp_0"]))
    assert (sei.pages, sei.singly) == ([], ["exp_0"])


@pytest.mark.parametrize("report", ["business_alignment"])
def test_a_report_without_a_list_is_followed_by_status_calls_a_few_at_a_time(report: str) -> None:
    sei = Sei(ours(20))
    poll(sei, poller_of(ids(sei.listed), report))
    assert (sei.pages, sei.singly) == ([], ids(sei.listed))


def test_what_the_list_does_not_hold_is_asked_for_singly() -> None:
    sei = Sei(ours(50), unlisted=[export("late")])
    following = poller_of([*ids(sei.listed), "late", "gone"])
    poll(sei, following)
    assert (sei.pages, sei.singly) == ([0], ["late", "gone"])
    assert "late" in following.finished
    assert following.unavailable == {"gone": "gone"}


def test_why_an_export_failed_is_asked_for_singly_unless_the_list_tells() -> None:
    sei = Sei([export("a", "failed"), export("b", "FAILED", error="too large"), *ours(40)])
    sei.exports["a"] = export("a", "failed", error="timed out")
    following = poller_of(ids(sei.listed))
    poll(sei, following)
    assert (sei.pages, sei.singly) == ([0], ["a"])
    assert {id_: each.error for id_, each in following.finished.items()} == {"a": "timed out", "b": "too large"}


def test_a_listed_export_without_a_status_is_asked_for_singly() -> None:
    bare = Export.from_reply("sprint", {"exportId": "bare", "createdAt": "2026-01-01T00:00:00Z"})
    sei = Sei([bare, *ours(5)])
    sei.exports["bare"] = export("bare")
    following = poller_of(ids(sei.listed))
    poll(sei, following)
    assert sei.singly == ["bare"]
    assert "bare" in following.finished


def test_the_next_round_begins_on_the_page_where_ours_begin() -> None:
    sei = Sei([*others(500), *ours(100)])
    following = poller_of(ids(ours(100)))
    poll(sei, following)
    assert (sei.pages, sei.singly) == ([0, 1, 2, 3, 4, 5], [])
    poll(sei, following)
    assert (sei.pages, sei.singly) == ([5], [])


def test_exports_made_meanwhile_push_ours_to_later_pages_where_they_are_found() -> None:
    sei = Sei([*others(150), *ours(100)])
    following = poller_of(ids(ours(100)))
    poll(sei, following)
    sei.listed = [export(f"new_{number}") for number in range(120)] + sei.listed
    poll(sei, following)
    assert (sei.pages, sei.singly) == ([1, 2, 3], [])


def test_when_few_are_left_on_many_pages_they_are_asked_for_singly() -> None:
    sei = Sei([each for one in ours(60) for each in (one, *others(9))])
    following = poller_of(ids(ours(60)))
    poll(sei, following)
    assert (len(sei.pages), sei.singly) == (6, [])
    sei.listed = [export(each.id) if number < 540 else each for number, each in enumerate(sei.listed)]
    poll(sei, following)
    assert (len(sei.pages), len(following.pending)) == (6, 6)
    poll(sei, following)
    assert (sei.pages, len(sei.singly)) == ([], 6)


def test_a_list_that_is_of_no_use_costs_one_round_and_no_more() -> None:
    sei = Sei(others(10_000), unlisted=ours(30))
    following = poller_of(ids(ours(30)))
    poll(sei, following)
    assert len(sei.singly) == 30
    assert sei.requests <= 60
    poll(sei, following)
    assert (sei.pages, len(sei.singly)) == ([], 30)


@pytest.mark.parametrize(
    "error", [SeiReplyError("odd"), SeiAuthError("no", status=403), SeiNotFoundError("no list", status=404)]
)
def test_a_list_that_is_refused_or_makes_no_sense_is_not_asked_for_again(error: SeiError) -> None:
    sei = Sei(ours(20))
    sei.list_error = error
    following = poller_of(ids(sei.listed))
    for pages in ([0], []):
        poll(sei, following)
        assert (sei.pages, len(sei.singly)) == (pages, 20)
    assert following.unavailable == {}


def test_a_list_that_is_lost_twice_is_no_longer_waited_for() -> None:
    sei = Sei(ours(20))
    following = poller_of(ids(sei.listed))
    sei.list_error = SeiServerError("down", status=503)
    poll(sei, following)
    poll(sei, following)
    assert sorted(sei.singly) == sorted(ids(sei.listed))
    poll(sei, following)
    assert sei.pages == [], "the list is not asked for again"


@pytest.mark.parametrize("error", [SeiConnectionError("reset"), SeiServerError("down", status=503)])
def test_after_a_list_was_lost_on_the_way_the_next_round_asks_for_it_again(error: SeiError) -> None:
    sei = Sei(ours(20))
    following = poller_of(ids(sei.listed))
    sei.list_error = error
    poll(sei, following)
    assert (sei.pages, sei.singly) == ([0], [])
    sei.list_error = None
    poll(sei, following)
    assert (sei.pages, sei.singly) == ([0], [])
    assert len(following.pending) == 20


def test_the_wrong_key_ends_it_all_at_the_first_request() -> None:
    sei = Sei(ours(20))
    sei.list_error = SeiAuthError("no", status=401)
    with pytest.raises(SeiAuthError):
        poll(sei, poller_of(ids(sei.listed)))
    assert sei.requests == 1


@settings(deadline=None)
@given(st.data(), st.integers(1, 30), st.integers(0, 900), st.integers(0, 10))
def test_wherever_exports_stand_each_is_heard_of_and_a_round_takes_at_most_twice_the_status_calls(
    data: st.DataObject, count: int, foreign: int, unlisted: int
) -> None:
    statuses = st.sampled_from(["queued", "processing", "COMPLETED", "failed", "Cancelled"])
    mine = [export(f"exp_{number}", data.draw(statuses), error="why") for number in range(count)]
    hidden = [export(f"hidden_{number}", data.draw(statuses), error="why") for number in range(unlisted)]
    places = sorted(data.draw(st.lists(st.integers(0, foreign), min_size=count, max_size=count)), reverse=True)
    listed = others(foreign)
    for place, each in zip(places, mine, strict=True):
        listed.insert(place, each)
    sei = Sei(listed, hidden)
    following = poller_of(ids([*mine, *hidden]))
    for _ in range(3):
        pending = len(following.pending)
        poll(sei, following)
        assert sei.requests <= 2 * pending
        for each in [*mine, *hidden]:
            heard = following.finished.get(each.id) or following.pending[each.id]
            assert heard == each
    assert sei.requests <= max(len(following.pending), 0)  # by then it knows what is cheaper


@pytest.mark.parametrize("report", ["productivity", "sprint"])
def test_twelve_exports_are_followed_with_one_request_over_a_socket(
    client_to: MakeClient, sandbox: SandboxControl, report: str
) -> None:
    client = client_to(sandbox.base_url)
    made = [client.create_export(export_request(report, scope=2, end=f"2026-04-{day:02}")).id for day in range(1, 13)]
    following = poller_of([*made, "unknown"], report)
    before = sandbox.summary()["by_kind"]
    client.poll(following)
    after = sandbox.summary()["by_kind"]
    assert set(following.finished) == set(made)
    assert set(following.unavailable) == {"unknown"}
    asked = {kind: after[kind] - before.get(kind, 0) for kind in ("list", "status")}
    assert asked["status"] == 1
    assert asked["list"] <= 3  # other tests' exports may lie before ours
    for each in following.finished.values():
        assert each.status == "completed"


def test_exports_of_a_report_without_a_list_are_followed_over_a_socket(
    client_to: MakeClient, sandbox: SandboxControl
) -> None:
    client = client_to(sandbox.base_url)
    report = "business_alignment"
    made = [client.create_export(export_request(report, scope=1)).id for _ in range(10)]
    following = poller_of(made, report)
    client.poll(following)
    assert (set(following.finished), following.pending) == (set(made), {})


def test_the_wrong_key_ends_a_round_over_a_socket(client_to: MakeClient, sandbox: SandboxControl) -> None:
    client = client_to(sandbox.base_url, api_key="wrong")
    for report, count in (("sprint", 20), ("business_alignment", 20)):
        before = sandbox.summary()["requests"]
        with pytest.raises(SeiAuthError, match="HTTP 401"):
            client.poll(poller_of([f"exp_{number}" for number in range(count)], report))
        assert sandbox.summary()["requests"] - before <= MAX_WORKERS
