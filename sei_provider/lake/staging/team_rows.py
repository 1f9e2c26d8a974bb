"""Check of a report at level `team`: one row per team and period; more are developers' rows (CONTRACT row 9)."""

from __future__ import annotations

from array import array

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sei_provider.lake.distinct import factorize
from sei_provider.lake.errors import CsvError
from sei_provider.lake.model import Slice


class TeamRows:
    """Rows of one export, added in pieces. Memory: 8 bytes per row."""

    def __init__(self, slice_: Slice) -> None:
        self._is_checked = slice_.level == "team"
        self._names = ["team", "team_hierarchy", "start_date"]
        if slice_.granularity == "sprint":
            self._names.append("sprint")
        self._hashes = array("q")

    def add(self, rows: pa.Table) -> None:
        """Add rows. Raises `CsvError` if two are of one team and period."""
        if not self._is_checked:
            return
        names = [name for name in self._names if name in rows.schema.names]
        codes, found = factorize(rows, names)
        if len(found) < len(rows):
            raise _several(pc.max(codes.value_counts().field(1)).as_py())
        self._hashes.extend(map(hash, found))

    def check(self) -> None:
        """Compare all rows that were added. Raises `CsvError` if two are of one team and period."""
        if len(self._hashes):
            _, counts = np.unique(np.frombuffer(self._hashes, np.int64), return_counts=True)
            if counts.max() > 1:
                raise _several(int(counts.max()))


def _several(rows: int) -> CsvError:
    msg = (
        f"the request was at level team, and SEI sent {rows} rows of one team and period: it did not apply the level, "
        "and these may be developers' rows. Clusters know the level as metricLevel or aggregationLevel: see "
        "level_field in the connection"
    )
    return CsvError(msg)
