"""One finished export to one immutable, typed Parquet file with a manifest beside it.

A staged file carries in its footer all that publishing needs to know of the slice; it knows nothing of tables.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from upath import UPath

from sei_provider.lake.columns import Column
from sei_provider.lake.manifests import write_manifest
from sei_provider.lake.reading import ARROW_TYPES, read_batches, read_header
from sei_provider.lake.slices import Manifest, Slice, in_utc
from sei_provider.lake.staged_files import DECLARED_KEY, HEADER_KEY, PATHS_KEY, ROW_GROUP_BYTES, SLICE_KEY
from sei_provider.lake.store import lake_path, put, scratch_file

_SAFE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


def stage(
    file: Path,
    *,
    folder: UPath,
    slice: Slice,  # noqa: A002  the field's word, and callers name it
    request: str,
    export_id: str,
    created_at: datetime,
    run_id: str,
    exported_at: datetime,
    aliases: Mapping[str, Sequence[str]] | None = None,
) -> Manifest:
    """Check and type the body in `file`, and put it into `folder` as Parquet, then its manifest.

    `file` is local, gzip or plain. `request` is the hash of the request's body, `created_at` SEI's own time of the
    export, by which exports are ordered; `exported_at` is ours. `aliases` gives further names for dimension columns.
    Memory is bounded whatever the size. Both puts are atomic, and the manifest comes last, so what `staged` lists is
    whole. Raises `BodyError` if the file is not one whole CSV, `CsvError` if a row or the header does not fit.
    """
    created_at, exported_at = in_utc(created_at, "created_at"), in_utc(exported_at, "exported_at")
    header = read_header(file, slice, aliases)
    export = {"export_id": export_id, "created_at": created_at.isoformat(), "run_id": run_id}
    lineage = {
        "_scope": pa.scalar(slice.scope, pa.string()),
        "_export_id": pa.scalar(export_id, pa.string()),
        "_exported_at": pa.scalar(exported_at, pa.timestamp("us", "UTC")),
        "_run_id": pa.scalar(run_id, pa.string()),
    }
    schema = _schema(header.columns, lineage)
    batches = read_batches(file, header, slice)
    name = f"{_file_name(request)}-{_file_name(export_id)}"
    target = lake_path(folder) / f"{name}.parquet"
    with scratch_file() as scratch:
        rows = _write(scratch, schema, (_completed(batch, schema, lineage) for batch in batches), slice, export)
        put(target, scratch)
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
    write_manifest(target.with_suffix(".json"), manifest)
    return manifest


def _file_name(name: str) -> str:
    # Ids come from a server and must never act as a path.
    return name if _SAFE_NAME.fullmatch(name) else hashlib.sha256(name.encode()).hexdigest()[:32]


def _schema(columns: Sequence[Column], lineage: Mapping[str, pa.Scalar]) -> pa.Schema:
    columns = list(columns)
    for name, kind in (("team_hierarchy", "string"), ("end_date", "date32")):
        if all(column.name != name for column in columns):
            columns.append(Column(name, "", kind))  # type: ignore[arg-type]  # both are column types
    fields = [
        pa.field(
            column.name,
            ARROW_TYPES[column.type or "string"],
            metadata={HEADER_KEY: column.header} | ({DECLARED_KEY: b"1"} if column.type else {}),
        )
        for column in columns
    ]
    return pa.schema(
        [*fields, *(pa.field(name, value.type, metadata={DECLARED_KEY: b"1"}) for name, value in lineage.items())]
    )


def _completed(batch: pa.RecordBatch, schema: pa.Schema, lineage: Mapping[str, pa.Scalar]) -> pa.Table:
    arrays = {name: batch[name] for name in batch.schema.names}
    team = arrays["team"]
    # Without a hierarchy a team is its own root, so that every row has a path to be owned by.
    arrays["team_hierarchy"] = pc.coalesce(arrays["team_hierarchy"], team) if "team_hierarchy" in arrays else team
    arrays.setdefault("end_date", pa.nulls(len(team), pa.date32()))
    arrays |= {name: pa.repeat(value, len(team)) for name, value in lineage.items()}
    return pa.Table.from_arrays([arrays[name] for name in schema.names], schema=schema)


def _write(file: Path, schema: pa.Schema, tables: Iterable[pa.Table], slice_: Slice, export: Mapping[str, Any]) -> int:
    rows = 0
    paths: set[tuple[str, str]] = set()
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for table in _gathered(tables):
            rows += len(table)
            pairs = table.select(["team", "team_hierarchy"]).group_by(["team", "team_hierarchy"]).aggregate([])
            paths.update(zip(pairs["team"].to_pylist(), pairs["team_hierarchy"].to_pylist(), strict=True))
            writer.write_table(table, row_group_size=len(table))
        writer.add_key_value_metadata(
            {SLICE_KEY: json.dumps({**slice_.to_json(), **export}), PATHS_KEY: json.dumps(sorted(paths))}
        )
    return rows


def _gathered(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(part.nbytes for part in waiting) >= ROW_GROUP_BYTES:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)
