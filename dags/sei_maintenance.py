"""Every week: remove abandoned staging, rewrite months that lack columns, and report what needs a person."""

from __future__ import annotations

import logging
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, task
from sei_common import LAKE, RETRIES, START

from sei_provider.plural import plural

log = logging.getLogger(__name__)

MONTHS_PER_RUN = 12
"""Months of a table to rewrite in one run, each read and put once."""
KEPT = timedelta(days=7)
"""Time in which a run can be repaired by clearing its tasks, before its staging is removed."""


@task(**RETRIES)
def sweep(lake: str) -> list[str]:
    """Removes staging folders, and what killed workers left behind, after a week; returns the names."""
    from sei_provider.hooks.lake import open_lake
    from sei_provider.lake.tables.maintenance import sweep_staging

    return sweep_staging(open_lake(lake), older_than=datetime.now(UTC) - KEPT)


@task(**RETRIES)
def rewrite(lake: str) -> dict[str, list[str]]:
    """Rewrites months that lack a column of their table, up to `MONTHS_PER_RUN` of each table; returns which."""
    from sei_provider.hooks.lake import open_lake
    from sei_provider.lake import DamagedObjectError
    from sei_provider.lake.tables.maintenance import rewrite_months
    from sei_provider.lake.tables.stored_schema import table_names

    place = open_lake(lake)
    done = {}
    for table in table_names(place):
        try:
            done[table] = rewrite_months(place, table, at_most=MONTHS_PER_RUN)
        except DamagedObjectError as error:
            log.error("%s: %s", table, error)  # noqa: TRY400 - the message says all
    return done


@task(**RETRIES)
def report(lake: str) -> dict[str, Any]:
    """Reports quarantined rows, foreign names, and for each table stale scopes and the months that a scope lacks.

    `sei_backfill` fills such gaps between a scope's first and its last month; `airflow sei retire SCOPE` removes the
    rows of a scope that is exported no more. Exports with `on_bad_value="quarantine"` put rows into quarantine.
    """
    from sei_provider.hooks.lake import open_lake
    from sei_provider.lake import DamagedObjectError, UnknownTableError, coverage
    from sei_provider.lake.model import is_table_name
    from sei_provider.lake.storage.store import names
    from sei_provider.lake.tables.maintenance import foreign, quarantined

    place = open_lake(lake)
    gaps: dict[str, list[str]] = {}
    stale: dict[str, list[str]] = {}
    for name in filter(is_table_name, names(place)):
        try:
            parts = coverage(place, name)
        except UnknownTableError:  # a folder beside the tables, such as the scorecard
            continue
        except DamagedObjectError as error:
            log.error("%s: %s", name, error)  # noqa: TRY400 - the message says all
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
        stale[name] = sorted({part["scope"] for part in parts if part["stale"]})
        for scope in stale[name]:
            log.warning("%s: %s is exported no more, and its rows are still there", name, scope)
        log.info("%s: %s %s", name, plural(len(gaps[name]), "gap"), ", ".join(gaps[name]))
    aside = quarantined(place)
    for file in aside:
        log.warning("%s: %s in quarantine: %s", file["table"], plural(file["rows"], "row"), file["path"])
    others = foreign(place)
    for table in others:
        log.warning("%s: names that are not of this package: %s", table["table"], ", ".join(table["names"]))
    return {"quarantined": aside, "gaps": gaps, "stale": stale, "foreign": others}


def _is_between(month: str, others: list[str]) -> bool:
    return bool(others) and min(others) < month < max(others)


with DAG(
    "sei_maintenance",
    description=__doc__,
    doc_md="""
Keeps the lake tidy, and reports what needs a person.

- `sweep` removes what was staged and never published, a week after its last change.
- `rewrite` adds columns that came late to the older months, a few months per run.
- `report` gives, as its result and in its log, the rows in quarantine, whose values did not fit their columns, the
  months that are missing between others, scopes that are exported no more, and files that are not the lake's. It
  does not fail for them.
""",
    schedule="0 6 * * 0",
    start_date=START,
    catchup=False,
    max_active_runs=1,
    tags=["sei"],
) as dag:
    sweep(LAKE)
    rewrite(LAKE)
    report(LAKE)
