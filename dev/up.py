"""`make up` and `make down`: the demo's Airflow and sandbox, kept running for a person to look at.

A keeper process holds the stack and stops it when it is told to; `--down` tells it, and looks that nothing stayed.
"""

import argparse
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import psutil

from dev.demo import EXPORT_SECONDS, LAKE, NIGHTLY, SCORECARD, STATE, TEAMS, say
from dev.processes import BackgroundProcess, StackError, wait_until
from dev.stack import PROJECT, START_SECONDS, Stack
from sei_provider.sandbox.data.organisation import Organisation

FOLDER = STATE / "up"
UI_PORT = 8080
SANDBOX_PORT = 8765
DOWN_SECONDS = 60.0


def main() -> int:
    """Start, stop or keep; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m dev.up", description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--down", action="store_true", help="stop what was started")
    what.add_argument("--keep", action="store_true", help="hold the stack until told to stop (started by itself)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where logs, database and state are kept")
    options = parser.parse_args()
    folder = options.folder.resolve()
    try:
        if options.keep:
            keep(folder)
        elif options.down:
            down(folder)
        else:
            up(folder)
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def up(folder: Path) -> None:
    """Start a keeper, unless one lives, and print where everything is.

    Raises:
        StackError: the stack did not come up; with the end of the keeper's log.
    """
    state = _read(folder)
    if state is None or _process(state["keeper"]) is None:
        if state is not None:
            down(folder)  # the keeper was killed: what it held may still be there
        state = _start_keeper(folder)
        say(f"All is up; {NIGHTLY} runs now, for the last night.")
    say(f"Airflow   {state['airflow']}   no login: whoever reaches it on this machine is an admin")
    say(f"Sandbox   {state['sandbox']}/_sandbox/summary   what it was asked; /_sandbox/exports lists the exports")
    say(f"Lake      {LAKE}")
    say("Stop everything with `make down`.")


def down(folder: Path) -> None:
    """Tell the keeper to stop and wait until nothing is left; what outlives a killed keeper is killed.

    Raises:
        StackError: the keeper does not end.
    """
    state = _read(folder)
    if state is None:
        say("Nothing is up.")
        return
    if keeper := _process(state["keeper"]):
        keeper.terminate()
        try:
            keeper.wait(timeout=DOWN_SECONDS)
        except psutil.TimeoutExpired as error:
            msg = f"the keeper (pid {keeper.pid}) has not ended {DOWN_SECONDS:.0f} s after SIGTERM; see {_log(folder)}"
            raise StackError(msg) from error
    left = [process for session in state["sessions"] for process in _members(session)]
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=5)
    _state(folder).unlink(missing_ok=True)
    say(f"Down.{f' {len(left)} processes were left by a killed keeper.' if left else ''} The lake stays: {LAKE}")


def keep(folder: Path) -> None:
    """Run the stack until SIGTERM."""
    signal.signal(signal.SIGTERM, _stop)
    stack = Stack(
        folder / "airflow",
        dags=PROJECT / "dags",
        lake=LAKE.as_uri(),
        teams=[team.id for team in Organisation(TEAMS).leaves],
        sandbox_teams=TEAMS,
        sandbox_seconds=EXPORT_SECONDS,
        sandbox_options=("--port", str(SANDBOX_PORT)) if _is_free(SANDBOX_PORT) else (),
        port=UI_PORT if _is_free(UI_PORT) else None,
    )
    with stack:
        stack.wait_for_dags(NIGHTLY, SCORECARD)
        stack.airflow.unpause(SCORECARD, NIGHTLY)
        state = {
            "keeper": _identity(os.getpid()),
            "sessions": [_identity(process.pid) for process in stack.processes.values()],
            "airflow": stack.airflow.base_url,
            "sandbox": stack.sandbox_url,
        }
        whole = _state(folder).with_suffix(".new")
        whole.write_text(json.dumps(state), encoding="utf-8")
        whole.replace(_state(folder))
        while True:
            signal.pause()


def _start_keeper(folder: Path) -> dict[str, Any]:
    say("Starting the sandbox and Airflow …")
    command = [sys.executable, "-m", "dev.up", "--keep", "--folder", str(folder)]
    keeper = BackgroundProcess("keeper", command, environment=os.environ, log=_log(folder))
    found: list[dict[str, Any]] = []

    def ready() -> bool:
        found.extend(filter(None, [_read(folder)]))
        return bool(found)

    wait_until(ready, what="the sandbox and Airflow are up", seconds=2 * START_SECONDS, processes=[keeper])
    return found[0]


def _log(folder: Path) -> Path:
    return folder / "keeper.log"


def _state(folder: Path) -> Path:
    return folder / "up.json"


def _read(folder: Path) -> dict[str, Any] | None:
    file = _state(folder)
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


def _identity(pid: int) -> dict[str, float]:
    """A process, so that no later one of the same id is taken for it."""
    return {"pid": pid, "started": psutil.Process(pid).create_time()}


def _process(identity: Mapping[str, float]) -> psutil.Process | None:
    try:
        process = psutil.Process(int(identity["pid"]))
        alive = process.status() != psutil.STATUS_ZOMBIE and process.create_time() == identity["started"]
    except psutil.NoSuchProcess:
        return None
    return process if alive else None


def _members(session: Mapping[str, float]) -> list[psutil.Process]:
    """Whoever is left of a session that this process led. Its id is not given out again as long as anyone is."""
    pid = int(session["pid"])
    if psutil.pid_exists(pid) and _process(session) is None:
        return []
    return [process for process in psutil.process_iter() if _session_of(process.pid) == pid]


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:  # it ended since the list of processes was made
        return None


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)  # through the stack's context manager, which stops what it started


if __name__ == "__main__":
    sys.exit(main())
