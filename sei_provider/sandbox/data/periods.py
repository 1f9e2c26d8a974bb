"""Periods and sprints of a date range."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Period(NamedTuple):
    """One period of a row, or one sprint: its label or name, and its first and last day, both inclusive."""

    label: str
    start: date
    end: date


def periods(granularity: str, start: date, end: date, *, first_weekday: int = 0) -> list[Period]:
    """Return the days, weeks (from Monday, which is 0), months or quarters from `start` to `end`, clipped to them.

    SEI's granularities are accepted in either case, except `SPRINT`: see `sprints`.
    """
    first_day, next_first_day, label = _CALENDARS[granularity.lower()]
    found = []
    first = first_day(start, first_weekday)
    while first <= end:
        following = next_first_day(first)
        found.append(Period(label(first), max(first, start), min(following - timedelta(days=1), end)))
        first = following
    return found


def period_label(granularity: str, day: date, *, first_weekday: int = 0) -> str:
    """Return the label of the period that `day` falls in, such as "Jan 2026" (003)."""
    first_day, _, label = _CALENDARS[granularity.lower()]
    return label(first_day(day, first_weekday))


def sprints(start: date, end: date) -> Iterator[Period]:
    """Yield the sprints that overlap the range, whole: a sprint is not cut at the range's ends.

    They take two weeks, and are the same for all teams.
    """
    number = (start - _FIRST_SPRINT).days // _SPRINT_DAYS
    while (first := _FIRST_SPRINT + timedelta(days=number * _SPRINT_DAYS)) <= end:
        yield Period(f"Sprint {number + 1}", first, first + timedelta(days=_SPRINT_DAYS - 1))
        number += 1


_FIRST_SPRINT = date(2018, 1, 1)  # a Monday
_SPRINT_DAYS = 14
# Not strftime's %b, which follows the machine's locale.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _months_later(day: date, months: int) -> date:
    years, month = divmod(day.month - 1 + months, 12)
    return date(day.year + years, month + 1, 1)


def _quarter(day: date) -> int:
    return (day.month + 2) // 3


# granularity: the first day of the period a day falls in, the first day of the next period, the period's label
_CALENDARS: dict[str, tuple[Callable[[date, int], date], Callable[[date], date], Callable[[date], str]]] = {
    "daily": (lambda day, _: day, lambda first: first + timedelta(days=1), lambda first: f"{first:%d/%m/%Y}"),
    "weekly": (
        lambda day, first_weekday: day - timedelta(days=(day.weekday() - first_weekday) % 7),
        lambda first: first + timedelta(days=7),
        lambda first: f"Week of {first}",
    ),
    "monthly": (
        lambda day, _: day.replace(day=1),
        lambda first: _months_later(first, 1),
        lambda first: f"{_MONTHS[first.month - 1]} {first.year}",
    ),
    "quarterly": (
        lambda day, _: date(day.year, _quarter(day) * 3 - 2, 1),
        lambda first: _months_later(first, 3),
        lambda first: f"Q{_quarter(first)} {first.year}",
    ),
}
