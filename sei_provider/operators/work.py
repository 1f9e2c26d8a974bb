"""How far a task has come, as it travels with the wait, and doing the same for many scopes at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

from sei_provider.api.errors import SeiError
from sei_provider.api.request import ExportRequest

_AT_ONCE = 8
"""Calls on their way at a time: enough to use up the key's limit, few enough to be a good neighbour."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(slots=True)
class Work:
    """How far a task has come. JSON values by request fingerprint, as they travel with the wait."""

    exports: dict[str, str] = field(default_factory=dict)
    """The export that is followed for a request."""
    made_at: dict[str, str] = field(default_factory=dict)
    """When SEI made the exports that are followed, by their id, where it said so."""
    taken_up: list[str] = field(default_factory=list)
    """The requests that are answered by an export of an earlier try."""
    errors: dict[str, str] = field(default_factory=dict)
    """Why a request will not land in this try."""
    final: list[str] = field(default_factory=list)
    """Those of them that another try would meet again."""
    parts: list[dict[str, Any]] = field(default_factory=list)
    """The requests that took the place of those too big, as `{scope, start, end}`."""
    split: dict[str, str | None] = field(default_factory=dict)
    """The requests that parts stand for: what of them no part carries, or None if nothing is lost."""

    def fail(self, request: ExportRequest, why: str, *, final: bool = False) -> None:
        """Note why a request will not land in this try, and whether that is for good."""
        self.errors[request.fingerprint] = why
        if final:
            self.final.append(request.fingerprint)

    @property
    def is_lost_for_good(self) -> bool:
        """Whether something did not land, and no further try would land any of it."""
        return bool(self.errors) and set(self.errors) <= set(self.final)


def each(call: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result | SeiError]]:
    """Call for all items, a few at a time; yields each item with its result or `SeiError` as they come.

    The next call begins when the caller has done with a result, so no more than a few results wait for it: downloads
    do not fill the disk while files are staged. What is wrong for everybody, such as the key, is raised and ends the
    rest.
    """
    left = iter(items)
    pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="sei")
    try:
        calls = {pool.submit(call, item): item for item in islice(left, _AT_ONCE)}
        while calls:
            done, _ = wait(calls, return_when=FIRST_COMPLETED)
            for future in done:
                item = calls.pop(future)
                error = future.exception()
                if isinstance(error, SeiError) and not error.affects_all_scopes:
                    yield item, error
                else:
                    yield item, future.result()
                calls |= {pool.submit(call, item): item for item in islice(left, 1)}
    finally:
        pool.shutdown(cancel_futures=True)
