"""`python -m dev.watchdog`: kill sessions of processes as soon as the process that started them is gone.

Reads the ids of the sessions from its standard input, a line each. That input ends with the process that writes it,
even if it is killed.
"""

import sys

import psutil

from dev.processes import kill_session


def main() -> None:
    """Read to the end, then kill."""
    started = {}
    for line in sys.stdin:
        started[int(line)] = _start_time(int(line))
    for session, at in started.items():
        # A session's id is not reused while a member lives. Afterwards another process may have it.
        if _start_time(session) in {None, at}:
            kill_session(session)


def _start_time(pid: int) -> float | None:
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None


if __name__ == "__main__":
    main()
