"""Progress of a DAG run in one line: rewritten in place on a terminal, printed every few seconds elsewhere."""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Self, TextIO

# In the order of a task's life; other states follow.
ORDER = ("success", "running", "deferred", "queued", "scheduled", "waiting")
LINE_SECONDS = 5.0


class Progress:
    """Callback for `AirflowClient.wait`; a context manager, so that the line is ended before other output."""

    def __init__(self, title: str, *, out: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._title = title
        self._out = sys.stdout if out is None else out
        self._clock = clock
        self._began = clock()
        self._last_line = float("-inf")

    def __enter__(self) -> Self:
        """Begin to count time."""
        self._began = self._clock()
        return self

    def __exit__(self, *_exc: object) -> None:
        """End the line that was being rewritten."""
        if self._out.isatty():
            self._out.write("\n")
            self._out.flush()

    def __call__(self, counts: Mapping[str, int]) -> None:
        """Show the number of task instances in each state."""
        states = [*(s for s in ORDER if s in counts), *sorted(counts.keys() - set(ORDER))]
        elapsed = self._clock() - self._began
        line = f"{self._title} {elapsed:4.0f} s: " + ", ".join(f"{counts[state]} {state}" for state in states)
        if self._out.isatty():
            self._out.write(f"\r\x1b[K{line}")
        elif self._clock() - self._last_line >= LINE_SECONDS:
            self._last_line = self._clock()
            self._out.write(f"{line}\n")
        self._out.flush()
