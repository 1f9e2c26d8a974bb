"""Reader of finished exports: a downloaded CSV to typed rows, and those that do not fit to quarantine."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import pyarrow as pa

from sei_provider.lake.column_mapping import ColumnMapping
from sei_provider.lake.errors import CsvError, StagingError
from sei_provider.lake.header import declare, require_columns
from sei_provider.lake.model import Manifest, Slice
from sei_provider.lake.staging.csv_reader import CsvReader
from sei_provider.lake.staging.csv_records import Record
from sei_provider.lake.staging.csv_stream import Download
from sei_provider.lake.staging.erased import ErasedPeople, without
from sei_provider.lake.staging.pii import FileColumns, NotRatingsError, Privacy
from sei_provider.lake.staging.quarantine import Quarantine
from sei_provider.lake.staging.staged_footer import SLICE_KEY
from sei_provider.lake.staging.staged_writer import StagedRows, read_rows, with_added
from sei_provider.lake.storage.backend import LakePath
from sei_provider.lake.storage.store import put
from sei_provider.plural import plural

BadValue: TypeAlias = Literal["fail", "quarantine"]
_SAFE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


class _NoHierarchyError(Exception):
    """No row has a hierarchy, though there is a column for it, so the file is read again as one without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedExport:
    """One finished export, in a local file."""

    file: Path
    """CSV as SEI sent it, gzip or plain."""
    slice: Slice
    request: str
    """Fingerprint of the request."""
    export_id: str
    created_at: datetime
    """Time at which SEI made it, by SEI's clock: this orders exports."""
    exported_at: datetime
    """Time at which it is staged, by our clock."""

    @property
    def name(self) -> str:
        """Return what its objects are called."""
        return f"{_file_name(self.request)}-{_file_name(self.export_id)}"


@dataclass(frozen=True, slots=True)
class ReadExport:
    """One export with its typed rows."""

    export: FinishedExport
    rows: StagedRows
    reading: str
    unknown_columns: list[str]

    def manifest(self, path: LakePath) -> Manifest:
        """Return the manifest of the slice that is staged at `path`."""
        slice_ = self.export.slice
        manifest = Manifest(
            scope=slice_.scope,
            start=slice_.start.isoformat(),
            end=slice_.end.isoformat(),
            table=slice_.table,
            path=str(path),
            rows=self.rows.rows,
            export_id=self.export.export_id,
            created_at=self.export.created_at.isoformat(),
            error=None,
            reading=self.reading,
        )
        if quarantined := self.rows.entries[SLICE_KEY]["quarantined"]:
            manifest["quarantined"] = quarantined
        if self.unknown_columns:
            manifest["unknown_columns"] = self.unknown_columns
        return manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReader:
    """Reads exports for one staging folder, by the choices of the user."""

    folder: LakePath
    mapping: ColumnMapping
    privacy: Mapping[str, Privacy]
    """By report."""
    on_bad_value: BadValue
    max_file_bytes: int
    run: Mapping[str, Any]
    """Part of footers about the run and the reading."""
    _before: dict[tuple[Any, ...], FileColumns] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.on_bad_value not in get_args(BadValue):
            msg = f"on_bad_value={self.on_bad_value!r} is unknown; use one of {', '.join(get_args(BadValue))}"
            raise ValueError(msg)

    def read(self, export: FinishedExport, scratch: Path, erased: ErasedPeople) -> ReadExport:
        """Read one export, with files in the folder `scratch`, and put the rows that do not fit into quarantine."""
        slice_ = export.slice
        aside = _quarantine(self.folder, slice_.table) if self.on_bad_value == "quarantine" else None
        described: dict[str, Any] = {
            "export_id": export.export_id,
            "created_at": export.created_at.isoformat(),
            "exported_at": export.exported_at.isoformat(),
            **self.run,
        }
        not_ratings: frozenset[str] = frozenset()
        is_flat = False
        while True:
            columns_of = partial(self._columns, slice_, not_ratings)
            with Download(export.file, self.max_file_bytes).open() as stream:
                reader = CsvReader(stream, slice_, columns_of)
                try:
                    rows, bad = _build(
                        reader, slice_, described, scratch, erased, puts_aside=aside is not None, is_flat=is_flat
                    )
                except NotRatingsError as found:
                    not_ratings |= found.names
                    continue
                except _NoHierarchyError:
                    is_flat = True
                    continue
                if bad and aside:
                    # Quarantine first: wherever the staged slice is visible, the rows that it lacks are too.
                    put(aside / f"{export.name}.parquet", bad)
                return ReadExport(export, rows, described["reading"], list(reader.file.unknown))

    def _columns(self, slice_: Slice, not_ratings: frozenset[str], headers: Sequence[str]) -> FileColumns:
        """Return the columns of a file; those of the file before if both are alike, as nearly all of a task are.

        Raises `HeaderError` if the header does not give the columns that a table needs.
        """
        alike = (slice_.report, slice_.metrics, slice_.level, slice_.dates_rows, not_ratings, *headers)
        if alike not in self._before:
            declared = declare(headers, report=slice_.report, metrics=slice_.metrics, mapping=self.mapping)
            found = self.privacy[slice_.report].classify(declared, not_ratings=not_ratings)
            require_columns(found.columns, level=slice_.level, needs_dates=not slice_.dates_rows)
            self._before.clear()
            self._before[alike] = found
        return self._before[alike]


def _build(
    reader: CsvReader,
    slice_: Slice,
    export: Mapping[str, Any],
    scratch: Path,
    erased: ErasedPeople,
    *,
    puts_aside: bool,
    is_flat: bool,
) -> tuple[StagedRows, Path | None]:
    """Return the rows, and the file of those put aside.

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

        rows = read_rows(scratch / "object", with_added(file.columns_left), batches(), slice_, export, root)
    if rows.rows and not names_hierarchy:
        raise _NoHierarchyError
    if rejects and rejects.count and not rows.rows:  # an export without rows would clear what the table holds
        msg = f"none of {plural(rejects.count, 'row')} fits, so nothing was staged; the last fault: {rejects.last}"
        raise CsvError(msg)
    return rows, bad if rejects and rejects.count else None


def _refuse(_record: Record, fault: CsvError) -> None:
    raise fault


def _quarantine(folder: LakePath, table: str) -> LakePath:
    """Return the quarantine folder of a table, in the lake that the staging folder belongs to."""
    root = lake_of(folder)
    if root is None:
        msg = (
            f"on_bad_value='quarantine' needs a folder in <lake>/_staging/, got {folder}: "
            "the quarantine lies beside _staging"
        )
        raise StagingError(msg)
    return root / "_quarantine" / table


def lake_of(folder: LakePath) -> LakePath | None:
    """Return the lake in whose `_staging` a folder lies."""
    staging: LakePath | None = next((path for path in (folder, *folder.parents) if path.name == "_staging"), None)
    return None if staging is None else staging.parent


def _file_name(name: str) -> str:
    # Ids come from a server and must never form a path.
    return name if _SAFE_NAME.fullmatch(name) else hashlib.sha256(name.encode()).hexdigest()[:32]
