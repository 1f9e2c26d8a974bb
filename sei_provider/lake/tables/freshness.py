"""Freshness of a table: which scopes lack complete figures of some days, and why. Reads ledgers, and no rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Literal, NamedTuple, TypedDict

import pyarrow as pa
import pyarrow.compute as pc

from sei_provider.lake.arrow_values import to_array, to_python
from sei_provider.lake.columns import UNDATED
from sei_provider.lake.periods import period_end, previous_month
from sei_provider.lake.storage.backend import Lake, LakePath
from sei_provider.lake.storage.store import lake_path
from sei_provider.lake.tables.footer import read_ledger_tables
from sei_provider.lake.tables.layout import months, table_folder
from sei_provider.lake.tables.stored_schema import known_table
from sei_provider.plural import plural

_DAY = timedelta(days=1)
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_MONTHS_OF = {"monthly": 1, "quarterly": 3}


class Lack(TypedDict):
    """Days of which a scope lacks complete figures, and why."""

    start: str
    """`YYYY-MM-DD`, as `end`: those of the days asked about that lie in one period."""
    end: str
    state: Literal["absent", "to date", "early", "quarantined"]
    """No export of it was published; its export ends before; SEI made it before the days were over; rows of it are in
    quarantine."""
    reason: str


class Incomplete(Lack):
    """First period of which a scope lacks complete figures."""

    scope: str


class _Export(NamedTuple):
    """Facts of a ledger about one reading of a published export."""

    created_at: datetime
    export_id: str
    staged_at: datetime | None
    start: date
    end: date
    quarantined: int

    @property
    def age(self) -> tuple[datetime, str, datetime]:
        """Order of exports that reach as far: the greater wins (DESIGN, decision 12)."""
        return self.created_at, self.export_id, self.staged_at or _LONG_AGO


def incomplete(
    lake: Lake, table: str, *, scopes: Collection[str], start: date, end: date, zone: tzinfo = UTC
) -> list[Incomplete]:
    """Return which of the scopes (`team:456`, `org:Engineering`) lack complete figures of the days, and why.

    A scope has complete figures of a period if the export that its rows come from was asked for all of it or, if it
    ends after `end`, for all up to `end`; if that day was over in `zone` when SEI made the export; and if no row of the
    export is in quarantine. Periods are those of the table's granularity that hold one of the days, where they are
    sprints each day. A legacy table has its figures by range: several days need an export of exactly this range, one
    day an export that holds it. Raises `UnknownTableError`.
    """
    root = lake_path(lake)
    definition = known_table(root, table).definition
    granularity = str(definition.get("granularity"))
    exports = _exports(table_folder(root, table), set(scopes), start, end, granularity)
    newest = _newest(export for held in exports.values() for export in held)
    weekday = newest.start.weekday() if newest else 0
    periods = list(_periods(start, end, granularity, weekday))
    found = []
    for scope in dict.fromkeys(scopes):
        held = exports.get(scope, set())
        if definition.get("report") in UNDATED:
            lacks = _lacks_of_range(held, start, end, zone)
        elif periods:
            lacks = _lacks_of_periods(held, periods, end, zone)
        else:
            lacks = _lacks_by_day(held, start, end, zone)
        found += [Incomplete(scope=scope, **lack) for lack in [next(lacks, None)] if lack]
    return found


def _exports(
    folder: LakePath, scopes: Collection[str], start: date, end: date, granularity: str
) -> dict[str, set[_Export]]:
    """Read the exports of some scopes from the months in which a period that holds one of the days can start."""
    first = start.replace(day=1)
    for _ in range({"weekly": 1, "quarterly": 2}.get(granularity, 0)):
        first = previous_month(first)
    wanted = [month for month in months(folder) if first <= month <= end]
    found: dict[str, set[_Export]] = defaultdict(set)
    for ledger in read_ledger_tables(folder, wanted, ["scope", *_Export._fields]).values():
        own = ledger.filter(pc.is_in(ledger["scope"], to_array(scopes, pa.string())))
        for scope, *values in zip(*map(to_python, own.columns), strict=True):
            found[scope].add(_Export(*values))
    return found


def _periods(start: date, end: date, granularity: str, weekday: int) -> Iterator[tuple[date, date]]:
    """Yield first and last day of the periods that hold one of the days; none where periods are no calendar's."""
    if granularity == "weekly":
        first = start - timedelta(days=(start.weekday() - weekday) % 7)
    elif granularity in _MONTHS_OF:
        step = _MONTHS_OF[granularity]
        first = date(start.year, (start.month - 1) // step * step + 1, 1)
    else:
        return
    while first <= end:
        last = period_end(first, granularity)
        yield first, last
        first = last + _DAY


def _lacks_of_periods(
    held: Collection[_Export], periods: Collection[tuple[date, date]], end: date, zone: tzinfo
) -> Iterator[Lack]:
    for first, last in periods:
        asked = [export for export in held if export.start <= first <= export.end]
        reach = max((min(last, export.end) for export in asked), default=last)
        owner = _newest(export for export in asked if min(last, export.end) == reach)
        if lack := _lack(owner, first, min(last, end), zone):
            yield lack


def _lacks_of_range(held: Collection[_Export], start: date, end: date, zone: tzinfo) -> Iterator[Lack]:
    def is_asked(export: _Export) -> bool:
        return (export.start, export.end) == (start, end) or (start == end and export.start <= start <= export.end)

    if lack := _lack(_newest(filter(is_asked, held)), start, end, zone):
        yield lack


def _lacks_by_day(held: Collection[_Export], start: date, end: date, zone: tzinfo) -> Iterator[Lack]:
    """Yield the runs of days whose newest export is not complete, or that have none."""
    day = start
    while day <= end:
        owner = _newest(export for export in held if export.start <= day <= export.end)
        borders = [export.start - _DAY for export in held] + [export.end for export in held]
        last = min([border for border in borders if border >= day] + [end])
        if lack := _lack(owner, day, last, zone):
            yield lack
        day = last + _DAY


def _newest(exports: Iterable[_Export]) -> _Export | None:
    return max(exports, key=lambda export: export.age, default=None)


def _lack(export: _Export | None, start: date, end: date, zone: tzinfo) -> Lack | None:
    """Return what a period lacks of which this export has the rows; None if it is complete."""
    if export is None:
        return _told("absent", start, end, "no export of it is published")
    made = f"export {export.export_id} of {export.created_at.astimezone(zone).isoformat(timespec='minutes')}"
    if export.end < end:
        return _told("to date", export.end + _DAY, end, f"{made} was asked for the days up to {export.end} only")
    if export.created_at.astimezone(zone).date() <= end:
        return _told("early", start, end, f"{made} was made before {end} was over")
    if export.quarantined:
        rows = plural(export.quarantined, "row")
        return _told("quarantined", start, end, f"{made} has {rows} in quarantine")
    return None


def _told(state: Literal["absent", "to date", "early", "quarantined"], start: date, end: date, reason: str) -> Lack:
    return Lack(start=start.isoformat(), end=end.isoformat(), state=state, reason=reason)
