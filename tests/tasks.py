"""Context and state store of a task that runs in this process, made up for the tests in Airflow's place."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

REUSE = 31 * 60
"""Seconds after which SEI answers an identical request with a new export."""
RUN_AFTER = datetime(2026, 3, 18, 2, 30, tzinfo=UTC)


class TaskState(dict[str, Any]):
    """Stands in for Airflow 3.3's task state store: the same four calls, kept for as long as the test.

    `saved_by` holds the name of the thread of each call that saved something.
    """

    def __init__(self, *saved: Any) -> None:
        super().__init__(*saved)
        self.saved_by: list[str] = []

    def set(self, key: str, value: Any) -> None:
        self.saved_by.append(threading.current_thread().name)
        self[key] = json.loads(json.dumps(value))

    def delete(self, key: str) -> None:
        self.pop(key, None)

    @property
    def export_ids(self) -> list[str]:
        """The ids of the exports that the task has saved."""
        return list(self["checkpoint"]["exports"].values()) if self else []

    def lose_export_ids(self) -> None:
        """Leave what is left when a worker dies after SEI's answers and before it could save any id."""
        self["checkpoint"]["exports"].clear()


class OutletEvents(defaultdict[str, Any]):
    """The events of a task's outlets, by asset; an asset cannot be a key of a dict on 3.1."""

    def __getitem__(self, asset: Any) -> Any:
        return super().__getitem__(asset.name)


def task_context(
    operator: Any,
    *,
    tries: int,
    max_tries: int,
    run_began: datetime,
    push: Callable[..., None],
    state: TaskState | None = None,
) -> Any:
    """Return the context of one try of the task in the run `run`; without a state store as before 3.3."""
    ti = SimpleNamespace(
        dag_id="dag",
        run_id="run",
        task_id=operator.task_id,
        map_index=0,
        try_number=tries,
        max_tries=max_tries,
        task=operator,
        xcom_push=push,
    )
    run = SimpleNamespace(run_after=RUN_AFTER, start_date=run_began)
    dag = SimpleNamespace(timezone=UTC)
    context = {"ti": ti, "run_id": "run", "dag_run": run, "dag": dag, "outlet_events": {}}
    return context if state is None else context | {"task_state_store": state}


class Run(SimpleNamespace):
    """A DAG run as a task sees it: states of its tasks (`export_0` is of map index 0), and XComs by task and index."""

    def __init__(self, states: Mapping[str, str | None], xcoms: Mapping[tuple[str, int], Mapping[str, Any]]) -> None:
        super().__init__(dag_id="dag", run_id="run", task_id="publish", map_index=-1)
        self._states, self._xcoms = states, xcoms

    def get_task_states(self, *, dag_id: str, task_ids: list[str], run_ids: list[str]) -> dict[str, Any]:
        assert (dag_id, run_ids) == ("dag", ["run"])
        mine = {name: state for name, state in self._states.items() if name.startswith(tuple(task_ids))}
        return {"run": mine} if mine else {}

    def xcom_pull(self, *, task_ids: str, key: str, map_indexes: int) -> Any:
        return self._xcoms.get((task_ids, map_indexes), {}).get(key)

    @property
    def context(self) -> Any:
        return {"ti": self, "run_id": "run", "outlet_events": {}}
