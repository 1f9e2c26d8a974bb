"""Polling many exports until each has finished: which calls to make next, and when. Neither waits nor sends (sans-IO).

A list page tells of 100 exports at the price of one status call (DESIGN, decision 2). But it tells of other people's
exports too, so each round measures whether listing pays.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Iterable
from typing import Any, TypedDict

from sei_provider.api import endpoints
from sei_provider.api.call import Call
from sei_provider.api.errors import SeiError, SeiInputError
from sei_provider.api.export import Export, ExportStatus
from sei_provider.api.list_filters import MAX_PER_PAGE, paginate_exports
from sei_provider.api.reports import REPORTS

MAX_WORKERS = 8
"""Concurrent calls: enough to use up the key's limit, few enough to leave SEI to others too."""

PollRound = Generator[list[Call[Any]], list[Any], None]
"""One round: it yields at most `MAX_WORKERS` calls that may run concurrently, and is sent the parsed reply or the
`SeiError` of each, in order."""


class PollResult(TypedDict):
    """Result of polling, as one JSON value. Trigger events are stored with these keys, so the keys do not change."""

    ended: dict[str, dict[str, Any]]
    """By export id, the reply that tells of its end, as `Export.from_reply` reads it."""
    lost: dict[str, str]
    """By export id, why nothing more can be learned of it."""
    running: dict[str, str | None]
    """By export id, the last known status; None if there was none."""
    deadline: float
    error: str | None
    """Why polling stopped early; None if it did not."""


