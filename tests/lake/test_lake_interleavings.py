"""A second publisher commits between any two steps of a first one: nothing of either is lost, in every store that
compares versions. On disk the lock of the table keeps the second out.

Each step is tried on one of S3 and Azure, in turn, since both compare versions alike (test_lake_stores.py).
"""

from __future__ import annotations

import threading

import pytest
from lake_bench import team_row

from sei_provider import lake
from sei_provider.lake.storage import store as stores

pytestmark = pytest.mark.parametrize("store", ["s3", "azure"], indirect=True)
JAN, FEB = "2026-01-01", "2026-02-01"
BOTH = {"start": "2026-01-01", "end": "2026-02-28"}


class Interleaving:
    """Run `second` just before one of the steps of a publisher: a list, a read or a put."""

    def __init__(self, monkeypatch, bench, at_step, second):
        self.steps, self._at, self._second = 0, at_step, second
        self._counting = threading.Lock()  # months are read by several threads
        kind = type(stores._backend(bench.lake))
        for name in ("names", "read", "fetch", "put"):
            monkeypatch.setattr(kind, name, self._counted(getattr(kind, name)))

    @property
    def has_run(self):
        return self._at is None

    def _counted(self, step):
        def counted(*args):
            with self._counting:
                mine = self.steps == self._at
                self.steps += self._at is not None
                self._at = None if mine else self._at
            if mine:
                self._second()
            return step(*args)

        return counted


def each_interleaving(bench, monkeypatch, prepare):
    """Yield the bench after both publishers, once for each step of the first before which the second ran."""
    root, at_step = bench.lake, ["s3", "azure"].index(bench.store)
    while True:
        bench.root = root / f"{at_step}"
        first, second = prepare()
        with monkeypatch.context() as patch:
            between = Interleaving(patch, bench, at_step, lambda second=second: bench.publish(*second))
            bench.publish(*first)
        if not between.has_run:
            break
        yield f"before step {at_step}"
        at_step += 2
    assert at_step >= 6, "schema, months, lists"


def test_another_scope_with_another_column_between_any_two_steps(bench, monkeypatch):
    header = bench.header

    def prepare():
        bench.header = header
        bench.export("team:0", [team_row("Eng/0", JAN)], age=0)
        bench.header = f"{header},Column 1"
        first = bench.stage("team:1", [team_row("Eng/1", day) + ",1" for day in (JAN, FEB)], age=1, **BOTH)
        bench.header = f"{header},Column 2"
        second = bench.stage("team:2", [team_row("Eng/2", day) + ",2" for day in (JAN, FEB)], age=2, **BOTH)
        return [first], [second]

    for step in each_interleaving(bench, monkeypatch, prepare):
        assert bench.rows("month", "team", "column_1", "column_2") == [
            ("2026-01", "0", None, None),
            ("2026-01", "1", 1.0, None),
            ("2026-01", "2", None, 2.0),
            ("2026-02", "1", 1.0, None),
            ("2026-02", "2", None, 2.0),
        ], step
        assert {entry["rows"] for entry in lake.ledger(bench.lake, bench.table)["2026-02"]} == {1}, step


@pytest.mark.parametrize("newer_first", [True, False])
def test_a_newer_export_of_the_same_scope_between_any_two_steps(bench, monkeypatch, newer_first):
    def prepare():
        older = bench.stage("team:1", [team_row("Eng/1", JAN, 1)], age=1)
        newer = bench.stage("team:1", [team_row("Eng/1", JAN, 2), team_row("Eng/1/K", JAN, 2)], age=2)
        return ([newer], [older]) if newer_first else ([older], [newer])

    for step in each_interleaving(bench, monkeypatch, prepare):
        assert bench.rows("team", "pr_merged") == [("1", 2.0), ("K", 2.0)], step


def test_a_sprint_that_moves_between_months_between_any_two_steps(bench, monkeypatch):
    bench.report, bench.table, bench.granularity = "sprint", "sprint_sprint_sprint", "sprint"
    bench.header = "Sprint Name,Team,Hierarchy,Start,End,SPRINT_COMMIT"
    bench.metrics = frozenset({"SPRINT_COMMIT"})

    def prepare():
        bench.export("team:9", [], age=0, start="2025-01-01", end="2025-01-31")
        older = bench.stage("team:1", ["S1,A,Eng/A,2026-01-20,2026-02-03,5"], age=1)
        moved = ["S1,A,Eng/A,2026-02-02,2026-02-15,6"]
        return [bench.stage("team:1", moved, age=2, start="2026-02-01", end="2026-02-28")], [older]

    for step in each_interleaving(bench, monkeypatch, prepare):
        assert bench.rows("sprint", "month", "sprint_commit") == [("S1", "2026-02", 6.0)], step
