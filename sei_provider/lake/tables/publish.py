"""Publish: put staged slices into their tables, month by month, and retry where another publisher was first.

`plan` decides which months are concerned, `merge` what they hold then, and `table` writes them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from sei_provider.lake.errors import StagingError
from sei_provider.lake.model import Manifest, Published, SliceKey
from sei_provider.lake.periods import in_utc
from sei_provider.lake.staging.staged_file import StagedFiles
from sei_provider.lake.storage.scratch import scratch_folder
from sei_provider.lake.storage.store import (
    fetch_each,
    lake_path,
    locked,
    read,
    remove_each,
    remove_if_empty,
    require_safe_writes,
)
from sei_provider.lake.tables.ledger import AlreadyPublished
from sei_provider.lake.tables.merge import merge, of_slices
from sei_provider.lake.tables.ownership import LedgerEntry
from sei_provider.lake.tables.plan import (
    CROSSES_MONTHS,
    adjacent_months,
    entries_reaching,
    ledger_entry,
    slices_by_month,
)
from sei_provider.lake.tables.schema import cast_columns, infer_types
from sei_provider.lake.tables.table import (
    arrow_schema,
    cast_to_schema,
    fetch_month,
    fetch_schema,
    months,
    object_path,
    put_month,
    put_schema,
    read_ledgers,
    read_schema,
    retry_on_conflict,
)

_Staged: TypeAlias = tuple[Manifest, UPath]
"""Manifest, and the path that it names."""


def publish(
    lake: UPath | Path | str, manifests: Iterable[Manifest], *, published_at: datetime, single_writer: bool = False
) -> list[Published]:
    """Put staged slices into their tables, replacing what they cover, and return what each month holds then.

    Each month changes by one atomic put of rows and ledger, tables by name and months in order; the staged files are
    removed after the last put. Idempotent: if a publisher dies, every month is complete, old or new, and publishing
    again does the rest. A slice that a ledger holds already changes nothing; one whose staged file is gone counts as
    published if a ledger holds it.
    Concurrent publishers lose nothing of each other on local disk (one machine) and on S3. Elsewhere only one may run,
    and `single_writer=True` confirms that. Memory is bounded for any number of rows.
    Manifests with an error are ignored. Raises `StagingError`, `TableDefinitionError` or `SchemaError` before anything
    is written to the table concerned.
    """
    root, published_at = lake_path(lake), in_utc(published_at, "published_at")
    require_safe_writes(root, single_writer=single_writer)
    by_table: dict[str, list[_Staged]] = defaultdict(list)
    for manifest in manifests:
        if manifest["path"] is not None and manifest["error"] is None:
            by_table[manifest["table"]].append((manifest, _path_within(root, manifest)))
    published = [
        month for table in sorted(by_table) for month in _publish_table(root, table, by_table[table], published_at)
    ]
    _remove_staged([path for part in by_table.values() for _, path in part])
    return published


def rewrite_to_schema(folder: UPath) -> None:
    """Rewrite every month that has other columns than the table; its rows and ledger stay as they are.

    Readers take the schema of one file for that of the table: pyarrow, pandas and Polars would lose a column that only
    later months have, or fail on it. Needed only after a column is new or gets its type. If a publisher dies here, the
    table stays marked as `behind` and the next publisher continues.
    """
    target = arrow_schema(read_schema(folder))
    for month in months(folder):
        if read(object_path(folder, month), pq.read_schema) != target:
            _rewrite_month(folder, month)
    _clear_behind(folder, target)


def reconcile_adjacent_months(folder: UPath, visited: Iterable[date], granularity: str) -> dict[date, int]:
    """Enter the slices that adjacent months hold into the months just put; return the rows of those that changed.

    A slice stands in the ledger of every existing month in its range. Weeks, quarters and sprints cross months, so a
    month that is new, or was put by a concurrent publisher, may hold rows that a slice of an adjacent month covers.
    Call this after the puts: of two concurrent publishers one puts last and sees the months of the other, so neither
    needs to wait.
    """
    if granularity not in CROSSES_MONTHS:
        return {}
    ledgers = read_ledgers(folder, adjacent_months(months(folder), set(visited)))
    changed = {month: _enter(folder, month, entries_reaching(month, ledgers)) for month in sorted(set(visited))}
    return {month: rows for month, rows in changed.items() if rows is not None}


@dataclass(frozen=True, slots=True)
class _Batch:
    """Slices of one table that are published together."""

    folder: UPath
    staged: StagedFiles
    entries: Mapping[SliceKey, LedgerEntry]
    already: AlreadyPublished
    new_columns: list[str]
    missing_columns: list[str]


def _publish_table(root: UPath, table: str, slices: Sequence[_Staged], published_at: datetime) -> list[Published]:
    folder = root / table
    with locked(folder), scratch_folder() as scratch:
        staged, gone = _open(slices, scratch)
        already = AlreadyPublished.find(folder, gone)
        new, missing = _widen_schema(folder, staged)
        entries = {key: ledger_entry(file, published_at) for key, file in staged.files.items()}
        batch = _Batch(folder, staged, entries, already, new, missing)
        files, existing = staged.files.values(), set(months(folder))
        planned = slices_by_month(files, existing, folder)
        published = {
            month: _publish_month(batch, month, planned.get(month, ())) for month in sorted({*planned, *already.months})
        }
        # Months that a concurrent publisher has put meanwhile: our slices may concern these too.
        added = set(months(folder)) - existing - planned.keys()
        since = slices_by_month(files, existing | added, folder) if added else {}
        published |= {month: _publish_month(batch, month, since[month]) for month in sorted(added & since.keys())}
        schema = read_schema(folder)
        granularity = str(schema.definition.get("granularity"))
        for month, rows in reconcile_adjacent_months(folder, published, granularity).items():
            published[month]["rows"] = rows
        if schema.behind:
            rewrite_to_schema(folder)
        return [published[month] for month in sorted(published)]


def _open(slices: Sequence[_Staged], scratch: Path) -> tuple[StagedFiles, list[Manifest]]:
    """Open the staged files, and return the manifests of those that are gone."""
    fetched = fetch_each([path for _, path in slices], scratch)
    gone = [manifest for (manifest, _), staged in zip(slices, fetched, strict=True) if staged.file is None]
    return StagedFiles(staged.file for staged in fetched if staged.file), gone


@retry_on_conflict
def _widen_schema(folder: UPath, staged: StagedFiles) -> tuple[list[str], list[str]]:
    """Add the slices to the schema of the table; return the columns that are new, and those that all slices lack."""
    before, version = fetch_schema(folder)
    files, schema = staged.files.values(), before
    for file in sorted(files, key=lambda file: file.created_at):
        schema = schema.with_definition(file.slice)
    schema = infer_types(staged, folder.name, schema)
    if before.columns and schema.columns != before.columns:
        schema = replace(schema, behind=True)
    if schema != before:
        put_schema(folder, schema, if_match=version)
    known = {column.name for column in before.columns}
    seen = {column.name for columns in staged.columns.values() for column in columns}
    new = [column.name for column in schema.columns if column.name not in known] if known else []
    return new, [column.name for column in before.columns if column.name not in seen] if files else []


@retry_on_conflict
def _publish_month(batch: _Batch, month: date, slices: Sequence[SliceKey]) -> Published:
    with scratch_folder() as scratch:
        before, version = fetch_month(batch.folder, month, scratch)
        # Read after the month: a schema is put before the data that needs it, so it has every column of that month.
        schema = read_schema(batch.folder)
        held = before.ledger if before else ()
        entries = [batch.entries[key] for key in slices]
        fresh = {entry.slice_key for entry in entries} - {entry.slice_key for entry in held}
        with_rows = {key for key in fresh if month in batch.staged.files[key].months}
        merged = merge(
            held,
            entries,
            chain(
                before.tables() if before else (),
                (cast_columns(of_slices(rows, fresh, month), schema) for rows in batch.staged.pieces(with_rows)),
            ),
            schema=arrow_schema(schema),
            month=month,
            scratch=scratch,
        )
        if before is None or tuple(merged.ledger) != held:
            put_month(
                batch.folder,
                month,
                merged.pieces(),
                merged.ledger,
                schema=arrow_schema(schema),
                if_match=version,
                scratch=scratch,
            )
    published = {*batch.entries, *batch.already.slice_keys}
    own = [entry for entry in merged.ledger if entry.slice_key in published]
    return Published(
        table=batch.folder.name,
        month=f"{month:%Y-%m}",
        rows=merged.rows,
        slices=len(own),
        superseded=merged.superseded + batch.already.months.get(month, []),
        quarantined=sum(entry.quarantined for entry in own),
        new_columns=batch.new_columns,
        missing_columns=batch.missing_columns,
        path=str(object_path(batch.folder, month)),
    )


@retry_on_conflict
def _enter(folder: UPath, month: date, slices: Sequence[LedgerEntry]) -> int | None:
    with scratch_folder() as scratch:
        content, version = fetch_month(folder, month, scratch)
        held = {entry.slice_key for entry in content.ledger} if content else set()
        fresh = [entry for entry in slices if entry.slice_key not in held]
        if content is None or not fresh:
            return None
        schema = arrow_schema(read_schema(folder))
        merged = merge(content.ledger, fresh, content.tables(), schema=schema, month=month, scratch=scratch)
        if tuple(merged.ledger) == content.ledger:
            return None
        put_month(folder, month, merged.pieces(), merged.ledger, schema=schema, if_match=version, scratch=scratch)
        return merged.rows


@retry_on_conflict
def _rewrite_month(folder: UPath, month: date) -> None:
    with scratch_folder() as scratch:
        content, version = fetch_month(folder, month, scratch)
        if content is None:
            return
        schema = arrow_schema(read_schema(folder))
        rows = (cast_to_schema(table, schema) for table in content.tables())
        put_month(folder, month, rows, content.ledger, schema=schema, if_match=version, scratch=scratch)


@retry_on_conflict
def _clear_behind(folder: UPath, rewritten: pa.Schema) -> None:
    schema, version = fetch_schema(folder)
    # Another publisher may have widened the schema meanwhile; then that one rewrites the months.
    if schema.behind and arrow_schema(schema) == rewritten:
        put_schema(folder, replace(schema, behind=False), if_match=version)


def _path_within(root: UPath, manifest: Manifest) -> UPath:
    """Open the manifest's path through the lake's own path object, which carries the credentials of the store."""
    path = str(manifest["path"])
    for prefix in (str(root), root.path):
        inside = prefix.rstrip("/") + "/"
        if path.startswith(inside):
            return root / path.removeprefix(inside)
    msg = (
        f"the slice of {manifest['scope']} is staged at {path}, outside the lake {root}: "
        "give the export and the publish task the same lake"
    )
    raise StagingError(msg)


def _remove_staged(paths: Sequence[UPath]) -> None:
    # Manifests first: a file without a manifest does not count as staged, but a manifest without a file looks lost.
    remove_each([path.with_suffix(".json") for path in paths])
    remove_each(paths)
    for folder in {str(path.parent): path.parent for path in paths}.values():
        remove_if_empty(folder)
