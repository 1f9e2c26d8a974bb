"""`make parse-time`: the cost of importing each example DAG over a bare DAG file, and the calls it makes meanwhile.

Airflow's DAG processor imports every DAG file again and again, so a provider that is slow to import slows all DAGs.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dev import report
from dev.stack import INHERITED, PROJECT

ROUNDS = 7
HEAVY = ("pandas", "pyarrow", "numpy", "httpx", "s3fs", "pyrate_limiter", "stamina")

BARE = '''
from airflow.sdk import DAG, task

with DAG("bare", schedule="30 2 * * *"):

    @task
    def nothing():
        """Do nothing."""

    nothing()
'''

# Reports of its own process: seconds of CPU (independent of the machine's other work), modules, and every call that
# would leave it.
LOOK = """
import json, runpy, sys, time
calls = []
def note(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo", "sqlite3.connect"}:
        calls.append(f"{event} {arguments[-1]}")
sys.addaudithook(note)
sys.path.insert(0, sys.argv[1])
began = time.process_time()
for path in sys.argv[2:]:
    runpy.run_path(path)
print(json.dumps([time.process_time() - began, sorted(sys.modules), calls]))
"""


@dataclass(frozen=True)
class Look:
    """Record of one process that imported one DAG file."""

    seconds: float
    """Of CPU, user and system."""
    modules: frozenset[str]
    calls: Sequence[str]
    """Connections to a network or to a database."""


def main() -> int:
    """Print the table, and return 1 if an example imports what it should not or makes a call."""
    with a_bare_file() as bare:
        look_at(bare)  # writes the bytecode of Airflow's own modules, which is not what is measured
        rows = [_row(bare, example) for example in examples()]
    report.heading(f"CPU time over a bare DAG file: the median of {ROUNDS} pairs of processes")
    print(f"{'DAG file':24} {'bare':>9} {'with it':>9} {'more':>9}  imports beside     calls")
    for name, seconds, seconds_bare, more, heavy, calls in rows:
        times = " ".join(f"{each * 1000:6.0f} ms" for each in (seconds_bare, seconds, more))
        print(f"{name:24} {times}  {', '.join(heavy) or 'nothing heavy':18} {len(calls)}")
    return int(any(heavy or calls for *_, heavy, calls in rows))


def examples() -> list[Path]:
    """Return the example DAGs: files of `dags/` that make a DAG."""
    return sorted(path for path in (PROJECT / "dags").glob("*.py") if "with DAG(" in path.read_text(encoding="utf-8"))


@contextmanager
def a_bare_file() -> Iterator[Path]:
    """Yield a DAG file without any provider."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bare.py"
        path.write_text(BARE, encoding="utf-8")
        yield path


def look_at(*paths: Path) -> Look:
    """Import DAG files of one folder in a process of their own."""
    with tempfile.TemporaryDirectory() as home:
        environment = {name: os.environ[name] for name in (*INHERITED, "PYTHONPATH") if name in os.environ}
        done = subprocess.run(
            [sys.executable, "-c", LOOK, str(paths[0].parent), *map(str, paths)],
            env={**environment, "AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False"},
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=True,
        )
    seconds, modules, calls = json.loads(done.stdout.splitlines()[-1])
    return Look(seconds, frozenset(modules), calls)


def heavy(look: Look, bare: Look) -> list[str]:
    """Return the heavy modules that a file imports and a bare one does not."""
    return [name for name in HEAVY if name in look.modules - bare.modules]


def _row(bare: Path, example: Path) -> tuple[str, float, float, float, list[str], Sequence[str]]:
    look_at(example)  # as above
    pairs = [(look_at(bare), look_at(example)) for _ in range(ROUNDS)]
    last_bare, last = pairs[-1]
    return (
        example.name,
        statistics.median(each.seconds for _, each in pairs),
        statistics.median(each.seconds for each, _ in pairs),
        statistics.median(each.seconds - without.seconds for without, each in pairs),
        heavy(last, last_bare),
        last.calls,
    )


if __name__ == "__main__":
    sys.exit(main())
