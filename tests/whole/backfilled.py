"""`airflow backfill create` over `sei_history` for any number of months, and the assertions on its result."""

from __future__ import annotations

import time
from calendar import monthrange
from collections import Counter
from collections.abc import Sequence

from airflow import __version__
from packaging.version import Version

from dev.expected import TABLES, rows_in, rows_sent
from dev.stack import Stack
from sei_provider.lake import ledger
from sei_provider.sandbox.control import SandboxControl

PARTITIONS = Version(__version__) >= Version("3.3")
"""True if this Airflow lets a task name the partitions of an event."""


def backfill(stack: Stack, months: Sequence[str], *, timeout: float) -> None:
    """Have Airflow make a run for each of these months, which lie side by side, and wait for their ends."""
    first, last = f"{months[0]}-01", f"{months[-1]}-02"
    stack.airflow.unpause_only("sei_history")
    stack.command("backfill", "create", "--dag-id", "sei_history", "--from-date", first, "--to-date", last)
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        runs = [run for run in stack.airflow.dag_runs("sei_history") if run["run_type"] == "backfill"]
        if len(runs) == len(months) and all(run["state"] in {"success", "failed"} for run in runs):
            assert [run["state"] for run in runs] == ["success"] * len(months)
            return
        time.sleep(0.5)
    msg = f"not so after {timeout:.0f} s: {[(run['dag_run_id'], run['state']) for run in runs]}"
    raise AssertionError(msg)


def assert_backfilled(stack: Stack, months: Sequence[str], teams: Sequence[str]) -> None:
    """Each team has one export for each month and report, the lake holds what these sent, and each asset was told."""
    sandbox = SandboxControl(stack.sandbox_url, key=stack.sandbox_key)
    last_days = {month: f"{month}-{monthrange(int(month[:4]), int(month[5:]))[1]}" for month in months}
    exports = [each for each in sandbox.exports() if each["body"]["dateRange"]["start"][:7] in months]
    asked = Counter((each["report"], *each["body"]["dateRange"].values()) for each in exports)
    assert asked == {(report, f"{month}-01", end): len(teams) for report in TABLES for month, end in last_days.items()}

    for report, table in TABLES.items():
        held = ledger(stack.lake, table)
        for month in months:
            scopes = Counter(entry["scope"] for entry in held[month])
            assert scopes == {f"team:{team}": 1 for team in teams}
        sent = rows_sent(sandbox, (each["id"] for each in exports if each["report"] == report))
        assert rows_in(stack.lake, table, set(months)) == sent

    for run in stack.airflow.dag_runs("sei_scorecard"):
        # Airflow 3.3.2 answers 500 for events that made a run which has not started yet.
        stack.airflow.wait("sei_scorecard", run["dag_run_id"], timeout=120)
    for table in TABLES.values():
        told = [
            (event["partition_key"] if PARTITIONS else None, *event["extra"]["published"])
            for event in stack.airflow.asset_events(source_dag_id="sei_history")
            if event["name"] == f"sei_{table}" and event["extra"]["published"][0]["month"] in months
        ]
        assert sorted(told, key=lambda event: event[1]["month"]) == [
            (
                month if PARTITIONS else None,
                {
                    "table": table,
                    "month": month,
                    "rows": len(teams),
                    "exports": len(teams),
                    "manifest": f"{stack.lake}/{table}/month={month}/data.parquet",
                    "scopes": {"complete": len(teams)},
                    "restated": None,
                },
            )
            for month in months
        ]
