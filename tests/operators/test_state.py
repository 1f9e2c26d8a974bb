"""Concurrent calls: their results come as they are taken, and none is lost to another's error."""

from __future__ import annotations

import threading

import pytest

from sei_provider.api.errors import SeiAuthError, SeiConnectionError, SeiError
from sei_provider.operators._state import map_concurrently


def test_every_item_comes_with_its_own_result_or_error() -> None:
    def call(item: int) -> int:
        if item % 10 == 0:
            message = f"lost {item}"
            raise SeiConnectionError(message)
        return item * 2

    got = dict(map_concurrently(call, range(100)))
    assert {item: result for item, result in got.items() if isinstance(result, int)} == {
        item: item * 2 for item in range(100) if item % 10
    }
    assert sorted(str(result) for result in got.values() if isinstance(result, SeiError)) == sorted(
        f"lost {item}" for item in range(0, 100, 10)
    )


def test_while_a_result_is_handled_only_a_few_others_wait() -> None:
    begun = 0
    lock = threading.Lock()

    def call(item: int) -> int:
        nonlocal begun
        with lock:
            begun += 1
        return item

    for taken, _ in enumerate(map_concurrently(call, range(100)), start=1):
        assert begun - taken <= 8


def test_an_error_that_affects_all_scopes_starts_no_further_call_and_is_raised() -> None:
    begun = []

    def call(item: int) -> int:
        begun.append(item)
        message = "no such key"
        raise SeiAuthError(message, status=401)

    with pytest.raises(SeiAuthError, match="no such key"):
        list(map_concurrently(call, range(100)))
    assert len(begun) <= 8


def test_results_under_way_when_an_error_affects_all_scopes_are_yielded_before_it_is_raised() -> None:
    refused = threading.Event()

    def call(item: int) -> int:
        if item == 0:
            refused.set()
            message = "no such key"
            raise SeiAuthError(message, status=401)
        refused.wait(10)
        return item

    got: set[int] = set()
    with pytest.raises(SeiAuthError, match="no such key"):
        got.update(item for item, _ in map_concurrently(call, range(100)))
    assert got >= set(range(1, 8))


def test_while_no_result_comes_the_caller_can_save_what_came_before() -> None:
    idle = threading.Event()
    assert list(map_concurrently(lambda _: idle.wait(10), [1], when_idle=idle.set)) == [(1, True)]
