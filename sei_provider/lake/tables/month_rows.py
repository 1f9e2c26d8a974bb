"""Rows of a month while it is merged: those stored and those of new slices, kept by key, and sorted on disk.

Stored rows are read in pieces and take part as they are, if they are in order. Knows no rule: `judge` is asked once for
each key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from sei_provider.lake.arrow_values import to_array, to_python
from sei_provider.lake.columns import DERIVED
from sei_provider.lake.distinct import distinct
from sei_provider.lake.model import SliceKey
from sei_provider.lake.tables.external_sort import ExternalSorter, release_unused
from sei_provider.lake.tables.hierarchy import depths_and_leaves
from sei_provider.lake.tables.month_schema import cast_to_schema
from sei_provider.lake.tables.restatement import Figures
from sei_provider.lake.tables.row_keys import RowKeys, dense_ranks, in_order

_PLACE = ("team_hierarchy", "team", "start_date", "sprint")
SORTED_BY = (*_PLACE, "developer", "developer_email")
_KEY = "_key"

ReadTables: TypeAlias = Callable[[Collection[str]], Iterable[pa.Table]]
"""Reads some columns of a month in pieces, the same each time, in the order in which they are stored."""


class Judge(Protocol):
    """Rule for rows by slice and place."""

    def survives(self, slice_key: SliceKey, place: tuple[Any, ...]) -> bool:
        """Return whether rows of a slice stay at a place: team, hierarchy, start, and for sprints end and name."""

    def is_new(self, slice_key: SliceKey) -> bool:
        """Return whether a slice was not there before."""


class MonthRows:
    """Rows of a month, stored and new, of which `judge` keeps some."""

    def __init__(
        self, schema: pa.Schema, judge: Judge, stored: ReadTables | None, scratch: Path, *, sprints: bool
    ) -> None:
        self._schema = schema
        self._judge = judge
        self._stored = stored
        self._keys = RowKeys(schema)
        self._own = pa.schema(
            [each for each in schema if each.name not in self._keys.names and each.name not in DERIVED]
        )
        self._sorted_by = [name for name in SORTED_BY if name in schema.names]
        self._place = [name for name in self._sorted_by if name in self._keys.names]
        names = ["team", "team_hierarchy", "start_date", *(["end_date", "sprint"] if sprints else [])]
        self._judged_by = [name for name in names if name in schema.names]
        self._slices: list[SliceKey] = []
        self._survive: list[bool] = []
        self._counts: list[int] = []
        self._ranks = pa.nulls(0, pa.int32())
        self._sorter = ExternalSorter(scratch, self._order)
        self._key_runs: list[pa.Array] = []
        """Keys of the stored rows, run-end encoded by piece, as long as these are in order: then there are few runs."""
        self._in_order = self._read_stored() if stored else True

    def add(self, rows: pa.Table) -> None:
        """Add rows of new slices."""
        self._sorter.add(self._survivors(cast_to_schema(rows, self._own), self._judged(rows)))
        release_unused()

    def count(self) -> tuple[Counter[SliceKey], Counter[SliceKey]]:
        """Return how many rows each slice has brought, and how many of them stay."""
        came: Counter[SliceKey] = Counter()
        stayed: Counter[SliceKey] = Counter()
        for slice_key, survives, count in zip(self._slices, self._survive, self._counts, strict=True):
            came[slice_key] += count
            stayed[slice_key] += count if survives else 0
        return came, stayed

    def pieces(self, figures: tuple[Figures, Figures] | None) -> Iterator[pa.Table]:
        """Yield the rows that stay, once, sorted, with depths and leaves, which depend on all teams of the month.

        Adds to `figures` those before and after, of all teams and periods that may have changed.
        """
        touched = self._touched(figures[1]) if figures else None
        run = self._stored_rows(figures and figures[0], touched) if self._stored else iter(())
        if not self._in_order:
            for rows in run:
                self._sorter.add(rows)
            run = iter(())
        columns = self._key_columns()
        for rows in self._sorter.pieces(run):
            keys = rows[_KEY].combine_chunks()
            if figures and touched is not None:
                self._add(figures[1], rows, keys, touched)
            yield self._whole(rows, keys.dictionary_encode(), columns)

    def _whole(self, rows: pa.Table, keys: pa.DictionaryArray, columns: pa.Table) -> pa.Table:
        """Return rows with the columns of their keys, of which text is dictionary-encoded."""
        found = columns.take(keys.dictionary)
        arrays, fields = [], []
        for field in self._schema:
            values = rows[field.name] if field.name in self._own.names else found[field.name].combine_chunks()
            if field.name in found.schema.names and pa.types.is_string(field.type):
                coded = values.dictionary_encode()
                values = pa.DictionaryArray.from_arrays(coded.indices.take(keys.indices), coded.dictionary)
            elif field.name in found.schema.names:
                values = values.take(keys.indices)
            arrays.append(values)
            fields.append(field.with_type(values.type))
        return pa.Table.from_arrays(arrays, schema=pa.schema(fields))

    def _read_stored(self) -> bool:
        """Judge the stored rows by the columns that decide, and return whether they are in order."""
        last = None
        own = [name for name in self._sorted_by if name in self._own.names]
        for table in self._stored({*self._keys.names, *own}) if self._stored else ():
            keys = self._judged(table)
            if last is None or self._key_runs:
                rows = cast_to_schema(table, pa.schema([self._own.field(name) for name in own]))
                ordered = self._are_ordered(rows, keys)
                first, now = self._cells(rows, keys, 0), self._cells(rows, keys, len(keys) - 1)
                if ordered and (last is None or last <= first):
                    self._key_runs.append(pc.run_end_encode(keys))
                else:
                    self._key_runs.clear()
                last = now
        return last is None or bool(self._key_runs)

    def _are_ordered(self, rows: pa.Table, keys: pa.Array) -> bool:
        coded = keys.dictionary_encode()
        ranks = dense_ranks(self._keys.table().take(coded.dictionary), self._place).take(coded.indices)
        return in_order([ranks, *(column.combine_chunks() for column in rows.columns)])

    def _cells(self, rows: pa.Table, keys: pa.Array, row: int) -> tuple[tuple[bool, Any], ...]:
        table, key = self._keys.table(), keys[row].as_py()
        cells = [table[name][key].as_py() for name in self._place] + [column[row].as_py() for column in rows.columns]
        return tuple((cell is None, cell if cell is not None else 0) for cell in cells)

    def _stored_rows(self, before: Figures | None, touched: pa.Array | None) -> Iterator[pa.Table]:
        names = {*self._own.names, "start_date"} if self._in_order else {*self._own.names, *self._keys.names}
        for number, table in enumerate(self._stored(names) if self._stored else ()):
            keys = pc.run_end_decode(self._key_runs[number]) if self._in_order else self._keys.encode(table)
            rows = cast_to_schema(table, self._own)
            if before and touched is not None:
                self._add(before, rows, keys, touched)
            yield self._survivors(rows, keys)

    def _add(self, figures: Figures, rows: pa.Table, keys: pa.Array, touched: pa.Array) -> None:
        """Add rows to figures, but those of teams and periods that stay as they are."""
        mask = touched.take(keys)
        if figures.metrics and pc.any(mask).as_py():
            some = rows.filter(mask)
            of_keys = self._keys.table().select(figures.keys).take(keys.filter(mask))
            for name in figures.keys:
                some = some.append_column(name, of_keys[name])
            figures.add(some)

    def _judged(self, rows: pa.Table) -> pa.Array:
        """Return the keys of rows, with those that are new judged, and all of them counted."""
        keys, known = self._keys.encode(rows), len(self._slices)
        if len(self._keys) > known:
            new = self._keys.table().slice(known)
            slices = zip(*(to_python(new[name]) for name in ("_scope", "_export_id", "_exported_at")), strict=True)
            places = zip(*(to_python(new[name]) for name in self._judged_by), strict=True)
            for slice_key, place in zip(slices, places, strict=True):
                self._slices.append(slice_key)
                self._survive.append(self._judge.survives(slice_key, place))
                self._counts.append(0)
        counted = keys.value_counts()
        for key, count in zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True):
            self._counts[key] += count
        return keys

    def _survivors(self, rows: pa.Table, keys: pa.Array) -> pa.Table:
        # Not `append_column`: a table without columns, as the list of developers has under `drop`, knows no rows.
        kept = pa.Table.from_arrays([*rows.columns, keys], schema=rows.schema.append(pa.field(_KEY, keys.type)))
        survive = to_array(self._survive, pa.bool_())
        return kept if all(self._survive) else kept.filter(survive.take(keys))

    def _order(self, rows: pa.Table) -> pa.Table:
        if len(self._ranks) != len(self._keys):
            self._ranks = self._keys.ranks(self._place)
        own = [name for name in self._sorted_by if name not in self._place]
        ranks = self._ranks.take(rows[_KEY].combine_chunks())
        return pa.Table.from_arrays([ranks, *(rows[name] for name in own)], names=[_KEY, *own])

    def _touched(self, figures: Figures) -> pa.Array:
        """Return the mask of the keys whose teams and periods have rows that are new or that go."""
        places, _ = distinct(self._keys.table(), figures.keys)
        moves = zip(self._slices, self._survive, strict=True)
        moved = to_array((not survives or self._judge.is_new(slice_key) for slice_key, survives in moves), pa.bool_())
        return pc.is_in(places, value_set=places.filter(moved).unique())

    def _key_columns(self) -> pa.Table:
        """Return the columns of each key, with depth and leaf."""
        table = self._keys.table()
        teams = (team or "" for team in table["team"].to_pylist())
        pairs = list(zip(teams, table["team_hierarchy"].to_pylist(), strict=True))
        known = depths_and_leaves({pair for pair, survives in zip(pairs, self._survive, strict=True) if survives})
        found = [known.get(pair, (0, True)) for pair in pairs]
        depths, leaves = zip(*found, strict=True) if found else ((), ())
        table = table.append_column("team_depth", to_array(depths, pa.int32()))
        return table.append_column("is_leaf", to_array(leaves, pa.bool_()))
