"""Sort of more rows than memory holds. Knows nothing of slices and tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

RUN_BYTES = 20 << 20
"""Rows held in memory before they are sorted and written to disk as one run."""
MAX_ARRAYS = 20_000
"""Columns of all tables that wait in memory, about; more are joined into one table."""
MERGE_FAN_IN = 24
"""Runs merged at a time. More are merged in rounds, so memory does not grow with their number."""
_BLOCK_BYTES = 1 << 20
"""Rows of each run held in memory while runs are merged, about."""

Order: TypeAlias = Callable[[pa.Table], pa.Table]
"""Gives the columns to sort rows by, the first of them first, nulls last."""


def release_unused() -> None:
    """Give back the memory that Arrow has freed but kept: a quarter of the peak."""
    pa.default_memory_pool().release_unused()


class ExternalSorter:
    """Sort for more rows than memory holds: sorted runs on disk, merged block by block."""

    def __init__(self, scratch: Path, order: Order) -> None:
        self._scratch = scratch
        self._order = order
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

    def pieces(self, run: Iterable[pa.Table] = ()) -> Iterator[pa.Table]:
        """Yield all rows in order, in pieces that fit into memory; nothing if there are no rows.

        `run` are more rows, which are in order already, in pieces that fit into memory: they are read once, and neither
        sorted nor written to disk.
        """
        if self._runs:
            self._spill()
        while len(self._runs) > MERGE_FAN_IN:
            some, self._runs = self._runs[:MERGE_FAN_IN], self._runs[MERGE_FAN_IN:]
            self._write(self._merged([_blocks(one) for one in some]))
            for one in some:
                one.unlink()
        waiting = [iter([self._sorted()])] if self._waiting else []
        yield from self._merged([iter(run), *waiting, *(_blocks(one) for one in self._runs)])

    def _merged(self, runs: Iterable[Iterator[pa.Table]]) -> Iterator[pa.Table]:
        heads = [head for head in (_Head(run, self._order) for run in runs) if not head.ended]
        while heads:
            # No later block of a run has a row before its head's last, so all rows up to the least of these are here.
            bound = min(head.last for head in heads)
            parts = [part for part in (head.up_to(bound) for head in heads) if len(part)]
            yield parts[0] if len(parts) == 1 else _sort(pa.concat_tables(parts), self._order)
            heads = [head for head in heads if not head.ended]

    def _sorted(self) -> pa.Table:
        rows = pa.concat_tables(self._waiting)
        self._waiting, self._size, self._arrays = [], 0, 0
        return _sort(rows, self._order)

    def _spill(self) -> None:
        if self._waiting:
            self._write(iter([self._sorted()]))
            release_unused()

    def _write(self, pieces: Iterator[pa.Table]) -> None:
        path = self._scratch / f"run-{self._written}"
        self._written += 1
        first = next(pieces)
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, first.schema) as writer:
            for rows in chain([first], pieces):
                writer.write_table(rows, max_chunksize=max(1, len(rows) * _BLOCK_BYTES // max(rows.nbytes, 1)))
        self._runs.append(path)


class _Head:
    """Next block of a run, which has rows unless the run has ended."""

    def __init__(self, run: Iterator[pa.Table], order: Order) -> None:
        self._run = run
        self._order = order
        self._rows = pa.table({})
        self._columns: list[pa.Array] = []
        self._first = 0
        self.ended = False
        self._advance()

    @property
    def last(self) -> tuple[Any, ...]:
        return tuple(_key(column, len(column) - 1) for column in self._columns)

    def up_to(self, bound: tuple[Any, ...]) -> pa.Table:
        """Take the rows of this block up to and including `bound`."""
        first, low, high = self._first, self._first, len(self._rows)
        if self._is_up_to(high - 1, bound):
            rows = self._rows.slice(first)
            self._advance()
            return rows
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self._is_up_to(middle, bound) else (low, middle)
        self._first = low
        return self._rows.slice(first, low - first)

    def _advance(self) -> None:
        found = next((rows for rows in self._run if len(rows)), None)
        self.ended = found is None
        if found is not None:
            self._rows, self._first = found, 0
            self._columns = [column.combine_chunks() for column in self._order(found).columns]

    def _is_up_to(self, row: int, bound: tuple[Any, ...]) -> bool:
        for column, limit in zip(self._columns, bound, strict=True):  # the first column decides nearly always
            key = _key(column, row)
            if key != limit:
                return bool(key < limit)
        return True


def _key(column: pa.Array, row: int) -> tuple[bool, Any]:
    cell = column[row].as_py()
    return cell is None, cell if cell is not None else 0


def _sort(rows: pa.Table, order: Order) -> pa.Table:
    columns = order(rows).combine_chunks()
    return rows.take(pc.sort_indices(columns, sort_keys=[(name, "ascending") for name in columns.schema.names]))


def _blocks(run: Path) -> Iterator[pa.Table]:
    with pa.OSFile(str(run), "rb") as file, pa.ipc.open_file(file) as reader:
        for number in range(reader.num_record_batches):
            yield pa.Table.from_batches([reader.get_batch(number)])
