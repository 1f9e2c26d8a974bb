"""The time zone of a DAG: the one in which moments are counted by their day (DESIGN, decision 4)."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo


def dag_zone(dag: Any) -> tzinfo:
    """Return the zone that a DAG's schedule is written in, otherwise the DAG's own; UTC without a DAG.

    Airflow gives a DAG the zone of its `start_date`, but a timetable may have been given another: then midnight of the
    schedule is midnight there, and so is the end of a data interval.
    """
    for timetable in _timetables(getattr(dag, "timetable", None)):
        for name in ("timezone", "_timezone"):  # of the task SDK, and of Airflow's core
            zone = getattr(timetable, name, None)
            if isinstance(zone, str):
                return ZoneInfo(zone)
            if isinstance(zone, tzinfo):
                return zone
    zone = getattr(dag, "timezone", None)
    return zone if isinstance(zone, tzinfo) else UTC


def _timetables(timetable: Any) -> list[Any]:
    """Return a timetable and those that it combines: cron expressions, or a schedule beside assets."""
    inner = [getattr(timetable, "timetable", None), getattr(timetable, "_timetable", None)]
    several = getattr(timetable, "timetables", None) or getattr(timetable, "_timetables", None) or []
    return [each for each in (timetable, *inner, *several) if each is not None]


def zone_name(zone: tzinfo) -> str:
    """Return a name of a zone that `zone_named` reads: `Europe/Berlin`, or an offset such as `+05:30`."""
    key = getattr(zone, "key", None)
    return key if isinstance(key, str) else datetime(2000, 1, 1, tzinfo=zone).isoformat()[len("2000-01-01T00:00:00") :]


def zone_named(name: str) -> tzinfo:
    """Return the zone of a name that `zone_name` gave."""
    if name.startswith(("+", "-")):
        return datetime.fromisoformat(f"2000-01-01T00:00:00{name}").tzinfo or UTC
    return ZoneInfo(name)
