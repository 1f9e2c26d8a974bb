"""The work of one export task, step by step: make exports, follow them, fetch and stage them, split what is too big.

Every step goes on when one scope fails and says so at the end; what fails for all of them is raised.
Knows clients, requests and the lake; of Airflow only the task's memory.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
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
    from sei_provider.operators.splitting import Splitter

log = logging.getLogger(__name__)

_AT_ONCE = 8
"""Calls on their way at a time: enough to use up the key's limit, few enough to be a good neighbour."""

_NO_ROWS = b"Collection Name\n"
"""What a legacy report without rows would be if SEI did not send 0 bytes for it (CONTRACT row 21)."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(slots=True)
class Work:
    """How far a task has come. JSON values by request key, as they travel with the wait."""

    exports: dict[str, str] = field(default_factory=dict)
    """The export that is followed for a request."""
    errors: dict[str, str] = field(default_factory=dict)
    """Why a request will not land in this try."""
    parts: list[dict[str, Any]] = field(default_factory=list)
    """The requests that took the place of those too big, as `{scope, start, end}`."""
    split: dict[str, str | None] = field(default_factory=dict)
    """The requests that parts stand for: what of them no part carries, or None if nothing is lost."""


@dataclass(frozen=True, slots=True)
class Staging:
    """How files are staged: the place where they are kept as they came, and the further arguments of `lake.stage`."""

    raw: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)


def make_exports(
    client: SeiClient, requests: list[ExportRequest], work: Work, memory: Memory, splitter: Splitter
) -> None:
    """One export for each request: that of an earlier try where it is of use, else a new one, remembered at once."""
    recalled = memory.recall(requests)
    of_no_use: set[str] = set()
    for request, export in _each(
        lambda request: client.get_export(request.report, recalled[request.key]),
        (request for request in requests if request.key in recalled),
    ):
        gone = isinstance(export, SeiNotFoundError)
        failed = isinstance(export, Export) and _ended_badly(export) and not splitter.is_too_big(export)
        if gone or failed:
            of_no_use.add(recalled[request.key])
        else:
            work.exports[request.key] = recalled[request.key]
    taken_up = len(work.exports)
    new = reused = refused = 0
    for request, export in _each(client.create_export, (each for each in requests if each.key not in work.exports)):
        if isinstance(export, SeiError):
            work.errors[request.key] = str(export)
            refused += 1
        elif export.id in of_no_use:
            work.errors[request.key] = (
                f"SEI answers with export {export.id} again, which did not end well; "
                "it reuses an export for 30 minutes, so try again after that"
            )
        else:
            memory.save(request, export)
            work.exports[request.key] = export.id
            new += not export.reused
            reused += export.reused
    log.info(
        "Following %d exports (%d new, %d reused by SEI, %d of an earlier try; %d refused): %s",
        len(work.exports), new, reused, taken_up, refused,
        ", ".join(f"{each.scope.label} {work.exports[each.key]}" for each in requests if each.key in work.exports),
    )  # fmt: skip


def follow_exports(client: SeiClient, report: str, watch: Watch) -> dict[str, Any]:
    """Wait in this process until every export has ended or time is up; gives what the trigger's event gives."""
    while not watch.is_over:
        time.sleep(watch.next_pause())
        client.ask(report, watch)
    return watch.outcome()


def run_reports(
    client: SeiClient, requests: list[ExportRequest], work: Work, memory: Memory, run_id: str, staging: Staging
) -> None:
    """Ask for legacy reports, which SEI answers at once, and stage them."""
    with tempfile.TemporaryDirectory(prefix="sei-") as spool:

        def run(request: ExportRequest) -> tuple[Path, datetime]:
            asked_at = datetime.now(UTC)
            path = Path(spool) / request.key
            with path.open("wb") as file:
                if not client.run_report(request, file):
                    file.write(_NO_ROWS)
            return path, asked_at

        for request, answer in _each(run, requests):
            if isinstance(answer, SeiError):
                work.errors[request.key] = str(answer)
                continue
            path, asked_at = answer
            # There is no export: when we asked takes the place of SEI's own time and of an id.
            report = Export(report=request.report, id=f"report-{asked_at:%Y%m%dT%H%M%S%f}", created_at=asked_at)
            if error := _stage(path, request, report, memory, run_id, staging):
                work.errors[request.key] = error


