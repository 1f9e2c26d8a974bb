"""Asset events as the page reads them: the newest of each month, and nothing of what no publish task wrote."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sei_provider.plugin.asset_events import newest_by_month, parse_event, read_events

pytest_plugins = ["sei_provider.testing"]

AT = datetime(2026, 2, 3, 2, 30, tzinfo=UTC)


def told(month: str, rows: int, table: str = "sprint_team_monthly") -> dict[str, Any]:
    return {"table": table, "month": month, "rows": rows, "exports": 1, "manifest": "", "scopes": {"complete": rows}}


def add(asset: int, extra: Any, minute: int, partition: str | None = None, task: str | None = "publish") -> None:
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session

    values = {"partition_key": partition} if hasattr(AssetEvent, "partition_key") else {}
    with create_session() as session:
        session.add(
            AssetEvent(
                asset_id=asset,
                extra=extra,
                source_task_id=task,
                source_dag_id="sei_nightly",
                source_run_id=f"run_{minute}",
                timestamp=AT + timedelta(minutes=minute),
                **values,
            )
        )


def test_the_newest_event_of_each_month_is_read_however_old(
    sei_airflow_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sei_provider.plugin.asset_events.NEWEST", 2)
    add(71, {"published": [told("2025-01", 5)]}, 1, "2025-01")
    for minute in range(2, 6):
        for month in ("2026-01", "2026-02"):
            add(71, {"published": [told("2026-01", minute), told("2026-02", minute)]}, minute, month)
    add(71, {"from": "somebody's API call"}, 7, task=None)
    add(72, {"rows": 3}, 8)
    newest = newest_by_month(read_events())
    found = {month: (event.rows, event.run_id, event.scopes) for (_, month), event in newest.items()}
    recent = {date(2026, month, 1): (5, "run_5", {"complete": 5}) for month in (1, 2)}
    from airflow.models.asset import AssetEvent

    old = {date(2025, 1, 1): (5, "run_1", {"complete": 5})} if hasattr(AssetEvent, "partition_key") else {}
    assert found == recent | old
    assert {event.published_at.utcoffset() for event in newest.values()} == {timedelta(0)}


@pytest.mark.parametrize(
    "extra",
    [
        None,
        "published",
        [],
        {},
        {"published": None},
        {"published": {"table": "a", "month": "2026-01"}},
        {"published": ["x", None, 3]},
        {"published": [{"table": "../../etc", "month": "2026-01"}]},
        {"published": [{"table": "a", "month": "2026-13"}]},
        {"published": [{"table": ["a"], "month": "2026-01"}]},
        {"published": [{"table": "a", "month": "0000-01"}]},
    ],
    ids=range(11),
)
def test_what_no_publish_task_wrote_is_passed_over(extra: Any) -> None:
    assert list(parse_event(AT, "d", "r", extra)) == []


def test_values_that_are_no_numbers_count_as_none() -> None:
    odd = {
        "rows": "<b>",
        "scopes": {"complete": -1, "missing": True, "<i>": 3, "stale": 2},
        "restated": {"figures": []},
    }
    [event] = parse_event(AT, None, None, {"published": [told("2026-01", 1) | odd], "missing": float("inf")})
    assert (event.rows, event.missing, event.dag_id, event.run_id) == (0, 0, "", "")
    assert event.scopes == {"complete": 0, "missing": 0, "stale": 2}
    assert event.restated == {"figures": 0, "largest": 0, "teams": 0}
