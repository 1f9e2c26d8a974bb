"""`python -m tests.whole.dag_test FOLDER MODULE…`: `dag.test()` of each module's DAGs, and the states of their tasks.

`command:sei_nightly` is the command `airflow dags test sei_nightly` instead, in this process, which has Airflow loaded.
The last line is JSON: `{dag id: {"run": state, "tasks": {task: state}}}`. The environment configures Airflow.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from operator import attrgetter
from typing import Any

from airflow.__main__ import main as airflow
from airflow.models import DagRun
from airflow.sdk import DAG

from sei_provider.api.polling import ExportPoller

COMMAND = "command:"
CONF: dict[str, dict[str, Any]] = {
    "sei_backfill": {"from": "2026-01-01", "to": "2026-01-31", "dry_run": False, "reports": ["sprint"]}
}
"""Conf of the runs that need one: what a person fills into the form."""


def main(folder: str, *modules: str) -> None:
    """Run them in this order in one process, as one after another by a person."""
    sys.path.insert(0, folder)
    ExportPoller.next_pause = lambda _: 0.2  # type: ignore[method-assign]  # ten seconds, for exports that take none
    states = {}
    for name in modules:
        for dag_id, run in by_command(name) if name.startswith(COMMAND) else by_dag_test(name):
            tasks = {
                f"{ti.task_id}[{ti.map_index}]" if ti.map_index >= 0 else ti.task_id: str(ti.state)
                for ti in run.get_task_instances()
            }
            states[dag_id] = {"run": str(run.state), "tasks": tasks}
    print(json.dumps(states))  # noqa: T201 - the test reads it


def by_dag_test(name: str) -> Iterator[tuple[str, Any]]:
    """Run each DAG of a module; gives their ids and runs."""
    dags = [value for value in vars(importlib.import_module(name)).values() if isinstance(value, DAG)]
    for dag in {dag.dag_id: dag for dag in dags}.values():
        yield dag.dag_id, dag.test(run_conf=CONF.get(dag.dag_id))


def by_command(name: str) -> Iterator[tuple[str, Any]]:
    """Run one DAG as `airflow dags test` does; gives its id and run."""
    dag_id = name.removeprefix(COMMAND)
    sys.argv = ["airflow", "dags", "test", dag_id]
    airflow()
    run = max(DagRun.find(dag_id=dag_id), key=attrgetter("id"))
    yield dag_id, run


if __name__ == "__main__":
    main(*sys.argv[1:])
