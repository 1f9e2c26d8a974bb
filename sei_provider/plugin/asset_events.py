"""Asset events of publish tasks, read from Airflow's database: what the page shows without the lake.

Their extras may come from anyone who may create asset events, so they are read as untrusted input.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sei_provider.lake.model import is_table_name
from sei_provider.lake.tables.coverage_grid import State

NEWEST = 1000
"""Events that are read besides the newest one of each asset and partition."""
_MONTH = re.compile(r"([1-9][0-9]{3})-(0[1-9]|1[0-2])")
_MAX_MONTHS = 600
_STATES = tuple(state.name.lower() for state in State)


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthPublished:
    """One month of a table as one publish task told it."""

    table: str
    month: date
    rows: int
    """Rows of the month after it."""
    place: str
    """Path of the month's object."""
    scopes: Mapping[str, int]
    """Number of scopes in each state, by its name; empty if the task could not tell."""
    restated: Mapping[str, float]
    """`figures`, `largest` (0 to 1) and `teams` that were restated; empty if none were."""
    missing: int
    """Scopes that the task named as missing, of any month."""
    published_at: datetime
    dag_id: str
    run_id: str


def read_events() -> list[MonthPublished]:
    """Return what publish tasks told of each month, newest first: the newest event of each, and `NEWEST` others."""
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    columns = (AssetEvent.timestamp, AssetEvent.source_dag_id, AssetEvent.source_run_id, AssetEvent.extra)
    by_task = AssetEvent.source_task_id.is_not(None)
    with create_session() as session:
        newest = select(func.max(AssetEvent.id)).where(by_task).group_by(AssetEvent.asset_id)
        found = session.execute(select(AssetEvent.asset_id, AssetEvent.extra).where(AssetEvent.id.in_(newest)))
        ours = [asset for asset, extra in found if next(_months(extra), None)]
        if not ours:
            return []
        of_ours = by_task, AssetEvent.asset_id.in_(ours)
        wanted = set(
            session.scalars(select(AssetEvent.id).where(*of_ours).order_by(AssetEvent.id.desc()).limit(NEWEST))
        )
        if hasattr(AssetEvent, "partition_key"):  # Airflow 3.2
            parts = AssetEvent.asset_id, AssetEvent.partition_key
            wanted |= set(session.scalars(select(func.max(AssetEvent.id)).where(*of_ours).group_by(*parts)))
        rows = session.execute(
            select(*columns).where(AssetEvent.id.in_(sorted(wanted))).order_by(AssetEvent.id.desc())
        ).all()
    return list(_distinct(event for row in rows for event in parse_event(*row)))


def parse_event(
    published_at: datetime, dag_id: str | None, run_id: str | None, extra: object
) -> Iterator[MonthPublished]:
    """Yield what one event tells of each of its months; nothing for an event that no publish task made."""
    missing = _count(extra.get("missing")) if isinstance(extra, Mapping) else 0
    for table, month, told in _months(extra):
        scopes, restated = (told.get(name) for name in ("scopes", "restated"))
        yield MonthPublished(
            table=table,
            month=month,
            rows=_count(told.get("rows")),
            place=str(told.get("manifest") or ""),
            scopes={state: _count(scopes.get(state)) for state in _STATES if scopes.get(state)}
            if isinstance(scopes, Mapping)
            else {},
            restated={name: _number(restated.get(name)) for name in ("figures", "largest", "teams")}
            if isinstance(restated, Mapping)
            else {},
            missing=missing,
            published_at=published_at if published_at.tzinfo else published_at.replace(tzinfo=UTC),
            dag_id=dag_id or "",
            run_id=run_id or "",
        )


def newest_by_month(events: Iterable[MonthPublished]) -> dict[tuple[str, date], MonthPublished]:
    """Return the newest event of each table and month."""
    found: dict[tuple[str, date], MonthPublished] = {}
    for event in sorted(events, key=lambda event: event.published_at):
        found[event.table, event.month] = event
    return found


def _months(extra: object) -> Iterator[tuple[str, date, Mapping[str, Any]]]:
    published = extra.get("published") if isinstance(extra, Mapping) else None
    for told in published[:_MAX_MONTHS] if isinstance(published, list) else ():
        if not isinstance(told, Mapping):
            continue
        table, month = told.get("table"), _MONTH.fullmatch(str(told.get("month")))
        if month and isinstance(table, str) and is_table_name(table):
            yield table, date(int(month[1]), int(month[2]), 1), told


def _distinct(events: Iterable[MonthPublished]) -> Iterator[MonthPublished]:
    """Pass over an event of another partition of the same task, which tells the same months."""
    seen = set()
    for event in events:
        key = event.table, event.month, event.dag_id, event.run_id, event.rows, tuple(event.scopes.items())
        if key not in seen:
            seen.add(key)
            yield event


def _count(value: object) -> int:
    return int(_number(value))


def _number(value: object) -> float:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 10**15
    return float(value) if good else 0.0  # type: ignore[arg-type]
