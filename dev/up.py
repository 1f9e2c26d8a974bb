"""`make up` and `make down`: the demo's Airflow and sandbox in the background, kept running to look at.

A keeper process holds the stack, which ends with it. `--down` sends it SIGTERM.
"""

import argparse
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Any

import psutil

from dev.demo import EXPORT_SECONDS, LAKE, NIGHTLY, SCORECARD, STATE, TEAMS
from dev.processes import BackgroundProcess, StackError, exit_on_sigterm, free_ports, wait_until
from dev.report import say
from dev.stack import PROJECT, START_SECONDS, Stack
from sei_provider.sandbox.data.organisation import Organisation

FOLDER = STATE / "up"
UI_PORT, SANDBOX_PORT = 8080, 8765
DOWN_SECONDS = 60.0
ENVIRONMENT = "environment"
"""Name of a file, in the folder, for a shell to source; only its owner can read it, because it holds the key."""
SCORECARD_PAGE = LAKE / "scorecard" / "scorecard.html"


def main() -> int:
    """Start, stop or keep the stack; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m dev.up", description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--down", dest="do", action="store_const", const=down, help="stop what was started")
    what.add_argument("--keep", dest="do", action="store_const", const=keep, help=argparse.SUPPRESS)
    options = parser.parse_args()
    try:
        (options.do or up)(FOLDER)
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def up(folder: Path) -> None:
    """Start a keeper, unless one runs, and print where everything is.

    Raises:
        StackError: the stack did not start; with the end of the keeper's log.
    """
    file = folder / "up.json"
    if not file.exists() or not _is_same(_read(folder)["keeper"]):
        file.unlink(missing_ok=True)  # of a keeper that was killed
        say("Starting the sandbox and Airflow …")
        keeper = BackgroundProcess(
            "keeper",
            [sys.executable, "-m", "dev.up", "--keep"],
            environment=os.environ,
            log=folder / "keeper.log",
            outlives=True,
        )
        wait_until(file.exists, what="the sandbox and Airflow are up", seconds=2 * START_SECONDS, processes=[keeper])
        say(f"All is up; {NIGHTLY} runs now, for the last night.")
    state = _read(folder)
    say(f"Airflow    {state['airflow']}/dags/{NIGHTLY}   no login: anybody who reaches it on this machine is an admin")
    say(f"Sandbox    {state['sandbox']}/_sandbox/   its exports and requests, and how to order a fault")
    say(f"Lake       {LAKE}")
    say(f"Scorecard  {SCORECARD_PAGE.as_uri()}   {_scorecard_state()}")
    say("For `airflow` and `airflow sei` in this terminal, such as `airflow sei exports list sprint`, run:")
    say(f"  . {folder / ENVIRONMENT}")
    say("Stop everything with `make down`.")


def down(folder: Path) -> None:
    """Stop the keeper and wait for its end.

    Raises:
        StackError: the keeper does not end.
    """
    file = folder / "up.json"
    if not file.exists():
        say("Nothing is up.")
        return
    state = _read(folder)
    if _is_same(state["keeper"]):
        keeper = psutil.Process(state["keeper"][0])
        keeper.terminate()
        try:
            keeper.wait(timeout=DOWN_SECONDS)
        except psutil.TimeoutExpired as error:
            msg = f"the keeper (pid {keeper.pid}) has not ended {DOWN_SECONDS:.0f} s after SIGTERM; see {folder}"
            raise StackError(msg) from error
    file.unlink()
    (folder / ENVIRONMENT).unlink(missing_ok=True)
    say(f"Down. The lake stays: {LAKE}")


def keep(folder: Path) -> None:
    """Run the stack until SIGTERM."""
    exit_on_sigterm()
    ui_port, sandbox_port = free_ports(UI_PORT, SANDBOX_PORT)
    with Stack(
        folder / "airflow",
        dags=PROJECT / "dags",
        lake=LAKE.as_uri(),
        teams=[team.id for team in Organisation(TEAMS).leaves],
        sandbox_teams=TEAMS,
        sandbox_seconds=EXPORT_SECONDS,
        sandbox_options=("--port", str(sandbox_port)),
        port=ui_port,
    ) as stack:
        stack.wait_for_dags(NIGHTLY, SCORECARD)
        stack.airflow.unpause(SCORECARD, NIGHTLY)
        state = {
            "keeper": _identity(os.getpid()),
            "airflow": stack.airflow.base_url,
            "sandbox": stack.sandbox_url,
        }
        environment = folder / ENVIRONMENT
        environment.touch(mode=0o600)
        environment.write_text(_exports(stack.environment), encoding="utf-8")
        new = folder / "up.new"
        new.write_text(json.dumps(state), encoding="utf-8")
        new.replace(folder / "up.json")
        signal.pause()


def _scorecard_state() -> str:
    return "once sei_scorecard has run" if not SCORECARD_PAGE.exists() else "as it is now; each run writes it anew"


def _exports(environment: Mapping[str, str]) -> str:
    """Return a file for a shell to source: all of Airflow's settings, and its commands first in the path."""
    lines = [f"export {name}={quote(value)}" for name, value in environment.items() if name.startswith("AIRFLOW")]
    return "\n".join([*lines, f'export PATH={quote(str(Path(sys.executable).parent))}:"$PATH"', ""])


def _read(folder: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((folder / "up.json").read_text(encoding="utf-8"))
    return state


def _identity(pid: int) -> tuple[int, float]:
    """Return pid and start time: a later process with the same pid is another one."""
    return pid, psutil.Process(pid).create_time()


def _is_same(identity: tuple[int, float]) -> bool:
    """Return whether this process still runs."""
    pid, started = identity
    try:
        process = psutil.Process(pid)
        return process.create_time() == started and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


if __name__ == "__main__":
    sys.exit(main())
