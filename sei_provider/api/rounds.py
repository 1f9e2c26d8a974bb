"""One round of questions about the exports that a `Watch` follows: by list where that takes fewer requests. Sans-IO.

A list page tells of 100 exports at the price of one status call (DESIGN, decision 2), but other people's exports
stand on it too, so whether listing pays is found out by doing it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

from sei_provider.api import endpoints
from sei_provider.api.call import Call
from sei_provider.api.errors import SeiError
from sei_provider.api.export import Export, ExportStatus
from sei_provider.api.list_filters import MOST_PER_PAGE, paginate_exports
from sei_provider.api.pagination import Page, Paginator
from sei_provider.api.reports import REPORTS
from sei_provider.api.watch import Watch

AT_ONCE = 8
"""Calls on their way at a time: enough to use up the key's limit, few enough to be a good neighbour."""

Questions = Generator[list[Call[Any]], list[Any], None]
"""Yields calls that may be made side by side, at most `AT_ONCE`; is sent what each gave, its `SeiError` included."""


def questions(report: str, watch: Watch) -> Questions:
    """Ask once about each export in `watch.pending` and tell `watch` what was heard.

    Raises what is wrong for everybody, such as the key.
    """
    by_status: Iterable[str] = list(watch.pending)
    if REPORTS[report].has_list and _cost_of_listing(watch) < len(watch.pending):
        by_status = yield from _by_list(report, watch)
    ids = list(by_status)
    for start in range(0, len(ids), AT_ONCE):
        some = ids[start : start + AT_ONCE]
        answers = yield [endpoints.get_export(report, export_id) for export_id in some]
        for export_id, answer in zip(some, answers, strict=True):
            watch.record(export_id, answer)


def _cost_of_listing(watch: Watch) -> float:
    """Requests that a round by list is expected to take: as the last one taught, or at best."""
    if watch.cost_of_listing is not None:
        return watch.cost_of_listing
    return -(-len(watch.pending) // MOST_PER_PAGE)


def _by_list(report: str, watch: Watch) -> Generator[list[Call[Any]], list[Any], list[str]]:
    """Read list pages, newest first, while they may pay; gives the ids that are still to be asked for singly.

    It starts on the first page that held any of ours in the round before: new exports push the older ones to later
    pages, never to earlier. It stops when as many pages were read as exports are missing, for then asking singly is
    no dearer: even where the list is of no use, this round takes at most twice the status calls, and the next no list.
    """
    first_page = watch.first_list_page
    paginator = paginate_exports(report, first_page=first_page)
    missing = dict.fromkeys(watch.pending)
    without_reason: list[str] = []
    pages_with_ours: list[int] = []
    pages = 0
    while paginator.next_call and pages < len(missing):
        (page,) = yield [paginator.next_call]
        try:
            exports = _new_on(page, paginator)
        except SeiError as error:
            if error.affects_all_scopes:
                raise
            if not error.is_transient or watch.list_was_lost:
                watch.cost_of_listing = float("inf")
                return [*missing, *without_reason]
            watch.list_was_lost = True
            return without_reason  # lost on the way, as status calls would be now; so the next round asks
        ours = [export for export in exports if export.id in missing and export.status is not None]
        for export in ours:
            del missing[export.id]
            if export.status is ExportStatus.FAILED and not export.error:
                without_reason.append(export.id)  # a list does not tell why it failed; its own status may
            else:
                watch.record(export.id, export)
        pages_with_ours += [pages] if ours else []
        pages += 1
    skipped = pages_with_ours[0] if pages_with_ours else 0
    watch.first_list_page = first_page + skipped
    watch.cost_of_listing = pages - skipped + len(missing)
    return [*missing, *without_reason]


def _new_on(page: Page[Export] | SeiError, paginator: Paginator[Export]) -> list[Export]:
    if isinstance(page, SeiError):
        raise page
    return paginator.record(page)
