"""The work of one export task after its exports are made: follow them, fetch and stage them, split what is too big.

Every step goes on when one scope fails and says so at the end; what fails for all of them is raised.
Knows clients, requests and the lake; of Airflow only the task's memory.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from sei_provider.api.errors import SeiError, SeiNotFoundError
from sei_provider.api.export import Export
from sei_provider.api.polling import ExportPoller
from sei_provider.api.request import ExportRequest
from sei_provider.operators.landing import Staging, fetched, spool_folder, stage
from sei_provider.operators.making import ended_badly
from sei_provider.operators.work import Work, each

if TYPE_CHECKING:
    from sei_provider.api.client import SeiClient
    from sei_provider.lake.errors import LakeError
    from sei_provider.operators.memory import Memory
    from sei_provider.operators.splitting import Splitter

log = logging.getLogger(__name__)

_NO_ROWS = b"Collection Name\n"
"""What a legacy report without rows would be if SEI did not send 0 bytes for it (CONTRACT row 21)."""


def follow_exports(client: SeiClient, poller: ExportPoller) -> dict[str, Any]:
    """Wait in this process until every export has ended or time is up; gives what the trigger's event gives."""
    told = len(poller.pending)
    while poller.pending:
        time.sleep(poller.next_pause())
        client.poll(poller)  # at least once: making the exports may have taken all the time
        if len(poller.pending) <= told // 2:
            told = len(poller.pending)
            log.info("%d exports still run", told)
        if poller.is_over:
            break
    return {**poller.result()}


def run_reports(
    client: SeiClient, requests: list[ExportRequest], work: Work, memory: Memory, run_id: str, staging: Staging
) -> None:
    """Ask for legacy reports, which SEI answers at once, and stage them."""
    with spool_folder() as spool:

        def run(request: ExportRequest) -> tuple[Path, datetime]:
            asked_at = datetime.now(UTC)

            def fetch(file: IO[bytes]) -> None:
                if not client.run_report(request, file):
                    file.write(_NO_ROWS)

            return fetched(spool / request.fingerprint, fetch), asked_at

        for request, answer in each(run, requests):
            if isinstance(answer, SeiError):
                work.fail(request, str(answer), final=answer.is_permanent)
                continue
            path, asked_at = answer
            # There is no export: when we asked takes the place of SEI's own time and of an id.
            report = Export(report=request.report, id=f"report-{asked_at:%Y%m%dT%H%M%S%f}", created_at=asked_at)
            if error := stage(path, request, report, memory, run_id, staging):
                work.fail(request, f"the {request.description}: {error}", final=error.is_permanent)


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
    followed = [request for request in requests if request.fingerprint in work.exports]
    ended: dict[str, Export] = {}
    for request in followed:
        if reply := seen["ended"].get(work.exports[request.fingerprint]):
            ended[request.fingerprint] = Export.from_reply(request.report, reply)
        else:
            # An event that an older version stored does not say whether its error is final.
            final = bool(seen.get("final")) and work.exports[request.fingerprint] not in seen["lost"]
            work.fail(request, _why_not_ended(work.exports[request.fingerprint], work, seen, memory), final=final)
    completed = {key: export for key, export in ended.items() if not ended_badly(export)}
    if followed:
        found = Counter(str(export.status) for export in ended.values())
        said = ", ".join(f"{count} {status}" for status, count in found.items())
        log.info(
            "Of %d exports %d have ended (%s); downloading what is complete", len(followed), len(ended), said or "none"
        )
    with spool_folder() as spool:

        def download(request: ExportRequest) -> Path:
            export = completed[request.fingerprint]
            return fetched(spool / request.fingerprint, lambda file: client.download_export(export, file))

        for request, path in each(download, [request for request in followed if request.fingerprint in completed]):
            export = completed[request.fingerprint]
            if isinstance(path, SeiError):
                _note_bad_file(request, path, str(path), work, memory)
            elif error := stage(path, request, export, memory, run_id, staging):
                _note_bad_file(request, error, f"export {export.id}: {error}", work, memory)
    parts = []
    for request in followed:
        if request.fingerprint in ended and request.fingerprint not in completed:
            parts += _split_or_fail(request, ended[request.fingerprint], work, splitter, memory)
    work.exports.clear()
    work.made_at.clear()
    return parts


def _note_bad_file(request: ExportRequest, error: SeiError | LakeError, why: str, work: Work, memory: Memory) -> None:
    # A file that is gone is no name that SEI does not know: the next try makes its export anew.
    work.fail(request, why, final=error.is_permanent and not isinstance(error, SeiNotFoundError))
    if error.invalidates_export or (error.invalidates_export_if_repeated and request.fingerprint in work.taken_up):
        memory.forget(request)


def _split_or_fail(
    request: ExportRequest, export: Export, work: Work, splitter: Splitter, memory: Memory
) -> list[ExportRequest]:
    why = f"export {export.id} {export.status}: {export.error or 'SEI gave no reason'}"
    if not splitter.is_too_big(export):
        work.fail(request, why)
        return []
    try:
        split = splitter.split(request)
    except SeiError as error:
        if error.is_permanent:
            memory.forget(request)  # as below: what cannot be split is made anew, the next hour may be a quieter one
        work.fail(request, f"{why}; and its child teams cannot be listed: {error}")
        return []
    if split is None:
        memory.forget(request)
        work.fail(request, f"{why}; it is one team and one period and cannot be split further")
        return []
    work.split[request.fingerprint] = (
        f"{why}; its child teams are exported instead, {split.lost}" if split.lost else None
    )
    work.parts += [
        {"scope": _as_value(part), "start": part.start.isoformat(), "end": part.end.isoformat()} for part in split.parts
    ]
    log.info("Too big, %s: %s; split into %s", request.description, why, "; ".join(p.description for p in split.parts))
    return list(split.parts)


def _as_value(request: ExportRequest) -> dict[str, str]:
    named = {"teamId": request.scope.team_id, "orgTreeName": request.scope.org_tree}
    return {name: value for name, value in named.items() if value}


def _why_not_ended(export_id: str, work: Work, seen: dict[str, Any], memory: Memory) -> str:
    if export_id in seen["lost"]:
        return f"export {export_id}: {seen['lost'][export_id]}"
    if seen["error"]:
        return f"export {export_id}: {seen['error']}"
    until = datetime.fromtimestamp(seen["deadline"], UTC).isoformat(timespec="seconds")
    status = seen["running"].get(export_id) or "of unknown status"
    made_at = work.made_at.get(export_id)
    return (
        f"export {export_id} was still {status} at {until}, when the task's timeout was up; it keeps running at SEI"
        f"{f', since {made_at}' if made_at else ''}{', and the next try takes it up' if memory.keeps_ids else ''}"
    )
