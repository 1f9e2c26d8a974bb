"""Every week: remove the staging of abandoned runs, and report quarantined rows and missing months."""

from __future__ import annotations

import logging
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, task
from sei_common import LAKE, RETRIES

log = logging.getLogger(__name__)

KEPT = timedelta(days=7)
"""Time in which a run can be repaired by clearing its tasks, before its staging is removed."""


@task(**RETRIES)
def sweep(lake: str) -> list[str]:
    """Removes staging folders that have not changed for a week, and returns their names."""
    from sei_provider.hooks.lake import open_lake
    from sei_provider.lake.tables.maintenance import sweep_staging

    return sweep_staging(open_lake(lake), older_than=datetime.now(UTC) - KEPT)


@task(**RETRIES)
def report(lake: str) -> dict[str, Any]:
    """Reports quarantined rows, and for each table the months that a scope lacks between its first and its last.

    `sei_backfill` fills such gaps. Exports with `on_bad_value="quarantine"` put rows into quarantine.
    """
    from sei_provider.hooks.lake import open_lake
    from sei_provider.lake import UnknownTableError, coverage
    from sei_provider.lake.storage.store import names
    from sei_provider.lake.tables.maintenance import quarantined

    place = open_lake(lake)
    gaps: dict[str, list[str]] = {}
    for name in names(place):
        try:
            parts = coverage(place, name)
        except UnknownTableError:  # a folder beside the tables, such as the scorecard
            continue
        months: dict[str, list[str]] = defaultdict(list)
        for part in parts:
            if part["published_at"]:
                months[part["scope"]].append(part["month"])
        gaps[name] = [
            f"{part['scope']} {part['month']}"
            for part in parts
            if not part["published_at"] and _is_between(part["month"], months[part["scope"]])
        ]
        log.info("%s: %d gaps %s", name, len(gaps[name]), ", ".join(gaps[name]))
    aside = quarantined(place)
    for file in aside:
        log.warning("%s: %d rows in quarantine: %s", file["table"], file["rows"], file["path"])
    return {"quarantined": aside, "gaps": gaps}


def _is_between(month: str, others: list[str]) -> bool:
    return bool(others) and min(others) < month < max(others)


with DAG(
    "sei_maintenance",
    description=__doc__,
    doc_md="""
Keeps the lake tidy, and reports what needs a person.

- `sweep` removes what was staged and never published, a week after its last change.
- `report` gives, as its result and in its log, the rows in quarantine, whose values did not fit their columns, and the
  months that are missing between others. It does not fail for them.
""",
    schedule="0 6 * * 0",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["sei"],
) as dag:
    sweep(LAKE)
    report(LAKE)
