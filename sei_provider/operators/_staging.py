"""From a download to a staged slice and its manifest. Knows the lake, the local disk, and what SEI was asked for."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from sei_provider import lake as sei_lake
from sei_provider.api.errors import SeiError
from sei_provider.api.reports import REPORTS
from sei_provider.api.request import ExportRequest

if TYPE_CHECKING:
    from typing import TypeAlias

    from sei_provider.api.export import Export
    from sei_provider.lake import Manifest
    from sei_provider.operators._state import BatchState

    File: TypeAlias = tuple[Path, ExportRequest, Export]
    """A downloaded file, what was requested, and the export."""

_CHUNK_FILES = 25
_CHUNK_BYTES = 64 << 20
_CHUNK_SECONDS = 10.0


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


@dataclass(slots=True, kw_only=True)
class Stager:
    """Stages the files of one task: into which folder, for which run, and how."""

    folder: Any
    run_id: str
    clear_number: int = 0
    """Number of times that the run has been cleared."""
    origin: Mapping[str, str | None] = field(default_factory=dict)
    """Account, organization and project of the connection."""
    raw_path: Any = None
    """The folder in which each file is also kept as SEI sent it, or None."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of `lake.stage`."""
    staged: dict[str, Manifest] = field(default_factory=dict, init=False)
    """Manifests of what this process has staged, by the request's fingerprint."""
    _waiting: list[File] = field(default_factory=list, init=False)
    """Files of the next chunk."""
    _since: float = field(default=0.0, init=False)
    """Time at which the first of them came."""
    _results: list[tuple[ExportRequest, Export, sei_lake.LakeError | None]] = field(default_factory=list, init=False)

    @property
    def download_limit(self) -> dict[str, int]:
        """The argument that ends a download at `max_file_bytes`: packed or not, a larger file would be refused."""
        limit = self.options.get("max_file_bytes")
        return {} if limit is None else {"max_bytes": limit}

    @property
    def reading(self) -> str:
        """Hash of the way in which this stager reads a file, as its manifests hold it."""
        return sei_lake.reading_of(**self.options)

    def stage_each(self, files: Iterable[File]) -> Iterator[tuple[ExportRequest, Export, sei_lake.LakeError | None]]:
        """Stage files chunk by chunk and remove them; yields each with the error that keeps it out of the lake.

        A chunk is staged once it has 25 files or 64 MB, or 10 seconds after its first file, so that a death loses no
        more. Raises an error that would keep every other file out as well, such as a full disk; if `files` raises a
        `SeiError`, what came before is staged all the same.
        """
        try:
            for file in files:
                self._since = self._since if self._waiting else time.monotonic()
                self._waiting.append(file)
                size = sum(path.stat().st_size for path, *_ in self._waiting)
                if len(self._waiting) >= _CHUNK_FILES or size >= _CHUNK_BYTES:
                    self._stage_waiting()
                self.stage_old()
                yield from self._take_results()
        except SeiError:
            with suppress(sei_lake.LakeError, OSError):  # they would hide the error that ends the task
                self._stage_waiting()
            raise
        self._stage_waiting()
        yield from self._take_results()

    def stage_old(self) -> None:
        """Stage what has waited for 10 seconds; for the time in which `stage_each` waits for a file."""
        if self._waiting and time.monotonic() - self._since >= _CHUNK_SECONDS:
            self._stage_waiting()

    def _stage_waiting(self) -> None:
        files, self._waiting = self._waiting, []
        self._results += self._stage(files)

    def _take_results(self) -> list[tuple[ExportRequest, Export, sei_lake.LakeError | None]]:
        found, self._results = self._results, []
        return found

    def _stage(self, files: Sequence[File]) -> list[tuple[ExportRequest, Export, sei_lake.LakeError | None]]:
        """Stage the files of one chunk, and remove them."""
        errors: dict[str, sei_lake.LakeError] = {}
        finished: list[sei_lake.FinishedExport] = []
        try:
            for path, request, export in files:
                slice_ = replace(slice_of(request), origin=self.origin)
                if error := self._keep(path, slice_, export):  # first, because a retry skips what is staged
                    errors[request.fingerprint] = error
                    continue
                finished.append(
                    sei_lake.FinishedExport(
                        file=path,
                        slice=slice_,
                        request=request.fingerprint,
                        export_id=export.id,
                        created_at=export.created_at,
                        exported_at=datetime.now(UTC),
                    )
                )
            found = (
                sei_lake.stage_chunk(
                    finished, folder=self.folder, run_id=self.run_id, clear_number=self.clear_number, **self.options
                )
                if finished
                else []
            )
        finally:
            for path, *_ in files:
                path.unlink(missing_ok=True)
        for one, result in zip(finished, found, strict=True):
            if isinstance(result, sei_lake.LakeError):
                errors[one.request] = result
            else:
                self.staged[one.request] = result
        return [(request, export, errors.get(request.fingerprint)) for _, request, export in files]

    def _keep(self, path: Path, slice_: sei_lake.Slice, export: Export) -> sei_lake.LakeError | None:
        """Keep a copy of the file at `raw_path`, if there is one; returns the error that spoils this file alone."""
        if not self.raw_path:
            return None
        try:
            sei_lake.keep(
                path,
                self.raw_path,
                slice_,
                export_id=export.id,
                lake=self.folder.parent.parent,
                hash_key=self.options.get("hash_key"),
            )
        except sei_lake.LakeError as error:
            if error.affects_all_scopes:
                raise
            return error
        return None


def manifests_of(requests: list[ExportRequest], state: BatchState, stager: Stager) -> list[Manifest]:
    """Return a manifest for each request, in their order: of its slice, or of its failure."""
    staged: Mapping[str, Manifest] = stager.staged
    if not staged.keys() >= {request.fingerprint for request in requests}:
        staged = sei_lake.staged(stager.folder, published=True)
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
