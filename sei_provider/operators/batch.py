"""The work of one export task, step by step: make exports, follow them, fetch and stage them.

Every step goes on when one scope fails and says so at the end; what fails for all of them is raised.
Knows clients, requests and the lake; of Airflow only the task's memory.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sei_provider import lake
from sei_provider.api.errors import SeiError, SeiNotFoundError
from sei_provider.api.export import Export, ExportStatus
from sei_provider.api.reports import REPORTS
from sei_provider.api.request import ExportRequest
from sei_provider.api.watch import Watch, is_everybodys_error

if TYPE_CHECKING:
    from sei_provider.api.client import SeiClient
    from sei_provider.lake import Manifest
    from sei_provider.operators.memory import Memory

log = logging.getLogger(__name__)

_AT_ONCE = 8
"""Calls on their way at a time: enough to use up the key's limit, few enough to be a good neighbour."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(slots=True)
class Made:
    """What became of making exports: ids and errors, both by request key. JSON values, as they travel with the wait."""

    exports: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


def make_exports(client: SeiClient, requests: list[ExportRequest], memory: Memory) -> Made:
    """One export for each request: that of an earlier try where it is of use, else a new one, remembered at once."""
    made = Made()
    recalled = memory.recall(requests)
    of_no_use: set[str] = set()
    for request, export in _each(
        lambda request: client.get_export(request.report, recalled[request.key]),
        (request for request in requests if request.key in recalled),
    ):
        gone = isinstance(export, SeiNotFoundError)
        if gone or (isinstance(export, Export) and _ended_badly(export)):
            of_no_use.add(recalled[request.key])
        else:
            made.exports[request.key] = recalled[request.key]
    taken_up = len(made.exports)
    reused = 0
    for request, export in _each(client.create_export, (each for each in requests if each.key not in made.exports)):
        if isinstance(export, SeiError):
            made.errors[request.key] = str(export)
        elif export.id in of_no_use:
            made.errors[request.key] = (
                f"SEI answers with export {export.id} again, which did not end well; "
                "it reuses an export for 30 minutes, so try again after that"
            )
        else:
            memory.save(request, export)
            made.exports[request.key] = export.id
            reused += export.reused
    log.info(
        "Following %d exports (%d new, %d reused by SEI, %d of an earlier try; %d refused): %s",
        len(made.exports), len(made.exports) - reused - taken_up, reused, taken_up, len(made.errors),
        ", ".join(f"{each.scope.label} {made.exports[each.key]}" for each in requests if each.key in made.exports),
    )  # fmt: skip
    return made


def follow_exports(client: SeiClient, report: str, watch: Watch) -> dict[str, Any]:
    """Wait in this process until every export has ended or time is up; gives what the trigger's event gives."""
    while not watch.is_over:
        time.sleep(watch.next_pause())
        for export_id, export in _each(lambda export_id: client.get_export(report, export_id), list(watch.pending)):
            watch.heard(export_id, export)
    return watch.outcome()


def stage_exports(
    client: SeiClient, requests: list[ExportRequest], made: Made, seen: dict[str, Any], memory: Memory, run_id: str
) -> list[Manifest]:
    """Download and stage every export that was completed; a manifest for each request, in their order.

    `seen` is what the wait gave. Files are downloaded side by side and staged one after another, so memory
    and disk hold a few exports at a time.
    """
    manifests = lake.staged(memory.folder)
    completed: dict[str, Export] = {}
    for request in requests:
        if request.key in manifests:
            continue
        export = _ended(request, made, seen)
        if isinstance(export, Export):
            completed[request.key] = export
        else:
            manifests[request.key] = _not_staged(request, export, made)
    with tempfile.TemporaryDirectory(prefix="sei-") as spool:

        def download(request: ExportRequest) -> Path:
            path = Path(spool) / request.key
            with path.open("wb") as file:
                client.download_export(completed[request.key], file)
            return path

        for request, path in _each(download, (each for each in requests if each.key in completed)):
            manifests[request.key] = (
                _not_staged(request, str(path), made)
                if isinstance(path, SeiError)
                else _stage(path, request, completed[request.key], memory, run_id, made)
            )
    return [manifests[request.key] for request in requests]


def slice_of(request: ExportRequest) -> lake.Slice:
    """The slice of the lake that a request covers."""
    report = REPORTS[request.report]
    return lake.Slice(
        table=lake.default_table(request.report, request.level, request.granularity),
        report=request.report,
        scope=request.scope.label,
        start=request.start,
        end=request.end,
        granularity=request.granularity.lower(),
        metrics=report.metrics(request.level),
        meaning={
            "aggregation": request.aggregation,
            "computation_mode": request.computation_mode,
            "options": dict(request.options),
            "metric_groups": list(request.metric_groups),
            "metrics": list(request.metrics),
        },
    )


def _stage(path: Path, request: ExportRequest, export: Export, memory: Memory, run_id: str, made: Made) -> Manifest:
    try:
        return lake.stage(
            path,
            folder=memory.folder,
            slice=slice_of(request),
            request=request.key,
            export_id=export.id,
            created_at=export.created_at,
            run_id=run_id,
            exported_at=datetime.now(UTC),
        )
    except lake.LakeError as error:
        return _not_staged(request, f"export {export.id}: {error}", made)
    finally:
        path.unlink(missing_ok=True)


def _not_staged(request: ExportRequest, why: str, made: Made) -> Manifest:
    return {
        "scope": request.scope.label,
        "start": request.start.isoformat(),
        "end": request.end.isoformat(),
        "table": lake.default_table(request.report, request.level, request.granularity),
        "path": None,
        "rows": 0,
        "export_id": made.exports.get(request.key),
        "created_at": None,
        "error": why,
    }


def _ended(request: ExportRequest, made: Made, seen: dict[str, Any]) -> Export | str:
    """The completed export of a request, or why there is none."""
    if request.key in made.errors:
        return made.errors[request.key]
    export_id = made.exports[request.key]
    if reply := seen["ended"].get(export_id):
        export = Export.from_reply(request.report, reply)
        if not _ended_badly(export):
            return export
        return f"export {export.id} {export.status}: {export.error or 'SEI gave no reason'}"
    if export_id in seen["lost"]:
        return f"export {export_id}: {seen['lost'][export_id]}"
    if seen["error"]:
        return f"export {export_id}: {seen['error']}"
    until = datetime.fromtimestamp(seen["deadline"], UTC).isoformat(timespec="seconds")
    status = seen["running"].get(export_id) or "of unknown status"
    return f"export {export_id} was still {status} at {until}, when the task's timeout was up; it keeps running at SEI"


def _ended_badly(export: Export) -> bool:
    return export.status in {ExportStatus.FAILED, ExportStatus.CANCELLED}


def _each(call: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result | SeiError]]:
    """Call for all items, a few at a time; yields each item with its result or `SeiError` as they come.

    What is wrong for everybody, such as the key, is raised and ends the rest.
    """
    pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="sei")
    try:
        futures = {pool.submit(call, item): item for item in items}
        for future in as_completed(futures):
            error = future.exception()
            if isinstance(error, SeiError) and not is_everybodys_error(error):
                yield futures[future], error
            else:
                yield futures[future], future.result()
    finally:
        pool.shutdown(cancel_futures=True)
