"""Every week: sweep up what abandoned runs left in staging, and report rows put aside and gaps in what landed."""

from __future__ import annotations

import logging
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, task
from sei_common import LAKE, RETRIES

log = logging.getLogger(__name__)

KEPT = timedelta(days=7)
"""How long a run may be mended by clearing its tasks before what it staged is swept up."""


@task(**RETRIES)
def sweep(lake: str) -> list[str]:
    """Removes staging that nothing was put into for a week; gives the folders' names."""
    from airflow.sdk import ObjectStoragePath

    from sei_provider.lake.tables.maintenance import sweep_staging

    return sweep_staging(ObjectStoragePath(lake), older_than=datetime.now(UTC) - KEPT)


@task(**RETRIES)
def report(lake: str) -> dict[str, Any]:
    """Reports the rows put aside, and of every table the months that a scope lacks between its first and its last.

    `sei_backfill` fills such gaps. Rows are put aside by exports with `on_bad_value="quarantine"`.
    """
    from airflow.sdk import ObjectStoragePath

    from sei_provider.lake import UnknownTableError, coverage
    from sei_provider.lake.storage.store import names
    from sei_provider.lake.tables.maintenance import quarantined

    place: Any = ObjectStoragePath(lake)
    gaps: dict[str, list[str]] = {}
    for name in names(place):
        try:
            parts = coverage(place, name)
        except UnknownTableError:  # something else that lies beside the tables, as the scorecard does
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
Keeps the lake tidy, and says what needs a person.

- `sweep` removes what runs staged and nobody published, once nothing was added to it for a week.
- `report` gives, as its result and in its log, the rows that were put aside because a value did not fit its column,
  and the months that are missing between others. Nothing fails for them.
""",
    schedule="0 6 * * 0",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["sei"],
) as dag:
    sweep(LAKE)
    report(LAKE)
