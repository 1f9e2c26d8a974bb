"""Staged slices into their tables: which months they concern, in which order, and again when another was faster.

What a month then holds is decided by `merge`, and how it is written by `table`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import TypeAlias

from upath import UPath

from sei_provider.lake.errors import StagingError
from sei_provider.lake.model import Manifest, Published, Slice
from sei_provider.lake.periods import in_utc, months_between, period_months, previous_month
from sei_provider.lake.staging.staged_file import StagedFile, StagedFiles
from sei_provider.lake.storage.scratch import scratch_folder
from sei_provider.lake.storage.store import (
    fetch_each,
    lake_path,
    locked,
    remove_each,
    remove_if_empty,
    require_safe_writes,
)
from sei_provider.lake.tables.bringing_up import bring_up
from sei_provider.lake.tables.deciding import decide, typed
from sei_provider.lake.tables.done import Done
from sei_provider.lake.tables.merge import merge, of_slices
from sei_provider.lake.tables.neighbours import heed
from sei_provider.lake.tables.ownership import Entry, sprint_name
from sei_provider.lake.tables.table import (
    again,
    arrow_schema,
    fetch_month,
    fetch_schema,
    months,
    object_path,
    put_month,
    put_schema,
    read_ledger,
    read_schema,
)

_Staged: TypeAlias = tuple[Manifest, UPath]
"""A manifest, and the path that it names."""


def publish(
    lake: UPath | Path | str, manifests: Iterable[Manifest], *, published_at: datetime, single_writer: bool = False
) -> list[Published]:
    """Put staged slices into their tables, replacing what they covered before; give what each month holds then.

    Each month changes by one atomic put of rows and ledger, months in order, tables by name; staging is emptied
    after the last. A publisher that dies leaves whole months, and running it again completes them: slices that are
    in already change nothing, and those whose staging is gone count as done if a ledger holds them.
    Publishers at the same time lose nothing of each other on local disk (one machine) and on S3; elsewhere there may
    be only one, and `single_writer=True` says that there is. Memory is bounded whatever the size.
    Manifests with an error are passed over. Raises `StagingError`, `TableMeaningError` or `SchemaError` before
    anything of the table concerned is written.
    """
    root, published_at = lake_path(lake), in_utc(published_at, "published_at")
    require_safe_writes(root, single_writer=single_writer)
    by_table: dict[str, list[_Staged]] = defaultdict(list)
    for manifest in manifests:
        if manifest["path"] is not None and manifest["error"] is None:
            by_table[manifest["table"]].append((manifest, _within(root, manifest)))
    published = [
        month for table in sorted(by_table) for month in _publish_table(root, table, by_table[table], published_at)
    ]
    _empty_staging([path for part in by_table.values() for _, path in part])
    return published


@dataclass(frozen=True, slots=True)
class _Batch:
    """The slices of one table that are published together."""

    folder: UPath
    staged: StagedFiles
    entries: Mapping[tuple[str, str], Entry]
    done: Done
    new_columns: list[str]
    missing_columns: list[str]


def _publish_table(root: UPath, table: str, slices: Sequence[_Staged], published_at: datetime) -> list[Published]:
    folder = root / table
    with locked(folder), scratch_folder() as scratch:
        staged, gone = _open(slices, scratch)
        done = Done.find(folder, gone)
        new, missing = _widen_schema(folder, staged)
        entries = {identity: _entry(file, published_at) for identity, file in staged.files.items()}
        batch = _Batch(folder, staged, entries, done, new, missing)
        files, there = staged.files.values(), set(months(folder))
        visits = _visits(files, there, folder)
        published = {
            month: _publish_month(batch, month, visits.get(month, ())) for month in sorted({*visits, *done.months})
        }
        came = set(months(folder)) - there - visits.keys()  # from another publisher, and our slices may ask for it too
        since = _visits(files, there | came, folder) if came else {}
        published |= {month: _publish_month(batch, month, since[month]) for month in sorted(came & since.keys())}
        schema = read_schema(folder)
        for month, rows in heed(folder, published, str(schema.meaning.get("granularity"))).items():
            published[month]["rows"] = rows
        if schema.behind:
            bring_up(folder)
        return [published[month] for month in sorted(published)]


def _open(slices: Sequence[_Staged], scratch: Path) -> tuple[StagedFiles, list[Manifest]]:
    """Open what is staged, and tell what is gone."""
    fetched = fetch_each([path for _, path in slices], scratch)
    gone = [manifest for (manifest, _), staged in zip(slices, fetched, strict=True) if staged.file is None]
    return StagedFiles(staged.file for staged in fetched if staged.file), gone


@again
def _widen_schema(folder: UPath, staged: StagedFiles) -> tuple[list[str], list[str]]:
    """Take the slices' columns and meaning in, before any data; give columns new to the table, and those missing."""
    before, version = fetch_schema(folder)
    files, schema = staged.files.values(), before
    for file in sorted(files, key=lambda file: file.created_at):
        schema = schema.meaning_with(file.slice)
    schema = decide(staged, folder.name, schema)
    if before.columns and schema.columns != before.columns:
        schema = replace(schema, behind=True)
    if schema != before:
        put_schema(folder, schema, if_match=version)
    known = {column.name for column in before.columns}
    seen = {column.name for columns in staged.columns.values() for column in columns}
    new = [column.name for column in schema.columns if column.name not in known] if known else []
    return new, [column.name for column in before.columns if column.name not in seen] if files else []


