"""The sandbox's clock: the machine's, or one that runs faster or is put forward. Knows nothing of what is timed."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class SandboxClock:
    """Starts at the time of `base` (seconds since 1970; the machine's by default) and runs `speed` times as fast."""

    def __init__(self, base: Callable[[], float] = time.time, *, speed: float = 1.0) -> None:
        if speed <= 0:
            msg = f"A clock's speed must be above 0, not {speed}"
            raise ValueError(msg)
        self._base = base
        self._started_at = base()
        self._speed = speed
        self._advanced = 0.0

    def now(self) -> float:
        """Seconds since 1970."""
        return self._started_at + (self._base() - self._started_at) * self._speed + self._advanced

    def advance(self, seconds: float) -> None:
        """Put the clock forward."""
        self._advanced += seconds


def timestamp(seconds: float) -> str:
    """A time as SEI writes it: UTC, whole seconds."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
