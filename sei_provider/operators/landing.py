"""From a download to a staged slice and its manifest: where files are spooled, what of them is kept, what they cover.

Knows the lake and the local disk; of SEI only what a request and an export are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from sei_provider import lake as sei_lake
from sei_provider.api.reports import REPORTS
from sei_provider.api.request import ExportRequest

if TYPE_CHECKING:
    from sei_provider.api.export import Export
    from sei_provider.lake import Manifest
    from sei_provider.operators.memory import Memory
    from sei_provider.operators.work import Work


@dataclass(frozen=True, slots=True)
class Staging:
    """How files are staged: the place where they are kept as they came, and the further arguments of `lake.stage`."""

    raw: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)


@contextmanager
def spool_folder() -> Iterator[Path]:
    """A folder for downloads on this machine, removed with all that is left in it."""
    with tempfile.TemporaryDirectory(prefix="sei-") as folder:
        yield Path(folder)


def fetched(path: Path, fetch: Callable[[IO[bytes]], object]) -> Path:
    """Have `fetch` write to a new file at `path`; raises `OSError` naming the disk if that has no place for it."""
    try:
        with path.open("wb") as file:
            fetch(file)
    except OSError as error:
        msg = (
            f"What SEI sends cannot be kept in this worker's temporary folder {tempfile.gettempdir()}: "
            f"{error.strerror or error}. Free its disk, or set TMPDIR to a larger one"
        )
        raise OSError(msg) from error
    return path


def stage(
    path: Path, request: ExportRequest, export: Export, memory: Memory, run_id: str, staging: Staging
) -> sei_lake.LakeError | None:
    """Keep one file as it came where that is asked for, stage it, and remove it; gives why it cannot be staged.

    What would keep every other file out of the lake too, such as a full disk, is raised.
    """
    covered = slice_of(request)
    try:
        if staging.raw:  # first: a retry looks no more at what is staged
            sei_lake.keep(path, staging.raw, covered, export_id=export.id)
        sei_lake.stage(
            path,
            folder=memory.folder,
            slice=covered,
            request=request.fingerprint,
            export_id=export.id,
            created_at=export.created_at,
            run_id=run_id,
            exported_at=datetime.now(UTC),
            **staging.options,
        )
    except sei_lake.LakeError as error:
        if error.affects_all_scopes:
            raise
        return error
    finally:
        path.unlink(missing_ok=True)
    return None


def manifests_of(requests: list[ExportRequest], work: Work, memory: Memory) -> list[Manifest]:
    """A manifest for each request, in their order, or for each of the parts that took its place."""
    staged = sei_lake.staged(memory.folder)
    manifests = []
    for request in requests:
        if request.fingerprint in staged:
            manifests.append(staged[request.fingerprint])
        elif why := work.split.get(request.fingerprint, work.errors.get(request.fingerprint)):
            manifests.append(_not_staged(request, why))
    return manifests


def slice_of(request: ExportRequest) -> sei_lake.Slice:
    """The slice of the lake that a request covers."""
    report = REPORTS[request.report]
    return sei_lake.Slice(
        table=sei_lake.default_table(request.report, request.level, request.granularity),
        report=request.report,
        scope=request.scope.label,
        start=request.start,
        end=request.end,
        granularity=request.granularity.lower(),
        metrics=report.metrics(request.level),
        definition={
            "aggregation": request.aggregation,
            "computation_mode": request.computation_mode,
            "options": dict(request.options),
            "metric_groups": list(request.metric_groups),
            "metrics": list(request.metrics),
        },
    )


def _not_staged(request: ExportRequest, why: str) -> Manifest:
    return {
        "scope": request.scope.label,
        "start": request.start.isoformat(),
        "end": request.end.isoformat(),
        "table": sei_lake.default_table(request.report, request.level, request.granularity),
        "path": None,
        "rows": 0,
        "export_id": None,
        "created_at": None,
        "error": why,
    }
