"""Many calls at a time, none too far ahead of who takes their results."""

from __future__ import annotations

import threading

import pytest

from sei_provider.api.errors import SeiAuthError, SeiConnectionError, SeiError
from sei_provider.operators.work import each


def test_every_item_comes_with_its_own_result_or_error() -> None:
    def call(item: int) -> int:
        if item % 10 == 0:
            message = f"lost {item}"
            raise SeiConnectionError(message)
        return item * 2

    got = dict(each(call, range(100)))
    assert {item: result for item, result in got.items() if isinstance(result, int)} == {
        item: item * 2 for item in range(100) if item % 10
    }
    assert sorted(str(result) for result in got.values() if isinstance(result, SeiError)) == sorted(
        f"lost {item}" for item in range(0, 100, 10)
    )


def test_while_a_result_is_dealt_with_only_a_few_others_are_made() -> None:
    begun = 0
    lock = threading.Lock()

    def call(item: int) -> int:
        nonlocal begun
        with lock:
            begun += 1
        return item

    for taken, _ in enumerate(each(call, range(100)), start=1):
        assert begun - taken <= 8


def test_what_is_wrong_for_everybody_is_raised_and_ends_the_rest() -> None:
    begun = []

    def call(item: int) -> int:
        begun.append(item)
        message = "no such key"
        raise SeiAuthError(message, status=401)

    with pytest.raises(SeiAuthError, match="no such key"):
        list(each(call, range(100)))
    assert len(begun) <= 8
