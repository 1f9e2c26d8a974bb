"""Two publishers at once, as processes, on one month: nothing of either is lost, on disk, on S3 and on Azure.

The interleaving is forced: the first reads the month and waits before its put until the second has finished, or waits
for the lock. Without the lock, or without If-Match, the first would overwrite the second.
"""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, wait

import publisher
import pytest
from lake_bench import at, team_row

from sei_provider import lake

pytestmark = pytest.mark.parametrize("store", ["disk", "s3", "azure"], indirect=True)
JAN = "2026-01-01"


class Publishers:
    """Publishers on one bench, each in a process of its own, and the signals that pause and resume them."""

    def __init__(self, bench, processes):
        self.bench = bench
        self.processes = processes
        self.signals = bench.folder / "signals"
        self.signals.mkdir()
        self.running = []

    def start(self, name, *manifests, pause=False):
        task = {
            "name": name,
            "lake": getattr(self.bench.lake, "key", str(self.bench.lake)),
            "store": self.bench.store,
            "endpoint": self.bench.endpoint,
            "manifests": manifests,
            "signals": str(self.signals),
            "pause": pause,
            "published_at": at(100).isoformat(),
        }
        self.running.append(self.processes.submit(publisher.publish, task))

    def wait_for(self, *names):
        until = time.monotonic() + 100
        while not any((self.signals / name).exists() for name in names):
            assert time.monotonic() < until, f"none of {names} came"
            assert not [future.exception() for future in self.running if future.done() and future.exception()]
            time.sleep(0.01)

    def interleave(self, first, second):
        """Publish `second` between what the publisher of `first` reads and what it puts."""
        self.start("first", first, pause=True)
        self.wait_for("first.read")
        self.start("second", second)
        self.wait_for("second.done", "second.blocked")
        self.go()
        self.end()

    def go(self):
        (self.signals / "go").touch()

    def end(self):
        for future in self.running:
            future.result(timeout=60)


@pytest.fixture(scope="module")
def processes():
    """Two processes that start once, because what they import takes longer than what they do."""
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as processes:
        yield processes


@pytest.fixture
def publishers(bench, processes):
    publishers = Publishers(bench, processes)
    yield publishers
    publishers.go()
    wait(publishers.running, timeout=60)


@pytest.mark.parametrize("there", [True, False], ids=["month there", "month new"])
def test_a_publisher_that_comes_between_anothers_reading_and_putting_loses_nothing(bench, publishers, there):
    if there:
        bench.export("team:0", [team_row("Eng/0", JAN)], age=0)
    else:
        bench.export("team:0", [], age=0, start="2025-12-01", end="2025-12-31")
    first = bench.stage("team:1", [team_row("Eng/1", JAN)], age=1)
    bench.header += ",CODING_DAYS"
    second = bench.stage("team:2", [team_row("Eng/2", JAN) + ",7"], age=2)
    publishers.interleave(first, second)
    there_before = [("0", None, "exp_0")] if there else []
    assert bench.rows("team", "coding_days", "_export_id") == [
        *there_before,
        ("1", None, "exp_1"),
        ("2", 7.0, "exp_2"),
    ], "rows of all three, and the column that came between"
    held = lake.ledger(bench.lake, bench.table)["2026-01"]
    assert [entry["export_id"] for entry in held] == [*(["exp_0"] if there else []), "exp_1", "exp_2"]


def test_an_older_slice_that_loses_the_race_is_superseded_when_it_retries(bench, publishers):
    bench.export("team:0", [team_row("Eng/0", JAN)], age=0)
    older = bench.stage("team:1", [team_row("Eng/1", JAN, 1)], age=1)
    newer = bench.stage("team:1", [team_row("Eng/1", JAN, 2)], age=2)
    publishers.interleave(older, newer)
    assert bench.owners() == {"Eng/0": ["exp_0"], "Eng/1": ["exp_2"]}


@pytest.mark.parametrize("newer_first", [True, False], ids=["newer waits", "older waits"])
def test_two_that_put_adjacent_months_at_once_leave_a_sprint_between_them_once(bench, publishers, newer_first):
    """Neither finds the other's month when it lists the months."""
    bench.report, bench.table, bench.granularity = "sprint", "sprint_sprint_sprint", "sprint"
    bench.header = "Sprint Name,Team,Hierarchy,Start,End,SPRINT_COMMIT"
    bench.metrics = frozenset({"SPRINT_COMMIT"})
    bench.export("team:9", [], age=0, start="2025-01-01", end="2025-01-31")
    older = bench.stage("team:1", ["S1,A,Eng/A,2026-01-20,2026-02-03,5"], age=1)
    moved = ["S1,A,Eng/A,2026-02-02,2026-02-15,5"]
    newer = bench.stage("team:1", moved, age=2, start="2026-02-01", end="2026-02-28")
    first, second = (newer, older) if newer_first else (older, newer)
    publishers.interleave(first, second)
    assert bench.rows("sprint", "month", "_export_id") == [("S1", "2026-02", "exp_2")]


def test_many_publishers_at_the_same_time_lose_nothing_of_each_other(bench):
    manifests = []
    for n in range(12):
        bench.header = f"Squad Path,Team,Start_Date,End_Date,PR_MERGED,Note,Column {n % 3}"
        manifests.append(bench.stage(f"team:{n}", [team_row(f"Eng/{n}", JAN) + f",{n}"], age=n))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(bench.publish, manifests))
    columns = [f"column_{n}" for n in range(3)]
    found = {row[0]: next(value for value in row[1:] if value is not None) for row in bench.rows("team", *columns)}
    assert found == {f"{n}": float(n) for n in range(12)}
