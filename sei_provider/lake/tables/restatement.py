"""Restatement: figures of a month that is over and that a publish has changed (CONTRACT row 34).

A figure is the sum of a metric over the rows of one team and period, so developers are added up. Knows no files.
"""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa

from sei_provider.lake.arrow_values import empty_table, to_numpy
from sei_provider.lake.distinct import distinct, sums
from sei_provider.lake.model import Restated

_TOLERANCE = 1e-9
_MAX_NAMED = 50
_KEYS = ("team_hierarchy", "start_date", "sprint")


class Figures:
    """Figures of rows, added in pieces; memory grows with teams, periods and metrics, not with rows."""

    def __init__(self, schema: pa.Schema) -> None:
        self.keys = [name for name in _KEYS if name in schema.names]
        self.metrics = [field.name for field in schema if field.type == pa.float64()]
        self._sums = empty_table(schema).select([*self.keys, *self.metrics])

    def add(self, rows: pa.Table) -> None:
        """Add rows; a metric that they lack is null."""
        missing = [name for name in self.metrics if name not in rows.schema.names]
        for name in missing:
            rows = rows.append_column(name, pa.nulls(len(rows), pa.float64()))
        self._sums = self._added([self._sums, self._added([rows.select([*self.keys, *self.metrics])])])

    def restated_by(self, after: Figures, *, names_teams: bool) -> Restated | None:
        """Return which figures are others in `after`; None if none is. Teams and periods that come or go do not count.

        `names_teams=False` withholds the teams, where these are people.
        """
        metrics = [name for name in self.metrics if name in after.metrics]
        mine, others = (figures.by_key(metrics) for figures in (self, after))
        changed, largest, teams = 0, 0.0, set()
        for key in mine.keys() & others.keys():
            for before, now in zip(mine[key], others[key], strict=True):
                if before is None or now is None or before == now:
                    continue
                difference = abs(now - before) / max(abs(now), abs(before))
                if difference > _TOLERANCE:
                    changed, largest = changed + 1, max(largest, difference)
                    teams.add(str(key[0]))
        if not changed:
            return None
        named = sorted(teams)[:_MAX_NAMED] if names_teams else []
        return Restated(figures=changed, largest=largest, teams=named, team_count=len(teams))

    def by_key(self, metrics: Collection[str]) -> dict[tuple[object, ...], tuple[float | None, ...]]:
        """Return the values of some metrics by team and period."""
        keys = zip(*(self._sums[name].to_pylist() for name in self.keys), strict=True)
        columns = [self._sums[name].to_pylist() for name in metrics]
        values = zip(*columns, strict=True) if columns else iter(())
        return dict(zip(keys, values, strict=False))

    def _added(self, parts: Collection[pa.Table]) -> pa.Table:
        rows = pa.concat_tables(parts, promote_options="permissive")
        codes, found = distinct(rows, self.keys)
        numbers = to_numpy(codes)
        for name in self.metrics:
            found = found.append_column(name, sums(rows[name], numbers, len(found)))
        return found
