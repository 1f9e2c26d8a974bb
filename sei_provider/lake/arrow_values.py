"""Arrow arrays and scalars of Python values, and the way back, without pandas.

`pa.array` and `pa.scalar` of Python values, and `as_py` of a time, import pandas once a process, where it is installed:
a quarter of a second and 38 MB in every task. So do functions of `pyarrow.compute` that are given a Python value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_TIME = pa.timestamp("us", "UTC")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY = _EPOCH.date().toordinal()
_MICROSECOND = timedelta(microseconds=1)
_NUMPY = {pa.int8(): np.int8, pa.int32(): np.int32, pa.date32(): np.int32, pa.float64(): np.float64}
"""Types of the numbers by which Arrow keeps values; all others have int64."""


def to_array(values: Iterable[Any], kind: pa.DataType) -> pa.Array:
    """Return values as an array of a type that the lake has; None is null, and a struct is a mapping or a tuple."""
    values = list(values)
    if not values:
        return pa.nulls(0, kind)
    if pa.types.is_dictionary(kind):
        found = dict.fromkeys(value for value in values if value is not None)
        codes = {value: code for code, value in enumerate(found)}
        indices = to_array([None if value is None else codes[value] for value in values], kind.index_type)
        return pa.DictionaryArray.from_arrays(indices, to_array(codes, kind.value_type))
    if pa.types.is_string(kind):
        builder = pa.lib.StringBuilder()
        builder.append_values(values)
        return builder.finish()
    nulls = np.array([value is None for value in values], np.bool_)
    validity = _bits(~nulls) if nulls.any() else None
    if pa.types.is_list(kind):
        lists = [value or () for value in values]
        ends = np.array([0, *accumulate(map(len, lists))], np.int32)
        items = to_array((item for items in lists for item in items), kind.value_type)
        return pa.Array.from_buffers(kind, len(values), [validity, pa.py_buffer(ends)], children=[items])
    if pa.types.is_struct(kind):
        rows = [_members(value, kind) for value in values]
        children = [to_array((row[number] for row in rows), kind[number].type) for number in range(kind.num_fields)]
        return pa.Array.from_buffers(kind, len(values), [validity], children=children)
    if pa.types.is_boolean(kind):
        data = _bits(np.array([bool(value) for value in values], np.bool_))
    else:
        data = pa.py_buffer(np.array([_number(value) for value in values], _NUMPY.get(kind, np.int64)))
    return pa.Array.from_buffers(kind, len(values), [validity, data])


def to_scalar(value: Any, kind: pa.DataType) -> pa.Scalar:
    """Return a value as a scalar."""
    return to_array([value], kind)[0]


def to_table(rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Return rows as a table; what a row lacks is null."""
    rows = list(rows)
    columns = [to_array((row.get(field.name) for row in rows), field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def empty_table(schema: pa.Schema) -> pa.Table:
    """Return a table without rows."""
    return pa.Table.from_batches([empty_batch(schema)])


def empty_batch(schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch without rows."""
    return pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)


def to_python(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """Return a column as Python values, a struct as a tuple. Equal cells are one object."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # without chunks, or more than one array can hold
            return [value for chunk in column.chunks for value in to_python(chunk)]
    if pa.types.is_struct(column.type):
        return list(zip(*map(to_python, column.flatten()), strict=True))
    if pa.types.is_list(column.type):
        items, first = to_python(column.flatten()), 0
        lists: list[Any] = []
        for length in pc.list_value_length(column).to_pylist():
            lists.append(None if length is None else items[first : first + length])
            first += length or 0
        return lists
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    distinct = coded.dictionary
    if distinct.type == _TIME:
        numbers = distinct.cast(pa.int64()).to_pylist()
        cells = [_EPOCH + timedelta(microseconds=number) for number in numbers]
    else:
        cells = distinct.to_pylist()
    return [None if code is None else cells[code] for code in coded.indices.to_pylist()]


def to_numpy(numbers: pa.Array | pa.ChunkedArray) -> npt.NDArray[Any]:
    """Return numbers or booleans, of which none is null, as an array of NumPy."""
    if isinstance(numbers, pa.ChunkedArray):
        numbers = pa.concat_arrays(numbers.chunks) if numbers.num_chunks else pa.nulls(0, numbers.type)
    if pa.types.is_boolean(numbers.type):
        return to_numpy(numbers.cast(pa.int8())).astype(np.bool_)
    end = numbers.offset + len(numbers)
    buffer = numbers.buffers()[1] if end else b""
    return np.frombuffer(buffer, _NUMPY.get(numbers.type, np.int64), end)[numbers.offset :]


def to_rows(rows: pa.Table) -> list[dict[str, Any]]:
    """Return rows as dicts. Equal cells of a column are one object."""
    columns = map(to_python, rows.columns)
    return [dict(zip(rows.schema.names, values, strict=True)) for values in zip(*columns, strict=True)]


def _number(value: Any) -> Any:
    """Return the number by which Arrow keeps a value; 0 for null."""
    if value is None:
        return 0
    if isinstance(value, datetime):
        return (value - _EPOCH) // _MICROSECOND
    return value.toordinal() - _FIRST_DAY if isinstance(value, date) else value


def _members(value: Any, kind: pa.StructType) -> Sequence[Any]:
    if isinstance(value, Mapping):
        return [value.get(kind[number].name) for number in range(kind.num_fields)]
    return value if value is not None else [None] * kind.num_fields


def _bits(flags: npt.NDArray[np.bool_]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(flags, bitorder="little"))


EMPTY_TEXT = to_scalar("", pa.string())
NO_TEXT = to_scalar(None, pa.string())
NO_NUMBER = to_scalar(None, pa.float64())
