"""The rate limit of the API as a sliding window of 60 seconds (CONTRACT, "Limits"). Knows nothing of HTTP."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sei_provider.sandbox.clock import SandboxClock

WINDOW_SECONDS = 60.0


class SlidingWindow:
    """The requests that one key made in the last 60 seconds; without a limit it admits every request."""

    def __init__(self, requests_per_minute: int | None, clock: SandboxClock) -> None:
        self.requests_per_minute = requests_per_minute
        self._clock = clock
        self._admitted_at: deque[float] = deque()

    def admit(self) -> bool:
        """Take a place for one more request now, and return whether there was one."""
        if self.requests_per_minute is None:
            return True
        now = self._clock.now()
        while self._admitted_at and now - self._admitted_at[0] >= WINDOW_SECONDS:
            self._admitted_at.popleft()
        if len(self._admitted_at) >= self.requests_per_minute:
            return False
        self._admitted_at.append(now)
        return True
