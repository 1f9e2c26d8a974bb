"""Run of a batch with a fault: export or report task with its tries, publish task, and the result.

The operators, the trigger, the lake and a sandbox on a socket are real; Airflow's part, which calls them, is made up.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from sei_provider.api.reports import REPORTS
from sei_provider.operators.export import SeiExportOperator
from sei_provider.operators.publish import SeiPublishOperator
from sei_provider.operators.report import SeiReportOperator
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.faults.table import EVERY_FAULT, ExportFault
from sei_provider.sandbox.server import serve
from tests.faults.check import look
from tests.faults.table import END, OPTIONS, START, STRUCK, TEAMS, Outcome, Scenario
from tests.tasks import TaskState, task_context

RETRIES = 2
EXPORT_SECONDS = 0.3
MAX_FILE_BYTES = 16 << 20
"""What a task stages at the most: a gzip bomb holds four times as much."""


@contextmanager
def hurried() -> Iterator[None]:
    """Shrink minutes to seconds; the rules stay as they are."""
    shorter = {
        "bounds.PATIENCE_SECONDS": 8.0,
        "retry._BACKOFF": {"attempts": None, "wait_initial": 0.1, "wait_max": 1.0, "wait_jitter": 0.1},
        "bounds.REPLY_SECONDS": 3.0,
        "bounds.DOWNLOAD_SECONDS": 3.0,
        "bounds.ERROR_SECONDS": 1.0,
    }
    with ExitStack() as patches:
        for name, value in shorter.items():
            patches.enter_context(patch(f"sei_provider.api.{name}", value))
        patches.enter_context(patch("sei_provider.sandbox.faults.files.BOMB_BYTES", 4 * MAX_FILE_BYTES))
        yield


def run(scenario: Scenario) -> Outcome:
    """Run a batch with the scenario's fault through all its tries, publish it, and look at everything."""
    with (
        tempfile.TemporaryDirectory(prefix="lake-") as lake,
        serve(teams=len(TEAMS), seconds=EXPORT_SECONDS) as sandbox,
    ):
        for call in scenario.calls or [None]:
            sandbox.fault(
                scenario.fault,
                team=None if call == "list" or not EVERY_FAULT[scenario.fault].of_team else STRUCK,
                report=scenario.report,
                call=call,
                times=1 if scenario.once else None,
            )
        scopes = [STRUCK] if scenario.alone else TEAMS
        task = Task(scenario, sandbox, lake, scopes)
        task.run()
        task.publish()
        return look(task, sandbox, lake)


class Task:
    """One export or report task, tried as Airflow would, and the publish task after it."""

    def __init__(self, scenario: Scenario, sandbox: SandboxControl, lake: str, scopes: list[str]) -> None:
        self.scenario = scenario
        self.scopes = scopes
        self.tries = 0
        self.error: Exception | None = None
        """Why the last try failed."""
        self.manifests: list[dict[str, Any]] = []
        """Manifests that the task pushed."""
        self.missing: list[dict[str, str]] = []
        """Scopes that the publish task reports as missing."""
        self._lake = lake
        self._state = TaskState()
        self._began = datetime.now(UTC)
        settings: dict[str, Any] = {
            "task_id": "export",
            "report": scenario.report,
            "scopes": scopes,
            "start": START,
            "end": END,
            "lake": lake,
            "retries": RETRIES,
            "max_file_bytes": MAX_FILE_BYTES,
            "options": OPTIONS.get(scenario.report),
            "sei_conn_id": _connection(sandbox),
        }
        if REPORTS[scenario.report].legacy:
            self._operator: Any = SeiReportOperator(**settings, granularity="monthly")
        else:
            timeout = 40 if _ends_by_itself(scenario) else 8
            self._operator = SeiExportOperator(**settings, poll_interval=0.2, poll_max_interval=0.5, timeout=timeout)

    def run(self) -> None:
        """Try until it succeeds, no tries are left, or the error says that there is no use in another."""
        while self.tries <= RETRIES:
            self.tries += 1
            try:
                self._push(key="return_value", value=self._once())
            except AirflowFailException as error:
                self.error = error
                return
            except Exception as error:  # noqa: BLE001 - which of them are ours is what this run is to find out
                self.error = error
            else:
                self.error = None
                return

    def publish(self) -> None:
        """Publish what was handed on."""
        operator = SeiPublishOperator(task_id="publish", staged=self.manifests, expected=self.scopes, lake=self._lake)
        self.missing = _as_json(operator.execute(self._context()))["missing"]

    def _once(self) -> list[Any]:
        """One try: on the worker, then on the triggerer and the worker again for as often as it defers."""
        call: Any = self._operator.execute
        arguments: dict[str, Any] = {}
        while True:
            try:
                manifests: list[Any] = call(self._context(), **arguments)
            except TaskDeferred as deferred:
                call = getattr(self._operator, deferred.method_name)
                _, kwargs = deferred.trigger.serialize()
                trigger = type(deferred.trigger)(**_as_json(kwargs))
                arguments = _as_json({"event": asyncio.run(_event(trigger))})
            else:
                return manifests

    def _push(self, *, key: str, value: Any) -> None:
        if key == "return_value":
            self.manifests = _as_json(value)

    def _context(self) -> Any:
        return task_context(
            self._operator,
            tries=self.tries,
            max_tries=RETRIES,
            run_began=self._began,
            push=self._push,
            state=self._state,
        )


def _ends_by_itself(scenario: Scenario) -> bool:
    """Return True if the task need not wait for its deadline: the fault passes, the list is given up, or exports end.

    Such a task gets a deadline that it never meets, however busy the machine is.
    """
    fault = EVERY_FAULT[scenario.fault]
    ends = isinstance(fault, ExportFault) and fault.final_status not in {"processing", "archived"}
    return ends or (scenario.once and fault.transient) or "list" in scenario.calls


async def _event(trigger: Any) -> Any:
    [event] = [event async for event in trigger.run()]
    return event.payload


def _as_json(value: Any) -> Any:
    """Return a value as it comes back from Airflow's database."""
    return json.loads(json.dumps(value))


def _connection(sandbox: SandboxControl) -> str:
    connection_id = f"sei_{sandbox.base_url.rpartition(':')[2]}"
    os.environ[f"AIRFLOW_CONN_{connection_id.upper()}"] = json.dumps(
        {
            "conn_type": "sei",
            "host": sandbox.base_url,
            "password": sandbox.key,
            "extra": {
                "org_identifier": "acme",
                "project_identifier": "web",
                "account_identifier": "acme",
                "requests_per_minute": 20_000,
            },
        }
    )
    return connection_id
