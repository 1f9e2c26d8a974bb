"""`make waiting`: lag, CPU and requests of one triggerer in which 10,000 exports wait, or as many as are asked for.

    python -m bench.waiting [EXPORTS]

The triggerer is Airflow's own, with a trigger for each hundred exports; nothing else of Airflow runs. The sandbox is a
process of its own, and its exports do not end. A third of the exports is of each report.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.lag import LagTrigger
from dev.metadata import Metadata, metadata
from dev.processes import BackgroundProcess, StackError, stop_all, wait_until
from dev.stack import INHERITED, PROJECT, start_sandbox
from sei_provider.api import ExportRequest, Scope, SeiClient
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.data.organisation import Organisation
from sei_provider.triggers.export import Polling, SeiExportTrigger

EXPORTS = 10_000
REPORTS = ("productivity", "sprint", "business_alignment")
"""The last has no list, so its exports are polled one by one."""
BATCH = 100
PER_MINUTE = 400
SECONDS = 60.0
START_SECONDS = 120.0
POLLING: Polling = {"interval": 10.0, "backoff": 1.5, "max_interval": 120.0}
"""The export operator's own."""


def main() -> int:
    """Measure and print; 0 if every trigger still waited at the end and asked nothing but what it should."""
    try:
        with tempfile.TemporaryDirectory(prefix="sei-waiting-") as folder:
            return _measure(Path(folder), int(sys.argv[1]) if sys.argv[1:] else EXPORTS)
    except StackError as error:
        print(error, file=sys.stderr)
        return 1


@dataclass(frozen=True, slots=True)
class Use:
    """CPU seconds that the supervisor and the process with the event loop have used so far, and its memory."""

    supervisor: float
    loop: float
    memory: int


def _measure(folder: Path, exports: int) -> int:
    triggers = -(-exports // BATCH)
    batches = {report: (triggers + 2 - number) // 3 for number, report in enumerate(REPORTS)}
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
    environment |= {"PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1", "TMPDIR": str(folder)}
    exports = triggers * BATCH
    started: list[BackgroundProcess] = []
    try:
        teams = str(max(batches.values()) * BATCH)
        process, url = start_sandbox(
            *("--port", "0", "--teams", teams, "--seconds", "86400"),
            environment=environment,
            log=folder / "sandbox.log",
        )
        started.append(process)
        sandbox = SandboxControl(url)
        waiting = _make_exports(sandbox, batches)
        environment |= _airflow(folder, sandbox)
        with metadata(environment) as database:
            deadline = time.time() + 3600
            for number, (report, ids) in enumerate(waiting):
                _defer(database, f"batch-{number}", report, ids, deadline)
            triggerer = BackgroundProcess(
                "triggerer",
                [sys.executable, "-m", "airflow", "triggerer", "--skip-serve-logs"],
                environment=environment,
                log=folder / "triggerer.log",
            )
            started.append(triggerer)
            asking = lambda: sandbox.summary()["by_kind"].get("status", 0) > 0  # noqa: E731 - once, and short
            wait_until(asking, what="the triggers ask", seconds=START_SECONDS, processes=started)
            begin = time.time() + 2
            database.defer("lag", *LagTrigger(begin=begin, seconds=SECONDS).serialize())
            time.sleep(max(0.0, begin - time.time()))
            before, asked_before = _use(triggerer), _asked(sandbox)
            time.sleep(SECONDS)
            after, asked = _use(triggerer), _asked(sandbox) - asked_before
            told = lambda: database.task("lag")["event"] is not None  # noqa: E731 - the same
            wait_until(told, what="the lag is known", seconds=START_SECONDS, processes=started)
            lag = database.task("lag")["event"]
            still = sum(database.task(f"batch-{number}")["state"] == "deferred" for number in range(len(waiting)))
    finally:
        stop_all(started)
    mix = ", ".join(f"{number * BATCH:,} {report}" for report, number in batches.items())
    print(f"{exports:,} exports ({mix}) in {len(waiting)} triggers of one triggerer, for {SECONDS:.0f} s")
    print(
        f"event loop: {lag['looks']:,} looks; late by {lag['p50'] * 1000:.1f} ms (p50), "
        f"{lag['p99'] * 1000:.1f} ms (p99), {lag['max'] * 1000:.1f} ms (most)"
    )
    loop, supervisor = after.loop - before.loop, after.supervisor - before.supervisor
    print(
        f"CPU: {loop:.1f} s for the event loop's process ({loop / SECONDS:.1%} of one core), "
        f"{supervisor:.1f} s for its supervisor; memory {after.memory / 1e6:.0f} MB"
    )
    kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(asked.items()))
    print(f"requests: {asked.total()} of the {PER_MINUTE} a minute that SEI allows ({kinds})")
    print(f"triggers that still wait: {still} of {len(waiting)}")
    return 0 if still == len(waiting) and set(asked) <= {"list", "status"} else 1


def _make_exports(sandbox: SandboxControl, batches: dict[str, int]) -> list[tuple[str, list[str]]]:
    """Create all exports; return the report and export ids of each batch."""
    teams = [team.id for team in Organisation(max(batches.values()) * BATCH).leaves]
    with (
        SeiClient(
            base_url=sandbox.base_url,
            api_key=sandbox.key,
            org_identifier="acme",
            project_identifier="web",
            requests_per_minute=100_000,  # making them is not what is measured
        ) as client,
        ThreadPoolExecutor(8) as pool,
    ):

        def make(report: str, team: str) -> str:
            request = ExportRequest(
                report=report,
                scope=Scope(team_id=team),
                start="2026-01-01",  # type: ignore[arg-type]  # it takes text, too
                end="2026-01-31",  # type: ignore[arg-type]
            )
            return client.create_export(request).id

        return [
            (report, list(pool.map(lambda team, of=report: make(of, team), teams[first : first + BATCH])))
            for report, number in batches.items()
            for first in range(0, number * BATCH, BATCH)
        ]


def _airflow(folder: Path, sandbox: SandboxControl) -> dict[str, str]:
    extra = {"org_identifier": "acme", "project_identifier": "web", "requests_per_minute": PER_MINUTE}
    connection = {"conn_type": "sei", "host": sandbox.base_url, "password": sandbox.key, "extra": extra}
    return {
        "AIRFLOW_CONN_SEI_DEFAULT": json.dumps(connection),
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dev" / "dags" / "waiting"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }


def _defer(database: Metadata, run_id: str, report: str, ids: list[str], deadline: float) -> None:
    trigger = SeiExportTrigger(
        report=report, export_ids=ids, deadline=deadline, polling=POLLING, sei_conn_id="sei_default"
    )
    database.defer(run_id, *trigger.serialize())


def _use(triggerer: BackgroundProcess) -> Use:
    supervisor = psutil.Process(triggerer.pid)
    [loop] = supervisor.children()
    return Use(_cpu(supervisor), _cpu(loop), loop.memory_info().rss)


def _cpu(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


def _asked(sandbox: SandboxControl) -> Counter[str]:
    """Return the requests of triggers, by kind."""
    agents = sandbox.summary()["by_user_agent"]
    return sum((Counter(kinds) for agent, kinds in agents.items() if "Async" in agent), Counter())


if __name__ == "__main__":
    sys.exit(main())
