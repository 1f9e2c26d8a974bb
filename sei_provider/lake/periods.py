"""Months and times: which months a date range touches, and in which of them a period of it starts.

Plain dates. Knows no slice and no table.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

YEARS = range(1900, 3000)
"""Years of the days that the lake takes. SEI has no older figures: a day of the year 1 stands for a missing one."""


def period_months(start: date, end: date, granularity: str) -> Iterator[date]:
    """Yield the first days of all months in which a period of the range starts.

    Publish visits these months even if the slice has no row there, because an empty answer is an answer too.
    """
    for month in months_between(start, end):
        if granularity == "quarterly" and month.month % 3 != 1:
            continue
        # Ranges are widened to whole weeks (DESIGN, decision 4), so weeks start every 7 days from `start`.
        # Whether one does in this month decides whether the range's last days, which run into it, count.
        if granularity == "weekly" and month > start and (start - month).days % 7 > (end - month).days:
            continue
        yield month


def begun_months(start: date, end: date, granularity: str) -> Iterator[date]:
    """Yield the first days of all months of the range in which a period has begun by its end.

    Of weeks only seven days are certain to hold the first day of one, because the week's first day is not known here.
    """
    if granularity == "weekly":
        return months_between(start, end - timedelta(days=6))
    return period_months(start.replace(day=1), end, granularity)


def months_between(start: date, end: date) -> Iterator[date]:
    """Yield the first days of all months that the range touches."""
    month = start.replace(day=1)
    while month <= end:
        yield month
        month = next_month(month)


def next_month(month: date) -> date:
    """Return the first day of the next month."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def previous_month(month: date) -> date:
    """Return the first day of the previous month."""
    return date(month.year - (month.month == 1), (month.month - 2) % 12 + 1, 1)


def period_end(start: date, granularity: str) -> date:
    """Return the last day of the period that starts on a day; that day itself for an unknown granularity."""
    if granularity == "weekly":
        return start + timedelta(days=6)
    months = {"monthly": 1, "quarterly": 3}.get(granularity, 0)
    month = start.replace(day=1)
    for _ in range(months):
        month = next_month(month)
    return month - timedelta(days=1) if months else start


def sprint_name(sprint: str | None, start: date) -> str:
    """Return what tells the sprints of a team apart: the name, or the first day where SEI gives no name."""
    return sprint or start.isoformat()


def checked_day(day: date, name: str) -> date:
    """Return a day of the years 1900 to 2999. Raises `ValueError` for another, `TypeError` for a moment or a text."""
    if isinstance(day, datetime) or not isinstance(day, date):
        msg = f"{name} must be a day, such as date(2026, 1, 31), not {day!r}"
        raise TypeError(msg)
    if day.year not in YEARS:
        msg = f"{name} must lie in the years {YEARS[0]} to {YEARS[-1]}, not {day}"
        raise ValueError(msg)
    return day


def in_utc(moment: datetime, name: str) -> datetime:
    """Convert a moment to UTC. A time without a zone is refused, because processes compare these times."""
    if moment.tzinfo is None:
        msg = f"{name} must have a time zone, got {moment.isoformat()}: pass an aware datetime"
        raise ValueError(msg)
    return moment.astimezone(UTC)
