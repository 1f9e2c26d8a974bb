"""Slices of neighbouring months that also ask for rows of a month: what a month that is new could not know.

A slice is entered in every month there is that it asks for. Weeks, quarters and sprints reach across months, so a
month that came later, or at the same time from another publisher, may hold rows that such a slice covers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date

from upath import UPath

from sei_provider.lake.periods import next_month
from sei_provider.lake.storage.scratch import scratch_folder
from sei_provider.lake.tables.merge import merge
from sei_provider.lake.tables.ownership import Entry
from sei_provider.lake.tables.table import (
    again,
    arrow_schema,
    fetch_month,
    months,
    put_month,
    read_ledgers,
    read_schema,
)

_REACHING = frozenset({"weekly", "quarterly", "sprint"})
"""Months are asked for whole, and legacy reports ask for nothing but themselves."""
_FARTHEST = 3
"""Months away that a period may reach: a quarter is the longest."""


def heed(folder: UPath, visited: Iterable[date], granularity: str) -> dict[date, int]:
    """Enter, in the months that were just put, the slices that neighbouring months hold; give rows where that changed.

    To be called after the puts. Of two publishers whose months are neighbours, one puts last, and that one sees the
    other's: here, or by listing the months once more (`publish`). So neither needs to wait for the other.
    """
    if granularity not in _REACHING:
        return {}
    ledgers = read_ledgers(folder, _near(months(folder), set(visited)))
    changed = {month: _enter(folder, month, _asking(month, ledgers)) for month in sorted(set(visited))}
    return {month: rows for month, rows in changed.items() if rows is not None}


def _near(there: Iterable[date], visited: Iterable[date]) -> list[date]:
    numbers = {_number(month) for month in visited}
    return [month for month in there if any(abs(_number(month) - number) <= _FARTHEST for number in numbers)]


def _number(month: date) -> int:
    return month.year * 12 + month.month


def _asking(month: date, ledgers: dict[date, tuple[Entry, ...]]) -> list[Entry]:
    """The slices of other months that ask for days of this one, or for later days that a sprint of it may reach."""
    found = {
        # What it clears is found anew: that is a matter of each month.
        entry.identity: replace(entry, clears=frozenset(), rows=0)
        for other, entries in ledgers.items()
        if other != month and abs(_number(other) - _number(month)) <= _FARTHEST
        for entry in entries
        if not entry.replace_exact_range
        and ((entry.start < next_month(month) and month <= entry.end) or (entry.sprints and month < entry.start))
    }
    return list(found.values())


@again
def _enter(folder: UPath, month: date, asking: list[Entry]) -> int | None:
    with scratch_folder() as scratch:
        content, version = fetch_month(folder, month, scratch)
        held = {entry.identity for entry in content.ledger} if content else set()
        fresh = [entry for entry in asking if entry.identity not in held]
        if content is None or not fresh:
            return None
        schema = arrow_schema(read_schema(folder))
        merged = merge(content.ledger, fresh, content.tables(), schema=schema, month=month, scratch=scratch)
        if tuple(merged.ledger) == content.ledger:
            return None
        put_month(folder, month, merged.pieces(), merged.ledger, schema=schema, if_match=version, scratch=scratch)
        return merged.rows
