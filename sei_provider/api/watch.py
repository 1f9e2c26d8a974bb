"""Following many exports until each has ended: which to ask about next, and when. Neither waits nor sends."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sei_provider.api.errors import SeiError, SeiInputError
from sei_provider.api.export import Export


class Watch:
    """The exports of one report that somebody waits for.

    A round asks about every export in `pending` once (`rounds.questions`). The first comes `delay` seconds after the
    start, since no export can be ready before, or after `interval` if there is no delay; the pauses then begin with
    `interval` and each is `growth` times as long as the one before, up to `longest` seconds (or `interval`, if that
    is more). All vary by the part `jitter` (0.1: a tenth), so that many watches do not ask together. No pause reaches
    past `deadline` (Unix time in seconds). Raises `SeiInputError` for values that make no such sequence.

    `ended` holds the exports that are completed, failed or cancelled, `lost` why there is nothing more to learn
    of an export: SEI no longer knows it, or reports what no document names.
    """

    def __init__(
        self,
        export_ids: Iterable[str],
        *,
        interval: float,
        deadline: float,
        delay: float | None = None,
        growth: float = 1.5,
        longest: float = 120.0,
        jitter: float = 0.1,
        clock: Callable[[], float] = time.time,
        vary: Callable[[float, float], float] = random.uniform,
    ) -> None:
        if interval <= 0 or (delay is not None and delay < 0) or growth < 1 or not 0 <= jitter < 1:
            msg = (
                "polling needs interval > 0, delay >= 0, growth >= 1 and 0 <= jitter < 1; "
                f"got interval={interval}, delay={delay}, growth={growth}, jitter={jitter}"
            )
            raise SeiInputError(msg)
        self.pending: dict[str, Export | None] = dict.fromkeys(export_ids)
        """What SEI last said of each export that has not ended; None if not asked yet."""
        self.ended: dict[str, Export] = {}
        self.lost: dict[str, str] = {}
        self.first_list_page = 0
        """The page of the report's list on which the first of these exports was found."""
        self.cost_of_listing: float | None = None
        """Requests that a round by list takes, as the last one taught; None before."""
        self.list_was_lost = False
        """Whether a round by list broke off on the way: after a second one exports are asked about singly."""
        self._pauses = _pauses(delay, interval, growth, max(longest, interval))
        self._jitter = jitter
        self._deadline = deadline
        self._clock = clock
        self._vary = vary

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to ask about, or no time left to do so."""
        return not self.pending or self._clock() >= self._deadline

    def next_pause(self) -> float:
        """Seconds to wait before the next round."""
        pause = next(self._pauses) * self._vary(1 - self._jitter, 1 + self._jitter)
        return max(0.0, min(pause, self._deadline - self._clock()))

    def record(self, export_id: str, answer: Export | SeiError) -> None:
        """Take note of what came of asking about an export.

        An export that SEI does not know, a refused question or an answer that makes no sense ends the watch over
        that export; after a failure on the way it is asked about again in the next round. What is wrong for
        everybody is raised. What has ended stays as it ended, whatever is heard of it later.
        """
        if export_id not in self.pending:
            return
        if isinstance(answer, Export):
            self.pending[export_id] = answer
            if answer.status is not None and answer.status.is_terminal:
                self.ended[export_id] = self.pending.pop(export_id) or answer
        elif answer.affects_all_scopes:
            raise answer
        elif not answer.is_transient:
            del self.pending[export_id]
            self.lost[export_id] = str(answer)

    def outcome(self, error: SeiError | None = None) -> dict[str, Any]:
        """What came of it all, as one JSON value.

        `{"ended": {export id: reply}, "lost": {export id: why}, "running": {export id: status or None},
        "deadline": Unix time, "error": why the watch stopped early, or None}`; a reply is what
        `Export.from_reply` reads.
        """
        return {
            "ended": {export_id: export.to_reply() for export_id, export in self.ended.items()},
            "lost": self.lost,
            "running": {export_id: export and export.status for export_id, export in self.pending.items()},
            "deadline": self._deadline,
            "error": error and str(error),
        }


def _pauses(delay: float | None, interval: float, growth: float, longest: float) -> Iterator[float]:
    if delay is not None:
        yield delay
    while True:
        yield interval
        interval = min(interval * growth, longest)
