"""`airflow backfill create` over `sei_history`: each month once, one export per team, month and report."""

from __future__ import annotations

import time
from collections import Counter

from sei_provider.lake import ledger
from tests.whole.conftest import TEAM_IDS, TEAMS, Whole
from tests.whole.expected import rows_in, rows_sent

MONTHS = {"2025-10": "2025-10-31", "2025-11": "2025-11-30", "2025-12": "2025-12-31"}
TABLES = {
    "productivity": "productivity_team_monthly",
    "sprint": "sprint_team_monthly",
    "business_alignment": "business_alignment_monthly",
}


def test_a_backfill_publishes_each_month_once(whole: Whole) -> None:
    # Before the scheduler makes runs of its own: SQLite has one writer, and the command gives up when it is not it.
    whole.stack.command(
        "backfill", "create", "--dag-id", "sei_history", "--from-date", "2025-10-01", "--to-date", "2025-12-02"
    )
    whole.airflow.unpause("sei_history")
    runs = backfill_runs(whole)
    assert [whole.airflow.wait("sei_history", run, timeout=240) for run in runs] == ["success"] * 3

    exports = [export for export in whole.sandbox.exports() if export["body"]["dateRange"]["start"][:7] in MONTHS]
    asked = Counter((export["report"], *export["body"]["dateRange"].values()) for export in exports)
    assert asked == {(report, f"{month}-01", end): TEAMS for report in TABLES for month, end in MONTHS.items()}

    for report, table in TABLES.items():
        held = ledger(whole.stack.lake, table)
        for month in MONTHS:
            scopes = Counter(entry["scope"] for entry in held[month])
            assert scopes == {f"team:{team}": 1 for team in TEAM_IDS}
        sent = rows_sent(whole.sandbox, (export["id"] for export in exports if export["report"] == report))
        assert rows_in(whole.stack.lake, table, MONTHS) == sent


def backfill_runs(whole: Whole) -> list[str]:
    """The ids of the backfill's runs, once the scheduler has made all three."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        runs = [run for run in whole.airflow.dag_runs("sei_history") if run["run_type"] == "backfill"]
        if len(runs) == len(MONTHS):
            return [run["dag_run_id"] for run in runs]
        time.sleep(0.5)
    msg = f"only {len(runs)} runs were made"
    raise AssertionError(msg)
