"""Record which worker ran which task and which triggerer waited for it, because the kills need a busy target.

Knows Airflow's REST API by the fields of its answers; looks at nothing itself.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from dev.airflow_client import task_name


class Try(NamedTuple):
    """One try of a task instance."""

    task: str
    number: int


class Whereabouts:
    """Record of all looks so far. Sampled: a try that begins and ends between two looks is missed."""

    def __init__(self) -> None:
        self.tasks: dict[str, set[Try]] = defaultdict(set)
        """By worker: what it has run."""
        self.triggers: dict[str, set[Try]] = defaultdict(set)
        """By triggerer: what it has waited for."""
        self.running: dict[str, list[str]] = {}
        """By worker: the task ids that it ran at the last look."""
        self.waiting: dict[str, list[str]] = {}
        """By triggerer: the task ids that it waited for at the last look."""
        self.retried: set[str] = set()
        """Tasks that had a second try."""

    def look(self, tasks: Iterable[Mapping[str, Any]]) -> None:
        """Take in a run's task instances as the API gives them."""
        self.running, self.waiting = defaultdict(list), defaultdict(list)
        for task in tasks:
            this = Try(task_name(task), task["try_number"])
            if this.number > 1:
                self.retried.add(this.task)
            if task["state"] == "running" and task["hostname"]:
                self.tasks[task["hostname"]].add(this)
                self.running[task["hostname"]].append(task["task_id"])
            triggerer = (task.get("triggerer_job") or {}).get("hostname")
            if task["state"] == "deferred" and triggerer:
                self.triggers[triggerer].add(this)
                self.waiting[triggerer].append(task["task_id"])
