"""What a staged Parquet file holds beside its rows, and how it is read back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from sei_provider.lake.slices import Slice

SLICE_KEY = b"sei.slice"
"""Footer entry: the slice, its export and its run, as JSON."""
PATHS_KEY = b"sei.paths"
"""Footer entry: the distinct [team, team hierarchy] of the rows, as JSON."""
HEADER_KEY = b"sei.header"
"""Field metadata: what SEI calls the column."""
DECLARED_KEY = b"sei.declared"
"""Field metadata of columns whose type is declared; the others are text until published."""

ROW_GROUP_BYTES = 32 << 20
"""Rows are gathered to about this much in memory before they are written: a group per block makes readers slow."""


@dataclass(frozen=True, slots=True)
class StagedFile:
    """One staged slice, read."""

    slice: Slice
    export_id: str
    created_at: datetime
    paths: frozenset[str]
    """The hierarchies that its rows name."""
    rows: pa.Table

    @property
    def identity(self) -> tuple[str, str]:
        """What marks its rows once published."""
        return self.slice.scope, self.export_id


def read_staged(path: UPath) -> StagedFile:
    """Read a staged file whole; raises `FileNotFoundError` if it is gone."""
    with path.open("rb") as data:
        file = pq.ParquetFile(data)
        footer = file.metadata.metadata
        value = json.loads(footer[SLICE_KEY])
        return StagedFile(
            slice=Slice.from_json(value),
            export_id=value["export_id"],
            created_at=datetime.fromisoformat(value["created_at"]),
            paths=frozenset(path for _, path in json.loads(footer[PATHS_KEY])),
            rows=file.read(),
        )
