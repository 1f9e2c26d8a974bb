"""`make nightly`: what a night of exports costs, beside a plain asyncio script on the same sandbox in the same run.

    python -m bench.nightly [--exports 200 1000] [--limit with without] [--apart]

For each number of exports, with SEI's limit of 400 requests a minute and without: first the script
(`bench.nightly_script`), then our DAG by a real Airflow, in batches of 100. `--apart` gives worker and triggerer a
TMPDIR each, as on two machines that count their requests apart. Prints what both took, and ours as a multiple of the
script's. LocalExecutor forks tasks from the scheduler, so the memory of a task counts what that holds too; the share of
a task divides what processes share by their number.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bench.export_runs import PER_MINUTE, TIMEOUT, airflow_for, batches
from bench.process_use import ProcessSampler, ProcessUse
from dev.processes import StackError, stop_all
from dev.stack import PROJECT, Stack
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.data.organisation import Organisation

WINDOW_SECONDS = 61.0
DAG_ID = "requests_productivity"
SCRIPT_RANGE = ("2025-12-01", "2025-12-31")
"""Not the DAG's own month, because SEI would give it the script's exports; as long as that one."""


@dataclass(frozen=True, slots=True)
class Script:
    """Cost of the script."""

    seconds: float
    cpu: float
    memory: int
    requests: int
    landed: int


@dataclass(frozen=True, slots=True)
class Night:
    """Cost of our run."""

    seconds: float
    use: ProcessUse
    held: float
    """Seconds × workers that export tasks held."""
    task_memory: int
    task_share: int
    triggerer_memory: int
    requests: int
    refused: int
    landed: int
    state: str


def main() -> int:
    """Measure and print each case; 0 if every export landed in our runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exports", type=int, nargs="+", default=[200, 1000], help="how many in a night")
    parser.add_argument("--limit", nargs="+", choices=("with", "without"), default=["with", "without"])
    parser.add_argument("--apart", action="store_true", help="worker and triggerer in TMPDIRs of their own")
    options = parser.parse_args()
    good = True
    for exports in options.exports:
        for limit in options.limit:
            with tempfile.TemporaryDirectory(prefix="sei-nightly-") as folder:
                try:
                    good &= _case(Path(folder), exports, limited=limit == "with", apart=options.apart)
                except StackError as error:
                    print(f"{exports} exports, {limit} limit: {error}", file=sys.stderr)
                    good = False
    return 0 if good else 1


def _case(folder: Path, exports: int, *, limited: bool, apart: bool) -> bool:
    teams = [team.id for team in Organisation(exports).leaves]
    with airflow_for(exports, folder, limited=limited) as stack:
        stack.wait_for_dags(DAG_ID)
        _restart_scheduler(stack)
        if apart:
            _move_triggerer(stack, folder / "triggerer")
        script = _run_script(stack, folder / "script", teams)
        if limited:
            time.sleep(WINDOW_SECONDS)  # SEI's window holds the script's requests so long
        night = _run_night(stack, teams)
    _tell(exports, script, night, limited=limited, apart=apart)
    return night.state == "success" and night.landed == exports


def _restart_scheduler(stack: Stack) -> None:
    """Start the scheduler anew as users start it: a task is forked from it with what it has imported.

    The stack's own has imported what tasks need (`dev.preloaded`), which makes them quicker and their memory larger.
    """
    stop_all([stack.processes["scheduler"]])
    stack.processes["scheduler"] = stack.start_another("scheduler", {})


def _move_triggerer(stack: Stack, folder: Path) -> None:
    """Start the triggerer anew in a temporary folder of its own."""
    folder.mkdir()
    stop_all([stack.processes["triggerer"]])
    shared = stack.environment
    stack.environment = {**shared, "TMPDIR": str(folder)}
    stack.start_process("triggerer")
    stack.environment = shared


