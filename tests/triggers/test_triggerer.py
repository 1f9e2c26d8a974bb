"""The trigger on real triggerers, while they are killed, its task cleared, and it is given to another one."""

from __future__ import annotations

import itertools
import os
import re
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dev.metadata import Metadata, metadata
from dev.processes import BackgroundProcess, stop_all, wait_until
from dev.stack import PROJECT
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.server import serve
from sei_provider.testing import connect
from sei_provider.triggers.export import SeiExportTrigger
from tests.triggers.exports import made

PATIENCE = 60.0
"""Bound on every wait, not an estimate of any."""
EXPORT_SECONDS = 3600.0
"""On the clock of the sandbox, which the tests put forward when they want exports to end."""
PAUSE = 0.2


class Triggerer:
    """One triggerer: a supervisor, and the process with the event loop that it started."""

    def __init__(self, process: BackgroundProcess) -> None:
        self.process = process
        wait_until(lambda: "runs" in self._said(), what="triggerer runs", seconds=PATIENCE, processes=[process])
        match = re.search(r"triggerer (\d+) runs", self._said())
        assert match
        self.job = int(match[1])

    def has_dealt_with(self, trigger_id: int) -> bool:
        return f"dealt with an event of trigger {trigger_id}\n" in self._said()

    def signal(self, number: int) -> None:
        """Send a signal to the supervisor alone; its event loop goes on."""
        os.kill(self.process.pid, number)

    def _said(self) -> str:
        return self.process.log.read_text(encoding="utf-8", errors="replace")


