"""Retry policy for calls: when a failed call is sent again, and after how long. Neither waits nor sends.

One policy for all calls: five attempts after transient errors, 429 until the deadline, everything else once. A create
whose answer was lost is sent again twice at most.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sei_provider.api import bounds
from sei_provider.api.errors import SeiError, SeiNotFoundError, SeiRateLimitError

if TYPE_CHECKING:
    from sei_provider.api.call import Call

log = logging.getLogger(__name__)

_MAX_ATTEMPTS = 5
_MAX_REPEATED_CREATES = 2
_MIN_PAUSE = 0.05
"""Seconds before the deadline in which no further attempt is made."""
_BACKOFF: dict[str, Any] = {"attempts": None, "wait_initial": 0.5, "wait_max": 30.0, "wait_jitter": 1.0}


class RetryState:
    """State of one call's retries, of which the last is made before `deadline` (Unix time in seconds)."""

    def __init__(self, call: Call[Any], deadline: float | None, *, clock: Callable[[], float] = time.time) -> None:
        self._call = call
        self._clock = clock
        # At least a second, so that one reset does not lose a result that was ready at the deadline.
        patience = bounds.PATIENCE_SECONDS if deadline is None else max(1.0, deadline - clock())
        self.backoff: dict[str, Any] = {**_BACKOFF, "timeout": patience}
        """Arguments for stamina's callers: exponential backoff with jitter, within the time limit."""
        self._end = clock() + patience
        self._retries = 0
        self._failures = 0
        self._repeats = 0

    def should_retry(self, error: Exception) -> bool | float:
        """Tell whether to try again after `error`; returns the seconds to wait if the backoff does not tell them.

        They are those of SEI's Retry-After, or fewer than the backoff's if that might last past the deadline.
        """
        if not isinstance(error, SeiRateLimitError):  # a 429 is never the scope's error (DESIGN, decision 3)
            if not self._is_transient(error):
                return False
            self._failures += 1
            if self._failures >= _MAX_ATTEMPTS or not self._may_repeat(error):
                return False
        left = self._end - self._clock()
        wait: float | None = getattr(error, "retry_after", None)
        if left < max(wait or 0.0, _MIN_PAUSE):
            return False  # the next attempt would come after the deadline
        self._retries += 1
        return wait or left >= self._longest_backoff() or left / 2

    def _longest_backoff(self) -> float:
        """Return the longest that stamina may wait before this retry, in seconds."""
        longest: float = _BACKOFF["wait_initial"] * 2 ** (self._retries - 1) + _BACKOFF["wait_jitter"]
        return min(float(_BACKOFF["wait_max"]), longest)

    def _is_transient(self, error: Exception) -> bool:
        if isinstance(error, SeiNotFoundError):
            return self._call.retry_on_404
        return isinstance(error, SeiError) and error.is_transient

    def _may_repeat(self, error: Exception) -> bool:
        """Tell whether to send the call again although the failed attempt may have reached SEI.

        SEI gives the same export for an identical request within 30 minutes (CONTRACT, "Reuse"). A cluster that does
        not reuse creates one more export for each repeat.
        """
        if self._call.idempotent or not getattr(error, "sent", True):
            return True
        self._repeats += 1
        if self._repeats > _MAX_REPEATED_CREATES:
            return False
        log.info(
            "No answer came when asked to %s; sending it again, because SEI gives back the same export",
            self._call.description,
        )
        return True
