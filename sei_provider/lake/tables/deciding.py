"""Which types undeclared columns have, decided once for a table when they are published (DESIGN, decision 11)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from sei_provider.lake.columns import LINEAGE, NULL_NUMBER, NUMBER, TEXT_SUFFIXES, ColumnType
from sei_provider.lake.errors import SchemaError
from sei_provider.lake.staging.staged_file import StagedFiles
from sei_provider.lake.tables.schema import TableSchema


def decide(staged: StagedFiles, table: str, schema: TableSchema) -> TableSchema:
    """Widen the schema by the columns of staged slices; a type that the table remembers stays.

    Raises `SchemaError`, naming table, column and scope, if a value does not fit; never makes it null.
    """
    columns = [column for some in staged.columns.values() for column in some]
    schema = schema.with_columns(columns)
    text = {column.name for column in columns if column.type is None}
    types = {column.name: column.type for column in schema.columns if column.name in text}
    types = {name: "string" if _is_text(name) else kind for name, kind in types.items()}
    types |= _decided(staged, table, types)
    return schema.with_columns(
        replace(column, type=types.get(column.name)) for column in schema.columns if column.type is None
    )


def typed(rows: pa.Table, schema: TableSchema) -> pa.Table:
    """Give staged rows, found to fit by `decide`, with the types of the table."""
    types = {column.name: column.type for column in schema.columns}
    for index, name in enumerate(rows.schema.names):
        if not pa.types.is_string(rows[name].type) or name in LINEAGE:
            continue
        if types.get(name) == "float64":
            rows = rows.set_column(index, name, _numbers(rows[name]))
        elif types.get(name) is None or name.endswith("_rating"):
            rows = rows.set_column(index, name, _without_dash(rows[name]))
    return rows


def _is_text(name: str) -> bool:
    return name.endswith(TEXT_SUFFIXES) or name == "id"


def _decided(staged: StagedFiles, table: str, types: Mapping[str, ColumnType | None]) -> dict[str, ColumnType | None]:
    """Look at every value of the columns that are, or may become, numbers."""
    found: dict[str, ColumnType | None] = {name: None for name, kind in types.items() if kind is None}
    looked_at = frozenset(name for name, kind in types.items() if kind != "string")
    if not looked_at:
        return found
    for rows in staged.pieces(columns=looked_at | {"_scope", "_export_id"}):
        for name in looked_at.intersection(rows.schema.names):
            if not pa.types.is_string(rows[name].type):
                continue
            numbers = _numbers(rows[name])
            if numbers.null_count == _without_dash(rows[name]).null_count:
                if len(numbers) > numbers.null_count and found.get(name, "float64") is None:
                    found[name] = "float64"
            elif name in found:
                found[name] = "string"
            else:
                raise _unfit(rows, name, numbers, table)
    return found


def _numbers(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Numbers where the text is one, else null."""
    trimmed = pc.utf8_trim(text, " \t")
    numbers = pc.if_else(pc.match_substring_regex(trimmed, f"^{NUMBER}$"), trimmed, None).cast(pa.float64())
    return pc.if_else(pc.is_finite(numbers), numbers, None)


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
