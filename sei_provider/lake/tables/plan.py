"""Plan of a publish: which months each staged slice concerns, and which slices of other months concern a month.

Reads ledgers at most. Puts nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime

from sei_provider.lake.model import Slice, SliceKey
from sei_provider.lake.periods import months_between, next_month, period_months, previous_month
from sei_provider.lake.staging.staged_file import StagedFile
from sei_provider.lake.tables.ownership import LedgerEntry, sprint_name

CROSSES_MONTHS = frozenset({"weekly", "quarterly", "sprint"})
"""Granularities whose periods reach into other months. Monthly ranges are whole months."""
_MAX_REACH = 3
"""Months away that a period may reach: a quarter is the longest."""


def slices_by_month(
    files: Iterable[StagedFile], existing: Collection[date], ledger: Callable[[date], Iterable[LedgerEntry]]
) -> dict[date, list[SliceKey]]:
    """Return the slices that concern each month: their range or their rows lie in it.

    `ledger` returns the slices that an existing month holds.
    """
    found: dict[date, list[SliceKey]] = defaultdict(list)
    for file in files:
        for month in _months_in_range(file.slice, existing, ledger) | file.months:
            found[month].append(file.slice_key)
    return found


def adjacent_months(existing: Iterable[date], visited: Iterable[date]) -> list[date]:
    """Return the months from which a period may reach into one of those visited."""
    numbers = {_number(month) for month in visited}
    return [month for month in existing if any(abs(_number(month) - number) <= _MAX_REACH for number in numbers)]


def entries_reaching(month: date, ledgers: Mapping[date, Iterable[LedgerEntry]]) -> list[LedgerEntry]:
    """Return the slices of other months whose range includes days of this one, or later days that its sprints reach."""
    found = {
        # Tombstones belong to one month, so they are found anew.
        entry.slice_key: replace(entry, tombstones=frozenset(), rows=0)
        for other, entries in ledgers.items()
        if other != month and abs(_number(other) - _number(month)) <= _MAX_REACH
        for entry in entries
        if not entry.replace_exact_range
        and ((entry.start < next_month(month) and month <= entry.end) or (entry.sprints and month < entry.start))
    }
    return list(found.values())


def ledger_entry(file: StagedFile, published_at: datetime) -> LedgerEntry:
    """Return the ledger entry of a staged slice."""
    sprints: frozenset[tuple[str, str]] | None = None
    if file.slice.granularity == "sprint":
        sprints = frozenset(
            (str(path), sprint_name(sprint[0] if sprint else None, date.fromisoformat(str(start))))
            for path, start, *sprint in file.periods
        )
    return LedgerEntry(
        scope=file.slice.scope,
        start=file.slice.start,
        end=file.slice.end,
        export_id=file.export_id,
        created_at=file.created_at,
        teams=file.paths,
        sprints=sprints,
        replace_exact_range=file.slice.replace_exact_range,
        quarantined=file.quarantined,
        published_at=published_at,
    )


def _months_in_range(
    slice_: Slice, existing: Collection[date], ledger: Callable[[date], Iterable[LedgerEntry]]
) -> set[date]:
    start, end = slice_.start, slice_.end
    if slice_.replace_exact_range:
        return {start.replace(day=1)}
    found = set(period_months(start, end, slice_.granularity))
    found |= {month for month in months_between(start, end) if month in existing}
    if slice_.granularity == "sprint":
        # A sprint that reaches into the range may have begun in an earlier month.
        month, reaches = previous_month(start.replace(day=1)), True
        while reaches and month in existing:
            found.add(month)
            reaches = any(entry.end >= start for entry in ledger(month))
            month = previous_month(month)
    return found


def _number(month: date) -> int:
    return month.year * 12 + month.month
