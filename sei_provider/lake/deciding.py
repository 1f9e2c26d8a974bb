"""Which types undeclared columns have, decided once for a table when they are published (DESIGN, decision 11)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from sei_provider.lake.columns import LINEAGE, NULL_NUMBER, TEXT_SUFFIXES, Column, ColumnType
from sei_provider.lake.errors import SchemaError
from sei_provider.lake.explain import NUMBER
from sei_provider.lake.schema import TableSchema
from sei_provider.lake.staged_files import DECLARED_KEY, HEADER_KEY, StagedFile
from sei_provider.lake.tables import arrow_schema, conform

_TYPE_NAMES: Mapping[pa.DataType, ColumnType] = {
    pa.string(): "string",
    pa.date32(): "date32",
    pa.float64(): "float64",
}


def decide(files: Iterable[StagedFile], schema: TableSchema) -> TableSchema:
    """Widen the schema by the columns of staged slices; a type that the table remembers stays."""
    groups = _alike(files)
    schema = schema.with_columns(
        _column(field) for rows in groups for field in rows.schema if field.name not in LINEAGE
    )
    return schema.with_columns(
        replace(
            column,
            type=_decided(column.name, [rows[column.name] for rows in groups if column.name in rows.schema.names]),
        )
        for column in schema.columns
        if column.type is None
    )


def typed(files: Iterable[StagedFile], table: str, schema: TableSchema) -> pa.Table:
    """Give the rows of all slices with the table's columns and types.

    Raises `SchemaError`, naming table, column and scope, if a value does not fit; never makes it null.
    """
    target = arrow_schema(schema)
    parts = [conform(_parsed(rows, table, schema), target) for rows in _alike(files)]
    return pa.concat_tables([target.empty_table(), *parts])


def _alike(files: Iterable[StagedFile]) -> list[pa.Table]:
    """Join the rows of slices with equal columns: thousands of one-team slices cost little more than one big one."""
    groups: dict[pa.Schema, list[pa.Table]] = defaultdict(list)
    for file in files:
        groups[file.rows.schema].append(file.rows)
    return [pa.concat_tables(tables) for tables in groups.values()]


def _column(field: pa.Field) -> Column:
    declared = DECLARED_KEY in field.metadata
    return Column(field.name, field.metadata[HEADER_KEY].decode(), _TYPE_NAMES[field.type] if declared else None)


def _decided(name: str, texts: Sequence[pa.ChunkedArray]) -> ColumnType | None:
    if name.endswith(TEXT_SUFFIXES) or name == "id":
        return "string"
    parsed = [_numbers(text) for text in texts]
    if not all(_fits(text, numbers) for text, numbers in zip(texts, parsed, strict=True)):
        return "string"
    return "float64" if any(len(numbers) > numbers.null_count for numbers in parsed) else None


def _parsed(rows: pa.Table, table: str, schema: TableSchema) -> pa.Table:
    types = {column.name: column.type for column in schema.columns}
    for index, name in enumerate(rows.schema.names):
        if not pa.types.is_string(rows[name].type):
            continue
        if types.get(name) == "float64":
            numbers = _numbers(rows[name])
            if not _fits(rows[name], numbers):
                raise _unfit(rows, name, numbers, table)
            rows = rows.set_column(index, name, numbers)
        elif (types.get(name) is None and name not in LINEAGE) or name.endswith("_rating"):
            rows = rows.set_column(index, name, _without_dash(rows[name]))
    return rows


def _numbers(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Numbers where the text is one, else null."""
    trimmed = pc.utf8_trim(text, " \t")
    numbers = pc.if_else(pc.match_substring_regex(trimmed, f"^{NUMBER}$"), trimmed, None).cast(pa.float64())
    return pc.if_else(pc.is_finite(numbers), numbers, None)


def _fits(text: pa.ChunkedArray, numbers: pa.ChunkedArray) -> bool:
    return bool(numbers.null_count == _without_dash(text).null_count)


def _without_dash(text: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(pc.equal(text, NULL_NUMBER), None, text)


def _unfit(rows: pa.Table, name: str, numbers: pa.ChunkedArray, table: str) -> SchemaError:
    bad = rows.filter(pc.and_(pc.is_null(numbers), pc.is_valid(_without_dash(rows[name]))))
    # The value stays unsaid: the column is not one of SEI's documented metrics, so it may be about a person.
    msg = (
        f"table {table} remembers column {name!r} as a number, but {len(bad)} of {len(rows)} new rows hold something "
        f"else there, the first in export {bad['_export_id'][0]} of {bad['_scope'][0]}: publish these exports to "
        "another table with table=, or correct the values at their source and export again"
    )
    return SchemaError(msg)
