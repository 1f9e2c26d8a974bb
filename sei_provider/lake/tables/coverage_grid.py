"""Coverage as a grid of scopes and months, each cell in one state, from the coverage summary of a table.

Arrays of numbers, so that thousands of scopes cost milliseconds. Reads no object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sei_provider.lake.arrow_values import to_numpy, to_scalar
from sei_provider.lake.bounds import MAX_HIERARCHY_CHARS, MAX_HIERARCHY_LEVELS
from sei_provider.lake.distinct import distinct
from sei_provider.lake.periods import begun_months, next_month, period_end
from sei_provider.lake.tables.coverage import STALE_AFTER
from sei_provider.lake.tables.coverage_summary import CoverageSummary
from sei_provider.lake.tables.hierarchy import usual_parent

_GRACE = timedelta(days=1)
"""A month that ended yesterday counts as one to date, because the run of the night has not reached its end yet."""
_EPOCH = date(1970, 1, 1)


class State(IntEnum):
    """State of a month of a scope. Of several that apply it is the last in this order."""

    COMPLETE = 0
    """Every period that starts in the month was asked for to its last day, after that day."""
    TO_DATE = 1
    """Not complete, and the month is not over or ended yesterday."""
    PARTLY = 2
    """Not complete, and the month is over."""
    QUARANTINED = 3
    """Rows of its exports are in quarantine."""
    STALE = 4
    """Its rows are a scope's that is exported no more (`ScopeCoverage.stale`)."""
    MISSING = 5
    """No slice of the scope with days of this month was published."""
    UNREADABLE = 6
    """The month's object could not be read when the summary was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageGrid:
    """States of all scopes of a table in its months."""

    scopes: Sequence[str]
    months: Sequence[date]
    """First days, from the table's first month to its last or yesterday's; only those in which a period can start."""
    states: npt.NDArray[np.uint8]
    """A `State` for each scope and month, of shape (scopes, months)."""
    lineages: Sequence[tuple[str, ...]]
    """Hierarchies of each scope, from the root of its tree to its own team; empty if its team is not known."""
    published_at: datetime | None
    """Time at which anything of the table was published last."""

    def counts(self, scopes: Sequence[int] | None = None) -> npt.NDArray[np.int64]:
        """Count the states of all scopes, or of those at some positions: an array of shape (months, states)."""
        states = self.states if scopes is None else self.states[list(scopes)]
        return np.stack([(states == state).sum(axis=0) for state in State], axis=1)

    def month_counts(self) -> dict[date, dict[str, int]]:
        """Return how many scopes are in each state in each month, by the state's name in small letters."""
        return {
            month: {state.name.lower(): int(found[state]) for state in State if found[state]}
            for month, found in zip(self.months, self.counts(), strict=True)
        }


def coverage_grid(summary: CoverageSummary, *, today: date) -> CoverageGrid:
    """Return the grid of a summary that has at least `GRID_COLUMNS`, as it is on a day (UTC)."""
    cells = summary.cells.combine_chunks()
    months = _listed(summary, today)
    codes, scopes = _encoded(cells["scope"])
    states = np.full((len(scopes), len(months)), State.MISSING, np.uint8)
    seen = to_numpy(pc.cast(cells["seen_at"], pa.int64()))
    newest = int(seen.max()) if len(seen) else None
    if newest is not None and months:
        last_seen = np.full(len(scopes), np.iinfo(np.int64).min)
        np.maximum.at(last_seen, codes, seen)
        stale = (last_seen < newest - STALE_AFTER // timedelta(microseconds=1))[codes]
        days = np.array([(month - _EPOCH).days for month in months])
        own = to_numpy(pc.cast(cells["month"], pa.int32()))
        places = np.minimum(np.searchsorted(days, own), len(days) - 1)
        to_date = np.array([_last_day(month, summary.granularity) + _GRACE >= today for month in months])[places]
        found = np.where(to_numpy(cells["complete"]), State.COMPLETE, np.where(to_date, State.TO_DATE, State.PARTLY))
        found[to_numpy(cells["quarantined"]) > 0] = State.QUARANTINED
        found[stale & (to_numpy(cells["rows"]) > 0)] = State.STALE
        found[~to_numpy(cells["published_at"].is_valid())] = State.MISSING
        listed = days[places] == own
        states[codes[listed], places[listed]] = found[listed]
    states[:, [month in summary.damaged for month in months]] = State.UNREADABLE
    return CoverageGrid(
        scopes=scopes,
        months=months,
        states=states,
        lineages=_lineages(cells, codes, len(scopes)),
        published_at=None if newest is None else datetime.fromtimestamp(newest / 1e6, UTC),
    )


def _listed(summary: CoverageSummary, today: date) -> list[date]:
    if not summary.months:
        return []
    last = max(next_month(summary.months[-1]) - timedelta(days=1), today - _GRACE)
    return list(begun_months(summary.months[0], last, summary.granularity))


def _last_day(month: date, granularity: str) -> date:
    """Return the last day of the last period that starts in a month."""
    if granularity in {"monthly", "quarterly"}:
        return period_end(month, granularity)
    return period_end(next_month(month) - timedelta(days=1), granularity)


def _lineages(cells: pa.Table, codes: npt.NDArray[Any], scopes: int) -> list[tuple[str, ...]]:
    path_codes, paths = _encoded(cells["path"])
    above = dict(zip(*_distinct_pairs(cells), strict=True))
    newest = np.full(scopes, -1)
    known = path_codes >= 0
    newest[codes[known]] = path_codes[known]  # the cells are in order of months, and the last one counts
    found: dict[int, tuple[str, ...]] = {-1: ()}
    for code in set(newest.tolist()) - {-1}:
        line = [paths[code][:MAX_HIERARCHY_CHARS]]
        # A parent is the beginning of its child's path, so this ends.
        while (parent := above.get(line[-1], usual_parent(line[-1]))) and len(parent) < len(line[-1]):
            if len(line) > MAX_HIERARCHY_LEVELS:  # more are in a rewritten summary alone
                break
            line.append(parent)
        found[code] = tuple(reversed(line))
    return [found[code] for code in newest.tolist()]


def _distinct_pairs(cells: pa.Table) -> tuple[list[str], list[str]]:
    pairs = cells.select(["path", "above"]).filter(cells["path"].is_valid())
    _, pairs = distinct(pairs, ["path", "above"])
    return pairs["path"].to_pylist(), pairs["above"].to_pylist()


def _encoded(column: pa.ChunkedArray) -> tuple[npt.NDArray[Any], list[str]]:
    """Return the position of each value in a list of all values, -1 where there is none, and that list."""
    array = pa.concat_arrays(column.chunks) if column.num_chunks else pa.nulls(0, column.type)
    encoded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    codes = pc.fill_null(encoded.indices, to_scalar(-1, encoded.indices.type))
    return to_numpy(codes), encoded.dictionary.to_pylist()
