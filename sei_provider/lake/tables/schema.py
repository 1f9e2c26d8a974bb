"""Schema of a table: its columns with their types, and what it measures (DESIGN, decisions 11 and 15).

Plain values. `column_types` widens a schema by staged slices.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, get_args

from sei_provider.lake.columns import DIMENSIONS, LINEAGE, TEAM_ID, Column, ColumnType
from sei_provider.lake.errors import NewerFormatError, TableDefinitionError
from sei_provider.lake.model import JSON, Slice
from sei_provider.lake.tables.layout import FORMAT

_GROWING = ("metric_groups", "metrics")
_ORIGIN = ("account", "organization", "project")
PERSONAL_DATA = "personal_data"
"""Member of the definition: `keep`, `drop`, or `hash` with a fingerprint of the key, if the table has had a column that
names a person. Hashes and names, or hashes under two keys, in one column would count one person as two."""
_RECORDED_LATER = ("level", PERSONAL_DATA, *_ORIGIN)


@dataclass(frozen=True, slots=True)
class TableSchema:
    """Columns in the order in which they were first published, and the definition of the table."""

    columns: tuple[Column, ...] = ()
    definition: Mapping[str, JSON] = field(default_factory=dict)
    """Report, granularity, aggregation, metrics, …: what the rows measure."""
    behind: tuple[date, ...] = ()
    """Months that may lack columns, or lie in an older format. Publish rewrites the first month of the table at once,
    because readers take their columns from it; maintenance rewrites the others."""
    format: int = FORMAT
    """Version of the format in which it is stored: 0 as 751f940 wrote it, or if it was rebuilt from the months."""

    def with_columns(self, columns: Iterable[Column]) -> TableSchema:
        """Add columns, and types to columns that had none. A known type is kept."""
        known = {column.name: column for column in self.columns}
        for column in columns:
            old = known.get(column.name)
            if old is None:
                known[column.name] = column
            elif old.type is None:
                known[column.name] = replace(old, type=column.type, hashed=column.hashed)
        return replace(self, columns=tuple(known.values()))

    def with_types(self, types: Mapping[str, ColumnType | None]) -> TableSchema:
        """Give types to columns that had none."""
        return replace(
            self,
            columns=tuple(
                replace(column, type=types.get(column.name)) if column.type is None else column
                for column in self.columns
            ),
        )

    @property
    def typed(self) -> dict[str, ColumnType]:
        """Return the columns whose type is known: those that the files of the table have."""
        return {column.name: column.type for column in self.columns if column.type is not None}

    def ordered(self) -> list[Column]:
        """Return the dimensions first, in the same order for every table, then the rest as first published."""
        known = {column.name: column for column in self.columns}
        first = [name for name in (*DIMENSIONS, TEAM_ID) if name in known]
        return [known[name] for name in (*first, *(name for name in known if name not in first))]

    def with_team_id(self) -> TableSchema:
        """Add the column `team_id`, unless an older version took one of that name from SEI's CSV."""
        return self.with_columns([Column(TEAM_ID, "", "string")])

    @property
    def has_team_id(self) -> bool:
        """Return whether the column `team_id` is ours, and not one that an older version took from SEI's CSV."""
        return any(column == Column(TEAM_ID, "", "string") for column in self.columns)

    def with_definition(self, slice_: Slice) -> TableSchema:
        """Merge the definition of a slice. Metrics may only grow; everything else must match.

        Raises `TableDefinitionError` otherwise.
        """
        new = {"report": slice_.report, "granularity": slice_.granularity, **slice_.definition}
        new |= {name: slice_.origin[name] for name in _ORIGIN if slice_.origin.get(name)}
        if not self.definition:
            return replace(self, definition=new)
        for name in _RECORDED_LATER:
            # 751f940 did not record these. A side that does not tell matches, and the first that is told is kept.
            told = self.definition.get(name)
            if told is not None and new.get(name) is None:
                new[name] = told
        for name in sorted((set(self.definition) | set(new)) - set(_GROWING)):
            unknown = name in _RECORDED_LATER and self.definition.get(name) is None
            if name == PERSONAL_DATA and self.definition.get(name) == "hash":  # an older version told no key
                unknown = str(new.get(name)).startswith("hash ")
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
        """Return the content of the schema's object, whose keys are a file format and not these names."""
        columns: dict[str, JSON] = {column.name: _column_json(column) for column in self.columns}
        behind = [f"{month:%Y-%m}" for month in self.behind]
        value = {"format": FORMAT, "columns": columns, "meaning": dict(self.definition), "behind": behind}
        return json.dumps(value, indent=1, ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> TableSchema | None:
        """Parse what `to_bytes` wrote, now or at 751f940; None if the object is damaged.

        Raises `NewerFormatError` if a newer version of this package wrote it.
        """
        try:
            value: dict[str, Any] = json.loads(data)
            version = int(value.get("format", 0))
            check_format(version, "the schema of the table")
            behind = value["behind"] if version else ()  # 751f940 told only that some are
            columns = tuple(
                Column(name, c["header"], c["type"], c.get("hashed", False)) for name, c in value["columns"].items()
            )
            if not columns or not all(map(_is_possible, columns)):
                return None
            return cls(
                columns=columns,
                definition=dict(value["meaning"]),
                behind=tuple(date.fromisoformat(f"{month}-01") for month in behind),
                format=version,
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return None

    def joined(self, other: TableSchema) -> TableSchema:
        """Add columns and definition of another month of the table; of two definitions the one with more metrics."""
        schema, definition = self.with_columns(other.columns), self.definition or other.definition
        before, after = _requested_metrics(definition), _requested_metrics(other.definition)
        if other.definition and before is not None and (after is None or before < after):
            definition = other.definition
        if policy := self.definition.get(PERSONAL_DATA) or other.definition.get(PERSONAL_DATA):
            definition = {**definition, PERSONAL_DATA: policy}
        return replace(schema, definition=definition)


def _is_possible(column: Column) -> bool:
    return (
        (column.type is None or column.type in get_args(ColumnType))
        and isinstance(column.header, str)
        and isinstance(column.hashed, bool)
        and column.name not in {*LINEAGE, "month", ""}
    )


def check_format(version: int, what: str) -> None:
    """Raise `NewerFormatError` if a newer version of this package wrote an object."""
    if version > FORMAT:
        msg = (
            f"{what} has format {version}, and this version of airflow-provider-sei reads formats up to {FORMAT}: "
            "upgrade the package wherever it reads or writes this lake"
        )
        raise NewerFormatError(msg)


def _requested_metrics(definition: Mapping[str, JSON]) -> frozenset[tuple[str, str]] | None:
    """Return the metric groups and metrics requested; None means all."""
    requested = frozenset((key, str(name)) for key in _GROWING for name in _names(definition.get(key)))
    return requested or None


def _names(value: JSON) -> Sequence[JSON]:
    return value if isinstance(value, (list, tuple)) else ()


def _other_definition(slice_: Slice, name: str, before: JSON, after: JSON) -> TableDefinitionError:
    if name == PERSONAL_DATA:
        msg = (
            f"table {slice_.table} holds people under personal_data={_policy(before)}, but {slice_.scope} from "
            f"{slice_.start} was exported with personal_data={_policy(after)}, and together they would count one "
            "person as two, or leave in plain text what is to be hidden: publish this export to another table with "
            "table=, and export the older months to it again"
        )
        return TableDefinitionError(msg)
    msg = (
        f"table {slice_.table} has {name}={before!r}, but {slice_.scope} from {slice_.start} was exported with "
        f"{name}={after!r}: a table has one definition; publish this export to another table with table="
    )
    return TableDefinitionError(msg)


def _column_json(column: Column) -> dict[str, JSON]:
    hashed: dict[str, JSON] = {"hashed": True} if column.hashed else {}
    return {"type": column.type, "header": column.header, **hashed}


def _policy(recorded: JSON) -> str:
    choice, _, key = str(recorded).partition(" ")
    return f"{choice!r} under the key {key}" if key else repr(choice)
