"""Processes that are started in a session of their own and stopped so that nothing of them stays behind.

They die with the process that started them, even if it is killed: see `dev.watchdog`.

Knows nothing of Airflow: what is started, and how one sees that it is ready, is the caller's.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from typing import NoReturn

import psutil

# A process that was asked to end gets this long before its whole session is killed. The API server uses most of it; a
# scheduler waits for running tasks, and at times for an idle worker that missed the signal.
GRACE_SECONDS = 5.0


class StackError(RuntimeError):
    """The stack did not start, did not stop, or did not do what it was asked; the message carries the log's end."""


class BackgroundProcess:
    """One process with its log, alone in a new session, so that all its descendants can be found again.

    Airflow's workers and task processes make process groups of their own, but none leaves the session it was born in.
    `outlives` is True for a process that goes on when the one that started it has ended.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Path,
        outlives: bool = False,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                self.command,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if not outlives:
            end_with_us(self.pid)

    @property
    def pid(self) -> int:
        """Process id, which is the id of its session too."""
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """Exit status once it has ended, None while it runs."""
        return self._popen.poll()

    def ask_to_stop(self) -> None:
        """Send SIGTERM to the process itself; it passes the word on to its children in its own way."""
        if self.returncode is None:
            self._popen.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to the process alone, as the kernel does when memory runs out."""
        self._popen.kill()
        self._popen.wait()

    def wait(self) -> None:
        """Reap the process, which has ended.

        The kernel calls a process a zombie as soon as its main thread is gone, and lets nobody reap it before its
        other threads are gone too.
        """
        self._popen.wait(GRACE_SECONDS)

    def kill_session(self) -> None:
        """Send SIGKILL to the process and all its descendants, as when a machine loses its power."""
        kill_session(self.pid)
        self._popen.wait()

    def titled(self, words: str) -> list[psutil.Process]:
        """Return the processes of its session whose title or command line holds these words."""
        return [member for member in self.members() if words in _command_line(member)]

    def members(self) -> list[psutil.Process]:
        """Return every process of its session that still lives, itself included."""
        return session_members(self.pid)

    def tail(self, lines: int = 30) -> str:
        """Return the last lines of the log, headed by the process's name."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        end = "\n".join(text.splitlines()[-lines:])
        return f"--- {self.name} ({self.log}), last {lines} lines\n{end}"


def stop_all(processes: Iterable[BackgroundProcess], *, grace: float = GRACE_SECONDS) -> list[str]:
    """Stop processes together: SIGTERM, `grace` seconds, then SIGKILL for whatever is left of their sessions.

    Returns the command lines of what had to be killed.

    Raises:
        StackError: a process is there even after SIGKILL.
    """
    stopping = list(processes)
    for process in stopping:
        process.ask_to_stop()
    _until_none(stopping, seconds=grace)
    killed = []
    for survivor in _members(stopping):
        killed.append(_command_line(survivor))
        try:
            survivor.kill()
        except psutil.NoSuchProcess:
            continue
    _until_none(stopping, seconds=5.0)
    if left := _members(stopping):
        msg = f"asked {[p.name for p in stopping]} to stop and killed them; still there: {left}. End these by hand."
        raise StackError(msg)
    for process in stopping:
        process.wait()
    return killed


def session_members(session: int) -> list[psutil.Process]:
    """Return every living process of a session."""
    return [process for pid in psutil.pids() if _session_of(pid) == session for process in _living(pid)]


def end_with_us(session: int) -> None:
    """Have every process of a session killed when this process has ended, even if it is killed."""
    input_ = _watchdog().stdin
    assert input_ is not None  # noqa: S101 - a pipe, for the type checker
    input_.write(f"{session}\n")
    input_.flush()


def kill_session(session: int) -> None:
    """Send SIGKILL to every process of a session, until none is left."""
    while members := session_members(session):  # more than once: a worker may have forked since the list was made
        for member in members:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        time.sleep(0.01)


def run_command(
    *command: str,
    seconds: float,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    text: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, in a folder, with a text on its standard input.

    Raises:
        StackError: it ended with another status than 0, with all that it printed; or not within `seconds`.
    """
    asked = f"`{' '.join(command)}`"
    try:
        done = subprocess.run(
            command,
            env=environment,
            cwd=folder,
            input=text,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        msg = f"{asked} has not ended after {seconds:.0f} s"
        raise StackError(msg) from error
    if done.returncode:
        msg = f"{asked} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        raise StackError(msg)
    return done


def exit_on_sigterm() -> None:
    """Turn SIGTERM into `SystemExit`, so that context managers stop what they started."""

    def stop(_signal: int, _frame: object) -> NoReturn:
        raise SystemExit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)


def free_ports(*preferred: int) -> list[int]:
    """Return a free port of this machine for each of these: the port itself, or another if it is 0 or taken."""
    with ExitStack() as held:
        found = []
        for port in preferred:
            probe = held.enter_context(socket.socket())
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                probe.bind(("127.0.0.1", 0))
            found.append(int(probe.getsockname()[1]))
        return found


def wait_until(
    ready: Callable[[], bool], *, what: str, seconds: float, processes: Sequence[BackgroundProcess], poll: float = 0.1
) -> None:
    """Wait until `ready()` is true, while all of `processes` live.

    Raises:
        StackError: a process ended meanwhile, or `seconds` passed; with the end of the logs concerned.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        dead = [process for process in processes if process.returncode is not None]
        if dead:
            tails = "\n".join(process.tail() for process in dead)
            msg = f"{what}: {', '.join(p.name for p in dead)} ended with {dead[0].returncode} instead.\n{tails}"
            raise StackError(msg)
        if time.monotonic() > deadline:
            tails = "\n".join(process.tail() for process in processes)
            msg = f"{what}: not so after {seconds:.0f} s.\n{tails}"
            raise StackError(msg)
        time.sleep(poll)


@cache
def _watchdog() -> "subprocess.Popen[str]":
    """Return the one process that watches over this one's children. It sees the end of its input when this one ends."""
    return subprocess.Popen(
        [sys.executable, "-m", "dev.watchdog"],
        cwd=Path(__file__).resolve().parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def _members(processes: Iterable[BackgroundProcess]) -> list[psutil.Process]:
    return [member for process in processes for member in process.members()]


def _until_none(processes: Sequence[BackgroundProcess], *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for process in processes:
            _ = process.returncode  # reaps it: an ended child that nobody waits for stays in the process table
        if not _members(processes):
            return
        time.sleep(0.05)


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:  # it ended since the list of processes was made
        return None


def _living(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [] if process.status() == psutil.STATUS_ZOMBIE else [process]
    except psutil.NoSuchProcess:
        return []


def _command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()) or process.name()
    except psutil.Error:
        return f"pid {process.pid}"
