"""The sandbox's clock: the machine's, or one that runs faster or is advanced."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LAST_MOMENT = 16_725_225_600
"""The year 2500, in seconds since 1970: times behind it would leave the calendar one day."""


class SandboxClock:
    """Starts at the time of `base` (seconds since 1970) and runs `speed` times as fast."""

    def __init__(self, base: Callable[[], float], *, speed: float = 1.0) -> None:
        self._base = base
        self._started_at = base()
        self._speed = speed
        self._advanced = 0.0

    def now(self) -> float:
        """Return seconds since 1970; the clock stands still where the calendar's end is near."""
        now = self._started_at + (self._base() - self._started_at) * self._speed + self._advanced
        return min(now, LAST_MOMENT)

    def advance(self, seconds: float) -> None:
        """Put the clock forward."""
        self._advanced += seconds


def timestamp(seconds: float) -> str:
    """Return a time as SEI writes it: UTC, whole seconds."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
