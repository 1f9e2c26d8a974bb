"""`make faults`: run every fault of the sandbox against every report, through operators, staging and publish.

Prints a table, and ends with 1 if a row was lost or came twice, anything half-written was left, a fault was met by an
error that is not ours, or the outcome is not what docs/reliability.md says; with `--write` it is written there instead.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

from dev.stack import PROJECT
from tests.faults import table
from tests.faults.table import Outcome, Scenario

DOCUMENT = PROJECT / "docs" / "reliability.md"
PROCESSES = os.cpu_count() or 1
AT_ONCE = 16
"""Batches that a process runs at a time: most of a batch's time is waiting."""


def main() -> int:
    """Run everything and return the exit status."""
    options = _options()
    began = time.monotonic()
    chosen = [scenario for scenario in table.scenarios() if options.only is None or scenario.fault in options.only]
    print(f"{len(chosen)} batches, each into a lake of its own …", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="sei-faults-") as folder:
        outcomes = _run_all(chosen, Path(folder))
    printed = table.tables(outcomes)
    print(printed)
    wrong = [f"{outcome.scenario}: {what}" for outcome in outcomes for what in outcome.wrong]
    if options.write:
        table.write(DOCUMENT, printed)
    else:
        wrong += _differences(table.outcomes_in(printed))
    for what in wrong:
        print(f"WRONG: {what}", file=sys.stderr)
    print(f"{len(outcomes)} batches in {time.monotonic() - began:.0f} s, {len(wrong)} wrong", file=sys.stderr)
    return 1 if wrong else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write the tables into {DOCUMENT.relative_to(PROJECT)}")
    parser.add_argument("--only", nargs="+", metavar="FAULT", help="these faults only")
    options = parser.parse_args()
    if options.write and options.only:
        parser.error("--write writes the whole tables; leave --only out")
    return options


def _run_all(chosen: Sequence[Scenario], folder: Path) -> list[Outcome]:
    """Run all, side by side; gives the outcomes in the order of the scenarios."""
    spawned = multiprocessing.get_context("spawn")  # a fork would share this process's threads and locks
    with ProcessPoolExecutor(PROCESSES, spawned, initializer=_prepare, initargs=(folder,)) as processes:
        # What waits longest first; then dealt out like cards, for neighbours take equally long.
        cards = sorted(chosen, key=lambda scenario: "list" not in scenario.calls)
        hands = processes.map(_run_some, (cards[first::PROCESSES] for first in range(PROCESSES)))
        by_scenario = {outcome.scenario: outcome for hand in hands for outcome in hand}
    return [by_scenario[scenario] for scenario in chosen]


def _prepare(folder: Path) -> None:
    """Give this process an Airflow of its own; before anything imports that, which reads its environment then."""
    place = folder / str(os.getpid())
    place.mkdir()
    os.environ.update(AIRFLOW_HOME=str(place / "airflow"), TMPDIR=str(place))
    tempfile.tempdir = None
    # What tasks log would drown the table; what is wrong comes back as a value.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run_some(chosen: Sequence[Scenario]) -> list[Outcome]:
    from tests.faults.runs import hurried, run

    with hurried(), ThreadPoolExecutor(AT_ONCE) as threads:
        outcomes = list(threads.map(run, chosen))
    if left := [path.name for path in Path(tempfile.gettempdir()).glob("sei-*") if path.name != _LIMITS]:
        outcomes[-1].wrong.append(f"left in the temporary folder: {left}")
    return outcomes


_LIMITS = f"sei-provider-{os.getuid()}"
"""The folder in which the client counts requests stays: it is the machine's."""


def _differences(outcomes: dict[tuple[str, ...], str]) -> list[str]:
    known = table.outcomes_in(table.printed_in(DOCUMENT))
    return [
        f"{DOCUMENT.name} has for {' '.join(place)} {known.get(place)!r}, not {said!r}: run with --write"
        for place, said in outcomes.items()
        if known.get(place) != said
    ]
