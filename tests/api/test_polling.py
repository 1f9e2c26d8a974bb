"""Polling many exports: pauses, and what ends the polling of one of them. Time is injected."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sei_provider.api import Export, SeiError, SeiInputError, SeiNotFoundError, SeiReplyError
from sei_provider.api.errors import SeiAuthError, SeiConnectionError, SeiServerError
from sei_provider.api.polling import ExportPoller


def poller_of(ids: list[str], *, now: list[float] | None = None, **settings: Any) -> ExportPoller:
    clock = now or [0.0]
    settings = {"interval": 10.0, "deadline": 1000.0} | settings
    return ExportPoller("sprint", ids, clock=lambda: clock[0], vary=lambda _low, _high: 1.0, **settings)


def export(id_: str, status: str, **fields: Any) -> Export:
    return Export.from_reply(
        "sprint", {"exportId": id_, "createdAt": "2026-01-01T00:00:00Z", "status": status} | fields
    )


def test_pauses_grow_by_half_up_to_two_minutes() -> None:
    following = poller_of(["a"], deadline=1e9)
    pauses = [following.next_pause() for _ in range(9)]
    assert pauses[:4] == [10.0, 15.0, 22.5, 33.75]
    assert pauses[-1] == 120.0


def test_a_longer_interval_than_two_minutes_is_kept() -> None:
    following = poller_of(["a"], interval=300.0, deadline=1e9)
    assert [following.next_pause() for _ in range(2)] == [300.0, 300.0]


def test_the_first_pause_may_be_another_than_those_that_follow() -> None:
    following = poller_of(["a"], initial_delay=60.0, interval=4.0, backoff=2.0, max_interval=10.0, deadline=1e9)
    assert [following.next_pause() for _ in range(5)] == [60.0, 4.0, 8.0, 10.0, 10.0]


@pytest.mark.parametrize("wrong", [{"interval": 0}, {"initial_delay": -1.0}, {"backoff": 0.9}, {"jitter": 1.0}])
def test_pauses_that_make_no_sense_are_refused_saying_what_does(wrong: dict[str, Any]) -> None:
    with pytest.raises(SeiInputError, match=r"interval > 0, initial delay >= 0, backoff >= 1 and 0 <= jitter < 1; got"):
        poller_of(["a"], **wrong)


def test_a_pause_varies_by_a_tenth() -> None:
    asked = []
    following = ExportPoller(
        "sprint", ["a"], interval=10, deadline=1e12, vary=lambda low, high: asked.append((low, high)) or 1.0
    )
    following.next_pause()
    assert asked == [(0.9, 1.1)]


def test_no_pause_reaches_past_the_deadline() -> None:
    now = [0.0]
    following = poller_of(["a"], now=now, deadline=12.0)
    now[0] += following.next_pause()
    assert not following.is_over
    now[0] += following.next_pause()
    assert now[0] == 12.0
    assert following.is_over


def test_row_17_it_is_over_when_every_export_has_ended_the_failed_ones_too() -> None:
    following = poller_of(["a", "b", "c"])
    following.record("a", export("a", "completed"))
    following.record("b", export("b", "FAILED", error="too large"))
    assert not following.is_over
    following.record("c", export("c", "cancelled"))
    assert following.is_over


def test_the_result_is_json_that_says_all_there_is_to_say() -> None:
    following = poller_of(["a", "b", "c", "d"])
    following.record("a", export("a", "completed", download={"url": "/v2/a", "sizeBytes": 7}))
    following.record("b", export("b", "processing"))
    following.record("c", SeiReplyError("unknown status 'archived'"))
    result = json.loads(json.dumps(following.result()))
    assert Export.from_reply("sprint", result["ended"]["a"]) == export(
        "a", "completed", download={"url": "/v2/a", "sizeBytes": 7}
    )
    assert result["running"] == {"b": "processing", "d": None}
    assert result["lost"] == {"c": "unknown status 'archived'"}
    assert (result["deadline"], result["error"]) == (1000.0, None)


@pytest.mark.parametrize(
    "error", [SeiNotFoundError("gone", status=404), SeiReplyError("odd"), SeiAuthError("no", status=403)]
)
def test_an_answer_that_will_not_change_ends_the_polling_of_that_export(error: SeiError) -> None:
    following = poller_of(["a", "b"])
    following.record("a", error)
    assert list(following.pending) == ["b"]


@pytest.mark.parametrize("error", [SeiConnectionError("reset"), SeiServerError("down", status=503)])
def test_after_a_failure_on_the_way_an_export_is_asked_about_again(error: SeiError) -> None:
    following = poller_of(["a"])
    following.record("a", error)
    assert list(following.pending) == ["a"]
    assert following.unavailable == {}


def test_the_wrong_key_ends_it_all() -> None:
    with pytest.raises(SeiAuthError):
        poller_of(["a", "b"]).record("a", SeiAuthError("no", status=401))
