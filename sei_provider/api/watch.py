"""Following many exports until each has ended: which to ask about next, and when. Neither waits nor sends."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from sei_provider.api.errors import SeiAuthError, SeiBadRequestError, SeiError, SeiNotFoundError, SeiReplyError
from sei_provider.api.export import Export

_GROWTH = 1.5
_LONGEST_INTERVAL = 120.0
_JITTER = 0.1


class Watch:
    """The exports of one report that somebody waits for.

    A round asks about every export in `pending` once. The first comes `interval` seconds after the start, since
    no export can be ready before; each later pause is longer by half, up to two minutes, and all vary by a tenth
    so that many watches do not ask together. No pause reaches past `deadline` (Unix time in seconds).

    `ended` holds the exports that are completed, failed or cancelled, `lost` why there is nothing more to learn
    of an export: SEI no longer knows it, or reports what no document names.
    """

    def __init__(
        self,
        export_ids: Iterable[str],
        *,
        interval: float,
        deadline: float,
        clock: Callable[[], float] = time.time,
        vary: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.pending: dict[str, Export | None] = dict.fromkeys(export_ids)
        """What SEI last said of each export that has not ended; None if not asked yet."""
        self.ended: dict[str, Export] = {}
        self.lost: dict[str, str] = {}
        self._interval = interval
        self._deadline = deadline
        self._clock = clock
        self._vary = vary

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to ask about, or no time left to do so."""
        return not self.pending or self._clock() >= self._deadline

    def next_pause(self) -> float:
        """Seconds to wait before the next round."""
        pause = self._interval * self._vary(1 - _JITTER, 1 + _JITTER)
        self._interval = min(self._interval * _GROWTH, max(_LONGEST_INTERVAL, self._interval))
        return max(0.0, min(pause, self._deadline - self._clock()))

    def heard(self, export_id: str, answer: Export | SeiError) -> None:
        """Take note of what came of asking about an export.

        An export that SEI does not know, a refused question or an answer that makes no sense ends the watch over
        that export; after a failure on the way it is asked about again in the next round. What is wrong for
        everybody is raised.
        """
        if isinstance(answer, Export):
            self.pending[export_id] = answer
            if answer.status is not None and answer.status.is_terminal:
                self.ended[export_id] = self.pending.pop(export_id) or answer
        elif is_everybodys_error(answer):
            raise answer
        elif isinstance(answer, SeiReplyError | SeiNotFoundError | SeiAuthError | SeiBadRequestError):
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


def is_everybodys_error(error: SeiError) -> bool:
    """Whether an error would come for every scope alike: the key itself is wrong."""
    return isinstance(error, SeiAuthError) and error.status == HTTPStatus.UNAUTHORIZED