def settle(
    client: SeiClient,
    requests: list[ExportRequest],
    work: Work,
    seen: dict[str, Any],
    memory: Memory,
    run_id: str,
    splitter: Splitter,
    staging: Staging,
) -> list[ExportRequest]:
    """Stage what was completed, split what was too big, and note why the rest did not land; gives the new parts.

    `seen` is what the wait gave. Files are downloaded side by side and staged one after another, so memory and
    disk hold a few exports at a time.
    """
    followed = [request for request in requests if request.key in work.exports]
    ended = {request.key: _ended(request, work.exports[request.key], seen) for request in followed}
    completed = {
        key: export for key, export in ended.items() if isinstance(export, Export) and not _ended_badly(export)
    }
    with tempfile.TemporaryDirectory(prefix="sei-") as spool:

        def download(request: ExportRequest) -> Path:
            path = Path(spool) / request.key
            with path.open("wb") as file:
                client.download_export(completed[request.key], file)
            return path

        for request, path in _each(download, (each for each in followed if each.key in completed)):
            if isinstance(path, SeiError):
                work.errors[request.key] = str(path)
            elif error := _stage(path, request, completed[request.key], memory, run_id, staging):
                work.errors[request.key] = error
    parts = []
    for request in followed:
        export = ended[request.key]
        if isinstance(export, str):
            work.errors[request.key] = export
        elif request.key not in completed:
            parts += _split_or_fail(request, export, work, splitter)
    work.exports.clear()
    return parts


def manifests_of(requests: list[ExportRequest], work: Work, memory: Memory) -> list[Manifest]:
    """A manifest for each request, in their order, or for each of the parts that took its place."""
    staged = lake.staged(memory.folder)
    manifests = []
    for request in requests:
        if request.key in staged:
            manifests.append(staged[request.key])
        elif why := work.split.get(request.key, work.errors.get(request.key)):
            manifests.append(_not_staged(request, why))
    return manifests


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


def _split_or_fail(request: ExportRequest, export: Export, work: Work, splitter: Splitter) -> list[ExportRequest]:
    why = f"export {export.id} {export.status}: {export.error or 'SEI gave no reason'}"
    if not splitter.is_too_big(export):
        work.errors[request.key] = why
        return []
    try:
        split = splitter.split(request)
    except SeiError as error:
        work.errors[request.key] = f"{why}; and its child teams cannot be listed: {error}"
        return []
    if split is None:
        work.errors[request.key] = f"{why}; it is one team and one period and cannot be split further"
        return []
    work.split[request.key] = f"{why}; its child teams are exported instead, {split.lost}" if split.lost else None
    work.parts += [
        {"scope": _as_value(part), "start": part.start.isoformat(), "end": part.end.isoformat()} for part in split.parts
    ]
    log.info("Too big, %s: %s; split into %s", request.description, why, "; ".join(p.description for p in split.parts))
    return list(split.parts)


def _as_value(request: ExportRequest) -> dict[str, str]:
    named = {"teamId": request.scope.team_id, "orgTreeName": request.scope.org_tree}
    return {name: value for name, value in named.items() if value}


def _stage(
    path: Path, request: ExportRequest, export: Export, memory: Memory, run_id: str, staging: Staging
) -> str | None:
    """Stage one file and remove it; gives why it cannot be staged, or None."""
    covered = slice_of(request)
    try:
        lake.stage(
            path,
            folder=memory.folder,
            slice=covered,
            request=request.key,
            export_id=export.id,
            created_at=export.created_at,
            run_id=run_id,
            exported_at=datetime.now(UTC),
            **staging.options,
        )
        if staging.raw:
            lake.keep(path, staging.raw, covered, export_id=export.id)
    except lake.LakeError as error:
        return f"export {export.id}: {error}"
    finally:
        path.unlink(missing_ok=True)
    return None


def _not_staged(request: ExportRequest, why: str) -> Manifest:
    return {
        "scope": request.scope.label,
        "start": request.start.isoformat(),
        "end": request.end.isoformat(),
        "table": lake.default_table(request.report, request.level, request.granularity),
        "path": None,
        "rows": 0,
        "export_id": None,
        "created_at": None,
        "error": why,
    }


def _ended(request: ExportRequest, export_id: str, seen: dict[str, Any]) -> Export | str:
    """The export of a request, which has ended, or why nothing is known of its end."""
    if reply := seen["ended"].get(export_id):
        return Export.from_reply(request.report, reply)
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
