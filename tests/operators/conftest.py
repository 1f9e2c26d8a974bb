"""Operators run in this process against a sandbox: the context is made up, the rest is real."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from sei_provider.operators.export import SeiExportOperator
from sei_provider.operators.publish import SeiPublishOperator
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.server import serve
from sei_provider.testing import connect
from tests.tasks import TaskState, task_context


class Task:
    """One export task over its tries."""

    def __init__(self, lake: Path, *, state: TaskState | None, **arguments: Any) -> None:
        settings: dict[str, Any] = {
            "task_id": "export",
            "report": "sprint",
            "scopes": ["11", "12", "13"],
            "start": "2026-01-01",
            "end": "2026-02-28",
            "lake": str(lake),
            "poll_interval": 0.05,
            "timeout": 20,
            "deferrable": False,
            "retries": 2,
        }
        self.operator = SeiExportOperator(**(settings | arguments))
        self.state = state
        self.run_began = datetime.now(UTC)
        self.tries = 0
        self.max_tries = 2
        self.pushed: dict[str, Any] = {}

    def context(self) -> Any:
        return task_context(
            self.operator,
            tries=self.tries,
            max_tries=self.max_tries,
            run_began=self.run_began,
            push=self._push,
            state=self.state,
        )

    def _push(self, *, key: str, value: Any) -> None:
        self.pushed[key] = value

    def run(self) -> list[Any]:
        """Run one try from its start."""
        self.tries += 1
        self.pushed.clear()
        return self.operator.execute(self.context())

    def resume(self, deferred: TaskDeferred, event: dict[str, Any]) -> list[Any]:
        """Resume a try whose trigger has fired. `dag.test()` passes on nothing but the event."""
        method = getattr(self.operator, deferred.method_name)
        trigger: Any = deferred.trigger
        return method(self.context(), event=json.loads(json.dumps({"state": trigger.state, **event})))

    def clear(self) -> None:
        """Change the numbers of tries as Airflow does when somebody clears the task."""
        self.max_tries = self.tries + 2


def publish(lake: Path, staged: Any, expected: Any, *, events: Any = None, **arguments: Any) -> dict[str, Any]:
    """Run a publish task; `events` are those of its outlets."""
    operator = SeiPublishOperator(task_id="publish", staged=staged, expected=expected, lake=str(lake), **arguments)
    return operator.execute({"outlet_events": {} if events is None else events})  # type: ignore[arg-type,typeddict-item]


def asked_for(sandbox: SandboxControl) -> Counter[str]:
    """Number of exports of each team."""
    return Counter(export["body"]["scope"]["teamId"] for export in sandbox.exports())


def kinds(sandbox: SandboxControl, *, since: int = 0) -> Counter[str]:
    """Number of requests of each kind, without the first `since`."""
    return Counter(request["kind"] for request in sandbox.requests()[since:])


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxControl]:
    with serve(teams=6, seconds=0) as control:
        connect(monkeypatch, control.base_url)
        yield control


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "lake"


@pytest.fixture
def state() -> TaskState:
    return TaskState()
