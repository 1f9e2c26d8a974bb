"""Calls of a task within the key's limit: a worker that would wait long for its turn gives its slot back instead.

Its next requests have their time in the bucket that this worker counts in. The task defers until then (DESIGN, decision
6: no worker waits for the key's limit).
"""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import takewhile
from typing import TYPE_CHECKING, TypeVar

from sei_provider import metrics
from sei_provider.api.errors import SeiError, SeiTurnError
from sei_provider.operators._state import map_concurrently
from sei_provider.plural import plural

if TYPE_CHECKING:
    from sei_provider.api.client import SeiClient
    from sei_provider.api.request import ExportRequest
    from sei_provider.operators._state import BatchState

log = logging.getLogger(__name__)

Result = TypeVar("Result")

PATIENCE_SECONDS = 10.0
"""Longest wait of a worker for a turn: about what a second process of the task costs."""
TURNS = 25
"""Requests that fit when the task resumes, because fewer are not worth a process."""
_START_SECONDS = 3.0
"""Time that a task needs to start again after its trigger's event."""
_JITTER_SECONDS = 2.0
_MORE_DEFERRALS = 3


class Turns:
    """Makes the calls of one task's requests, as long as the key's limit leaves turns for them.

    If it does not, and `may_defer`, `state.resume_at` tells when it does, and the requests that are left wait for that.
    A try defers for the limit at most once for each `TURNS` of its requests and three times more; then its worker
    waits, because others may take every turn before it.
    """

    def __init__(
        self,
        client: SeiClient,
        state: BatchState,
        *,
        may_defer: bool,
        vary: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._vary = vary
        self._client = client
        self._state = state
        self._may_defer = may_defer

    def map(
        self,
        call: Callable[[ExportRequest], Result],
        requests: list[ExportRequest],
        *,
        unfinished: int,
        when_idle: Callable[[], None] = lambda: None,
    ) -> Iterator[tuple[ExportRequest, Result | SeiError]]:
        """Call for the requests as `map_concurrently` does; those that get no turn are left out.

        `unfinished` is the number of the task's requests that are not staged, these among them.
        """
        left = {request.fingerprint: request for request in requests}
        while left:
            refused: list[SeiTurnError] = []
            self._client.turn_patience = PATIENCE_SECONDS if self._deferrals(unfinished) else math.inf
            try:
                # New calls start only while none was refused its turn.
                under_way = takewhile(lambda _, refused=refused: not refused, list(left.values()))  # type: ignore[misc]
                for request, result in map_concurrently(call, under_way, when_idle=when_idle):
                    if isinstance(result, SeiTurnError):
                        refused.append(result)
                    else:
                        del left[request.fingerprint]
                        yield request, result
            finally:
                self._client.turn_patience = math.inf
            if not left:
                return
            # A 429 may ask to wait for longer than the bucket does: somebody else uses the key too.
            wait = max(self._client.seconds_until(min(TURNS, len(left))), *(one.wait for one in refused), 0.0)
            if wait > PATIENCE_SECONDS:
                metrics.timing("sei.rate_limit_deferral", wait, report=requests[0].report)
                self._resume_in(wait, len(left), self._deferrals(unfinished))
                return

    def _deferrals(self, unfinished: int) -> int:
        """Return how often this try may still defer for the limit."""
        if not self._may_defer:
            return 0
        left = self._state.deferrals_left
        return unfinished // TURNS + _MORE_DEFERRALS if left is None else left

    def _resume_in(self, wait: float, left: int, deferrals: int) -> None:
        # Somewhat apart from other tasks that wait for the same turns.
        self._state.resume_at = time.time() + wait - _START_SECONDS + self._vary(0.0, _JITTER_SECONDS)
        self._state.deferrals_left = deferrals - 1
        log.info(
            "The key's limit leaves no turn for %s before %s; this worker's slot is free until then",
            plural(left, "request"),
            datetime.fromtimestamp(self._state.resume_at, UTC).isoformat(timespec="seconds"),
        )