class Triggerers:
    """The triggerers of one Airflow; a triggerer that a test leaves running serves the next test."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._environment = environment
        self._running: list[Triggerer] = []

    def one(self) -> Triggerer:
        """Return a triggerer that runs."""
        return self._running[-1] if self._running else self.another()

    def two(self) -> tuple[Triggerer, Triggerer]:
        """Two that run, and no third."""
        while len(self._running) < 2:
            self.another()
        first, second = self._running
        return first, second

    def another(self) -> Triggerer:
        """Start a new triggerer."""
        process = BackgroundProcess(
            "triggerer",
            [sys.executable, "-m", "tests.triggers.triggerer"],
            environment=self._environment,
            log=self._folder / f"triggerer-{time.monotonic_ns()}.log",
        )
        try:
            self._running.append(Triggerer(process))
        except BaseException:
            stop_all([process])
            raise
        return self._running[-1]

    def kill(self, triggerer: Triggerer) -> None:
        """Supervisor and event loop at once."""
        self._running.remove(triggerer)
        triggerer.process.kill_session()

    def stop(self) -> None:
        stop_all(triggerer.process for triggerer in self._running)
        self._running.clear()


class Airflow:
    """Database, triggerers and sandbox together, as the tests need them."""

    def __init__(self, database: Metadata, triggerers: Triggerers, sandbox: SandboxControl, home: Path) -> None:
        self.database = database
        self.triggerers = triggerers
        self.sandbox = sandbox
        self.deadline = 0.0
        """The deadline of the trigger that was made last."""
        self._home = home
        self._numbers = itertools.count(1)

    def defer(self, *teams: str, seconds: float = 60.0, resume_at: float | None = None) -> tuple[str, int, list[str]]:
        """A run whose task waits for an export of each team; gives run id, trigger id and export ids."""
        export_ids = made(self.sandbox, *teams)
        self.deadline = time.time() + seconds
        classpath, kwargs = SeiExportTrigger(
            report="sprint",
            export_ids=export_ids,
            deadline=self.deadline,
            polling={"interval": PAUSE, "max_interval": PAUSE},
            sei_conn_id="sei_default",
            resume_at=resume_at,
        ).serialize()
        run_id = f"run-{next(self._numbers)}"
        return run_id, self.database.defer(run_id, classpath, kwargs), export_ids

    def hang(self, triggerer: Triggerer) -> None:
        """Stop a triggerer's supervisor, but not in the middle of a write, which would lock SQLite for all others."""

        def hangs() -> bool:
            triggerer.signal(signal.SIGSTOP)
            try:
                with closing(sqlite3.connect(self._home / "airflow.db")) as database:
                    database.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                triggerer.signal(signal.SIGCONT)
                return False
            return True

        self.wait(hangs, "a triggerer hangs that does not write")

    def end_exports(self) -> None:
        self.sandbox.advance(EXPORT_SECONDS)

    def questions(self) -> int:
        """Return how often triggers have polled; fail if they made any other call."""
        kinds = [request["kind"] for request in self.sandbox.requests() if "Async" in request["user_agent"]]
        assert set(kinds) <= {"status", "list"}
        return len(kinds)

    def wait_for_questions(self) -> None:
        """Wait until some trigger has asked once more."""
        before = self.questions()
        self.wait(lambda: self.questions() > before, "a question")

    def holder_and_other(self, run_id: str) -> tuple[Triggerer, Triggerer]:
        """Of two triggerers, the one that runs the trigger of a run's task and has asked, then the other."""
        self.wait_for_questions()
        job = self.database.task(run_id)["job"]
        first, second = self.triggerers.two()
        return (first, second) if first.job == job else (second, first)

    def has_ended(self, run_id: str, triggerer: Triggerer) -> bool:
        """Tell whether a triggerer has logged, in its log or the task's, that the trigger of a run's task has ended."""
        said = self.log(run_id, triggerer).splitlines()
        return any("trigger completed" in line and f"/{run_id}/" in line for line in said)

    def log(self, run_id: str, triggerer: Triggerer) -> str:
        """Return what a triggerer has logged, in the log of a run's task and its own."""
        logs = self._home.glob(f"logs/**/run_id={run_id}/**/*.trigger.{triggerer.job}.log")
        return "".join(path.read_text(encoding="utf-8") for path in [*logs, triggerer.process.log])

    def wait_until_ended(self, run_id: str, triggerer: Triggerer) -> None:
        """Wait until the trigger of a run's task has ended.

        Airflow drops what a trigger logs after the supervisor has let go of it, so its last line may be missing. Then
        fifty pauses without a request tell as much.
        """
        asked, since = self.questions(), time.monotonic()

        def ended() -> bool:
            nonlocal asked, since
            if self.questions() != asked:
                asked, since = self.questions(), time.monotonic()
            return self.has_ended(run_id, triggerer) or time.monotonic() - since > 50 * PAUSE

        self.wait(ended, "its trigger has ended")

    def wait_for_event(self, run_id: str) -> dict[str, Any]:
        self.wait(lambda: self.database.task(run_id)["state"] == "scheduled", f"{run_id} woken")
        task = self.database.task(run_id)
        assert task["method"] == "execute_complete"
        event: dict[str, Any] = task["event"]
        return event

    def wait(self, ready: Callable[[], bool], what: str) -> None:
        wait_until(ready, what=what, seconds=PATIENCE, processes=[])


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    home = tmp_path_factory.mktemp("airflow")
    dags = PROJECT / "dev" / "dags" / "waiting"
    with serve(teams=6, seconds=EXPORT_SECONDS, reuse=False) as sandbox, pytest.MonkeyPatch.context() as patch:
        connect(patch, sandbox.base_url)
        environment = {name: os.environ[name] for name in ("HOME", "LANG", "PATH") if name in os.environ} | {
            "AIRFLOW_CONN_SEI_DEFAULT": os.environ["AIRFLOW_CONN_SEI_DEFAULT"],
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            # How long Airflow takes to see that a triggerer is gone; by default half a minute.
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
            # No worker defers here, so no trigger need wait for one's heartbeat.
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "-1",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "3",
            "PYTHONPATH": str(PROJECT),
            "TMPDIR": str(tmp_path_factory.mktemp("tmp")),
        }
        with metadata(environment) as database:
            triggerers = Triggerers(home, environment)
            try:
                yield Airflow(database, triggerers, sandbox, home)
            finally:
                triggerers.stop()


def test_a_new_triggerer_takes_up_what_a_killed_one_was_waiting_for(airflow: Airflow) -> None:
    first = airflow.triggerers.one()
    run_id, trigger_id, export_ids = airflow.defer("11", "12")
    made_before = len(airflow.sandbox.exports())
    airflow.wait_for_questions()
    airflow.triggerers.kill(first)
    second = airflow.triggerers.another()
    airflow.end_exports()
    event = airflow.wait_for_event(run_id)
    assert sorted(event["ended"]) == sorted(export_ids)
    assert (event["lost"], event["running"], event["error"]) == ({}, {}, None)
    airflow.wait(lambda: second.has_dealt_with(trigger_id), "its event dealt with")
    assert len(airflow.sandbox.exports()) == made_before
    airflow.wait(lambda: airflow.database.triggers() == [], "the trigger is gone")
    fired = [line for line in airflow.log(run_id, second).splitlines() if "fired event" in line]
    assert fired
    assert all("ExportEvent(2 ended, 0 running, 0 lost" in line and "createdAt" not in line for line in fired)


