"""`python -m tests.operators.oncall`: the messages of red tasks, each provoked, as the table of docs/oncall.md.

With `--write` the page gets the table anew; without, it is printed. Ids, times and places are replaced by an ellipsis.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from airflow.sdk import DAG

from sei_provider.api import SeiError
from sei_provider.lake import LakeError
from sei_provider.operators.check import SeiCheckOperator
from sei_provider.operators.export import SeiExportOperator
from sei_provider.operators.publish import SeiPublishOperator
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.server import serve
from sei_provider.testing import connect
from tests.operators.conftest import Task
from tests.plain_http import closed_endpoint
from tests.printed_page import PrintedPage
from tests.tasks import Run

PAGE = PrintedPage("oncall.md", "tests/operators/oncall.py")
SCOPES = ["11", "12", "13"]
DATES = {"start": "2026-01-01", "end": "2026-01-31"}


@dataclass
class Night:
    """A run that goes wrong: one export task with its only try, publish and check."""

    name: str
    provoke: Callable[[SandboxControl, pytest.MonkeyPatch, Night], None]
    lake: str = ""
    is_lost: bool = False
    """The worker dies before the export task hands anything on."""
    scopes: list[str] = field(default_factory=lambda: list(SCOPES))

    def messages(self) -> Iterator[tuple[str, str]]:
        """Yield each red task with its message."""
        with (
            serve(teams=6, seconds=0) as sandbox,
            pytest.MonkeyPatch.context() as patch,
            tempfile.TemporaryDirectory() as folder,
        ):
            self.lake = f"{folder}/lake"
            patch.setenv("TMPDIR", folder)
            patch.setattr(tempfile, "tempdir", None)
            connect(patch, sandbox.base_url)
            self.provoke(sandbox, patch, self)
            task = Task(
                Path(self.lake), state=None, scopes=self.scopes or SCOPES, timeout=1, poll_interval=0.1, **DATES
            )
            staged: Any = None
            try:
                staged = task.run() if self.scopes else None
            except (AirflowException, SeiError, LakeError, OSError) as error:
                yield "export", str(error)
                staged = task.pushed.get("return_value")
            xcoms: dict[str, Any] = dict(task.pushed)
            state = "upstream_failed" if not self.scopes else "failed"
            if self.is_lost:
                staged, xcoms = None, {"asked": task.pushed["asked"]}
            run = Run({"export": state, "publish": "success"}, {("export", -1): xcoms})
            with DAG("dag"):
                export = SeiExportOperator(task_id="export", report="sprint", scopes=SCOPES, lake=self.lake, **DATES)
                publish = SeiPublishOperator(task_id="publish", staged=staged, expected=self.scopes, lake=self.lake)
                check = SeiCheckOperator(task_id="check", published=None)
                export >> publish >> check
            try:
                check.published = publish.execute(run.context)
            except (AirflowException, SeiError, LakeError, OSError) as error:
                yield "publish", str(error)
                run = Run({"publish": "failed"}, {})
            try:
                check.execute(run.context)
            except AirflowException as error:
                yield "check", str(error)


def _fault(name: str, **where: Any) -> Callable[[SandboxControl, pytest.MonkeyPatch, Night], None]:
    return lambda sandbox, _, __: sandbox.fault(name, **where) and None


def _down(_: SandboxControl, patch: pytest.MonkeyPatch, __: Night) -> None:
    connect(patch, closed_endpoint())


def _key_refused(sandbox: SandboxControl, patch: pytest.MonkeyPatch, _: Night) -> None:
    connect(patch, sandbox.base_url, password="an old key")


def _no_connection(_: SandboxControl, patch: pytest.MonkeyPatch, __: Night) -> None:
    patch.delenv("AIRFLOW_CONN_SEI_DEFAULT")


def _not_writable(_: SandboxControl, __: pytest.MonkeyPatch, night: Night) -> None:
    Path(night.lake).touch()


def _nothing(_: SandboxControl, __: pytest.MonkeyPatch, ___: Night) -> None:
    return None


NIGHTS = [
    Night("SEI fails one export", _fault("fail", team="12")),
    Night("SEI does not know a team", _nothing, scopes=["11", "999"]),
    Night("one export does not end in time", _fault("never", team="12")),
    Night("SEI is down", _down),
    Night("SEI refuses the key", _key_refused),
    Night("somebody else uses up the key's limit", _fault("429", call="create")),
    Night("the lake cannot be written", _not_writable),
    Night("a worker is lost", _nothing, is_lost=True),
    Night("the task that lists the teams fails", _nothing, scopes=[]),
]

_VARYING = {
    r"\bexp_\w+": "exp_…",
    r"(export of )team:1\d": r"\1team:…",  # whichever was asked for first
    r" \(SEI's request id [^)]*\)": "",
    r"Made to fail by the \S+ fault 429": "Too many requests",
    r"\d{4}-\d\d-\d\dT[\d:.+]+": "…",
    r"http://127\.0\.0\.1:\d+": "https://…",
    r"(?<![\w/])/[^\s:,;]*/lake/[^\s:,;]*": "/…",
    r"\b[\d.]+ seconds\b": "… seconds",
}


def table() -> str:
    """Return the table: what happened in the night, the red task, and its message line by line."""
    lines = ["| what happened | red task | its message |", "|---|---|---|"]
    for night in NIGHTS:
        for task, message in night.messages():
            for pattern, instead in _VARYING.items():
                message = re.sub(pattern, instead, message)  # noqa: PLW2901
            shown = message.replace("|", "\\|").replace("<", "&lt;").replace("\n", "<br>")
            lines.append(f"| {night.name} | `{task}` | {shown} |")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.main(table)
