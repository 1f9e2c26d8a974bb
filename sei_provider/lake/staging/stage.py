"""Stage: turn one finished export into one immutable, typed Parquet file with a manifest beside it.

The footer of a staged file holds everything that `publish` needs to know of the slice. Knows nothing of tables.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import date, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, get_args

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sei_provider.lake.column_mapping import ColumnMapping, ColumnsArgument
from sei_provider.lake.columns import Column, arrow_type
from sei_provider.lake.errors import CsvError, StagingError
from sei_provider.lake.model import Manifest, Slice
from sei_provider.lake.periods import in_utc, sprint_name
from sei_provider.lake.staging.csv_reader import CsvReader
from sei_provider.lake.staging.csv_records import Record
from sei_provider.lake.staging.csv_stream import MAX_FILE_BYTES, Download
from sei_provider.lake.staging.erased import ErasedPeople, without
from sei_provider.lake.staging.manifests import write_manifest
from sei_provider.lake.staging.pii import NotRatingsError, PersonalData, Privacy, UnknownColumns
from sei_provider.lake.staging.quarantine import Quarantine
from sei_provider.lake.staging.staged_file import (
    COLUMNS_KEY,
    DICTIONARY_BYTES,
    PATHS_KEY,
    PERIODS_KEY,
    SLICE_KEY,
    SPRINTS_KEY,
    by_bytes,
)
from sei_provider.lake.staging.team_rows import TeamRows
from sei_provider.lake.storage.backend import LakePath
from sei_provider.lake.storage.scratch import scratch_folder
from sei_provider.lake.storage.store import lake_path, put, require_safe_writes
from sei_provider.plural import plural

_FEW_BYTES = 64 << 10
_READER_VERSION = 2
"""Raised when the same bytes are read otherwise: an export that is staged again then replaces itself."""

BadValue: TypeAlias = Literal["fail", "quarantine"]


class _NoHierarchyError(Exception):
    """No row has a hierarchy, though there is a column for it, so the file is read again as one without."""


_SAFE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


def stage(
    file: Path,
    *,
    folder: LakePath,
    slice: Slice,  # noqa: A002  the term of the field, and callers pass it by name
    request: str,
    export_id: str,
    created_at: datetime,
    run_id: str,
    clear_number: int = 0,
    exported_at: datetime,
    columns: ColumnsArgument | ColumnMapping | None = None,
    single_writer: bool = False,
    on_bad_value: BadValue = "fail",
    personal_data: PersonalData = "keep",
    hash_key: bytes | None = None,
    personal_columns: Collection[str] = (),
    unknown_columns: UnknownColumns = "personal",
    max_file_bytes: int = MAX_FILE_BYTES,
) -> Manifest:
    """Validate and type the CSV in `file`, put it into `folder` as Parquet, then put its manifest.

    `file` is local, gzip or plain. `request` is the fingerprint of the request. `created_at` is when SEI made the
    export, by SEI's clock, and orders exports; `exported_at` is our own time. `clear_number` is how often the run had
    been cleared, because a cleared run keeps its `run_id`, and teams may have swapped names in between. `columns` names
    columns: SEI's header → name, or (name, type) with the types `string`, `float64` and `date` (see `column_mapping`).
    `single_writer` confirms, as in `publish`, that only one task writes where the store cannot keep two apart.
    With `on_bad_value="quarantine"` a bad row goes, with line, column and reason, to `<lake>/_quarantine/<table>/`, and
    the others are staged; `folder` must then lie in `<lake>/_staging/`.
    `personal_data` decides about people's names and e-mail addresses: "hash" replaces them by HMAC-SHA256 under
    `hash_key` (16 bytes or more, not easily guessed; hex, the same for the same person), "drop" leaves the columns out.
    Contributor reports name people as teams: these can be hashed, not dropped. Both treat a column that nobody declared
    as a person's, text or number: one that is no documented metric or dimension of the report, has no number's suffix
    (`_tickets`, `_days`, …), and is no rating with known values only. The manifest lists these in `unknown_columns`.
    `personal_columns` are headers that name people for sure. `unknown_columns="refuse"` raises `HeaderError` instead.
    People who were erased from the lake are left out, also with `personal_data="keep"`; `hash_key` is then needed to
    tell whom, and `folder` must lie in `<lake>/_staging/`.
    `max_file_bytes` limits the bytes of unpacked CSV; reading stops there with `TooLargeError`.
    Memory is bounded for any number of rows. Both puts are atomic and the manifest comes last, so everything that
    `staged` lists is complete. Raises `ColumnsError` if `columns` is invalid, `BodyError` if the file is not one
    complete CSV, `CsvError` if a row or the header is invalid, `PersonalDataError` if the key is missing, `StoreError`
    if a disk is full or the lake cannot be written.
    """
    folder = lake_path(folder)
    require_safe_writes(folder, single_writer=single_writer)
    created_at, exported_at = in_utc(created_at, "created_at"), in_utc(exported_at, "exported_at")
    mapping = ColumnMapping.parse(columns)
    privacy = Privacy(
        choice=personal_data,
        report=slice.report,
        key=hash_key,
        personal=personal_columns,
        unknown_columns=unknown_columns,
    )
    if on_bad_value not in get_args(BadValue):
        msg = f"on_bad_value={on_bad_value!r} is unknown; use one of {', '.join(get_args(BadValue))}"
        raise ValueError(msg)
    aside = _quarantine(folder, slice.table) if on_bad_value == "quarantine" else None
    export: dict[str, Any] = {
        "export_id": export_id,
        "created_at": created_at.isoformat(),
        "exported_at": exported_at.isoformat(),
        "run_id": run_id,
        "clear_number": clear_number,
        "quarantined": 0,
        "reading": _reading(mapping, on_bad_value, privacy),
    }
    name = f"{_file_name(request)}-{_file_name(export_id)}"
    target = folder / f"{name}.parquet"
    root = _lake_of(folder)
    erased = ErasedPeople.load(root, hash_key)
    not_ratings: frozenset[str] = frozenset()
    is_flat = False
    while True:
        classify = partial(privacy.classify, not_ratings=not_ratings)
        with Download(file, max_file_bytes).open() as stream, scratch_folder() as scratch:
            reader = CsvReader(stream, slice, mapping, classify)
            try:
                rows, bad = _build(
                    reader, slice, export, scratch, erased, puts_aside=aside is not None, is_flat=is_flat
                )
            except NotRatingsError as found:
                not_ratings |= found.names
                continue
            except _NoHierarchyError:
                is_flat = True
                continue
            if bad:
                # Quarantine first: wherever the staged slice is visible, the rows that it lacks are too.
                put(cast("LakePath", aside) / f"{name}.parquet", bad)
            put(target, scratch / "object")
        # Whoever is erased meanwhile is looked for in what lies there then, so this file had to be there by now.
        if erased == (erased := ErasedPeople.load(root, hash_key)):
            break
    manifest = Manifest(
        scope=slice.scope,
        start=slice.start.isoformat(),
        end=slice.end.isoformat(),
        table=slice.table,
        path=str(target),
        rows=rows,
        export_id=export_id,
        created_at=created_at.isoformat(),
        error=None,
    )
    if reader.file.unknown:
        manifest["unknown_columns"] = list(reader.file.unknown)
    write_manifest(target.with_suffix(".json"), manifest)
    return manifest


def _build(
    reader: CsvReader,
    slice_: Slice,
    export: Mapping[str, Any],
    scratch: Path,
    erased: ErasedPeople,
    *,
    puts_aside: bool,
    is_flat: bool,
) -> tuple[int, Path | None]:
    """Write the rows to `object` in the folder, and return how many these are, with the file of those put aside.

    Without a hierarchy (`is_flat`, or no such column) every team lies below the scope. Raises `_NoHierarchyError` if
    the column turns out to be empty in all rows.
    """
    file, export = reader.file, {**export, "personal_data": reader.file.policy}
    bad = scratch / "bad"
    is_flat = is_flat or all(column.name != "team_hierarchy" for column in file.columns)
    root = f"{slice_.scope}/" if is_flat else ""
    names_hierarchy = is_flat
    with ExitStack() as stack:
        rejects = (
            stack.enter_context(Quarantine(bad, file, slice_, export["export_id"], erased, root=root))
            if puts_aside
            else None
        )

        def batches() -> Iterator[pa.RecordBatch]:
            nonlocal names_hierarchy
            with closing(reader.batches(rejects.add if rejects else _refuse)) as found:
                for found_rows in found:
                    kept = without(found_rows, slice_.report, erased.match) if erased else found_rows
                    batch = file.apply(kept)
                    names_hierarchy = names_hierarchy or batch["team_hierarchy"].null_count < len(batch)
                    yield batch
            if rejects and rejects.count:
                export["quarantined"] = rejects.count
                export["unknown_paths"] = rejects.has_unknown_paths
                export["paths_put_aside"] = sorted(rejects.paths)

        rows = _write(scratch / "object", _with_added(file.columns_left), batches(), slice_, export, root)
    if rows and not names_hierarchy:
        raise _NoHierarchyError
    if rejects and rejects.count and not rows:  # an export without rows would clear what the table holds
        msg = f"none of {plural(rejects.count, 'row')} fits, so nothing was staged; the last fault: {rejects.last}"
        raise CsvError(msg)
    return rows, bad if rejects and rejects.count else None


def _reading(mapping: ColumnMapping, on_bad_value: str, privacy: Privacy) -> str:
    """Return a hash of all that decides how a file is read; the key for personal data does not show in it."""
    key = hmac.digest(privacy.key or b"", b"reading", "sha256").hex() if privacy.choice == "hash" else ""
    chosen: list[Any] = [_READER_VERSION, mapping.to_json(), on_bad_value, privacy.choice, key]
    if privacy.choice != "keep":
        chosen += ["unknown is a person", sorted(privacy.personal)]
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:16]


def _refuse(_record: Record, fault: CsvError) -> None:
    raise fault


def _quarantine(folder: LakePath, table: str) -> LakePath:
    """Return the quarantine folder of a table, in the lake that the staging folder belongs to."""
    root = _lake_of(folder)
    if root is None:
        msg = (
            f"on_bad_value='quarantine' needs a folder in <lake>/_staging/, got {folder}: "
            "the quarantine lies beside _staging"
        )
        raise StagingError(msg)
    return root / "_quarantine" / table


def _lake_of(folder: LakePath) -> LakePath | None:
    """Return the lake in whose `_staging` a folder lies."""
    staging: LakePath | None = next((path for path in (folder, *folder.parents) if path.name == "_staging"), None)
    return None if staging is None else staging.parent


def _file_name(name: str) -> str:
    # Ids come from a server and must never form a path.
    return name if _SAFE_NAME.fullmatch(name) else hashlib.sha256(name.encode()).hexdigest()[:32]


def _with_added(columns: Sequence[Column]) -> list[Column]:
    """Add the columns that every staged row has, also if SEI does not send them."""
    columns = list(columns)
    for name, kind in (("team_hierarchy", "string"), ("start_date", "date32"), ("end_date", "date32")):
        if all(column.name != name for column in columns):
            columns.append(Column(name, "", kind))  # type: ignore[arg-type]  # both are column types
    return columns


def _completed(batch: pa.RecordBatch, schema: pa.Schema, slice_: Slice, root: str) -> pa.Table:
    arrays = {name: batch[name] for name in batch.schema.names}
    team = arrays["team"]
    # The owner rule needs a path in every row. Without any hierarchy the scope is the root, because teams of two scopes
    # may have one name; beside rows with a hierarchy, a team without one is a root itself.
    path = pc.binary_join_element_wise(pa.scalar(root), team, "")
    arrays["team_hierarchy"] = pc.coalesce(arrays["team_hierarchy"], path) if "team_hierarchy" in arrays else path
    if slice_.dates_rows:
        arrays |= _dates(arrays, slice_)
    arrays.setdefault("end_date", pa.nulls(len(team), pa.date32()))
    return pa.Table.from_arrays([arrays[name] for name in schema.names], schema=schema)


def _dates(arrays: Mapping[str, pa.Array], slice_: Slice) -> dict[str, pa.Array]:
    """Return the date columns of a batch, in which rows without a first day have the range of the request."""
    start, end = (pa.repeat(pa.scalar(day, pa.date32()), len(arrays["team"])) for day in slice_.range.values())
    if slice_.replace_exact_range:
        return {"start_date": start, "end_date": end}
    none = pa.nulls(len(start), pa.date32())
    starts, ends = arrays.get("start_date", none), arrays.get("end_date", none)
    return {
        "start_date": pc.coalesce(starts, start),
        "end_date": pc.if_else(pc.is_null(starts), pc.coalesce(ends, end), ends),
    }


def _write(
    file: Path,
    columns: Sequence[Column],
    batches: Iterable[pa.RecordBatch],
    slice_: Slice,
    export: Mapping[str, Any],
    root: str,
) -> int:
    rows = 0
    team_rows = TeamRows(slice_)
    schema = pa.schema([(column.name, arrow_type(column)) for column in columns])
    paths: set[tuple[str, str]] = set()
    periods: set[tuple[str | None, ...]] = set()
    sprints: set[tuple[str | None, ...]] = set()
    period_columns = ["start_date"]
    if slice_.granularity == "sprint":
        period_columns = [name for name in ("team_hierarchy", "start_date", "sprint") if name in schema.names]
    groups = by_bytes(_completed(batch, schema, slice_, root) for batch in batches)
    first = next(groups, schema.empty_table())
    # Compressing a few rows saves almost nothing and doubles the time to open the file; there may be thousands.
    packed = first.nbytes > _FEW_BYTES
    options = {"compression": "zstd" if packed else "none", "use_dictionary": packed}
    # No reader filters by the statistics, and Parquet's types already say what a stored Arrow schema would.
    options |= {"write_statistics": False, "store_schema": False}
    with (
        pq.ParquetWriter(file, schema, dictionary_pagesize_limit=DICTIONARY_BYTES, **options) as writer,
        ThreadPoolExecutor(1) as packing,
    ):

        def pack(table: pa.Table) -> None:
            team_rows.add(table)
            writer.write_table(table, row_group_size=len(table))
            paths.update(_distinct(table, ["team", "team_hierarchy"]))
            periods.update(_distinct(table, period_columns))
            if slice_.granularity == "sprint":
                found = _distinct(table, [*period_columns, "end_date"])
                sprints.update((path, *name, start, end) for path, start, *name, end in found if end)
            pa.default_memory_pool().release_unused()  # memory that this thread freed but kept: a tenth of the peak

        # One row group is compressed while the next is read: both take about the same time.
        packed_before: Future[None] | None = None
        for table in chain([first], groups) if len(first) else ():
            rows += len(table)
            if packed_before:
                packed_before.result()
            packed_before = packing.submit(pack, table)
        if packed_before:
            packed_before.result()
        team_rows.check()
        footer = {
            SLICE_KEY: {**slice_.to_json(), **export},
            COLUMNS_KEY: [
                (column.name, column.header, column.type, column.hashed, column.is_named) for column in columns
            ],
            PATHS_KEY: sorted(paths),
            PERIODS_KEY: sorted(periods, key=str),
        }
        if slice_.granularity == "sprint":
            footer[SPRINTS_KEY] = sorted(
                (path, sprint_name(name[0] if name else None, date.fromisoformat(str(start))), start, end)
                for path, *name, start, end in sprints
            )
        writer.add_key_value_metadata({key: json.dumps(value) for key, value in footer.items()})
    return rows


def _distinct(table: pa.Table, names: Sequence[str]) -> set[tuple[Any, ...]]:
    found = table.select(names).group_by(names).aggregate([])
    columns = (found[name].cast(pa.string()).to_pylist() for name in names)
    return set(zip(*columns, strict=True))
