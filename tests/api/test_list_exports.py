"""Listing exports: filters, pages that move while they are read, and lists that never end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sei_provider.api import AsyncSeiClient, Export, SeiClient, SeiInputError, SeiReplyError
from sei_provider.api.call import Call
from sei_provider.api.pagination import Page, Paginator
from sei_provider.sandbox.control import SandboxControl
from tests.api.conftest import BASE_URL, SETTINGS, MakeClient, answering, export_request


def entry(number: int, **fields: Any) -> dict[str, Any]:
    return {"exportId": f"exp_{number}", "createdAt": "2026-01-01T00:00:00Z", "status": "completed"} | fields


def page(*entries: dict[str, Any], **pagination: Any) -> httpx.Response:
    return httpx.Response(200, json={"exports": list(entries), "pagination": pagination})


def ids(exports: list[Export]) -> list[str]:
    return [export.id for export in exports]


@pytest.mark.parametrize("report", ["productivity", "sprint"])
def test_exports_are_listed_newest_first_over_a_socket(
    client_to: MakeClient, sandbox: SandboxControl, report: str
) -> None:
    client = client_to(sandbox.base_url)
    made = [client.create_export(export_request(report, scope=3, end=f"2026-03-{day:02}")).id for day in range(1, 8)]
    listed = list(client.list_exports(report, team_id=3, limit=3))
    assert ids(listed)[:7] == made[::-1]
    assert {each.status for each in listed} == {"completed"}
    assert (listed[0].team_id, listed[0].start, listed[0].end) == ("3", date(2026, 1, 1), date(2026, 3, 7))
    assert listed[0].org_tree is None
    assert Export.from_reply(report, listed[0].to_reply()) == listed[0]


def test_every_filter_is_sent_as_documented(client_to: MakeClient) -> None:
    answer, asked = answering(page(hasMore=False))
    client_to(answer)
    listed = client_to(answer).list_exports(
        "SPRINT",
        status="Completed",
        scope="MINE",
        team_id=7,
        created_by="user_123",
        date_from=date(2026, 1, 1),
        date_to="2026-01-31",
        limit=20,
        sort_by="completedat",
        sort_order="ASC",
    )
    assert list(listed) == []
    assert asked[0].url.path == "/prod1/sei/api/v2/insights/sprints/exports"
    assert dict(asked[0].url.params) == {
        "projectIdentifier": "web",
        "orgIdentifier": "acme",
        "status": "COMPLETED",  # capitals here, whatever the replies use
        "scope": "mine",
        "teamId": "7",
        "createdBy": "user_123",
        "dateFrom": "2026-01-01",
        "dateTo": "2026-01-31",
        "limit": "20",
        "page": "0",
        "sortBy": "completedAt",
        "sortOrder": "asc",
    }


@pytest.mark.parametrize("status", [None, "queued", "Processing", "COMPLETED", "failed", "cancelled"])
def test_the_sandbox_takes_every_filter_as_we_send_it(sandbox: SandboxControl, status: str | None) -> None:
    client = SeiClient(**SETTINGS, base_url=sandbox.base_url)
    for scope in ("all", "mine"):
        for order in ("asc", "desc"):
            for field in ("createdAt", "completedAt", "status"):
                list(client.list_exports("productivity", status=status, scope=scope, sort_by=field, sort_order=order))
    list(client.list_exports("sprint", created_by="user_123", date_from="2026-01-01", date_to="2026-01-01"))


@pytest.mark.parametrize(
    ("report", "filters", "words"),
    [
        ("business_alignment", {}, "no list of business_alignment exports; those that can be listed are: productiv"),
        ("team_report", {}, "no list of team_report"),
        ("velocity", {}, "unknown report 'velocity'"),
        ("sprint", {"status": "done"}, "the status names are: QUEUED, PROCESSING, COMPLETED, FAILED, CANCELLED"),
        ("sprint", {"scope": "ours"}, "unknown scope 'ours'; the scope names are: all, mine"),
        ("sprint", {"sort_by": "team"}, "createdAt, completedAt, status"),
        ("sprint", {"sort_order": "down"}, "asc, desc"),
        ("sprint", {"limit": 0}, "limit must be a whole number from 1 to 100, not 0"),
        ("sprint", {"limit": 101}, "from 1 to 100, not 101"),
        ("sprint", {"limit": True}, "from 1 to 100"),
        ("sprint", {"date_from": "01/02/2026"}, "date_from must be a date or text like 2026-01-31"),
        ("sprint", {"date_from": "2026-02-01", "date_to": "2026-01-31"}, "2026-02-01.* is after date_to"),
        ("sprint", {"team_id": " "}, "team_id must be an id"),
        ("sprint", {"created_by": ""}, "created_by must be an id"),
    ],
)
def test_a_wrong_filter_is_refused_at_once(report: str, filters: dict[str, Any], words: str) -> None:
    answer, asked = answering(page(hasMore=False))
    client = SeiClient(**SETTINGS, base_url=BASE_URL, transport=httpx.MockTransport(answer))
    with pytest.raises(SeiInputError, match=words):
        client.list_exports(report, **filters)
    assert asked == []


def test_a_page_is_read_only_when_it_is_needed() -> None:
    answer, asked = answering(page(entry(1), entry(2), hasMore=True), page(entry(3), hasMore=False))
    client = SeiClient(**SETTINGS, base_url=BASE_URL, transport=httpx.MockTransport(answer))
    exports = client.list_exports("sprint", limit=2)
    assert asked == []
    assert [next(exports).id, next(exports).id] == ["exp_1", "exp_2"]
    assert len(asked) == 1
    assert [export.id for export in exports] == ["exp_3"]
    assert [request.url.params["page"] for request in asked] == ["0", "1"]


async def test_a_page_is_read_only_when_it_is_needed_asynchronously() -> None:
    answer, asked = answering(page(entry(1), hasMore=True), page(entry(2), hasMore=False))
    async with AsyncSeiClient(**SETTINGS, base_url=BASE_URL, transport=httpx.MockTransport(answer)) as client:
        exports = client.list_exports("sprint", limit=1)
        assert asked == []
        assert (await anext(exports)).id == "exp_1"
        assert len(asked) == 1
        assert [export.id async for export in exports] == ["exp_2"]


@pytest.mark.parametrize(
    "last",
    [
        {"hasMore": False, "totalPages": 9},
        {"totalPages": 2},
        {"total": 3},
        {"total": 3, "totalPages": 2, "hasMore": False, "limit": 2, "page": 1},
    ],
)
def test_a_list_ends_where_its_pagination_says_so(client_to: MakeClient, last: dict[str, Any]) -> None:
    first = last | ({"hasMore": True} if "hasMore" in last else {})
    answer, asked = answering(page(entry(1), entry(2), **first), page(entry(3), **last))
    assert ids(client_to(answer).list_exports("sprint", limit=2)) == ["exp_1", "exp_2", "exp_3"]
    assert len(asked) == 2


@pytest.mark.parametrize("pagination", [{}, {"hasMore": True}, {"total": 9}, {"totalPages": 9}])
def test_a_list_ends_with_an_empty_page_whatever_its_pagination_says(
    client_to: MakeClient, pagination: dict[str, Any]
) -> None:
    answer, asked = answering(page(entry(1), **pagination), page(**pagination))
    assert ids(client_to(answer).list_exports("sprint")) == ["exp_1"]
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ([], "no list 'exports' but: list"),
        ({"items": []}, "no list 'exports' but: items"),
        ({"exports": {}}, "no list 'exports'"),
        ({"exports": [], "pagination": 7}, "pagination that is not a JSON object but int"),
        ({"exports": [entry(1)], "pagination": {"hasMore": "yes"}}, "no usable hasMore: got 'yes'"),
        ({"exports": [entry(1)], "pagination": {"total": True}}, "no usable total"),
        ({"exports": [{"status": "completed"}]}, "no usable exportId"),
        ({"exports": [entry(1, status="archived")]}, "unknown status 'archived'"),
    ],
)
def test_a_list_of_another_shape_is_an_error(client_to: MakeClient, reply: object, words: str) -> None:
    answer, _ = answering(httpx.Response(200, json=reply))
    with pytest.raises(SeiReplyError, match=words):
        list(client_to(answer).list_exports("sprint"))


def test_a_list_says_nothing_of_who_created_an_export(client_to: MakeClient) -> None:
    creator = {"userId": "u1", "name": "Sandbox User", "email": "sandbox.user@example.com"}
    answer, _ = answering(page(entry(1, createdBy=creator), hasMore=False))
    (export,) = client_to(answer).list_exports("sprint")
    assert "Sandbox" not in repr(export) + str(export.to_reply())


@pytest.mark.parametrize("report", ["productivity", "sprint"])
def test_a_list_of_the_sandbox_that_never_ends_is_an_error(
    client_to: MakeClient, quiet_sandbox: SandboxControl, report: str
) -> None:
    client = client_to(quiet_sandbox.base_url)
    client.create_export(export_request(report, scope=5))
    quiet_sandbox.fault("endless_pages", report=report)
    with pytest.raises(SeiReplyError, match=rf"list {report} exports, page \d+, SEI's list does not end by page \d+"):
        list(client.list_exports(report))


def walk(**settings: Any) -> Paginator[int]:
    def page_call(number: int) -> Call[Page[int]]:
        return Call(description=f"page {number}", method="GET", path=str(number), parse=lambda _: Page(items=()))

    return Paginator(page_call, lambda item: item, **settings)


@settings(deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 7),
    st.lists(st.integers(0, 15), max_size=20),
    st.sets(st.sampled_from(["total", "total_pages", "has_more"])),
)
def test_whatever_is_added_meanwhile_each_item_comes_once_and_none_is_missed(
    count: int, limit: int, added: list[int], told: set[str]
) -> None:
    """A list, newest first, that grows at its front by `added` items between one page and the next."""
    items = list(range(count, 0, -1))
    at_first = set(items)
    walking, met = walk(), []
    number = 0
    room = 9 * limit  # for ten pages in a row without anything new are too many
    while walking.next_call:
        said = {
            "total": len(items),
            "total_pages": -(-len(items) // limit),
            "has_more": (number + 1) * limit < len(items),
        }
        here = tuple(items[number * limit : (number + 1) * limit])
        met += walking.record(Page(items=here, **{name: said[name] for name in told}))
        more = min(added[number] if number < len(added) else 0, room)
        room -= more
        for _ in range(more):
            items.insert(0, items[0] + 1)
        number += 1
    assert len(met) == len(set(met))
    assert at_first <= set(met)


def endless(page_of: Callable[[int], Page[int]]) -> int:
    """The number of pages that are read until an endless list is an error."""
    walking = walk()
    for number in range(10_000):
        try:
            walking.record(page_of(number))
        except SeiReplyError as error:
            assert f"page {number}, SEI's list does not end" in str(error)  # noqa: PT017 - the number is the point
            return number + 1
    pytest.fail("it was read for ever")


def test_a_list_that_only_repeats_itself_is_given_up() -> None:
    assert endless(lambda _: Page(items=(1, 2), has_more=True)) == 11


def test_a_list_that_repeats_its_first_page_is_given_up_rather_than_taken_as_whole() -> None:
    assert endless(lambda _: Page(items=(1, 2), total=3)) == 3


def test_a_list_that_goes_on_after_its_own_total_is_given_up() -> None:
    assert endless(lambda number: Page(items=(2 * number, 2 * number + 1), total=4, has_more=True)) == 3


def test_a_list_that_has_always_something_new_is_given_up_after_a_thousand_pages() -> None:
    assert endless(lambda number: Page(items=(number,), has_more=True)) == 1000
    assert endless(lambda number: Page(items=(number,), total=number + 5, total_pages=number + 5)) == 1000
