"""Coverage: which scopes and months the ledgers of a table cover, and whether they are complete. Reads no rows.

Works by month and in columns: a table of ten years and 5,000 scopes has 600,000 pairs of scope and month.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple, TypedDict, cast

import pyarrow as pa
import pyarrow.compute as pc

from sei_provider.lake.arrow_values import to_array, to_numpy, to_python, to_scalar
from sei_provider.lake.distinct import distinct, factorize, latest, sums
from sei_provider.lake.periods import begun_months, checked_day, next_month, period_end
from sei_provider.lake.storage.backend import Lake, LakePath
from sei_provider.lake.storage.store import lake_path
from sei_provider.lake.tables.footer import read_ledger_tables
from sei_provider.lake.tables.layout import months, table_folder
from sei_provider.lake.tables.ledger import include
from sei_provider.lake.tables.stored_schema import known_table

STALE_AFTER = timedelta(days=7)
"""Time without a slice after which a scope counts as exported no more, if others had one since."""
_MONTHS_AT_ONCE = 12
_1 = to_scalar(1, pa.int32())
_SCOPES_AT_ONCE = 100


class ScopeCoverage(TypedDict):
    """Coverage of one month by one scope."""

    scope: str
    month: str
    """`YYYY-MM`. Counts the periods that start in it, also weeks and sprints that end in the next month."""
    published_at: datetime | None
    """Last time at which a slice of the scope with days of this month was published; None if none was."""
    complete: bool
    """True if the scope was asked for every period that starts in the month, to the period's last day, and that day was
    over (UTC) when SEI made the export; false for a month to date. Sprints: whether every day of the month was."""
    rows: int
    """Rows of the month that the scope owns now; 0 if its answer was empty, or a newer export of another scope owns
    them."""
    quarantined: int
    """Rows of these slices, of any month, that went to quarantine when they were staged."""
    stale: bool
    """True if rows of it are a scope's that is exported no more: nothing of the scope, in any month, was published in
    the last week in which anything of the table was. `retire` removes such rows."""


class CoveringSlice(NamedTuple):
    """Columns of a ledger that coverage is made of, beside the scope."""

    start: date
    end: date
    created_at: datetime
    published_at: datetime
    rows: int
    quarantined: int


def coverage(
    lake: Lake,
    table: str,
    *,
    scopes: Collection[str] | None = None,
    start: date | None = None,
    end: date | None = None,
) -> list[ScopeCoverage]:
    """Return, by scope and month, when each was published, whether it is complete and how many rows it has.

    `scopes` (`team:456`, `org:Engineering`) defaults to every scope in the table's ledgers, `start` and `end` to its
    first and last month; only months in which a period of the table's granularity can start are listed. Raises
    `UnknownTableError`, `TypeError` for scopes that are no list of text or a day that is no date, and `ValueError` for
    one beyond the years 1900 to 2999.
    """
    return list(iter_coverage(lake, table, scopes=scopes, start=start, end=end))


def iter_coverage(
    lake: Lake,
    table: str,
    *,
    scopes: Collection[str] | None = None,
    start: date | None = None,
    end: date | None = None,
) -> Iterator[ScopeCoverage]:
    """Yield what `coverage` returns: 600,000 of them take several times the memory of their ledgers."""
    start, end = (day and checked_day(day, name) for name, day in (("start", start), ("end", end)))
    scopes = scopes if scopes is None else _checked_scopes(scopes)
    root = lake_path(lake)
    granularity = str(known_table(root, table).definition.get("granularity"))
    folder = table_folder(root, table)
    existing = months(folder)
    if not existing:
        return
    first, last = start or existing[0], end or next_month(existing[-1]) - timedelta(days=1)
    listed = list(begun_months(first, last, granularity))
    covered: dict[date, pa.Table] = {}
    last_published: dict[str, datetime] = {}
    for ledger, month in _ledgers(folder, existing):
        for scope, moment in zip(to_python(ledger["scope"]), to_python(ledger["published_at"]), strict=True):
            last_published[scope] = max(moment, last_published.get(scope, moment))
        if month in listed:
            covered[month] = covered_scopes(ledger, month, granularity)
    newest = max(last_published.values(), default=None)
    stale = {scope for scope, last in last_published.items() if newest and last < newest - STALE_AFTER}
    wanted = sorted(last_published if scopes is None else scopes)
    columns = [_Month(month, covered.pop(month, None), wanted) for month in listed]
    for begin in range(0, len(wanted), _SCOPES_AT_ONCE):
        some = wanted[begin : begin + _SCOPES_AT_ONCE]
        by_month = [column.of_scopes(begin, some) for column in columns]
        for by_scope in zip(*by_month, strict=True):
            for one in by_scope:
                one["stale"] = one["scope"] in stale and one["rows"] > 0
                yield one


def _checked_scopes(scopes: Collection[str]) -> set[str]:
    found = [*scopes]
    if isinstance(scopes, str) or not all(isinstance(scope, str) for scope in found):
        msg = f"scopes must be a list of text, such as ['team:456', 'org:Engineering'], not {scopes!r}"
        raise TypeError(msg)
    return set(found)


class _Month:
    """Coverage of one month, in columns, a row for each of some scopes."""

    def __init__(self, month: date, covered: pa.Table | None, scopes: Sequence[str]) -> None:
        self._month = f"{month:%Y-%m}"
        self._rows: pa.Table | None = None
        if covered is not None:
            published = covered["published_at"].combine_chunks().dictionary_encode()
            self._moments = to_python(published.dictionary)
            covered = covered.set_column(
                covered.schema.get_field_index("published_at"), "published_at", published.indices
            )
            rows = pc.index_in(to_array(scopes, pa.string()), value_set=covered["scope"].combine_chunks())
            self._rows = covered.drop_columns(["scope"]).take(rows)

    def of_scopes(self, begin: int, scopes: Sequence[str]) -> Iterator[ScopeCoverage]:
        """Yield the coverage by scopes, the first of which is at `begin`."""
        if self._rows is None:
            for scope in scopes:
                yield self._one(scope, None, complete=False, rows=0, quarantined=0)
            return
        some = self._rows.slice(begin, len(scopes))
        columns = (some[name].to_pylist() for name in ("published_at", "complete", "rows", "quarantined"))
        for scope, moment, complete, rows, quarantined in zip(scopes, *columns, strict=True):
            published = None if moment is None else self._moments[moment]
            yield self._one(scope, published, complete=bool(complete), rows=rows or 0, quarantined=quarantined or 0)

    def _one(
        self, scope: str, published_at: datetime | None, *, complete: bool, rows: int, quarantined: int
    ) -> ScopeCoverage:
        pair = _Pair(scope, self._month, published_at, complete=complete, rows=rows, quarantined=quarantined)
        return cast("ScopeCoverage", vars(pair))


class _Pair:
    """Coverage of one pair of scope and month. Dicts of attributes share their keys, which halves their memory."""

    def __init__(
        self, scope: str, month: str, published_at: datetime | None, *, complete: bool, rows: int, quarantined: int
    ) -> None:
        self.scope = scope
        self.month = month
        self.published_at = published_at
        self.complete = complete
        self.rows = rows
        self.quarantined = quarantined
        self.stale = False


def _ledgers(folder: LakePath, existing: Sequence[date]) -> Iterator[tuple[pa.Table, date]]:
    columns = ["scope", *CoveringSlice._fields]
    for first in range(0, len(existing), _MONTHS_AT_ONCE):
        ledgers = read_ledger_tables(folder, existing[first : first + _MONTHS_AT_ONCE], columns)
        for month in list(ledgers):
            yield ledgers.pop(month), month


def covered_scopes(ledger: pa.Table, month: date, granularity: str) -> pa.Table:
    """Return `published_at`, `rows`, `quarantined` and `complete` of a month for each scope that asked for days of it.

    `ledger` is that of the month, with at least `scope` and the columns of `CoveringSlice`.
    """
    # A sprint that began in this month may belong to a slice that did not ask for the month itself.
    first, after = (to_scalar(day, pa.date32()) for day in (month, next_month(month)))
    asked = ledger.filter(pc.and_(pc.less(ledger["start"], after), pc.greater_equal(ledger["end"], first)))
    scope_codes, scopes = distinct(asked, ["scope"])
    by_code = to_numpy(scope_codes)
    found = pa.table(
        {
            "scope": scopes["scope"],
            "published_at": latest(asked["published_at"], by_code, len(scopes)),
            "rows": sums(asked["rows"], by_code, len(scopes)),
            "quarantined": sums(asked["quarantined"], by_code, len(scopes)),
        }
    )
    days_over = pc.subtract(asked["created_at"].cast(pa.date32()).cast(pa.int32()), _1).cast(pa.date32())
    over = pa.table({"start": asked["start"], "end": pc.min_element_wise(asked["end"], days_over)})
    codes, ranges = factorize(over, ["start", "end"])
    by_scope: list[list[int]] = [[] for _ in range(len(scopes))]
    for scope, code in zip(scope_codes.to_pylist(), codes.to_pylist(), strict=True):
        by_scope[scope].append(code)
    known: dict[frozenset[int], bool] = {}
    complete = []
    for key in map(frozenset, by_scope):
        if key not in known:
            known[key] = _is_complete([ranges[code] for code in key], month, granularity)
        complete.append(known[key])
    return found.append_column("complete", to_array(complete, pa.bool_()))


def _is_complete(over: Collection[tuple[date, date]], month: date, granularity: str) -> bool:
    """Return whether every period that starts in the month belongs to an export that was made when all of it was over.

    `over` are the ranges that exports asked for, up to the last day that was over then. An export that reaches a
    period's last day owns it, before any that does not.
    """
    last_day = next_month(month) - timedelta(days=1)
    if granularity in {"monthly", "quarterly"}:
        last_day = period_end(month, granularity)
        return any(start <= month and last_day <= end for start, end in over)
    if granularity == "weekly" and over:
        # Requests are widened to whole weeks, so each starts with one (DESIGN, decision 4).
        first = month + timedelta(days=(min(start for start, _ in over) - month).days % 7)
        weeks = (first + timedelta(days=days) for days in range(0, (last_day - first).days + 1, 7))
        return all(any(start <= week and period_end(week, granularity) <= end for start, end in over) for week in weeks)
    return include(over, month, last_day)
