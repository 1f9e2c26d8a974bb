"""What a table remembers for good: its columns' types and what it measures (DESIGN, decisions 11 and 15).

Pure: a schema and what came with new slices give a wider schema or an error. Reads no rows and no files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sei_provider.lake.columns import DIMENSIONS, Column
from sei_provider.lake.errors import TableMeaningError
from sei_provider.lake.model import JSON, Slice

_GROWING = ("metric_groups", "metrics")


@dataclass(frozen=True, slots=True)
class TableSchema:
    """Columns in the order in which they became known, and the table's meaning."""

    columns: tuple[Column, ...] = ()
    meaning: Mapping[str, JSON] = field(default_factory=dict)
    behind: bool = False
    """Whether months may be written under older columns still; whoever publishes next brings them up."""

    def with_columns(self, columns: Iterable[Column]) -> TableSchema:
        """Add columns, and types to columns that had none. A type that is there stays."""
        known = {column.name: column for column in self.columns}
        for column in columns:
            old = known.get(column.name)
            if old is None:
                known[column.name] = column
            elif old.type is None:
                known[column.name] = replace(old, type=column.type)
        return replace(self, columns=tuple(known.values()))

    def ordered(self) -> list[Column]:
        """Dimensions first, each table alike, then the rest as it became known."""
        known = {column.name: column for column in self.columns}
        first = [known[name] for name in DIMENSIONS if name in known]
        return first + [column for column in self.columns if column.name not in DIMENSIONS]

    def meaning_with(self, slice_: Slice) -> TableSchema:
        """Take the slice's meaning in. Metrics may only grow; the rest must be as it was.

        Raises `TableMeaningError` otherwise.
        """
        new = {"report": slice_.report, "granularity": slice_.granularity, **slice_.meaning}
        if not self.meaning:
            return replace(self, meaning=new)
        for name in sorted((set(self.meaning) | set(new)) - set(_GROWING)):
            if self.meaning.get(name) != new.get(name):
                raise _other_meaning(slice_, name, self.meaning.get(name), new.get(name))
        before, after = _asked(self.meaning), _asked(new)
        if after is not None and (before is None or not before <= after):
            missing = "all there are" if before is None else ", ".join(name for _, name in sorted(before - after))
            msg = (
                f"table {slice_.table} holds more metrics than {slice_.scope} asked for ({missing}), and publishing "
                "would empty them: ask for these too, or keep the smaller set in another table with table="
            )
            raise TableMeaningError(msg)
        return replace(self, meaning=new)

    def to_bytes(self) -> bytes:
        """The content of `_schema.json`."""
        columns = {column.name: {"type": column.type, "header": column.header} for column in self.columns}
        value = {"columns": columns, "meaning": dict(self.meaning), "behind": self.behind}
        return json.dumps(value, indent=1, ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> TableSchema:
        """Read what `to_bytes` wrote."""
        value: dict[str, Any] = json.loads(data)
        return cls(
            columns=tuple(Column(name, c["header"], c["type"]) for name, c in value["columns"].items()),
            meaning=value["meaning"],
            behind=value["behind"],
        )


def _asked(meaning: Mapping[str, JSON]) -> frozenset[tuple[str, str]] | None:
    """The groups and metrics asked for, None for all there are."""
    asked = frozenset((key, str(name)) for key in _GROWING for name in _names(meaning.get(key)))
    return asked or None


def _names(value: JSON) -> Sequence[JSON]:
    return value if isinstance(value, (list, tuple)) else ()


def _other_meaning(slice_: Slice, name: str, before: JSON, after: JSON) -> TableMeaningError:
    msg = (
        f"table {slice_.table} holds {name}={before!r}, but {slice_.scope} from {slice_.start} was exported with "
        f"{name}={after!r}: one table has one meaning; publish this one to another table with table="
    )
    return TableMeaningError(msg)
