"""Pagination of lists: the next page to read, the new items of a page, and the end of the list. Sends nothing."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from sei_provider.api import bounds
from sei_provider.api.errors import SeiReplyError
from sei_provider.plural import plural

if TYPE_CHECKING:
    from sei_provider.api.call import Call

T = TypeVar("T")

_MAX_REPEATS = 10
"""Consecutive pages without a new item after which a list counts as endless. Exports that are created while the list is
read push older ones to later pages, which then hold nothing new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """One page of a list, and SEI's figures about the whole list; None where it sends none."""

    items: tuple[T, ...]
    skipped: int = 0
    """Number of invalid entries of the page."""
    total: int | None = None
    total_pages: int | None = None
    has_more: bool | None = None


class Paginator(Generic[T]):
    """Reads a list page by page and gives each item once.

    `page_call` returns the call for a page, counted from 0; `identity` returns an item's id. New items at the front
    move older ones to later pages, where they are met again, so none is missed. An item that moves to the front may be.
    """

    def __init__(
        self, page_call: Callable[[int], Call[Page[T]]], identity: Callable[[T], Hashable], *, first_page: int = 0
    ) -> None:
        self._page_call = page_call
        self._identity = identity
        self._seen: set[Hashable] = set()
        self._next_page = first_page
        self._received = 0
        self._skipped = 0
        self._repeats = 0
        self.next_call: Call[Page[T]] | None = page_call(first_page)
        """The call to make next; None when the list has ended."""

    def record(self, page: Page[T]) -> list[T]:
        """Record the page that `next_call` gave, and return its new items.

        Raises `SeiReplyError` if the list does not seem to end.
        """
        new = {self._identity(item): item for item in page.items if self._identity(item) not in self._seen}
        received_before = self._received
        self._received += len(page.items) + page.skipped
        self._skipped += page.skipped
        self._next_page += 1
        self._repeats = 0 if new else self._repeats + 1
        self._seen.update(new)
        if self._has_next(page):
            self._check_end(page, received_before)
            self.next_call = self._page_call(self._next_page)
        else:
            self.next_call = None
        return list(new.values())

    def _has_next(self, page: Page[T]) -> bool:
        if not page.items:
            return False
        if page.has_more is not None:
            return page.has_more
        if page.total_pages is not None:
            return self._next_page < page.total_pages
        return page.total is None or len(self._seen) + self._skipped < page.total

    def _check_end(self, page: Page[T], received_before: int) -> None:
        if page.total is not None and received_before >= page.total:
            total = plural(page.total, "entry", "entries")
            why = f"SEI reported {total} in all, has sent {self._received}, and reports more to come"
        elif self._repeats >= _MAX_REPEATS:
            why = f"the last {plural(self._repeats, 'page')} held nothing new"
        elif self._next_page >= bounds.LIST_PAGES:
            why = "this provider reads no more pages; use narrower filters"
        else:
            return
        what = self.next_call.description if self.next_call else "read a list"
        msg = f"Asked to {what}, SEI's list does not end by page {self._next_page - 1}: {why}"
        raise SeiReplyError(msg)
