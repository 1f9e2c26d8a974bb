"""Airflow's metadata database as its scheduler and API server would change it. Runs in a process of its own.

So the Airflow of the other tests, which is configured once per process, knows nothing of this one. All that it needs
of Airflow's inside stands here.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar
from unittest.mock import patch

SECONDS = 300
"""Bound on every step, not an estimate of any."""
P = ParamSpec("P")
T = TypeVar("T")


class Metadata:
    """The database of the Airflow that `environment` configures; made by `metadata`."""

    def __init__(self, process: ProcessPoolExecutor) -> None:
        self._process = process
        self._numbers = itertools.count(1)

    def defer(self, run_id: str, classpath: str, kwargs: dict[str, Any]) -> int:
        """Start a run whose task is deferred at once; gives the id of its trigger."""
        return self._do(_defer, run_id, next(self._numbers), classpath, kwargs)

    def task(self, run_id: str) -> dict[str, Any]:
        """Return the run's task: `{state, trigger_id, method, event, job}`; `job` is its triggerer."""
        return self._do(_task, run_id)

    def resume(self, run_id: str) -> None:
        """Have a worker take up the task, which its trigger has woken."""
        self._do(_set_state, run_id, "running")

    def clear(self, run_id: str) -> None:
        """Clear the task, in its other runs too, as a person does, and have the scheduler find it in this one."""
        self._do(_airflow, "tasks", "clear", "waiting", "--yes", "--task-regex", "export")
        self._do(_set_state, run_id, "scheduled")

    def move(self, trigger_id: int, job: int) -> None:
        """Give a trigger to another triggerer."""
        self._do(_move, trigger_id, job)

    def triggers(self) -> list[int]:
        """Return the ids of all triggers."""
        return self._do(_triggers)

    def _do(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return self._process.submit(call, *args, **kwargs).result(timeout=SECONDS)


@contextmanager
def metadata(environment: Mapping[str, str]) -> Iterator[Metadata]:
    """Make the database, with the DAG `waiting` in it."""
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawned) as process:
        # It starts now, and with this environment: Airflow reads it as soon as anything imports it.
        with patch.dict(os.environ, environment, clear=True):
            process.submit(_prepare).result(timeout=SECONDS)
        yield Metadata(process)


def _prepare() -> None:
    # What Airflow's commands print is for people who type them.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    _airflow("db", "migrate")
    _airflow("dags", "reserialize")


def _airflow(*arguments: str) -> None:
    """Run the command line `airflow …` in this process."""
    from airflow.cli.cli_parser import get_parser

    options = get_parser().parse_args(arguments)
    options.func(options)


def _defer(run_id: str, trigger_id: int, classpath: str, kwargs: dict[str, Any]) -> int:
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session

    _airflow("dags", "trigger", "waiting", "--run-id", run_id)
    with create_session() as session:
        trigger = Trigger(classpath, kwargs)
        trigger.id = trigger_id  # SQLite gives that of a trigger that is gone once more
        session.add(trigger)
        session.flush()
        task = _row(session, run_id)
        task.state, task.try_number = "deferred", 1
        task.trigger_id, task.next_method = trigger.id, "execute_complete"
        return trigger_id


def _task(run_id: str) -> dict[str, Any]:
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session

    with create_session() as session:
        row = _row(session, run_id)
        trigger = row.trigger_id and session.get(Trigger, row.trigger_id)
        return {
            "state": row.state and str(row.state),
            "trigger_id": row.trigger_id,
            "method": row.next_method,
            "event": _plain(row.next_kwargs).get("event"),
            "job": trigger.triggerer_id if trigger else None,
        }


def _set_state(run_id: str, state: str) -> None:
    from airflow.utils.session import create_session

    with create_session() as session:
        _row(session, run_id).state = state


def _move(trigger_id: int, job: int) -> None:
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session

    with create_session() as session:
        session.get_one(Trigger, trigger_id).triggerer_id = job


def _triggers() -> list[int]:
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return list(session.scalars(select(Trigger.id)))


def _row(session: Any, run_id: str) -> Any:
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    return session.scalars(select(TaskInstance).where(TaskInstance.run_id == run_id)).one()


def _plain(stored: Any) -> dict[str, Any]:
    """Return the deserialized form of what `defer` stored."""
    if not stored:
        return {}
    try:
        from airflow.sdk.serde import deserialize
    except ImportError:  # Airflow 3.1 stores it as it is
        return dict(stored)
    plain: Any = deserialize(stored)
    return dict(plain)