def _run_script(stack: Stack, folder: Path, teams: list[str]) -> Script:
    folder.mkdir()
    sandbox = SandboxControl(stack.sandbox_url, key=stack.sandbox_key)
    before = sandbox.summary()["requests"]
    arguments = [stack.sandbox_url, stack.sandbox_key, str(folder), *SCRIPT_RANGE, *teams]
    began = time.monotonic()
    with subprocess.Popen([sys.executable, "-m", "bench.nightly_script", *arguments], cwd=PROJECT) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - began
    landed = len(list(folder.glob("*.parquet")))
    return Script(seconds, _cpu(used), used.ru_maxrss * 1024, sandbox.summary()["requests"] - before, landed)


def _cpu(used: resource.struct_rusage) -> float:
    return used.ru_utime + used.ru_stime


def _run_night(stack: Stack, teams: list[str]) -> Night:
    sandbox = SandboxControl(stack.sandbox_url, key=stack.sandbox_key)
    asked, made = len(sandbox.requests()), len(sandbox.exports())
    stack.airflow.unpause(DAG_ID)
    with ProcessSampler(stack.processes) as sampler:
        began = time.monotonic()
        run_id = stack.airflow.trigger(DAG_ID, conf=batches(teams))
        state = stack.airflow.wait(DAG_ID, run_id, timeout=TIMEOUT, poll=0.5)
        seconds = time.monotonic() - began
        use = sampler.used()
    requests = sandbox.requests()[asked:]
    return Night(
        seconds=seconds,
        use=use,
        held=stack.sampler.running_seconds[DAG_ID, "export"],
        task_memory=sampler.task_peak,
        task_share=sampler.task_share,
        triggerer_memory=sampler.triggerer_peak,
        requests=len(requests),
        refused=Counter(request["status"] for request in requests)[429],
        landed=sum(export["sent"] for export in sandbox.exports()[made:]),
        state=state,
    )


def _tell(exports: int, script: Script, night: Night, *, limited: bool, apart: bool) -> None:
    use = night.use
    floor = 2 * exports / PER_MINUTE * 60
    print(
        f"\n{exports:,} exports {f'at {PER_MINUTE} requests a minute' if limited else 'without a limit'}"
        f"{', worker and triggerer in different TMPDIRs' if apart else ''}: "
        f"{night.landed} landed ({night.state}), {night.refused} times 429; by the script {script.landed}"
    )
    rows: list[tuple[str, float, float, str]] = [
        ("wall", night.seconds, script.seconds, "s"),
        ("CPU of tasks and triggerer", use.tasks + use.triggerer, script.cpu, "s"),
        ("  of task processes", use.tasks, script.cpu, "s"),
        ("  of the triggerer", use.triggerer, script.cpu, "s"),
        ("CPU of LocalExecutor's supervisors", use.supervisors, script.cpu, "s"),
        ("CPU of scheduler, API server, DAG processor", use.services, script.cpu, "s"),
        ("memory of a task process", night.task_memory / 1e6, script.memory / 1e6, "MB"),
        ("  its share, with shared pages divided", night.task_share / 1e6, script.memory / 1e6, "MB"),
        ("memory of the triggerer", night.triggerer_memory / 1e6, script.memory / 1e6, "MB"),
        ("requests for each export", night.requests / exports, script.requests / exports, ""),
    ]
    print(f"{'':<46}{'ours':>9}{'script':>9}{'ratio':>8}")
    for name, ours, theirs, unit in rows:
        ratio = ours / theirs if theirs else math.nan
        print(f"{name:<46}{ours:>9.2f}{theirs:>9.2f}{ratio:>8.2f}  {unit}")
    print(f"{'workers held by export tasks':<46}{night.held:>9.2f}{'':>17}  s")
    if limited:
        ours, theirs = night.seconds / floor, script.seconds / floor
        print(f"{'wall over the floor of two requests an export':<46}{ours:>9.2f}{theirs:>9.2f}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
