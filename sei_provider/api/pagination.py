"""Walking a list that comes page by page: what is new on each page, and when it ends. Sends nothing."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from sei_provider.api.errors import SeiReplyError

if TYPE_CHECKING:
    from sei_provider.api.call import Call

T = TypeVar("T")

_MOST_PAGES = 1000
_MOST_REPEATS = 10
"""Pages in a row without anything new that are believed: as many as may come when many exports are added meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """One page of a list, and what SEI says of the whole list: None where it says nothing."""

    items: tuple[T, ...]
    left_out: int = 0
    """Entries of the page that made no sense."""
    total: int | None = None
    total_pages: int | None = None
    has_more: bool | None = None


class Paginator(Generic[T]):
    """Page after page of one list; each item once.

    `page_call` gives the call for a page, counted from 0; `identity` what tells items apart. While new items come
    in at the front, older ones move to later pages: they are met again there, and none is missed. An item that
    moves to the front while the walk is under way may be missed.
    """

    def __init__(
        self, page_call: Callable[[int], Call[Page[T]]], identity: Callable[[T], Hashable], *, first_page: int = 0
    ) -> None:
        self._page_call = page_call
        self._identity = identity
        self._seen: set[Hashable] = set()
        self._next_page = first_page
        self._received = 0
        self._left_out = 0
        self._repeats = 0
        self.next_call: Call[Page[T]] | None = page_call(first_page)
        """The call to make next; None when the list has ended."""

    def record(self, page: Page[T]) -> list[T]:
        """Take note of the page that `next_call` brought; gives what is new on it.

        Raises `SeiReplyError` if the list shows no sign of ever ending.
        """
        new = {self._identity(item): item for item in page.items if self._identity(item) not in self._seen}
        received_before = self._received
        self._received += len(page.items) + page.left_out
        self._left_out += page.left_out
        self._next_page += 1
        self._repeats = 0 if new else self._repeats + 1
        self._seen.update(new)
        if self._goes_on(page):
            self._check_that_it_ends(page, received_before)
            self.next_call = self._page_call(self._next_page)
        else:
            self.next_call = None
        return list(new.values())

    def _goes_on(self, page: Page[T]) -> bool:
        if not page.items:
            return False
        if page.has_more is not None:
            return page.has_more
        if page.total_pages is not None:
            return self._next_page < page.total_pages
        return page.total is None or len(self._seen) + self._left_out < page.total

    def _check_that_it_ends(self, page: Page[T], received_before: int) -> None:
        if page.total is not None and received_before >= page.total:
            why = f"SEI tells of {page.total} in all, has sent {self._received}, and says that there are more"
        elif self._repeats >= _MOST_REPEATS:
            why = f"the last {self._repeats} pages held nothing new"
        elif self._next_page >= _MOST_PAGES:
            why = "that is as many as this provider reads; ask for fewer"
        else:
            return
        what = self.next_call.description if self.next_call else "read a list"
        msg = f"Asked to {what}, SEI's list does not end by page {self._next_page - 1}: {why}"
        raise SeiReplyError(msg)
