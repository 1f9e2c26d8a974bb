"""Samples at an interval, and those of what Airflow's tasks do, from the database of a private Airflow; reads only."""

import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

INTERVAL_SECONDS = 0.25


class TaskKey(NamedTuple):
    """One task instance."""

    dag_id: str
    task_id: str
    run_id: str
    map_index: int


class Sampler(ABC):
    """Looks at something again and again, in a thread of its own; a context manager.

    Args:
        interval: seconds between two looks.
        missed: the error of a look that finds nothing to see at that moment; the next one goes on.
    """

    def __init__(self, interval: float, *, missed: type[Exception]) -> None:
        self._interval = interval
        self._missed = missed
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)

    def __enter__(self) -> Self:
        """Begin to look."""
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        """Stop looking; the figures stay."""
        self._stopped.set()
        self._thread.join()

    @abstractmethod
    def look(self) -> None:
        """Take one sample now."""

    def _run(self) -> None:
        while not self._stopped.wait(self._interval):
            with suppress(self._missed):
                self.look()


class TaskSampler(Sampler):
    """Reads the states of all task instances four times a second, and keeps sums of what it saw.

    Its figures are *sampled*: a state that begins and ends between two looks is missed, and a worker's time is counted
    in steps of the interval. For work that takes seconds that is exact enough; for an assertion about one short task it
    is not.
    """

    def __init__(self, database: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        # Locked for a moment by a checkpoint: the next look counts the time of both.
        super().__init__(INTERVAL_SECONDS, missed=sqlite3.OperationalError)
        self._database = database
        self._clock = clock
        self._last: float | None = None
        self.running_seconds: dict[tuple[str, str], float] = defaultdict(float)
        """Seconds × task instances in state `running`, by (dag id, task id): for so long workers were held."""
        self.most_deferred = 0
        """Most task instances that were in state `deferred` at one look."""
        self.ever_deferred: set[TaskKey] = set()
        """Task instances that were seen in state `deferred`."""

    def look(self) -> None:
        """Take one sample now."""
        # Read-only, and the database is in WAL mode: a reader does not make Airflow's writers wait.
        connection = sqlite3.connect(f"{self._database.as_uri()}?mode=ro", uri=True, timeout=1.0)
        try:
            rows = connection.execute(
                "SELECT dag_id, task_id, run_id, map_index, state FROM task_instance"
                " WHERE state IN ('running', 'deferred')"
            ).fetchall()
        finally:
            connection.close()
        now = self._clock()
        elapsed = 0.0 if self._last is None else now - self._last
        self._last = now
        deferred = {TaskKey(*row[:4]) for row in rows if row[4] == "deferred"}
        for dag_id, task_id, _, _, state in rows:
            if state == "running":
                self.running_seconds[dag_id, task_id] += elapsed
        self.most_deferred = max(self.most_deferred, len(deferred))
        self.ever_deferred |= deferred
