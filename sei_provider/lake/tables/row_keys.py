"""Keys of rows: each distinct combination of the columns that many rows of a month share, as one number.

A month has a few thousand such combinations and millions of rows, so rules are applied, and rows are compared and
copied, by key. Plain Arrow values. Knows no rule and no files.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from sei_provider.lake.arrow_values import empty_table, to_scalar
from sei_provider.lake.columns import LINEAGE, TEAM_ID
from sei_provider.lake.distinct import distinct
from sei_provider.lake.tables.month_schema import cast_to_schema

SHARED = ("team_hierarchy", "team", "start_date", "sprint", "end_date", TEAM_ID, *LINEAGE)
"""Columns with few distinct values for many rows."""


_32 = to_scalar(32, pa.int64())
_FALSE = to_scalar(False, pa.bool_())


class RowKeys:
    """Keys of all rows seen so far, the same in all pieces: numbers in order of first appearance."""

    def __init__(self, schema: pa.Schema) -> None:
        self.names = [name for name in SHARED if name in schema.names]
        columns = pa.schema([pa.field(name, schema.field(name).type) for name in self.names])
        self._columns = columns
        self._parts = [empty_table(columns)]
        self._values = [_Codes(kind) for kind in columns.types]
        self._pairs = [_Codes(pa.int64()) for _ in self.names[1:]]
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def encode(self, rows: pa.Table) -> pa.Array:
        """Return the key of each row (int32). A column that the rows lack is null."""
        codes, found = distinct(_cast(rows, self._columns), self.names)
        first, *others = (
            values.encode(found[name].combine_chunks()) for name, values in zip(self.names, self._values, strict=True)
        )
        keys = first
        for own, pairs in zip(others, self._pairs, strict=True):
            keys = pairs.encode(pc.bit_wise_or(pc.shift_left(keys.cast(pa.int64()), _32), own.cast(pa.int64())))
        new = found.filter(pc.greater_equal(keys, to_scalar(self._count, keys.type)))
        if len(new):
            self._parts.append(new)
            self._count += len(new)
        return keys.take(codes)

    def table(self) -> pa.Table:
        """Return the columns of each key, in the order of the keys."""
        if len(self._parts) > 1:
            self._parts = [pa.concat_tables(self._parts).combine_chunks()]
        return self._parts[0]

    def ranks(self, by: Sequence[str]) -> pa.Array:
        """Return the place of each key in an order by some columns, nulls last; equal values have one place."""
        return dense_ranks(self.table(), by)


class _Codes:
    """Numbers of distinct values, in order of first appearance."""

    def __init__(self, kind: pa.DataType) -> None:
        self._known = pa.nulls(0, kind)

    def encode(self, values: pa.Array) -> pa.Array:
        coded = values.dictionary_encode(null_encoding="encode")
        codes = pc.index_in(coded.dictionary, value_set=self._known)
        if codes.null_count:
            self._known = pa.concat_arrays([self._known, coded.dictionary.filter(pc.is_null(codes))])
            codes = pc.index_in(coded.dictionary, value_set=self._known)
        return codes.take(coded.indices)


def shared_text_encoded(rows: pa.Table) -> pa.Table:
    """Return rows with their text in `SHARED` dictionary-encoded, which is half of the work of `RowKeys.encode`."""
    columns = [
        values.combine_chunks().dictionary_encode() if name in SHARED and pa.types.is_string(values.type) else values
        for name, values in zip(rows.schema.names, rows.columns, strict=True)
    ]
    return pa.Table.from_arrays(columns, rows.schema.names)


def dense_ranks(rows: pa.Table, by: Sequence[str]) -> pa.Array:
    """Return the place of each row in an order by some columns (int32), nulls last; equal rows have one place."""
    codes, found = distinct(rows, by)
    order = pc.sort_indices(found, sort_keys=[(name, "ascending") for name in by])
    # The order of an order is its inverse: the place of each combination.
    return pc.sort_indices(order).cast(pa.int32()).take(codes)


def in_order(columns: Sequence[pa.Array]) -> bool:
    """Return whether rows are sorted by some columns, nulls last."""
    before: pa.Array | None = None
    for column in reversed(columns):
        first, second = column.slice(0, max(len(column) - 1, 0)), column.slice(1)
        less = pc.or_(_known(pc.less(first, second)), pc.and_(pc.is_valid(first), pc.is_null(second)))
        same = pc.or_(_known(pc.equal(first, second)), pc.and_(pc.is_null(first), pc.is_null(second)))
        before = pc.or_(less, same if before is None else pc.and_(same, before))
    return before is None or not len(before) or bool(pc.all(before).as_py())


def _cast(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Cast rows to a schema as `cast_to_schema` does, but leave what is dictionary-encoded so."""
    coded = {field.name: field.type for field in rows.schema if pa.types.is_dictionary(field.type)}
    fits = {field.name for field in schema if coded.get(field.name) == pa.dictionary(pa.int32(), field.type)}
    plain = rows.drop_columns(sorted(fits))
    for name in coded.keys() - fits:
        plain = plain.set_column(plain.schema.get_field_index(name), name, rows[name].cast(coded[name].value_type))
    cast = cast_to_schema(plain, pa.schema([field for field in schema if field.name not in fits]))
    return pa.table({name: rows[name] if name in fits else cast[name] for name in schema.names})


def _known(mask: pa.Array) -> pa.Array:
    return pc.fill_null(mask, _FALSE)
