"""Whether a call that failed is worth another attempt, and after how long. Neither waits nor sends.

One rule for all calls: five attempts for what may pass, 429 until the deadline, everything else once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sei_provider.api.errors import SeiError, SeiNotFoundError, SeiRateLimitError

if TYPE_CHECKING:
    from sei_provider.api.calls import Call, Flow

log = logging.getLogger(__name__)

T = TypeVar("T")

_MOST = 5
_PATIENCE_SECONDS = 300.0
"""How long a call is made again when the client was given no deadline."""
_PAUSES: dict[str, Any] = {"attempts": None, "wait_initial": 0.5, "wait_max": 30.0, "wait_jitter": 1.0}


class Attempts(Generic[T]):
    """The attempts of one call, of which the last is made before `deadline` (Unix time in seconds).

    `lost` is why nobody knows what came of an earlier attempt, which may have made something; None if there is no
    such doubt.
    """

    def __init__(self, call: Call[T], deadline: float | None, *, clock: Callable[[], float] = time.time) -> None:
        self.lost: Exception | None = None
        self._call = call
        self._clock = clock
        # A second at least: what was ready at the deadline shall not be lost to one reset.
        self._patience = _PATIENCE_SECONDS if deadline is None else max(1.0, deadline - clock())
        self._end = clock() + self._patience
        self._failures = 0

    def attempt(self) -> Flow[T]:
        """The calls of the next attempt: a look at what an earlier one made, where there is doubt, then the call.

        Each of them is to be sent once: if one fails, so did the attempt.
        """
        if self.lost and self._call.look_up:
            made = yield from self._call.look_up()
            if made is not None:
                return made
        result: T = yield self._call
        return result

    @property
    def pauses(self) -> dict[str, Any]:
        """How stamina's callers wait between attempts."""
        return {**_PAUSES, "timeout": self._patience}

    def another(self, error: Exception) -> bool | float:
        """Whether there is to be another attempt after `error`; if SEI said when, the seconds until then."""
        if not isinstance(error, SeiRateLimitError):  # that one is never the scope's error (DESIGN, decision 3)
            if not self._may_pass(error):
                return False
            self._failures += 1
            if self._failures >= _MOST or not self._may_repeat(error):
                return False
        wait = getattr(error, "retry_after", None)
        if wait and self._clock() + wait > self._end:
            return False  # there is no use in waiting for what would come too late
        return wait or True

    def _may_pass(self, error: Exception) -> bool:
        if isinstance(error, SeiNotFoundError):
            return self._call.absence_may_pass
        return isinstance(error, SeiError) and error.is_transient

    def _may_repeat(self, error: Exception) -> bool:
        """Whether sending again is right although the attempt that failed may have made something (decision 6)."""
        if self._call.repeat_is_safe or not getattr(error, "sent", True):
            return True
        if self._call.look_up is None:
            if self.lost:
                return False  # once is a risk worth taking, for who asked has nothing yet; twice is not
            log.warning(
                "No answer came when asked to %s; asking again once, so there may be two such exports", self._call.what
            )
        self.lost = error
        return True
