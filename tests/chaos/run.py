"""One run of a chaos DAG: 60 exports in three batches. Reports its progress and the processes that work on it.

What is killed, and when, is each test's own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from dev.airflow_client import FINAL_STATES
from dev.expected import TABLES, rows_in, rows_sent
from dev.processes import wait_until
from dev.stack import Stack
from sei_provider.lake import ledger, staged
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.data.organisation import Organisation

TEAMS = [team.id for team in Organisation(60).leaves]
BATCHES = [TEAMS[:20], TEAMS[20:40], TEAMS[40:]]
PATIENCE = 90.0
"""Bound on every wait, not an estimate of any."""


class Run:
    """Started as it is made, into a lake that nothing else writes to."""

    def __init__(self, stack: Stack, sandbox: SandboxControl, report: str, lake: Path, *, year: int) -> None:
        self.report = report
        self.lake = lake
        self.months = [f"{year}-03", f"{year}-04"]
        self._sandbox = sandbox
        self._stack = stack
        self._airflow = stack.airflow
        self._before = len(self._sandbox.exports())
        self._dag_id = f"chaos_{report}"
        conf = {"batches": BATCHES, "lake": str(lake), "start": f"{year}-03-01", "end": f"{year}-04-30"}
        self._run_id = self._airflow.trigger(self._dag_id, conf=conf)

    def wait(self, ready: Callable[[], bool], what: str) -> None:
        """Wait until something is so; fails if the run ends before, a process of Airflow ends, or `PATIENCE` does."""

        def ready_or_over() -> bool:
            return ready() or self._state() in FINAL_STATES

        wait_until(ready_or_over, what=what, seconds=PATIENCE, processes=[*self._stack.processes.values()])
        assert ready(), f"{what}: the run ended before, with {self.task_states()}"

    def wait_for(self, state: str, *batches: int) -> None:
        """Wait until the export tasks of these batches (all by default) are in a state."""
        wanted = batches or range(len(BATCHES))
        self.wait(lambda: all(self.state(batch) == state for batch in wanted), f"batches {[*wanted]} {state}")

    def end(self) -> str:
        """Wait for the run's end and give its state."""
        return self._airflow.wait(self._dag_id, self._run_id, timeout=PATIENCE)

    def state(self, batch: int) -> str | None:
        """The state of a batch's export task."""
        task = self._export(batch)
        return task and task["state"]

    def tries(self) -> list[int]:
        """The number of each export task's last try."""
        return [self._export(batch)["try_number"] for batch in range(len(BATCHES))]

    def task_states(self) -> dict[str, str]:
        """The state of each task instance, of those that are mapped with their index."""
        return {
            task["task_id"] + (f"[{task['map_index']}]" if task["map_index"] >= 0 else ""): task["state"]
            for task in self._airflow.task_instances(self._dag_id, self._run_id)
        }

    def log(self, task_id: str, batch: int = -1, *, attempt: int | None = None) -> str:
        """Return the log of a task's try, of the last by default."""
        return self._airflow.task_log(self._dag_id, self._run_id, task_id, map_index=batch, try_number=attempt)

    def clear(self, batch: int, *, downstream: bool = False) -> None:
        """Clear a batch's export task, with the tasks after it or alone."""
        self._airflow.clear(self._dag_id, self._run_id, task_ids=[("export", batch)], downstream=downstream)

    def mark_failed(self, batch: int) -> None:
        """Mark a batch's export task as failed, as a person does."""
        self._airflow.set_state(self._dag_id, self._run_id, "export", "failed", map_index=batch)

    def saved(self, batch: int) -> int:
        """Return the number of export ids that a batch's task has put into Airflow's task state."""
        state = self._airflow.task_state(self._dag_id, self._run_id, "export", map_index=batch)
        return len(state["checkpoint"]["exports"]) if "checkpoint" in state else 0

    def staged(self) -> list[str]:
        """The files in staging, other than hidden ones, those half-written, and marks of what was published."""
        files = (path for path in self.lake.glob("_staging/**/*") if path.is_file())
        return sorted(str(path.relative_to(self.lake)) for path in files if not path.name.startswith("published-"))

    def slices_staged(self) -> int:
        """Return the number of slices in staging that are complete with their manifest."""
        return sum(len(staged(str(folder))) for folder in self.lake.glob("_staging/*"))

    def task_process(self, batch: int) -> psutil.Process:
        """The process that runs `execute` of a batch, a child of its worker."""
        [process] = self._stack.processes["scheduler"].titled(f"airflow worker -- {self._export(batch)['id']}")
        return process

    def worker(self, batch: int) -> psutil.Process:
        """The LocalExecutor's worker that looks after a batch's task process."""
        process = self.task_process(batch).parent()
        assert process is not None
        return process

    def exports(self) -> list[dict[str, Any]]:
        """The exports that the sandbox has made for this run."""
        return self._sandbox.exports()[self._before :]

    def per_scope(self) -> Counter[str]:
        """Return the number of exports of each team."""
        return Counter(export["body"]["scope"]["teamId"] for export in self.exports())

    def published(self) -> dict[str, Counter[str]]:
        """Return how often the ledger of each month holds each scope."""
        entries = ledger(self.lake, TABLES[self.report])
        return {month: Counter(entry["scope"] for entry in slices) for month, slices in entries.items()}

    def rows(self) -> tuple[Counter[Any], Counter[Any]]:
        """Every row in the lake, and every row of the exports that the sandbox has sent."""
        sent = [export["id"] for export in self.exports() if export["sent"]]
        return rows_in(str(self.lake), TABLES[self.report]), rows_sent(self._sandbox, sent)

    def _state(self) -> str:
        [state] = [run["state"] for run in self._airflow.dag_runs(self._dag_id) if run["dag_run_id"] == self._run_id]
        return str(state)

    def _export(self, batch: int) -> dict[str, Any]:
        tasks = self._airflow.task_instances(self._dag_id, self._run_id)
        return next((task for task in tasks if (task["task_id"], task["map_index"]) == ("export", batch)), {})
