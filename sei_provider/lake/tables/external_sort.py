"""Sort of more rows than memory holds. Knows nothing of slices and tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa

RUN_BYTES = 32 << 20
"""Rows held in memory before they are sorted and written to disk as one run."""
MAX_ARRAYS = 20_000
"""Columns of all tables that wait in memory, about; more are joined into one table."""
MERGE_FAN_IN = 16
"""Runs merged at a time. More are merged in rounds, so memory does not grow with their number."""
_BLOCK_BYTES = 1 << 20
"""Rows of each run held in memory while runs are merged, about."""


class ExternalSorter:
    """Sort for more rows than memory holds: sorted runs on disk, merged block by block. Nulls come last."""

    def __init__(self, scratch: Path, by: Sequence[str]) -> None:
        self._scratch = scratch
        self._by = by
        self._order = [(name, "ascending") for name in by]
        self._waiting: list[pa.Table] = []
        self._size = 0
        self._arrays = 0
        self._runs: list[Path] = []
        self._written = 0

    def add(self, rows: pa.Table) -> None:
        """Add rows; all tables must have one schema."""
        if len(rows):
            self._waiting.append(rows)
            self._size += rows.nbytes
            self._arrays += rows.num_columns
        if self._arrays > MAX_ARRAYS:  # a row of thousands of columns takes a hundred times its bytes as a table
            self._waiting = [pa.concat_tables(self._waiting).combine_chunks()]
            self._arrays = rows.num_columns
        if self._size >= RUN_BYTES:
            self._spill()

    def pieces(self) -> Iterator[pa.Table]:
        """Yield all rows in order, in pieces that fit into memory; nothing if there are no rows."""
        if not self._runs:
            if self._waiting:
                yield self._sorted()
            return
        self._spill()
        while len(self._runs) > MERGE_FAN_IN:
            some, self._runs = self._runs[:MERGE_FAN_IN], self._runs[MERGE_FAN_IN:]
            self._write(self._merged(some))
            for run in some:
                run.unlink()
        yield from self._merged(self._runs)

    def _merged(self, runs: Sequence[Path]) -> Iterator[pa.Table]:
        heads = [_Head(run, self._by) for run in runs]
        while heads:
            # No later block of a run has a row before its head's last, so all rows up to the least of these are here.
            bound = min(head.last for head in heads)
            yield pa.concat_tables([head.up_to(bound) for head in heads]).sort_by(self._order)
            heads = [head for head in heads if not head.ended]

    def _sorted(self) -> pa.Table:
        rows = pa.concat_tables(self._waiting)
        self._waiting, self._size, self._arrays = [], 0, 0
        return rows.sort_by(self._order)

    def _spill(self) -> None:
        if self._waiting:
            self._write(iter([self._sorted()]))

    def _write(self, pieces: Iterator[pa.Table]) -> None:
        path = self._scratch / f"run-{self._written}"
        self._written += 1
        first = next(pieces)
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, first.schema) as writer:
            for rows in chain([first], pieces):
                writer.write_table(rows, max_chunksize=max(1, len(rows) * _BLOCK_BYTES // max(rows.nbytes, 1)))
        self._runs.append(path)


class _Head:
    """Next block of a run. A run has at least one."""

    def __init__(self, run: Path, by: Sequence[str]) -> None:
        self._by = by
        self._blocks = _blocks(run)
        self._rows = next(self._blocks)
        self.ended = False

    @property
    def last(self) -> tuple[Any, ...]:
        return self._key(len(self._rows) - 1)

    def up_to(self, bound: tuple[Any, ...]) -> pa.Table:
        """Take the rows of this block up to and including `bound`."""
        rows, low, high = self._rows, 0, len(self._rows)
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self._key(middle) <= bound else (low, middle)
        rest = rows.slice(low) if low < len(rows) else next(self._blocks, None)
        self.ended = rest is None
        self._rows = rest
        return rows.slice(0, low)

    def _key(self, row: int) -> tuple[Any, ...]:
        cells = (self._rows[name][row].as_py() for name in self._by)
        return tuple((cell is None, cell if cell is not None else 0) for cell in cells)


def _blocks(run: Path) -> Iterator[pa.Table]:
    with pa.OSFile(str(run), "rb") as file, pa.ipc.open_file(file) as reader:
        for number in range(reader.num_record_batches):
            yield pa.Table.from_batches([reader.get_batch(number)])
