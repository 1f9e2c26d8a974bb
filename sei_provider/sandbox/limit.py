"""How many requests the API takes: so many in any 60 seconds (CONTRACT, "Limits"). Knows nothing of HTTP."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sei_provider.sandbox.clock import SandboxClock

WINDOW_SECONDS = 60.0


class SlidingWindow:
    """The requests that one key made in the last 60 seconds; with no limit it admits every request."""

    def __init__(self, requests_per_minute: int | None, clock: SandboxClock) -> None:
        if requests_per_minute is not None and requests_per_minute < 1:
            msg = f"requests_per_minute must be at least 1, or None for no limit, not {requests_per_minute}"
            raise ValueError(msg)
        self.requests_per_minute = requests_per_minute
        self._clock = clock
        self._admitted_at: deque[float] = deque()

    def admit(self) -> bool:
        """Whether there is room for one more request now, which then takes its place; a refused one takes none."""
        if self.requests_per_minute is None:
            return True
        now = self._clock.now()
        while self._admitted_at and now - self._admitted_at[0] >= WINDOW_SECONDS:
            self._admitted_at.popleft()
        if len(self._admitted_at) >= self.requests_per_minute:
            return False
        self._admitted_at.append(now)
        return True