def test_a_new_triggerer_keeps_the_deadline_of_a_killed_one(airflow: Airflow) -> None:
    first = airflow.triggerers.one()
    run_id, _, export_ids = airflow.defer("12", seconds=8)
    airflow.wait_for_questions()
    airflow.triggerers.kill(first)
    airflow.triggerers.another()
    event = airflow.wait_for_event(run_id)
    assert time.time() > airflow.deadline == event["deadline"]
    assert list(event["running"]) == export_ids


def test_a_new_triggerer_keeps_the_time_at_which_a_killed_one_had_a_task_resume(airflow: Airflow) -> None:
    first = airflow.triggerers.one()
    resume_at = time.time() + 8
    run_id, _, export_ids = airflow.defer("12", resume_at=resume_at)
    made_before = len(airflow.sandbox.exports())
    airflow.wait_for_questions()
    airflow.triggerers.kill(first)
    airflow.triggerers.another()
    event = airflow.wait_for_event(run_id)
    assert time.time() > resume_at
    assert (list(event["running"]), event["error"]) == (export_ids, None)
    assert len(airflow.sandbox.exports()) == made_before


def test_of_two_triggerers_with_one_trigger_only_the_first_event_counts(airflow: Airflow) -> None:
    """The supervisor of the first hangs, so its trigger is given to the second; but its event loop goes on."""
    airflow.triggerers.two()
    run_id, trigger_id, export_ids = airflow.defer("11", "12")
    made_before = len(airflow.sandbox.exports())
    first, second = airflow.holder_and_other(run_id)
    airflow.hang(first)
    airflow.database.move(trigger_id, second.job)
    airflow.end_exports()
    event = airflow.wait_for_event(run_id)
    assert sorted(event["ended"]) == sorted(export_ids)
    airflow.wait(lambda: second.has_dealt_with(trigger_id), "its event dealt with")
    airflow.database.resume(run_id)
    first.signal(signal.SIGCONT)
    airflow.wait(lambda: first.has_dealt_with(trigger_id), "the late event")
    assert airflow.database.task(run_id)["state"] == "running"
    assert len(airflow.sandbox.exports()) == made_before
    airflow.questions()


def test_a_trigger_that_is_moved_while_it_runs_does_no_harm_where_it_was(airflow: Airflow) -> None:
    """Airflow 3.3.2 calls `on_kill` of a trigger that is moved, as if somebody had killed its task (#73454)."""
    airflow.triggerers.two()
    run_id, trigger_id, export_ids = airflow.defer("11", "12")
    first, second = airflow.holder_and_other(run_id)
    airflow.database.move(trigger_id, second.job)
    airflow.wait(lambda: airflow.has_ended(run_id, first), "it has ended where it was")
    airflow.end_exports()
    assert sorted(airflow.wait_for_event(run_id)["ended"]) == sorted(export_ids)
    airflow.wait(lambda: second.has_dealt_with(trigger_id), "its event dealt with")
    assert not first.has_dealt_with(trigger_id)
    airflow.questions()


def test_clearing_a_deferred_task_ends_its_trigger_and_nothing_else(airflow: Airflow) -> None:
    triggerer = airflow.triggerers.one()
    run_id, trigger_id, _ = airflow.defer("12")
    made_before = len(airflow.sandbox.exports())
    airflow.wait_for_questions()
    airflow.database.clear(run_id)
    airflow.wait_until_ended(run_id, triggerer)
    airflow.end_exports()
    assert len(airflow.sandbox.exports()) == made_before
    assert airflow.database.task(run_id) == {
        "state": "scheduled",
        "trigger_id": None,
        "method": None,
        "event": None,
        "job": None,
    }
    assert not triggerer.has_dealt_with(trigger_id)
    assert airflow.database.triggers() == []
