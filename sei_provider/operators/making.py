"""One export for each request, whatever died before: that of an earlier try where it is of use, else a new one."""

from __future__ import annotations

import logging
from datetime import UTC
from typing import TYPE_CHECKING

from sei_provider.api.errors import SeiError, SeiNotFoundError
from sei_provider.api.export import Export, ExportStatus
from sei_provider.api.request import ExportRequest
from sei_provider.operators.work import Work, each

if TYPE_CHECKING:
    from sei_provider.api.client import SeiClient
    from sei_provider.operators.memory import Memory
    from sei_provider.operators.splitting import Splitter

log = logging.getLogger(__name__)


def make_exports(
    client: SeiClient, requests: list[ExportRequest], work: Work, memory: Memory, splitter: Splitter
) -> None:
    """Have `work` follow one export for each request, remembered as soon as it is known; note what SEI refuses."""
    recalled = memory.recall(requests)
    of_no_use = _take_up(client, requests, recalled, work, splitter)

    def create(request: ExportRequest) -> Export:
        export = client.create_export(request)
        if export.id not in of_no_use:
            memory.save(request, export)  # here, and at once: another's error may end the loop below, but not this
        return export

    new = reused = 0
    settled = {*work.exports, *work.errors}
    for request, export in each(create, [request for request in requests if request.fingerprint not in settled]):
        if isinstance(export, SeiError):
            work.fail(request, str(export), final=export.is_permanent)
        elif export.id in of_no_use:
            why = (
                f"SEI answers with export {export.id} again, which did not end well; "
                "it reuses an export for 30 minutes, so try again after that"
            )
            work.fail(request, why)
        else:
            _follow(request, export, work)
            new += not export.reused
            reused += export.reused
    _tell(requests, work, new, reused)


def ended_badly(export: Export) -> bool:
    """Whether an export has ended without anything to download."""
    return export.status in {ExportStatus.FAILED, ExportStatus.CANCELLED}


def _follow(request: ExportRequest, export: Export, work: Work) -> None:
    work.exports[request.fingerprint] = export.id
    work.made_at[export.id] = export.created_at.astimezone(UTC).isoformat(timespec="seconds")


def _take_up(
    client: SeiClient, requests: list[ExportRequest], recalled: dict[str, str], work: Work, splitter: Splitter
) -> set[str]:
    """Follow the exports whose ids an earlier try saved; gives the ids of those that did not end well."""
    of_no_use: set[str] = set()
    for request, export in each(
        lambda request: client.get_export(request.report, recalled[request.fingerprint]),
        (request for request in requests if request.fingerprint in recalled),
    ):
        export_id = recalled[request.fingerprint]
        gone = isinstance(export, SeiNotFoundError)
        if gone or (isinstance(export, Export) and ended_badly(export) and not splitter.is_too_big(export)):
            of_no_use.add(export_id)
        elif isinstance(export, SeiError) and export.is_permanent:
            work.fail(request, f"export {export_id}: {export}", final=True)
        else:
            work.taken_up.append(request.fingerprint)
            if isinstance(export, Export):
                _follow(request, export, work)
            else:  # lost on the way; it is asked about again soon enough
                work.exports[request.fingerprint] = export_id
    return of_no_use


def _tell(requests: list[ExportRequest], work: Work, new: int, reused: int) -> None:
    followed = [request for request in requests if request.fingerprint in work.exports]
    times = [work.made_at[export_id] for export_id in work.exports.values() if export_id in work.made_at]
    log.info(
        "Following %d exports (%d new, %d reused by SEI, %d of an earlier try; %d refused)%s%s",
        len(followed), new, reused, len(followed) - new - reused, len(requests) - len(followed),
        f", the oldest made at {min(times)}: " if times else ": ",
        ", ".join(f"{request.scope.label} {work.exports[request.fingerprint]}" for request in followed) or "none",
    )  # fmt: skip
