"""Whole periods: how a date range is widened before it is asked for. Dates only; knows no report and no clock.

SEI's ranges are inclusive at both ends. A range that cuts a period in two would replace the whole
period's figure by that of a part of it, so ranges are widened to whole weeks, months or quarters.
"""

from __future__ import annotations

import calendar
from datetime import date, timedelta

from sei_provider.api.errors import SeiInputError

WEEKDAYS = tuple(name.lower() for name in calendar.day_name)
_MONTHS = {"monthly": 1, "quarterly": 3}


def weekday(name: str) -> int:
    """The number of a weekday, 0 for Monday, by its English name in any case.

    Raises `SeiInputError` if there is no such day.
    """
    try:
        return WEEKDAYS.index(name.strip().lower())
    except ValueError:
        msg = f"no weekday is called {name!r}; week_starts_on takes one of: {', '.join(WEEKDAYS)}"
        raise SeiInputError(msg) from None


def period_of(day: date, granularity: str, *, week_starts_on: int = 0) -> tuple[date, date]:
    """First and last day of the period of `granularity` (any case) that holds `day`.

    A granularity without calendar periods (SPRINT) gives `day` itself.
    """
    match granularity.lower():
        case "weekly":
            first = day - timedelta(days=(day.weekday() - week_starts_on) % 7)
            return first, first + timedelta(days=6)
        case "monthly" | "quarterly" as name:
            step = _MONTHS[name]
            first = day.replace(month=(day.month - 1) // step * step + 1, day=1)
            last_month = first.month + step - 1
            return first, first.replace(month=last_month, day=calendar.monthrange(first.year, last_month)[1])
        case _:
            return day, day


def whole_periods(
    start: date, end: date, granularity: str, *, not_after: date, week_starts_on: int = 0
) -> tuple[date, date]:
    """The range from `start` to `end` (inclusive) widened to whole periods, its end clipped to `not_after`.

    Raises `SeiInputError` if the range is empty, or begins only after `not_after`.
    """
    if start > end:
        msg = f"the range {start} to {end} ends before it starts; start and end are both inclusive"
        raise SeiInputError(msg)
    if start > not_after:
        msg = f"the range {start} to {end} lies wholly after {not_after}, the day this run stands for"
        raise SeiInputError(msg)
    first, _ = period_of(start, granularity, week_starts_on=week_starts_on)
    _, last = period_of(end, granularity, week_starts_on=week_starts_on)
    return first, min(last, not_after)
