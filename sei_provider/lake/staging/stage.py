"""Stage: turn finished exports into immutable, typed Parquet files, each with a manifest beside it.

The footer of a staged file holds everything that `publish` needs to know of its slices. Knows nothing of tables.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from sei_provider.lake.column_mapping import ColumnMapping, ColumnsArgument
from sei_provider.lake.errors import LakeError
from sei_provider.lake.model import Manifest, Slice, checked_table_name
from sei_provider.lake.periods import in_utc
from sei_provider.lake.staging.chunk import gather, write_chunk
from sei_provider.lake.staging.csv_stream import MAX_FILE_BYTES
from sei_provider.lake.staging.erased import ErasedPeople
from sei_provider.lake.staging.export_reader import BadValue, ExportReader, FinishedExport, ReadExport, lake_of
from sei_provider.lake.staging.manifests import write_chunk_manifest, write_manifest
from sei_provider.lake.staging.pii import PersonalData, Privacy, UnknownColumns
from sei_provider.lake.staging.reading import reading_of
from sei_provider.lake.storage.backend import LakePath
from sei_provider.lake.storage.scratch import scratch_folder
from sei_provider.lake.storage.store import put, require_safe_writes, staging_path


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
    export = FinishedExport(
        file=file, slice=slice, request=request, export_id=export_id, created_at=created_at, exported_at=exported_at
    )
    (found,) = stage_chunk(
        [export],
        folder=folder,
        run_id=run_id,
        clear_number=clear_number,
        columns=columns,
        aliases=aliases,
        single_writer=single_writer,
        on_bad_value=on_bad_value,
        personal_data=personal_data,
        hash_key=hash_key,
        personal_columns=personal_columns,
        unknown_columns=unknown_columns,
        max_file_bytes=max_file_bytes,
    )
    if isinstance(found, LakeError):
        raise found
    return found


def stage_chunk(
    exports: Sequence[FinishedExport],
    *,
    folder: LakePath,
    run_id: str,
    clear_number: int = 0,
    columns: ColumnsArgument | ColumnMapping | None = None,
    aliases: Mapping[str, Sequence[str]] | None = None,
    single_writer: bool = False,
    on_bad_value: BadValue = "fail",
    personal_data: PersonalData = "keep",
    hash_key: bytes | None = None,
    personal_columns: Collection[str] = (),
    unknown_columns: UnknownColumns = "personal",
    max_file_bytes: int = MAX_FILE_BYTES,
) -> list[Manifest | LakeError]:
    """Stage exports of one task as `stage` does, but small ones share a Parquet file, and a manifest that lists them.

    Returns for each export its manifest, or the error that keeps it alone out of the lake; an error that affects all is
    raised, and then none of them is staged for certain. A slice of more than about 2.6 MB in memory has a file of its
    own. Takes two lists of the store, and two puts a file. `path` and `row_groups` of a manifest tell where the rows
    lie.
    """
    folder = staging_path(folder)
    require_safe_writes(folder, single_writer=single_writer)
    exports = [
        replace(
            export,
            created_at=in_utc(export.created_at, "created_at"),
            exported_at=in_utc(export.exported_at, "exported_at"),
        )
        for export in exports
    ]
    for export in exports:
        checked_table_name(export.slice.table)
    mapping = ColumnMapping.parse(columns, aliases=aliases)
    reader = ExportReader(
        folder=folder,
        mapping=mapping,
        privacy={
            report: Privacy(
                choice=personal_data,
                report=report,
                key=hash_key,
                personal=personal_columns,
                unknown_columns=unknown_columns,
            )
            for report in {export.slice.report for export in exports}
        },
        on_bad_value=on_bad_value,
        max_file_bytes=max_file_bytes,
        run={
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
        },
    )
    root = lake_of(folder)
    erased = ErasedPeople.load(root, hash_key)
    while True:
        with scratch_folder() as scratch:
            found = [_read(reader, export, scratch / f"{number}", erased) for number, export in enumerate(exports)]
            read = [each for each in found if isinstance(each, ReadExport)]
            files = [[read[number] for number in numbers] for numbers in gather(each.rows for each in read)]
            manifests = [_put_rows(folder, slices, scratch / "chunk") for slices in files]
        # Whoever is erased meanwhile is looked for in what lies there then, so these files had to be there by now.
        if erased == (erased := ErasedPeople.load(root, hash_key)):
            break
    by_export: dict[str, Manifest] = {}
    for slices, listed in zip(files, manifests, strict=True):
        if len(slices) == 1:
            write_manifest(folder / f"{slices[0].export.name}.json", listed[0])
        else:
            write_chunk_manifest(folder / f"{_chunk_name(slices)}.json", listed)
        by_export |= {each.export.name: manifest for each, manifest in zip(slices, listed, strict=True)}
    return [each if isinstance(each, LakeError) else by_export[each.export.name] for each in found]


def _read(reader: ExportReader, export: FinishedExport, scratch: Path, erased: ErasedPeople) -> ReadExport | LakeError:
    scratch.mkdir()
    try:
        return reader.read(export, scratch, erased)
    except LakeError as error:
        if error.affects_all_scopes:
            raise
        return error


def _put_rows(folder: LakePath, slices: Sequence[ReadExport], file: Path) -> list[Manifest]:
    """Put the file of some slices, and return their manifests."""
    if len(slices) == 1:
        (one,) = slices
        target = folder / f"{one.export.name}.parquet"
        if one.rows.file is None:
            one.rows.write(file)
        put(target, one.rows.file or file)
        return [one.manifest(target)]
    target = folder / f"{_chunk_name(slices)}.parquet"
    row_groups = write_chunk(file, [each.rows for each in slices])
    put(target, file)
    return [
        {**each.manifest(target), "request": each.export.request, "row_groups": groups}
        for each, groups in zip(slices, row_groups, strict=True)
    ]


def _chunk_name(slices: Sequence[ReadExport]) -> str:
    names = "\n".join(each.export.name for each in slices)
    return f"chunk-{hashlib.sha256(names.encode()).hexdigest()[:20]}"
