"""Stage: turn one finished export into one immutable, typed Parquet file with a manifest beside it.

The footer of a staged file holds everything that `publish` needs to know of the slice. Knows nothing of tables.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, get_args

import pyarrow as pa

from sei_provider.lake.column_mapping import ColumnMapping, ColumnsArgument
from sei_provider.lake.errors import CsvError, StagingError
from sei_provider.lake.model import Manifest, Slice, checked_table_name
from sei_provider.lake.periods import in_utc
from sei_provider.lake.staging.csv_reader import CsvReader
from sei_provider.lake.staging.csv_records import Record
from sei_provider.lake.staging.csv_stream import MAX_FILE_BYTES, Download
from sei_provider.lake.staging.erased import ErasedPeople, without
from sei_provider.lake.staging.manifests import write_manifest
from sei_provider.lake.staging.pii import NotRatingsError, PersonalData, Privacy, UnknownColumns
from sei_provider.lake.staging.quarantine import Quarantine
from sei_provider.lake.staging.reading import reading_of
from sei_provider.lake.staging.staged_writer import with_added, write_staged
from sei_provider.lake.storage.backend import LakePath
from sei_provider.lake.storage.scratch import scratch_folder
from sei_provider.lake.storage.store import put, require_safe_writes, staging_path
from sei_provider.plural import plural

BadValue: TypeAlias = Literal["fail", "quarantine"]

_BAD = "bad"
"""Name of the file in which the rows that do not fit are put aside."""


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
    aliases: Mapping[str, Sequence[str]] | None = None,
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
    `aliases` are further headers to look for, by dimension: `{"team": ["Squad", "Crew"]}`.
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
    folder = staging_path(folder)
    require_safe_writes(folder, single_writer=single_writer)
    created_at, exported_at = in_utc(created_at, "created_at"), in_utc(exported_at, "exported_at")
    checked_table_name(slice.table)
    mapping = ColumnMapping.parse(columns, aliases=aliases)
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
        "reading": reading_of(
            columns=mapping,
            on_bad_value=on_bad_value,
            personal_data=personal_data,
            hash_key=hash_key,
            personal_columns=personal_columns,
        ),
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
                rows, quarantined = _build(
                    reader, slice, export, scratch, erased, puts_aside=aside is not None, is_flat=is_flat
                )
            except NotRatingsError as found:
                not_ratings |= found.names
                continue
            except _NoHierarchyError:
                is_flat = True
                continue
            if quarantined:
                # Quarantine first: wherever the staged slice is visible, the rows that it lacks are too.
                put(cast("LakePath", aside) / f"{name}.parquet", scratch / _BAD)
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
        reading=export["reading"],
    )
    if quarantined:
        manifest["quarantined"] = quarantined
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
) -> tuple[int, int]:
    """Write the rows to `object` in the folder, those put aside to `bad`; return how many these are, and those.

    Without a hierarchy (`is_flat`, or no such column) every team lies below the scope. Raises `_NoHierarchyError` if
    the column turns out to be empty in all rows.
    """
    file, export = reader.file, {**export, "personal_data": reader.file.policy}
    is_flat = is_flat or all(column.name != "team_hierarchy" for column in file.columns)
    root = f"{slice_.scope}/" if is_flat else ""
    names_hierarchy = is_flat
    with ExitStack() as stack:
        rejects = (
            stack.enter_context(Quarantine(scratch / _BAD, file, slice_, export["export_id"], erased, root=root))
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

        rows = write_staged(scratch / "object", with_added(file.columns_left), batches(), slice_, export, root)
    if rows and not names_hierarchy:
        raise _NoHierarchyError
    if rejects and rejects.count and not rows:  # an export without rows would clear what the table holds
        msg = f"none of {plural(rejects.count, 'row')} fits, so nothing was staged; the last fault: {rejects.last}"
        raise CsvError(msg)
    return rows, rejects.count if rejects else 0


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
