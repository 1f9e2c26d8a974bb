"""Schema of a table: its columns with their types, and what it measures (DESIGN, decisions 11 and 15).

A schema and the staged slices give a wider schema, or an error. Nothing is written here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sei_provider.lake.columns import DIMENSIONS, LINEAGE, NULL_NUMBER, NUMBER, TEXT_SUFFIXES, Column, ColumnType
from sei_provider.lake.errors import SchemaError, TableDefinitionError
from sei_provider.lake.model import JSON, Slice
from sei_provider.lake.staging.staged_file import StagedFiles

_GROWING = ("metric_groups", "metrics")
_RECORDED_LATER = ("level",)


@dataclass(frozen=True, slots=True)
class TableSchema:
    """Columns in the order in which they were first published, and the definition of the table."""

    columns: tuple[Column, ...] = ()
    definition: Mapping[str, JSON] = field(default_factory=dict)
    """Report, granularity, aggregation, metrics, …: what the rows measure."""
    behind: bool = False
    """True if some months may still have older columns; the next publisher rewrites them."""

    def with_columns(self, columns: Iterable[Column]) -> TableSchema:
        """Add columns, and types to columns that had none. A known type is kept."""
        known = {column.name: column for column in self.columns}
        for column in columns:
            old = known.get(column.name)
            if old is None:
                known[column.name] = column
            elif old.type is None:
                known[column.name] = replace(old, type=column.type)
        return replace(self, columns=tuple(known.values()))

    def ordered(self) -> list[Column]:
        """Return the dimensions first, in the same order for every table, then the rest as first published."""
        known = {column.name: column for column in self.columns}
        first = [known[name] for name in DIMENSIONS if name in known]
        return first + [column for column in self.columns if column.name not in DIMENSIONS]

    def with_definition(self, slice_: Slice) -> TableSchema:
        """Merge the definition of a slice. Metrics may only grow; everything else must match.

        Raises `TableDefinitionError` otherwise.
        """
        new = {"report": slice_.report, "granularity": slice_.granularity, **slice_.definition}
        if not self.definition:
            return replace(self, definition=new)
        for name in _RECORDED_LATER:
            # 751f940 did not record these. A side that does not tell matches, and the first that is told is kept.
            told = self.definition.get(name)
            if told is not None and new.get(name) is None:
                new[name] = told
        for name in sorted((set(self.definition) | set(new)) - set(_GROWING)):
            unknown = name in _RECORDED_LATER and self.definition.get(name) is None
            if self.definition.get(name) != new.get(name) and not unknown:
                raise _other_definition(slice_, name, self.definition.get(name), new.get(name))
        before, after = _requested_metrics(self.definition), _requested_metrics(new)
        if after is not None and (before is None or not before <= after):
            missing = "all metrics" if before is None else ", ".join(name for _, name in sorted(before - after))
            msg = (
                f"table {slice_.table} holds more metrics than {slice_.scope} was exported with (missing: {missing}), "
                "and publishing would empty their columns: request these metrics too, or publish to another table "
                "with table="
            )
            raise TableDefinitionError(msg)
        return replace(self, definition=new)

    def to_bytes(self) -> bytes:
        """Return the content of `_schema.json`, whose keys are a file format and not these names."""
        columns = {column.name: {"type": column.type, "header": column.header} for column in self.columns}
        value = {"columns": columns, "meaning": dict(self.definition), "behind": self.behind}
        return json.dumps(value, indent=1, ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> TableSchema:
        """Parse what `to_bytes` wrote."""
        value: dict[str, Any] = json.loads(data)
        return cls(
            columns=tuple(Column(name, c["header"], c["type"]) for name, c in value["columns"].items()),
            definition=value["meaning"],
            behind=value["behind"],
        )


def infer_types(staged: StagedFiles, table: str, schema: TableSchema) -> TableSchema:
    """Add the columns of staged slices to the schema, and infer the types of those that have none yet.

    A type that the table has is kept for good. Raises `SchemaError`, naming table, column and scope, if a value does
    not fit it; a value is never replaced by null.
    """
    columns = [column for some in staged.columns.values() for column in some]
    schema = schema.with_columns(columns)
    text = {column.name for column in columns if column.type is None}
    types = {column.name: column.type for column in schema.columns if column.name in text}
    types = {name: "string" if _is_text(name) else kind for name, kind in types.items()}
    types |= _inferred(staged, table, types)
    return schema.with_columns(
        replace(column, type=types.get(column.name)) for column in schema.columns if column.type is None
    )


def cast_columns(rows: pa.Table, schema: TableSchema) -> pa.Table:
    """Cast staged text to the types of the table. `infer_types` has checked that every value fits."""
    types = {column.name: column.type for column in schema.columns}
    for index, name in enumerate(rows.schema.names):
        if not pa.types.is_string(rows[name].type) or name in LINEAGE:
            continue
        if types.get(name) == "float64":
            rows = rows.set_column(index, name, _numbers(rows[name]))
        elif types.get(name) is None or name.endswith("_rating"):
            rows = rows.set_column(index, name, _without_dash(rows[name]))
    return rows


def _requested_metrics(definition: Mapping[str, JSON]) -> frozenset[tuple[str, str]] | None:
    """Return the metric groups and metrics requested; None means all."""
    requested = frozenset((key, str(name)) for key in _GROWING for name in _names(definition.get(key)))
    return requested or None


def _names(value: JSON) -> Sequence[JSON]:
    return value if isinstance(value, (list, tuple)) else ()


def _other_definition(slice_: Slice, name: str, before: JSON, after: JSON) -> TableDefinitionError:
    msg = (
        f"table {slice_.table} has {name}={before!r}, but {slice_.scope} from {slice_.start} was exported with "
        f"{name}={after!r}: a table has one definition; publish this export to another table with table="
    )
    return TableDefinitionError(msg)


def _is_text(name: str) -> bool:
    return name.endswith(TEXT_SUFFIXES) or name == "id"


def _inferred(staged: StagedFiles, table: str, types: Mapping[str, ColumnType | None]) -> dict[str, ColumnType | None]:
    """Read every value of the columns that are numbers or may become numbers."""
    found: dict[str, ColumnType | None] = {name: None for name, kind in types.items() if kind is None}
    candidates = frozenset(name for name, kind in types.items() if kind != "string")
    if not candidates:
        return found
    for rows in staged.pieces(columns=candidates | {"_scope", "_export_id"}):
        for name in candidates.intersection(rows.schema.names):
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
    """Parse the numbers; any other text becomes null."""
    trimmed = pc.utf8_trim(text, " \t")
    numbers = pc.if_else(pc.match_substring_regex(trimmed, f"^{NUMBER}$"), trimmed, None).cast(pa.float64())
    return pc.if_else(pc.is_finite(numbers), numbers, None)


def _without_dash(text: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(pc.equal(text, NULL_NUMBER), None, text)


def _unfit(rows: pa.Table, name: str, numbers: pa.ChunkedArray, table: str) -> SchemaError:
    bad = rows.filter(pc.and_(pc.is_null(numbers), pc.is_valid(_without_dash(rows[name]))))
    # The value is not shown: the column is none of SEI's documented metrics, so it may name a person.
    msg = (
        f"column {name!r} of table {table} is a number, but {len(bad)} of {len(rows)} new rows hold something else, "
        f"the first in export {bad['_export_id'][0]} of {bad['_scope'][0]}: publish these exports to another table "
        "with table=, or correct the values at their source and export again"
    )
    return SchemaError(msg)
