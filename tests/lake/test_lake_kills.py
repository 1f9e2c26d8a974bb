"""A publisher may die at any put or removal: every month is complete, and running it again does the rest.

Death is an exception that nothing in the lake catches, raised before or after the step, on every store.
"""

from __future__ import annotations

from io import BytesIO

import pyarrow.parquet as pq
import pytest
from lake_bench import STORES, team_row

from sei_provider import lake
from sei_provider.lake.storage import store as stores
from sei_provider.lake.tables.coverage_summary import read_summary

JAN, FEB = "2026-01-01", "2026-02-01"
BOTH = {"start": "2026-01-01", "end": "2026-02-28"}


class Killed(BaseException):
    """Death of the process. Not an `Exception`, so that no handler of errors catches it."""


class Steps:
    """Count the steps that change the store, and die at one of them."""

    def __init__(self, monkeypatch, bench, fatal=None, *, before=True):
        self.count = 0
        kind = type(stores._backend(bench.lake))
        for name in ("put", "remove"):
            monkeypatch.setattr(kind, name, self._counted(getattr(kind, name), fatal, before=before))

    def _counted(self, step, fatal, *, before):
        def counted(*args):
            mine = self.count
            self.count += 1
            if mine == fatal and before:
                raise Killed
            step(*args)
            if mine == fatal:
                raise Killed

        return counted


def staged(bench):
    """Stage two scopes that were published before, one with a new column, over two months, and a third that is new.

    An earlier month only gets the new column.
    """
    bench.export("team:0", [team_row("Eng/0", "2025-12-01", 1)], age=0, start="2025-12-01", end="2025-12-31")
    for scope in (1, 2):
        bench.export(f"team:{scope}", [team_row(f"Eng/{scope}", day, 1) for day in (JAN, FEB)], age=scope, **BOTH)
    new = [
        bench.stage(f"team:{n}", [team_row(f"Eng/{n}", day, 2) for day in (JAN, FEB)], age=n + 5, **BOTH)
        for n in (2, 3)
    ]
    bench.header += ",CODING_DAYS"
    return [*new, bench.stage("team:1", [team_row("Eng/1", JAN, 2) + ",7"], age=9, **BOTH)]


def seen(bench):
    names = ["month", "team", "pr_merged", "_export_id"]
    table = lake.read_table(bench.lake, bench.table)
    names += ["coding_days"] * ("coding_days" in table.schema.names)
    return sorted((tuple(row[name] for name in names) for row in table.to_pylist()), key=str)


SUMMARIZED = ("scope", "month", "rows", "published_at")
OLD = {"0": 1.0}
EXPECTED = {
    "2025-12": OLD,
    "2026-01": {"1": 2.0, "2": 2.0, "3": 2.0},
    "2026-02": {"2": 2.0, "3": 2.0},
}
BEFORE = {"2025-12": OLD} | {month: {"1": 1.0, "2": 1.0} for month in ("2026-01", "2026-02")}


def months(bench):
    found = {month: {} for month in EXPECTED}
    for month, team, merged, *_ in seen(bench):
        found[month][team] = merged
    return found


# What a store holds after a step is what it holds before the next one, so both are tried on one store only.
@pytest.mark.parametrize(
    ("store", "before"), [*((store, True) for store in [*STORES, "azure"]), ("disk", False)], indirect=["store"]
)
def test_a_publisher_killed_at_any_step_leaves_complete_months_and_a_second_run_repairs_all(bench, monkeypatch, before):
    # A step is a put or a removal, which stores of objects share: those of even numbers on S3, the others on Azure.
    first, every = {"s3": (0, 2), "azure": (1, 2)}.get(bench.store, (0, 1))
    root, fatal = bench.lake, first
    while True:
        bench.root, bench.header = root / f"{fatal}", bench.header.removesuffix(",CODING_DAYS")
        manifests = staged(bench)
        with monkeypatch.context() as patch:
            steps = Steps(patch, bench, fatal, before=before)
            try:
                bench.publish(*manifests)
            except Killed:
                left = months(bench)
            else:
                break
        assert all(left[month] in (BEFORE[month], EXPECTED[month]) for month in left), f"step {fatal}"
        bench.publish(*manifests)
        assert months(bench) == EXPECTED, f"step {fatal}"
        assert lake.staged(bench.staging) == {}, f"step {fatal}"
        schemas = [pq.read_schema(BytesIO(data)) for data in bench.objects().values()]
        assert schemas[0] == schemas[1] == schemas[2], f"step {fatal}"
        cells = read_summary(bench.lake, bench.table).cells.to_pylist()
        told = {(cell["scope"], f"{cell['month']:%Y-%m}", cell["rows"], cell["published_at"]) for cell in cells}
        covered = [row for row in lake.coverage(bench.lake, bench.table) if row["published_at"]]
        assert told == {tuple(row[name] for name in SUMMARIZED) for row in covered}, f"step {fatal}"
        fatal += every
    removals = 2 if bench.store in {"s3", "azure"} else 6
    assert steps.count == 6 + 1 + removals, "schema, two months, the month before, schema, summary; mark; two a slice"


@pytest.mark.parametrize("store", STORES, indirect=True)
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_a_worker_killed_while_staging_leaves_a_slice_that_is_complete_or_does_not_count(bench, monkeypatch, before):
    for fatal in (0, 1):
        with monkeypatch.context() as patch:
            Steps(patch, bench, fatal, before=before)
            with pytest.raises(Killed):
                bench.stage("team:1", [team_row("Eng/1", JAN)], age=fatal)
        whole = fatal == 1 and not before
        assert len(lake.staged(bench.staging)) == whole
