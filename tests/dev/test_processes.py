"""Starting and stopping processes: nothing of them may stay behind, and what does not start says why."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from dev.processes import (
    BackgroundProcess,
    StackError,
    kill_session,
    run_command,
    session_members,
    stop_all,
    wait_until,
)
from dev.stack import PROJECT

# Ignores SIGTERM, and has a child in a process group of its own which does too, as Airflow's task processes are.
STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if not child:
    os.setpgid(0, 0)
print("child" if not child else "parent", os.getpid(), flush=True)
time.sleep(600)
"""


def _start(tmp_path: Path, program: str) -> BackgroundProcess:
    return BackgroundProcess(
        "stubborn", [sys.executable, "-c", program], environment=dict(os.environ), log=tmp_path / "stubborn.log"
    )


def test_a_process_that_ignores_sigterm_is_killed_with_its_child_in_another_group(tmp_path: Path) -> None:
    process = _start(tmp_path, STUBBORN)
    wait_until(lambda: len(process.log.read_text().splitlines()) == 2, what="both up", seconds=30, processes=[process])
    members = process.members()
    assert len(members) == 2
    killed = stop_all([process], grace=0.1)
    assert len(killed) == 2
    assert [m.pid for m in members if m.is_running() and m.status() != psutil.STATUS_ZOMBIE] == []


def test_a_session_is_killed_whole_and_its_members_are_found_by_their_title(tmp_path: Path) -> None:
    process = _start(tmp_path, STUBBORN)
    wait_until(lambda: len(process.log.read_text().splitlines()) == 2, what="both up", seconds=30, processes=[process])
    assert process.titled("os.setpgid(0, 0)") == process.members()
    assert process.titled("airflow") == []
    process.kill_session()
    assert (process.members(), process.returncode) == ([], -9)


def test_a_process_that_ends_at_sigterm_is_not_killed(tmp_path: Path) -> None:
    process = _start(tmp_path, "import time; print('up', flush=True); time.sleep(600)")
    wait_until(lambda: "up" in process.log.read_text(), what="up", seconds=30, processes=[process])
    assert stop_all([process], grace=30) == []
    assert process.returncode is not None


OWNER = """
import os, sys
from pathlib import Path
from dev.processes import BackgroundProcess
for name in ("child", "outlives"):
    process = BackgroundProcess(
        name, [sys.executable, "-c", sys.argv[2]], environment=dict(os.environ), log=Path(sys.argv[1], name),
        outlives=name == "outlives",
    )
    print(process.pid, flush=True)
input()
"""


def test_processes_die_with_the_one_that_started_them_even_if_it_is_killed_unless_they_outlive_it(
    tmp_path: Path,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path), STUBBORN],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
    ) as owner:
        assert owner.stdout
        child, outlives = (int(owner.stdout.readline()) for _ in range(2))
        both_up = lambda: all(len((tmp_path / name).read_text().splitlines()) == 2 for name in ("child", "outlives"))  # noqa: E731
        wait_until(both_up, what="both up", seconds=60, processes=[])
        owner.kill()
    try:
        wait_until(lambda: session_members(child) == [], what="the child is gone", seconds=60, processes=[])
        assert len(session_members(outlives)) == 2
    finally:
        kill_session(child)
        kill_session(outlives)


def test_waiting_for_a_process_that_died_ends_at_once_with_the_end_of_its_log(tmp_path: Path) -> None:
    process = _start(tmp_path, "raise SystemExit('no such table: dag')")
    with pytest.raises(StackError, match=r"(?s)ready: stubborn ended with 1 instead.*no such table: dag"):
        wait_until(lambda: False, what="ready", seconds=30, processes=[process])


def test_waiting_is_bounded_and_shows_the_log_of_what_was_waited_for(tmp_path: Path) -> None:
    process = _start(tmp_path, "import time; print('still thinking', flush=True); time.sleep(600)")
    try:
        wait_until(lambda: "still" in process.log.read_text(), what="up", seconds=30, processes=[process])
        with pytest.raises(StackError, match=r"(?s)ready: not so after 0 s.*still thinking"):
            wait_until(lambda: False, what="ready", seconds=0, processes=[process])
    finally:
        stop_all([process], grace=30)


def test_a_command_that_fails_or_takes_too_long_is_an_error_that_names_it(tmp_path: Path) -> None:
    assert run_command("sh", "-c", "cat; pwd", folder=tmp_path, text="in ", seconds=30).stdout == f"in {tmp_path}\n"
    with pytest.raises(StackError, match=r"(?s)`sh -c .*` ended with 3:.*out.*err"):
        run_command("sh", "-c", "echo out; echo err >&2; exit 3", seconds=30)
    with pytest.raises(StackError, match="`sleep 60` has not ended after 0 s"):
        run_command("sleep", "60", seconds=0.1)
