"""One real Airflow for the whole session, in which the tests kill what they like and start it again."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.expected import TABLES
from dev.stack import Stack
from sei_provider.sandbox.control import SandboxControl
from tests.chaos.run import BATCHES, TEAMS, Run

SOON = {
    # How long Airflow takes to notice that something is gone: by default half a minute, or five.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "10",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "8",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "3",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "8",
}
HEADER = ("what", "report", "tries of the three batches", "exports made / scopes", "rows in the lake / sent", "seconds")
OUTCOMES: list[tuple[str, ...]] = []
"""Rows of the table at the end of the session."""


class Chaos:
    """The Airflow, and the assertions at each test's end."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self.sandbox = SandboxControl(stack.sandbox_url, key=stack.sandbox_key)
        self._folder = folder
        self._numbers = itertools.count(1)
        self._began = 0.0

    def start(self, report: str) -> Run:
        """Start a run into a lake of its own, over a year of its own: an export of another run is of no use to it."""
        self._began = time.monotonic()
        number = next(self._numbers)
        return Run(self.stack, self.sandbox, report, self._folder / f"lake-{number}", year=2000 + number)

    def kill(self, name: str) -> None:
        """Kill one of Airflow's processes with all that it started; `stack.start_process` starts a new one."""
        self.stack.processes.pop(name).kill_session()

    def landed(self, run: Run, what: str) -> None:
        """The run ends well, each scope has one export and is in the lake once, row for row."""
        assert run.end() == "success"
        assert set(run.task_states().values()) == {"success"}
        assert run.per_scope() == Counter(TEAMS)
        assert run.published() == {month: Counter(f"team:{team}" for team in TEAMS) for month in run.months}
        there, sent = run.rows()
        assert there == sent
        assert there.total() >= len(TEAMS) * len(run.months)
        assert run.staged() == []
        OUTCOMES.append(
            (
                what,
                run.report,
                ", ".join(map(str, run.tries())),
                f"{run.per_scope().total()} / {len(TEAMS)}",
                f"{there.total()} / {sent.total()}",
                f"{time.monotonic() - self._began:.0f}",
            )
        )


@pytest.fixture
def chaos(_airflow: Chaos) -> Iterator[Chaos]:
    yield _airflow
    _airflow.sandbox.clear_faults()


@pytest.fixture(scope="session")
def _airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chaos]:
    folder = tmp_path_factory.mktemp("chaos")
    scratch = tmp_path_factory.mktemp("scratch")
    with Stack(
        folder / "airflow",
        dags=Path(__file__).parent / "dags",
        lake=folder / "lake",
        sandbox_teams=len(TEAMS),
        sandbox_seconds=3.0,
        requests_per_minute=10_000,
        parallelism=len(BATCHES) + 1,
        # What a killed worker had downloaded stays where temporary files are kept.
        environment={**SOON, "TMPDIR": str(scratch)},
    ) as stack:
        dag_ids = [f"chaos_{report}" for report in TABLES]
        stack.wait_for_dags(*dag_ids)
        stack.airflow.unpause(*dag_ids)
        yield Chaos(stack, folder)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was killed and what came of it, as in docs/reliability.md."""
    if OUTCOMES:
        terminalreporter.section("what was killed")
        for row in (HEADER, ("---",) * len(HEADER), *OUTCOMES):
            terminalreporter.write_line(f"| {' | '.join(row)} |")
