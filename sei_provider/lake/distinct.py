"""Distinct combinations of columns, and figures by them.

Arrow's `group_by` and `sort_by` load its query engine and pandas, which takes a task process 60 MB, and start threads
for a few rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sei_provider.lake.arrow_values import to_numpy, to_python, to_scalar

_INT64 = pa.int64()
_ZERO = to_scalar(0, _INT64)


def distinct(rows: pa.Table, names: Sequence[str]) -> tuple[pa.Array, pa.Table]:
    """Encode the distinct combinations of some columns: the code of each row (int64), and the combination of each."""
    if not len(rows):
        types = (rows.schema.field(name).type for name in names)
        none = [pa.nulls(0, kind.value_type if pa.types.is_dictionary(kind) else kind) for kind in types]
        return pa.nulls(0, _INT64), pa.Table.from_arrays(none, names=list(names))
    codes = pa.repeat(_ZERO, len(rows))
    dictionaries: list[pa.Array] = []
    picked: list[pa.Array] = []
    combinations = 1
    for name in names:
        column = _encoded(rows[name].combine_chunks())
        dictionaries.append(column.dictionary)
        if len(column.dictionary) == 1:
            picked.append(pa.repeat(_ZERO, combinations))
            continue
        count = to_scalar(len(column.dictionary), _INT64)
        mixed = pc.add(pc.multiply(codes, count), column.indices.cast(_INT64)).dictionary_encode()
        first = pc.divide(mixed.dictionary, count)
        picked = [each.take(first) for each in picked]
        picked.append(pc.subtract(mixed.dictionary, pc.multiply(first, count)))
        codes, combinations = mixed.indices.cast(_INT64), len(mixed.dictionary)
    arrays = [values.take(chosen) for values, chosen in zip(dictionaries, picked, strict=True)]
    return codes, pa.Table.from_arrays(arrays, names=list(names))


def factorize(rows: pa.Table, names: Sequence[str]) -> tuple[pa.Array, list[tuple[Any, ...]]]:
    """Encode the distinct combinations of some columns as `distinct` does, with the combinations as Python values."""
    codes, found = distinct(rows, names)
    return codes, list(zip(*map(to_python, found.columns), strict=True))


def sums(values: pa.ChunkedArray, codes: npt.NDArray[np.int64], count: int) -> pa.Array:
    """Return the sums of numbers by code, for `count` codes; null for a code without any number."""
    kind, there = values.type, to_numpy(values.is_valid())
    numbers = to_numpy(values.drop_null())
    found = np.zeros(count, numbers.dtype)
    np.add.at(found, codes[there], numbers)
    none = np.bincount(codes[there], minlength=count) == 0
    return pc.if_else(_mask(none), pa.nulls(count, kind), _from_numpy(found, kind))


def latest(moments: pa.ChunkedArray, codes: npt.NDArray[np.int64], count: int) -> pa.Array:
    """Return the last of some moments by code, for `count` codes, each of which has one."""
    found = np.full(count, np.iinfo(np.int64).min)
    np.maximum.at(found, codes, to_numpy(moments.cast(_INT64)))
    return _from_numpy(found, moments.type)


def sorted_by(rows: pa.Table, names: Sequence[str]) -> pa.Table:
    """Return rows in the order of some columns, nulls last."""
    return rows.take(pc.sort_indices(rows, sort_keys=[(name, "ascending") for name in names]))


def _encoded(values: pa.Array) -> pa.DictionaryArray:
    """Return values dictionary-encoded, with null as one of them."""
    if pa.types.is_dictionary(values.type):
        if not values.null_count:
            return values
        values = values.dictionary_decode()
    return values.dictionary_encode(null_encoding="encode")


def _from_numpy(values: npt.NDArray[Any], kind: pa.DataType) -> pa.Array:
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


def _mask(flags: npt.NDArray[np.bool_]) -> pa.Array:
    return pa.Array.from_buffers(pa.bool_(), len(flags), [None, pa.py_buffer(np.packbits(flags, bitorder="little"))])
