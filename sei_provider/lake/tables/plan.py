"""Plan of a publish: which months each staged slice concerns, and which slices of other months concern a month.

Plain values: reads and puts nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TypeAlias

import pyarrow as pa

from sei_provider.lake.bounds import MAX_FOOTER_BYTES
from sei_provider.lake.errors import SchemaError
from sei_provider.lake.model import Slice, SliceKey
from sei_provider.lake.periods import months_between, next_month, period_end, period_months, sprint_name
from sei_provider.lake.staging.staged_footer import StagedFile
from sei_provider.lake.tables.footer import Footer
from sei_provider.lake.tables.layout import FORMAT
from sei_provider.lake.tables.ledger_entry import LedgerEntry, parents_of
from sei_provider.lake.tables.month_schema import arrow_schema, conflicting, lacks_columns
from sei_provider.lake.tables.schema import TableSchema
from sei_provider.lake.tables.table import Snapshot

CROSSES_MONTHS = frozenset({"weekly", "quarterly", "sprint"})
"""Granularities whose periods reach into other months. Monthly ranges are whole months."""
_MAX_REACH = 3
"""Months away that a period may reach, unless it is a sprint: a quarter is the longest. Also taken for sprints of
which 751f940 did not record the last day."""

Ledgers: TypeAlias = Mapping[date, Collection[LedgerEntry]]


def slices_by_month(files: Iterable[StagedFile], ledgers: Ledgers) -> dict[date, list[SliceKey]]:
    """Return the slices that concern each month: their range or their rows lie in it, or sprints of it reach them.

    `ledgers` has the existing months; their entries are looked at where periods are sprints.
    """
    last_days = {month: _last_day(month, entries) for month, entries in ledgers.items()}
    found: dict[date, list[SliceKey]] = defaultdict(list)
    for file in files:
        for month in _months_in_range(file.slice, last_days) | file.months:
            found[month].append(file.slice_key)
    return found


def months_to_look_at(existing: Iterable[date], visited: Collection[date], granularity: str) -> list[date]:
    """Return the months whose slices may concern one of those visited: a sprint may be of any length."""
    if granularity not in CROSSES_MONTHS:
        return list(visited)
    if granularity == "sprint":
        return sorted({*existing, *visited})
    numbers = {_number(month) for month in visited}
    return [month for month in existing if any(abs(_number(month) - number) <= _MAX_REACH for number in numbers)]


def entries_reaching(month: date, ledgers: Ledgers) -> list[LedgerEntry]:
    """Return the slices of other months whose range includes days of this one, or later days that its sprints reach."""
    last_day = _last_day(month, ledgers.get(month, ()))
    return [
        # What is kept for tombstones belongs to one month.
        replace(entry, tombstones=frozenset(), earlier_runs=frozenset(), rows=0)
        for other, entries in ledgers.items()
        if other != month
        for entry in entries
        if not entry.replace_exact_range and entry.overlaps(month, last_day)
    ]


def not_held(entries: Iterable[LedgerEntry], held: Iterable[LedgerEntry]) -> list[LedgerEntry]:
    """Return the slices that would change the ledger of a month: they are new to it, staged later, or of more runs."""
    there = {entry.identity: entry for entry in held}
    fresh: dict[tuple[str, str, str], LedgerEntry] = {}
    for entry in entries:
        known = there.get(entry.identity)
        joined = known.joined(entry) if known else entry
        if joined != known:
            there[entry.identity] = joined
            fresh[entry.identity] = fresh[entry.identity].joined(entry) if entry.identity in fresh else entry
    return list(fresh.values())


def within_footer(
    fresh: Iterable[LedgerEntry], held: Iterable[LedgerEntry], where: str
) -> tuple[list[LedgerEntry], list[tuple[LedgerEntry, SchemaError]]]:
    """Split new slices of a month into those that its footer has room for, and the others with an error each."""
    fresh = list(fresh)
    replaced = {(entry.scope, entry.start, entry.end) for entry in fresh}
    room = MAX_FOOTER_BYTES
    room -= sum(entry.bytes for entry in held if (entry.scope, entry.start, entry.end) not in replaced)
    fit, full = [], []
    for entry in fresh:
        if entry.bytes > room:
            msg = (
                f"export {entry.export_id} of {entry.scope} names {len(entry.teams):,} teams, and the ledger of "
                f"{where} has no room for them: it takes {MAX_FOOTER_BYTES >> 20} MB, because readers refuse larger "
                "footers. "
                "Publish this export to another table with table="
            )
            full.append((entry, SchemaError(msg)))
        else:
            room -= entry.bytes
            fit.append(entry)
    return fit, full


def sprints_moving_on(
    month: date, fresh: Mapping[date, Collection[LedgerEntry]], held: Iterable[LedgerEntry]
) -> frozenset[tuple[str, str]]:
    """Return the sprints of a month that new slices have in a later month, which is put after this one."""
    named = frozenset().union(*(entry.sprints or () for entry in held))
    there = {entry.identity for entry in fresh.get(month, ())}
    return frozenset(
        (path, sprint)
        for later, entries in fresh.items()
        if later > month
        for entry in entries
        if entry.identity in there
        for path, sprint, first, _ in entry.sprint_days
        if first.replace(day=1) == later and (path, sprint) in named
    )


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
        teams=frozenset(path for _, path in file.teams),
        parents=parents_of(file.teams),
        sprints=sprints,
        sprint_days=file.sprint_days,
        replace_exact_range=file.slice.replace_exact_range,
        quarantined=file.quarantined,
        unknown_paths=file.unknown_paths,
        put_aside=file.paths_put_aside - {path for _, path in file.teams},
        published_at=published_at,
        staged_at=file.exported_at,
        reading=file.reading,
        runs=file.runs,
    )


def _months_in_range(slice_: Slice, last_days: Mapping[date, date]) -> set[date]:
    start, end = slice_.start, slice_.end
    if slice_.replace_exact_range:
        return {start.replace(day=1)}
    found = set(period_months(start, end, slice_.granularity))
    found |= {month for month in months_between(start, end) if month in last_days}
    if slice_.granularity == "sprint":
        # A sprint that reaches into the range may have begun in an earlier month.
        found |= {month for month, last in last_days.items() if month <= end and start <= last}
    return found


def _last_day(month: date, entries: Iterable[LedgerEntry]) -> date:
    """Return the last day of the periods that start in a month, or of the month."""
    days = [next_month(month) - timedelta(days=1)]
    for entry in entries:
        days += [last for _, _, first, last in entry.sprint_days if first.replace(day=1) == month]
        if entry.sprints and not entry.sprint_days:
            days.append(period_end(next_month(month), "quarterly"))
    return max(days)


def _number(month: date) -> int:
    return month.year * 12 + month.month


def outdated_months(
    before: Snapshot, schema: TableSchema, visited: Iterable[date]
) -> tuple[TableSchema, frozenset[date]]:
    """Return the schema with the months that are behind it, and those of them to rewrite at once.

    A column that a month lacks is null there, so months are rewritten by maintenance. At once only the first month,
    because pyarrow and pandas take the columns of the table from it, and those that 751f940 wrote with a column in
    another type.
    A month put under an older schema is found here too: a publisher whose schema is no longer the newest after its puts
    plans again.
    """
    target, existing = arrow_schema(schema), set(before.months)
    behind = existing.intersection(schema.behind)
    if before.schema.columns and (schema.typed != before.schema.typed or before.schema.format != schema.format):
        behind |= existing
    at_once = {month for month, footer in before.footers(behind).items() if conflicting(footer.schema, target)}
    first = set(before.months[:1])
    checked = before.footers(existing.intersection({*visited, *first}))
    lacking = {month for month, footer in checked.items() if is_behind(footer, target)}
    behind = (behind | lacking) - (checked.keys() - lacking)
    return replace(schema, behind=tuple(sorted(behind))), frozenset(at_once | (first & behind))


def is_behind(footer: Footer, target: pa.Schema) -> bool:
    """Return whether a month lacks a column of its table, or lies in an older format."""
    if footer.schema is None:
        return False
    return footer.format != FORMAT or lacks_columns(footer.schema, target)
