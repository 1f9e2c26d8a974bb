"""What a table has been asked for and has got, scope by month, from the ledgers alone: no rows are read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TypedDict

from upath import UPath

from sei_provider.lake.periods import next_month, period_months
from sei_provider.lake.storage.store import lake_path
from sei_provider.lake.tables.ownership import Entry
from sei_provider.lake.tables.table import known_table, months, read_ledgers


class Covered(TypedDict):
    """One scope's share of one month."""

    scope: str
    month: str
    """`YYYY-MM`; in it start the periods that are meant, also weeks and sprints that end in the next."""
    published_at: datetime | None
    """When a slice of the scope that asks for days of this month was last published; None if none was."""
    whole: bool
    """Whether the scope's slices together asked for every day of the month; not so for a month to date."""
    rows: int
    """Rows of the month that are the scope's own now; 0 is an answer too, or another scope's newer export has them."""
    quarantined: int
    """Rows that were put aside when these slices were staged, over all the months they cover."""


def coverage(
    lake: UPath | Path | str,
    table: str,
    *,
    scopes: Collection[str] | None = None,
    start: date | None = None,
    end: date | None = None,
) -> list[Covered]:
    """Give, for each scope and month, when it was published and how many rows it has, by scope, then month.

    `scopes` (`team:456`, `org:Engineering`) defaults to all that the table ever heard of, `start` and `end` to its
    first and last month; months are those that a period of the table's granularity can start in. Raises
    `UnknownTableError`.
    """
    root = lake_path(lake)
    schema = known_table(root, table)
    there = months(root / table)
    if not there:
        return []
    first, last = start or there[0], end or next_month(there[-1]) - timedelta(days=1)
    asked = list(period_months(first.replace(day=1), last, str(schema.meaning.get("granularity"))))
    by_place: dict[tuple[str, date], list[Entry]] = defaultdict(list)
    heard_of: set[str] = set()
    for month, entries in read_ledgers(root / table, there).items():
        for entry in entries:
            heard_of.add(entry.scope)
            # A sprint of an older month may lie in the range of a slice that did not ask for the month itself.
            if entry.start < next_month(month) and month <= entry.end:
                by_place[entry.scope, month].append(entry)
    return [
        _covered(scope, month, by_place[scope, month])
        for scope in sorted(heard_of if scopes is None else set(scopes))
        for month in asked
    ]


def spanned(entries: Iterable[Entry], start: date, end: date) -> bool:
    """Whether entries together asked for every day from `start` to `end`."""
    missing = start
    for entry in sorted(entries, key=lambda entry: entry.start):
        if entry.start <= missing:
            missing = max(missing, entry.end + timedelta(days=1))
    return missing > end


def _covered(scope: str, month: date, entries: Collection[Entry]) -> Covered:
    return Covered(
        scope=scope,
        month=f"{month:%Y-%m}",
        published_at=max((entry.published_at for entry in entries), default=None),
        whole=spanned(entries, month, next_month(month) - timedelta(days=1)),
        rows=sum(entry.rows for entry in entries),
        quarantined=sum(entry.quarantined for entry in entries),
    )
