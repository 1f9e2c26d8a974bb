"""A trigger that measures the lag of its event loop, which every other trigger on that loop suffers too."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

STEP_SECONDS = 0.01


class LagTrigger(BaseTrigger):
    """Sleeps for 10 ms again and again, and fires with how much later it woke: `{looks, p50, p99, max}` in seconds.

    :param begin: Unix time in seconds at which it begins.
    :param seconds: For how long it looks.
    """

    def __init__(self, *, begin: float, seconds: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's own is not annotated
        self.begin = begin
        self.seconds = seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and arguments from which a triggerer makes this trigger."""
        return f"{__name__}.LagTrigger", {"begin": self.begin, "seconds": self.seconds}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look, then tell."""
        await asyncio.sleep(max(0.0, self.begin - time.time()))
        lags = []
        end = time.monotonic() + self.seconds
        while (before := time.monotonic()) < end:
            await asyncio.sleep(STEP_SECONDS)
            lags.append(time.monotonic() - before - STEP_SECONDS)
        percentiles = statistics.quantiles(lags, n=100)
        yield TriggerEvent({"looks": len(lags), "p50": percentiles[49], "p99": percentiles[98], "max": max(lags)})