@again
def _publish_month(batch: _Batch, month: date, visitors: Sequence[tuple[str, str]]) -> Published:
    with scratch_folder() as scratch:
        before, version = fetch_month(batch.folder, month, scratch)
        # Read after the month: it is put before the data that needs it, so it knows all columns of what was read.
        schema = read_schema(batch.folder)
        held = before.ledger if before else ()
        entries = [batch.entries[identity] for identity in visitors]
        fresh = {entry.identity for entry in entries} - {entry.identity for entry in held}
        with_rows = {identity for identity in fresh if month in batch.staged.files[identity].months}
        merged = merge(
            held,
            entries,
            chain(
                before.tables() if before else (),
                (typed(of_slices(rows, fresh, month), schema) for rows in batch.staged.pieces(with_rows)),
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
    asked = {*batch.entries, *batch.done.identities}
    given = [entry for entry in merged.ledger if entry.identity in asked]
    return Published(
        table=batch.folder.name,
        month=f"{month:%Y-%m}",
        rows=merged.rows,
        slices=len(given),
        skipped=merged.skipped + batch.done.months.get(month, []),
        quarantined=sum(entry.quarantined for entry in given),
        new_columns=batch.new_columns,
        missing_columns=batch.missing_columns,
        path=str(object_path(batch.folder, month)),
    )


def _within(root: UPath, manifest: Manifest) -> UPath:
    """Open the manifest's path through the lake's own path object, which carries the store's credentials."""
    path = str(manifest["path"])
    for prefix in (str(root), root.path):
        inside = prefix.rstrip("/") + "/"
        if path.startswith(inside):
            return root / path.removeprefix(inside)
    msg = (
        f"the slice of {manifest['scope']} is staged at {path}, outside the lake {root}: stage and publish to one lake"
    )
    raise StagingError(msg)


def _visits(
    files: Iterable[StagedFile], existing: Collection[date], folder: UPath
) -> dict[date, list[tuple[str, str]]]:
    """Give, per month, the slices that concern it."""
    ledger = cache(partial(read_ledger, folder))
    visits: dict[date, list[tuple[str, str]]] = defaultdict(list)
    for file in files:
        for month in _months_asked_for(file.slice, existing, ledger) | file.months:
            visits[month].append(file.identity)
    return visits


def _months_asked_for(
    slice_: Slice, existing: Collection[date], ledger: Callable[[date], Iterable[Entry]]
) -> set[date]:
    start, end = slice_.start, slice_.end
    if slice_.replace_exact_range:
        return {start.replace(day=1)}
    asked = set(period_months(start, end, slice_.granularity))
    asked |= {month for month in months_between(start, end) if month in existing}
    if slice_.granularity == "sprint":
        # A sprint that reaches into the range may have begun in a month before it.
        month, reaches = previous_month(start.replace(day=1)), True
        while reaches and month in existing:
            asked.add(month)
            reaches = any(entry.end >= start for entry in ledger(month))
            month = previous_month(month)
    return asked


def _entry(file: StagedFile, published_at: datetime) -> Entry:
    sprints: frozenset[tuple[str, str]] | None = None
    if file.slice.granularity == "sprint":
        sprints = frozenset(
            (str(path), sprint_name(sprint[0] if sprint else None, date.fromisoformat(str(start))))
            for path, start, *sprint in file.periods
        )
    return Entry(
        scope=file.slice.scope,
        start=file.slice.start,
        end=file.slice.end,
        export_id=file.export_id,
        created_at=file.created_at,
        teams=file.paths,
        sprints=sprints,
        replace_exact_range=file.slice.replace_exact_range,
        quarantined=file.quarantined,
        published_at=published_at,
    )


def _empty_staging(paths: Sequence[UPath]) -> None:
    # The manifests first: a file without one does not count as staged, one whose file is gone would look lost.
    remove_each([path.with_suffix(".json") for path in paths])
    remove_each(paths)
    for folder in {str(path.parent): path.parent for path in paths}.values():
        remove_if_empty(folder)
