"""Every week: sweep up what abandoned runs left in staging, and report rows put aside and gaps in what landed."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, task
from sei_common import LAKE

log = logging.getLogger(__name__)

TABLES = ["productivity_team_monthly", "sprint_team_monthly", "business_alignment_monthly"]
KEPT = timedelta(days=7)
"""How long a run may be mended by clearing its tasks before what it staged is swept up."""


@task
def sweep(lake: str) -> list[str]:
    """Remove staging that nothing was put into for a week; gives the folders' names."""
    from airflow.sdk import ObjectStoragePath

    from sei_provider.lake.maintenance import sweep_staging

    return sweep_staging(ObjectStoragePath(lake), older_than=datetime.now(UTC) - KEPT)


@task
def report(lake: str) -> dict[str, Any]:
    """Give what is in quarantine, and the months that a scope has gaps in between its first and its last."""
    from airflow.sdk import ObjectStoragePath

    from sei_provider.lake import UnknownTableError, coverage
    from sei_provider.lake.maintenance import quarantined

    place = ObjectStoragePath(lake)
    gaps: dict[str, list[str]] = {}
    for table in TABLES:
        try:
            parts = coverage(place, table)
        except UnknownTableError:  # nothing has landed there yet
            continue
        there = sorted({part["month"] for part in parts if part["published_at"]})
        gaps[table] = [
            f"{part['scope']} {part['month']}"
            for part in parts
            if part["published_at"] is None and there and there[0] < part["month"] < there[-1]
        ]
    aside = quarantined(place)
    log.info("%d rows in quarantine; gaps: %s", sum(part["rows"] for part in aside), gaps)
    return {"quarantined": aside, "gaps": gaps}


with DAG(
    "sei_maintenance",
    description=__doc__,
    schedule="0 6 * * 0",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["sei"],
):
    sweep(LAKE)
    report(LAKE)
