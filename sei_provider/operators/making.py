"""One export for each request, whatever died before: that of an earlier try where it is of use, else a new one."""

from __future__ import annotations

import logging
from datetime import UTC
from typing import TYPE_CHECKING

from sei_provider.api.errors import SeiError, SeiNotFoundError
from sei_provider.api.export import Export, ExportStatus
from sei_provider.api.reports import REPORTS
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
    _take_up_unsaved(client, [request for request in requests if request.key not in recalled], work, memory)

    def create(request: ExportRequest) -> Export:
        export = client.create_export(request)
        if export.id not in of_no_use:
            memory.save(request, export)  # here, and at once: another's error may end the loop below, but not this
        return export

    new = reused = 0
    settled = {*work.exports, *work.errors}
    for request, export in each(create, [request for request in requests if request.key not in settled]):
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
    work.exports[request.key] = export.id
    work.made_at[export.id] = export.created_at.astimezone(UTC).isoformat(timespec="seconds")


def _take_up(
    client: SeiClient, requests: list[ExportRequest], recalled: dict[str, str], work: Work, splitter: Splitter
) -> set[str]:
    """Follow the exports whose ids an earlier try saved; gives the ids of those that did not end well."""
    of_no_use: set[str] = set()
    for request, export in each(
        lambda request: client.get_export(request.report, recalled[request.key]),
        (request for request in requests if request.key in recalled),
    ):
        export_id = recalled[request.key]
        gone = isinstance(export, SeiNotFoundError)
        if gone or (isinstance(export, Export) and ended_badly(export) and not splitter.is_too_big(export)):
            of_no_use.add(export_id)
        elif isinstance(export, SeiError) and export.is_permanent:
            work.fail(request, f"export {export_id}: {export}", final=True)
        else:
            work.taken_up.append(request.key)
            if isinstance(export, Export):
                _follow(request, export, work)
            else:  # lost on the way; it is asked about again soon enough
                work.exports[request.key] = export_id
    return of_no_use


def _take_up_unsaved(client: SeiClient, requests: list[ExportRequest], work: Work, memory: Memory) -> None:
    """Follow the exports that an earlier try made without saving their ids, as far as SEI's list tells.

    SEI itself gives productivity's again (CONTRACT, "Reuse"). Of reports without a list they are made twice.
    """
    if not requests or memory.begun is None or REPORTS[requests[0].report].reuses:
        return
    report = REPORTS[requests[0].report]
    unknown = f"a {report.name} export that an earlier try made, and whose id it could not save, is made a second time"
    if not report.has_list:
        log.warning("SEI lists no %s exports: %s. Asked again: %s", report.name, unknown, _labels(requests))
        return
    try:
        found = client.find_exports(requests, memory.begun)
    except SeiError as error:
        if error.affects_all_scopes:
            raise
        if not error.is_transient:
            log.warning("%s, since SEI's list cannot be read: %s", unknown, error)
            return
        for request in requests:
            work.fail(request, f"whether an earlier try made its export is not known now: {error}")
        return
    for request in requests:
        export = found.get(request.key)
        if export and not memory.is_of_no_use(request, export):
            memory.save(request, export)
            work.taken_up.append(request.key)
            _follow(request, export, work)


def _tell(requests: list[ExportRequest], work: Work, new: int, reused: int) -> None:
    followed = [request for request in requests if request.key in work.exports]
    times = [work.made_at[export_id] for export_id in work.exports.values() if export_id in work.made_at]
    log.info(
        "Following %d exports (%d new, %d reused by SEI, %d of an earlier try; %d refused)%s%s",
        len(followed), new, reused, len(followed) - new - reused, len(requests) - len(followed),
        f", the oldest made at {min(times)}: " if times else ": ",
        ", ".join(f"{request.scope.label} {work.exports[request.key]}" for request in followed) or "none",
    )  # fmt: skip


def _labels(requests: list[ExportRequest]) -> str:
    return ", ".join(request.scope.label for request in requests)
