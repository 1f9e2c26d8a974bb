"""Looks into a lake from outside: which files, how many rows, and whether its rows changed.

Reads plain Parquet files by their names and not through `sei_provider.lake`, so that it would notice if that erred.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

# `_staging` and the like are the lake's own; so are the lineage columns (DESIGN, "Public names").
PRIVATE = "_"
STAGING = "_staging"
LAST_SEEN = "last_seen"
"""Column of the table of teams that each night moves on."""

Rows = Counter[str]


@dataclass(frozen=True, slots=True)
class LakeFile:
    """One file of a lake: `path` relative to it, `rows` None where the file is not Parquet."""

    path: Path
    size: int
    rows: int | None


def files(lake: Path) -> list[LakeFile]:
    """Return every file of the lake, sorted by path."""
    return [
        LakeFile(
            path=path.relative_to(lake),
            size=path.stat().st_size,
            rows=pq.read_metadata(path).num_rows if path.suffix == ".parquet" else None,
        )
        for path in sorted(lake.rglob("*"))
        if path.is_file()
    ]


def tables(lake: Path) -> dict[str, pa.Table]:
    """Return each table whole, by name; columns that only some of its months have are null in the others."""
    by_table: dict[str, list[pa.Table]] = {}
    for name, path in _data_files(lake):
        # A handle, not a path: pyarrow would make a column of the folder's `month=`.
        with path.open("rb") as data:
            by_table.setdefault(name, []).append(pq.read_table(data))
    return {name: pa.concat_tables(months, promote_options="permissive") for name, months in by_table.items()}


def without_lineage(table: pa.Table) -> pa.Table:
    """Return the table without its lineage columns, which differ from export to export."""
    return table.select([name for name in table.column_names if not name.startswith(PRIVATE)])


def row_counts(lake: Path) -> dict[str, Rows]:
    """Return how often each row is in each table; lineage columns, and when a team was last seen, are left out."""
    return {
        name: Counter(
            json.dumps({**row, LAST_SEEN: None}, sort_keys=True, default=str)
            for row in without_lineage(table).to_pylist()
        )
        for name, table in tables(lake).items()
    }


def changes(before: Mapping[str, Rows], after: Mapping[str, Rows]) -> dict[str, tuple[int, int]]:
    """Return (rows gone, rows new) for each table of `before` in which any row differs."""
    changed = {}
    for name, old in sorted(before.items()):
        new = after.get(name, Counter())
        if old != new:
            changed[name] = ((old - new).total(), (new - old).total())
    return changed


def _data_files(lake: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(lake.rglob("*.parquet")):
        table = path.relative_to(lake).parts[0]
        if not table.startswith(PRIVATE):
            yield table, path
