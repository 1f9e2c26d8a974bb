"""`python -m bench.coverage_page`: server time of each page of the coverage page, at 4,000 scopes and 36 months.

Without the network and Airflow's database: reading the lake's summary from disk, the grid, and the HTML.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa

from sei_provider.lake.storage.backend import MISSING
from sei_provider.lake.storage.store import lake_path
from sei_provider.lake.tables.coverage_summary import CELLS, CoverageSummary, put_summary, summary_path
from sei_provider.plugin import pages
from sei_provider.plugin.heat_map import Filter

SCOPES, MONTHS, REPEATS = 4000, 36, 5
TABLE = "productivity_team_monthly"
TODAY = date(2025, 12, 31)


def main() -> int:
    """Print the milliseconds of each page, the fastest of some repetitions; 1 if one takes 300 or more."""
    vars(pages)["read_events"] = list  # no database
    months = [date(2023 + number // 12, number % 12 + 1, 1) for number in range(MONTHS)]
    with tempfile.TemporaryDirectory(prefix="sei-bench-") as folder:
        os.environ["AIRFLOW_VAR_SEI_LAKE"] = folder
        path = summary_path(lake_path(folder), TABLE)
        put_summary(path, _summary(months), if_match=MISSING)
        print(f"{SCOPES:,} scopes, {MONTHS} months, {Path(str(path)).stat().st_size / 1e6:.1f} MB")
        span = Filter(first=months[0])
        by_scope = Filter(first=months[0], summed=False, page=40)
        slowest = max(
            _time("tables", lambda: pages.render("tables.html", pages.tables_page(TODAY))),
            _time("by team", lambda: pages.render("table.html", pages.table_page(TABLE, span, TODAY))),
            _time("by scope", lambda: pages.render("table.html", pages.table_page(TABLE, by_scope, TODAY))),
            _time("cell", lambda: pages.render("cell.html", pages.cell_page(TABLE, "team:7", months[3], TODAY))),
            _time("form", lambda: pages.render("fill.html", pages.fill_page(TABLE, months[3], "", span, TODAY))),
        )
    return 0 if slowest < 300 else 1  # noqa: PLR2004 - milliseconds that the page may take


def _time(name: str, page: Callable[[], str]) -> float:
    taken = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        text = page()
        taken.append(1000 * (time.perf_counter() - began))
    print(f"{name:8} {min(taken):6.0f} ms, {len(text) / 1000:,.0f} kB")
    return min(taken)


def _summary(months: list[date]) -> CoverageSummary:
    at = datetime(2025, 12, 31, 2, 30, tzinfo=UTC)
    rows = [
        {
            "month": month,
            "scope": f"team:{scope}",
            "published_at": at,
            "seen_at": at,
            "complete": scope % 50 > 0,
            "rows": scope % 30,
            "quarantined": int(scope % 300 == 0),
            "path": f"Engineering/Area {scope % 8}/Group {scope % 80}/Team {scope}",
            "above": f"Engineering/Area {scope % 8}/Group {scope % 80}",
            "exports": 1,
            "export_id": f"{scope * 7919 + column:032x}",
            "exported_at": at,
            "start": month,
            "end": date(month.year, month.month, 28),
            "runs": [f"scheduled__{month:%Y-%m-%d}T02:30:00+00:00"],
        }
        for column, month in enumerate(months)
        for scope in range(SCOPES)
        if (scope + column) % 100
    ]
    return CoverageSummary(
        report="productivity",
        granularity="monthly",
        months=tuple(months),
        damaged=frozenset(),
        cells=pa.Table.from_pylist(rows, schema=CELLS),
    )


if __name__ == "__main__":
    sys.exit(main())
