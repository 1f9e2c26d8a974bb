"""Halving a date range that was too much for one export. Dates only; knows no report and no clock."""

from __future__ import annotations

from datetime import date, timedelta

from sei_provider.api.periods import period_of

Range = tuple[date, date]
"""First and last day, both inclusive."""

_WITHOUT_BORDERS = {"", "sprint"}


def split_dates(start: date, end: date, granularity: str, *, week_starts_on: int = 0) -> tuple[Range, Range] | None:
    """The range in two halves that meet at the border of a period; None if there is no border within.

    Together they are the range, without gap or overlap; the later half has as many periods as the earlier, or one
    more. A range by sprints is not halved (None): when a sprint ends is not known here, and its row would come in both.
    """
    if granularity.lower() in _WITHOUT_BORDERS:
        return None
    borders: list[date] = []
    day = start
    while True:
        _, last = period_of(day, granularity, week_starts_on=week_starts_on)
        if last >= end:
            break
        day = last + timedelta(days=1)
        borders.append(day)
    if not borders:
        return None
    middle = borders[(len(borders) - 1) // 2]
    return (start, middle - timedelta(days=1)), (middle, end)
