"""Calendar periods: a date range widened to whole periods, or split along them. Knows no report and no clock.

SEI's ranges are inclusive at both ends. A range that cuts a period in two would replace the whole
period's figure by that of a part of it, so ranges are widened to whole weeks, months or quarters.
"""

from __future__ import annotations

import calendar
from datetime import date, timedelta
from typing import NamedTuple

from sei_provider.api.errors import SeiInputError

WEEKDAYS = tuple(name.lower() for name in calendar.day_name)
_MONTHS = {"monthly": 1, "quarterly": 3}
_WITHOUT_PERIODS = {"", "sprint"}


class DateRange(NamedTuple):
    """First and last day, both inclusive."""

    start: date
    end: date


def weekday(name: str) -> int:
    """Return the number of a weekday, 0 for Monday, by its English name in any case.

    Raises `SeiInputError` if there is no such day.
    """
    try:
        return WEEKDAYS.index(name.strip().lower())
    except ValueError:
        msg = f"no weekday is called {name!r}; week_starts_on takes one of: {', '.join(WEEKDAYS)}"
        raise SeiInputError(msg) from None


def period_of(day: date, granularity: str, *, week_starts_on: int = 0) -> DateRange:
    """Return the period of `granularity` (any case) that holds `day`.

    A granularity without calendar periods (SPRINT) gives `day` itself.
    """
    match granularity.lower():
        case "weekly":
            first = day - timedelta(days=(day.weekday() - week_starts_on) % 7)
            return DateRange(first, first + timedelta(days=6))
        case "monthly" | "quarterly" as name:
            step = _MONTHS[name]
            first = day.replace(month=(day.month - 1) // step * step + 1, day=1)
            last_month = first.month + step - 1
            return DateRange(first, first.replace(month=last_month, day=calendar.monthrange(first.year, last_month)[1]))
        case _:
            return DateRange(day, day)


def whole_periods(start: date, end: date, granularity: str, *, not_after: date, week_starts_on: int = 0) -> DateRange:
    """Return the range from `start` to `end` widened to whole periods, its end clipped to `not_after`.

    Raises `SeiInputError` if the range is empty or starts after `not_after`.
    """
    if start > end:
        msg = f"the range {start} to {end} ends before it starts; start and end are both inclusive"
        raise SeiInputError(msg)
    if start > not_after:
        msg = f"the range {start} to {end} lies entirely after {not_after}, the day of this run"
        raise SeiInputError(msg)
    first, _ = period_of(start, granularity, week_starts_on=week_starts_on)
    _, last = period_of(min(end, not_after), granularity, week_starts_on=week_starts_on)
    return DateRange(first, min(last, not_after))


def each_period(start: date, end: date, granularity: str, *, week_starts_on: int = 0) -> list[DateRange]:
    """Return the periods of a range, in order; the first and the last as far as the range reaches."""
    found = []
    while start <= end:
        last = min(period_of(start, granularity, week_starts_on=week_starts_on).end, end)
        found.append(DateRange(start, last))
        start = last + timedelta(days=1)
    return found


def split_dates(
    start: date, end: date, granularity: str, *, week_starts_on: int = 0
) -> tuple[DateRange, DateRange] | None:
    """Split a range in two halves at the start of a period; None if the range holds one period only.

    Together the halves are the range, without gap or overlap. The later half has as many periods as the earlier, or
    one more. A range by sprints is not split (None), because it is not known here when a sprint ends: its row would
    come in both halves.
    """
    if granularity.lower() in _WITHOUT_PERIODS:
        return None
    borders: list[date] = []
    day = start
    while (last := period_of(day, granularity, week_starts_on=week_starts_on).end) < end:
        day = last + timedelta(days=1)
        borders.append(day)
    if not borders:
        return None
    middle = borders[(len(borders) - 1) // 2]
    return DateRange(start, middle - timedelta(days=1)), DateRange(middle, end)
