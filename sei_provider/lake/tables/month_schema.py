"""Arrow schema of a month's object: from the table's columns, back to them, and rows cast to it.

Plain values. Reads no object.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from sei_provider.lake.column_mapping import TYPE_NAMES
from sei_provider.lake.column_metadata import HASHED_KEY, HEADER_KEY, field_metadata
from sei_provider.lake.columns import DERIVED, LINEAGE, Column, ColumnType, arrow_type
from sei_provider.lake.errors import SchemaError
from sei_provider.lake.tables.conversion import convert, unfit
from sei_provider.lake.tables.schema import TableSchema

_COMPUTED = {
    "team_depth": pa.int32(),
    "is_leaf": pa.bool_(),
    "_scope": pa.string(),
    "_export_id": pa.string(),
    "_exported_at": pa.timestamp("us", "UTC"),
    "_run_id": pa.string(),
}
_TYPES: dict[pa.DataType, ColumnType] = {pa.string(): "string", pa.date32(): "date32", pa.float64(): "float64"}


def arrow_schema(schema: TableSchema, columns: Iterable[Column] | None = None) -> pa.Schema:
    """Return the Arrow schema of a month, with SEI's header and, where known, unit and source as field metadata.

    A column enters files once its type is known, so no two files have it with different types. `columns` names others
    than these; one without a type is text then.
    """
    report, mode = str(schema.definition.get("report")), schema.definition.get("computation_mode")
    if columns is None:
        columns = [column for column in schema.ordered() if column.type is not None]
    known = [
        pa.field(
            column.name,
            arrow_type(column),
            metadata={HEADER_KEY: column.header}
            | ({HASHED_KEY: b"true"} if column.hashed else {})
            | field_metadata(column, report, mode),
        )
        for column in columns
    ]
    return pa.schema([*known, *(pa.field(name, _COMPUTED[name]) for name in (*DERIVED, *LINEAGE))])


def columns_of(schema: pa.Schema) -> tuple[Column, ...]:
    """Return the columns of a month's object as those of a table."""
    return tuple(
        Column(
            field.name,
            ((field.metadata or {}).get(HEADER_KEY) or b"").decode(),
            _TYPES[field.type],
            hashed=HASHED_KEY in (field.metadata or {}),
        )
        for field in schema
        if field.name not in _COMPUTED
    )


def lacks_columns(month: pa.Schema, target: pa.Schema) -> bool:
    """Return whether a month lacks a column of the table, or has one in another type, as 751f940 wrote them."""
    found = dict(zip(month.names, month.types, strict=True))
    return any(found.get(name) != kind for name, kind in zip(target.names, target.types, strict=True))


def is_newer(month: pa.Schema | None, schema: TableSchema) -> bool:
    """Return whether a month was put under a newer schema, with a column or a type that this one lacks."""
    types = {column.name: column.type for column in schema.columns}
    return month is not None and any(
        field.name not in types or (types[field.name] is None and not pa.types.is_string(field.type))
        for field in month
        if field.name not in _COMPUTED
    )


def conflicting(month: pa.Schema | None, target: pa.Schema) -> list[str]:
    """Return the columns that a month has in another type than its table."""
    found = dict(zip(month.names, month.types, strict=True)) if month is not None else {}
    return [name for name, kind in zip(target.names, target.types, strict=True) if found.get(name, kind) != kind]


def require_castable(rows: pa.Table, schema: pa.Schema, table: str) -> None:
    """Raise `SchemaError` if a value does not fit the type of its column: a retype was interrupted."""
    for name in conflicting(rows.schema, schema):
        if pc.any(unfit(rows[name], schema.field(name).type)).as_py():
            kind = TYPE_NAMES[_TYPES[schema.field(name).type]]
            msg = (
                f"a change of the type of column {name!r} of table {table} was interrupted: finish it by "
                f"`airflow sei retype {table} {name} {kind} --lake …`, then publish again"
            )
            raise SchemaError(msg)


def cast_to_schema(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Cast rows written under an older schema to the columns and types of this one; missing columns are null.

    A text that is no number becomes null where a retype was interrupted; who writes calls `require_castable` first.
    """
    found = dict(zip(rows.schema.names, rows.columns, strict=True))
    arrays = []
    for name, kind in zip(schema.names, schema.types, strict=True):
        values = found.get(name)
        if values is None:
            values = pa.nulls(len(rows), kind)
        arrays.append(values if values.type == kind else convert(values, kind))
    return pa.Table.from_arrays(arrays, schema=schema)
