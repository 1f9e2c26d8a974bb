"""From a download to a staged slice and its manifest. Knows the lake, the local disk, and what SEI was asked for."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from sei_provider import lake as sei_lake
from sei_provider.api.reports import REPORTS
from sei_provider.api.request import ExportRequest

if TYPE_CHECKING:
    from sei_provider.api.export import Export
    from sei_provider.lake import Manifest
    from sei_provider.operators._state import BatchState


@contextmanager
def download_folder() -> Iterator[Path]:
    """Create a temporary folder for downloads; removes those that killed workers left on this machine first."""
    from sei_provider.lake.storage.scratch import private_folder, sweep_scratch

    sweep_scratch()
    with private_folder() as folder:
        yield folder


def spool(path: Path, download: Callable[[IO[bytes]], object]) -> Path:
    """Have `download` write to a new file at `path`; raises `OSError` naming the disk if that has no room for it."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            download(file)
    except OSError as error:
        msg = (
            f"This worker's temporary folder {tempfile.gettempdir()} cannot hold the download: "
            f"{error.strerror or error}. Free its disk, or set TMPDIR to a larger one"
        )
        raise OSError(msg) from error
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Stager:
    """Stages the files of one task: into which folder, for which run, and how."""

    folder: Any
    run_id: str
    clear_number: int = 0
    """How often the run has been cleared."""
    origin: Mapping[str, str | None] = field(default_factory=dict)
    """Account, organization and project of the connection."""
    raw_path: Any = None
    """The folder in which each file is also kept as SEI sent it, or None."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of `lake.stage`."""

    @property
    def download_limit(self) -> dict[str, int]:
        """The argument that ends a download at `max_file_bytes`: packed or not, a larger file would be refused."""
        limit = self.options.get("max_file_bytes")
        return {} if limit is None else {"max_bytes": limit}

    @property
    def reading(self) -> str:
        """How this stager reads a file, as the manifests of what it stages say it."""
        return sei_lake.reading_of(**self.options)

    def stage(self, path: Path, request: ExportRequest, export: Export) -> sei_lake.LakeError | None:
        """Stage one file and remove it; returns the error that keeps it out of the lake, if there is one.

        Raises an error that would keep every other file out as well, such as a full disk.
        """
        slice_ = replace(slice_of(request), origin=self.origin)
        try:
            if self.raw_path:  # first, because a retry skips what is staged
                sei_lake.keep(
                    path,
                    self.raw_path,
                    slice_,
                    export_id=export.id,
                    lake=self.folder.parent.parent,
                    hash_key=self.options.get("hash_key"),
                )
            sei_lake.stage(
                path,
                folder=self.folder,
                slice=slice_,
                request=request.fingerprint,
                export_id=export.id,
                created_at=export.created_at,
                run_id=self.run_id,
                clear_number=self.clear_number,
                exported_at=datetime.now(UTC),
                **self.options,
            )
        except sei_lake.LakeError as error:
            if error.affects_all_scopes:
                raise
            return error
        finally:
            path.unlink(missing_ok=True)
        return None


def manifests_of(requests: list[ExportRequest], state: BatchState, folder: Any) -> list[Manifest]:
    """Return a manifest for each request, in their order: of its slice, or of its failure."""
    staged = sei_lake.staged(folder, published=True)
    manifests = []
    for request in requests:
        if request.fingerprint in staged:
            manifest = staged[request.fingerprint]
            if request.fingerprint in {*state.reused, *state.resumed}:
                manifest["reused"] = True
            if fresh_from := state.fresh_from.get(request.fingerprint):
                manifest["fresh_from"] = fresh_from
            manifests.append(manifest)
        elif why := state.split.get(request.fingerprint, state.errors.get(request.fingerprint)):
            manifests.append(_failed(request, why))
    return manifests


def is_staged(request: ExportRequest, staged: Iterable[Manifest]) -> bool:
    """Tell whether the range of a request is staged, by one export or by those of its periods."""
    start, end = request.start.isoformat(), request.end.isoformat()
    own = [
        each for each in staged if each["scope"] == request.scope.label and start <= each["start"] <= each["end"] <= end
    ]
    days = sum((date.fromisoformat(each["end"]) - date.fromisoformat(each["start"])).days + 1 for each in own)
    return days > (request.end - request.start).days


def slice_of(request: ExportRequest) -> sei_lake.Slice:
    """Return the slice of the lake that a request covers. At level sprint its periods are sprints."""
    report = REPORTS[request.report]
    return sei_lake.Slice(
        table=table_of(request),
        report=request.report,
        scope=request.scope.label,
        start=request.start,
        end=request.end,
        granularity="sprint" if report.rows_are_sprints(request.level) else request.granularity.lower(),
        metrics=report.number_columns(request.level),
        definition={
            "level": request.level,
            "aggregation": request.aggregation,
            "computation_mode": request.computation_mode,
            "options": {  # the order of a list means nothing
                name: sorted(value) if isinstance(value, list) else value for name, value in request.options.items()
            },
            "metric_groups": list(request.metric_groups),
            "metrics": list(request.metrics),
        },
    )


def table_of(request: ExportRequest) -> str:
    """Return the default table of a request."""
    return sei_lake.default_table(request.report, request.level, request.granularity)


def _failed(request: ExportRequest, why: str) -> Manifest:
    return {
        "scope": request.scope.label,
        "start": request.start.isoformat(),
        "end": request.end.isoformat(),
        "table": table_of(request),
        "path": None,
        "rows": 0,
        "export_id": None,
        "created_at": None,
        "error": why,
    }
