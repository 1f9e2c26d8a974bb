"""`make trace`: follow one export through operator, hook, client, trigger, staging and publish.

    python bench/trace_export.py [--calls]

Prints how many functions of `sei_provider` are entered, in how many files, and how often the next function that a
thread enters is in another file than the one before. The sandbox runs in a process of its own and is not counted. To
measure another version, put its folder into PYTHONPATH.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any


class Trace:
    """Records the functions of one package that any thread enters while it is active."""

    def __init__(self, package: Path) -> None:
        self.entered: dict[tuple[str, str], int] = {}
        """Calls of each function: `(file, name)`, in the order of their first calls."""
        self.changes = 0
        self._package = f"{package}{os.sep}"
        self._sandbox = f"{package / 'sandbox'}{os.sep}"
        self._last: dict[int, str] = {}
        self._lock = threading.Lock()

    @property
    def files(self) -> set[str]:
        """The files of these functions."""
        return {file for file, _ in self.entered}

    @contextmanager
    def active(self) -> Iterator[None]:
        """Record this thread and those that start meanwhile."""
        threading.setprofile(self._profile)
        sys.setprofile(self._profile)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    def _profile(self, frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        # Bodies of modules, comprehensions and lambdas have no name of their own.
        if event != "call" or code.co_name.startswith("<") or not code.co_filename.startswith(self._package):
            return
        if code.co_filename.startswith(self._sandbox):
            return
        file = code.co_filename.removeprefix(self._package)
        thread = threading.get_ident()
        with self._lock:
            key = file, code.co_qualname
            self.entered[key] = self.entered.get(key, 0) + 1
            self.changes += self._last.get(thread, file) != file
            self._last[thread] = file


def main() -> None:
    """Run one export and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", action="store_true", help="print every function too, in the order of first calls")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sei-trace-") as folder, sandbox() as url:
        os.environ["AIRFLOW_HOME"] = os.environ["TMPDIR"] = folder
        extra = {"org_identifier": "acme", "project_identifier": "web"}
        connection = {"conn_type": "sei", "host": url, "password": "sandbox", "extra": extra}
        os.environ["AIRFLOW_CONN_SEI_DEFAULT"] = json.dumps(connection)
        import sei_provider

        package = Path(sei_provider.__file__).parent
        run_export(f"{folder}/warm")  # imports and caches of the first run are not the way of an export
        trace = Trace(package)
        with trace.active():
            run_export(f"{folder}/lake")
    if options.calls:
        for (file, name), calls in trace.entered.items():
            print(f"{calls:>6}  {file}  {name}")
    print(f"one export: {len(trace.entered)} functions in {len(trace.files)} files, {trace.changes} changes of file")


@contextmanager
def sandbox() -> Iterator[str]:
    """Run a sandbox whose exports are done at once; gives its URL."""
    command = [sys.executable, "-m", "sei_provider.sandbox", "--port", "0", "--teams", "6", "--seconds", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            found = re.search(r"http://\S+", process.stdout.readline() if process.stdout else "")
            if found is None:
                msg = "the sandbox did not say where it listens"
                raise RuntimeError(msg)
            yield found[0]
        finally:
            process.terminate()


def run_export(lake: str) -> None:
    """Run the tasks `export` and `publish` for one team and one month, as Airflow would."""
    from airflow.providers.common.compat.sdk import TaskDeferred

    from sei_provider.operators.export import SeiExportOperator
    from sei_provider.operators.publish import SeiPublishOperator

    export = SeiExportOperator(
        task_id="export",
        report="sprint",
        scopes=["11"],
        start="2026-01-01",
        end="2026-01-31",
        lake=lake,
        poll_interval=0.05,
        timeout=60,
    )
    try:
        staged = export.execute(context(export))
    except TaskDeferred as deferred:
        event = asyncio.run(event_of(deferred.trigger))
        resume = getattr(export, deferred.method_name)
        staged = resume(context(export), event=event, **(deferred.kwargs or {}))
    publish = SeiPublishOperator(task_id="publish", staged=staged, expected=["11"], lake=lake)
    published = publish.execute(context(publish))
    if not published["published"] or published["missing"]:
        msg = f"the export did not land: {published}"
        raise RuntimeError(msg)


async def event_of(trigger: Any) -> Any:
    """Run a trigger, stored and loaded as Airflow does, until it fires."""
    _, kwargs = trigger.serialize()
    async for event in type(trigger)(**kwargs).run():
        return event.payload
    return None


def context(operator: Any) -> Any:
    """Make up the context of a first try."""
    now = datetime.now(UTC)
    ti = SimpleNamespace(
        dag_id="dag", run_id="run", task_id=operator.task_id, map_index=-1, try_number=1, max_tries=0,
        task=operator, xcom_push=lambda **_: None,
    )  # fmt: skip
    run = SimpleNamespace(run_after=now, start_date=now)
    return {"ti": ti, "run_id": "run", "dag_run": run, "outlet_events": {}}


if __name__ == "__main__":
    main()