class ExportPoller:
    """Polls exports of one report.

    A round asks once about every export in `pending`. The first comes `initial_delay` seconds after the start, because
    no export can be ready before, or after `interval` if there is no delay. The next pauses start with `interval`, and
    each is `backoff` times as long as the one before, up to `max_interval` seconds (or `interval`, if that is more).
    All vary by the fraction `jitter` (0.1: a tenth), so that many pollers do not ask together. No pause reaches past
    `deadline` (Unix time in seconds). Raises `SeiInputError` for values that make no such sequence.

    `finished` holds the exports that are completed, failed or cancelled. `unavailable` holds, by export id, why
    nothing more can be learned: SEI does not know the export any more, or reports what no document names.
    """

    def __init__(
        self,
        report: str,
        export_ids: Iterable[str],
        *,
        interval: float,
        deadline: float,
        initial_delay: float | None = None,
        backoff: float = 1.5,
        max_interval: float = 120.0,
        jitter: float = 0.1,
        clock: Callable[[], float] = time.time,
        vary: Callable[[float, float], float] = random.uniform,
    ) -> None:
        if not (interval > 0 and (initial_delay or 0) >= 0 and backoff >= 1 and 0 <= jitter < 1):
            msg = (
                "polling needs interval > 0, initial delay >= 0, backoff >= 1 and 0 <= jitter < 1; "
                f"got interval={interval}, initial delay={initial_delay}, backoff={backoff}, jitter={jitter}"
            )
            raise SeiInputError(msg)
        self.pending: dict[str, Export | None] = dict.fromkeys(export_ids)
        """The last reply about each export that has not finished; None before the first."""
        self.finished: dict[str, Export] = {}
        self.unavailable: dict[str, str] = {}
        self._report = report
        self._first_list_page = 0
        """The page of the list on which the first of these exports was found."""
        self._list_cost: float | None = None
        """Requests that a round by list takes, as measured by the last one; None before."""
        self._list_failed = False
        """True if a round by list failed with a transient error; after a second one status calls are made instead."""
        self._initial_delay = initial_delay
        self._interval = interval
        self._backoff = backoff
        self._max_interval = max(max_interval, interval)
        self._jitter = jitter
        self.deadline = deadline
        self._clock = clock
        self._vary = vary

    @property
    def is_over(self) -> bool:
        """True if every export has finished, or the deadline has passed."""
        return not self.pending or self._clock() >= self.deadline

    def next_pause(self) -> float:
        """Return the seconds to wait before the next round."""
        if self._initial_delay is not None:
            pause, self._initial_delay = self._initial_delay, None
        else:
            pause, self._interval = self._interval, min(self._interval * self._backoff, self._max_interval)
        pause *= self._vary(1 - self._jitter, 1 + self._jitter)
        return max(0.0, min(pause, self.deadline - self._clock()))

    def poll_round(self) -> PollRound:
        """Ask once about each pending export, by list where that takes fewer requests, and record the answers.

        Raises an error that affects all scopes, such as a refused key.
        """
        by_status: Iterable[str] = list(self.pending)
        list_cost = -(-len(self.pending) // MAX_PER_PAGE) if self._list_cost is None else self._list_cost
        if REPORTS[self._report].has_list and list_cost < len(self.pending):
            by_status = yield from self._poll_by_list()
        ids = list(by_status)
        for start in range(0, len(ids), MAX_WORKERS):
            batch = ids[start : start + MAX_WORKERS]
            answers = yield [endpoints.get_export(self._report, export_id) for export_id in batch]
            for export_id, answer in zip(batch, answers, strict=True):
                self.record(export_id, answer)

    def record(self, export_id: str, answer: Export | SeiError) -> None:
        """Record the answer about one export.

        After a transient error the export stays pending, and the next round asks again. After any other error it is
        unavailable. An error that affects all scopes is raised. A finished export stays as it finished.
        """
        if export_id not in self.pending:
            return
        if isinstance(answer, Export):
            self.pending[export_id] = answer
            if answer.status is not None and answer.status.is_terminal:
                self.finished[export_id] = self.pending.pop(export_id) or answer
        elif answer.affects_all_scopes:
            raise answer
        elif not answer.is_transient:
            del self.pending[export_id]
            self.unavailable[export_id] = str(answer)

    def result(self, error: SeiError | None = None) -> PollResult:
        """Return what became of the exports; `error` is what stopped polling early."""
        return {
            "ended": {export_id: export.to_reply() for export_id, export in self.finished.items()},
            "lost": self.unavailable,
            "running": {export_id: export.status if export else None for export_id, export in self.pending.items()},
            "deadline": self.deadline,
            "error": str(error) if error else None,
        }

    def _poll_by_list(self) -> Generator[list[Call[Any]], list[Any], list[str]]:
        """Read list pages, newest first, while they may pay; return the ids that still need a status call.

        The first page read is the first that held any of these exports in the round before, because new exports push
        older ones to later pages, never to earlier. Reading stops when as many pages were read as exports are missing,
        because status calls then cost no more. So even where the list does not help, this round makes at most twice as
        many requests as status calls would, and the next one reads no list.
        """
        first_page = self._first_list_page
        paginator = paginate_exports(self._report, first_page=first_page)
        missing = dict.fromkeys(self.pending)
        without_reason: list[str] = []
        pages_with_ours: list[int] = []
        pages = 0
        while paginator.next_call and pages < len(missing):
            (answer,) = yield [paginator.next_call]
            try:
                if isinstance(answer, SeiError):
                    raise answer
                exports = paginator.record(answer)
            except SeiError as error:
                if error.affects_all_scopes:
                    raise
                if not error.is_transient or self._list_failed:
                    self._list_cost = float("inf")
                    return [*missing, *without_reason]
                self._list_failed = True
                return without_reason  # status calls would fail now too, so the next round asks about the rest
            ours = [export for export in exports if export.id in missing and export.status is not None]
            for export in ours:
                del missing[export.id]
                if export.status is ExportStatus.FAILED and not export.error:
                    without_reason.append(export.id)  # a list does not tell why it failed; its own status may
                else:
                    self.record(export.id, export)
            pages_with_ours += [pages] if ours else []
            pages += 1
        skipped = pages_with_ours[0] if pages_with_ours else 0
        self._first_list_page = first_page + skipped
        self._list_cost = pages - skipped + len(missing)
        return [*missing, *without_reason]
