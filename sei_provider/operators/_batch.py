"""One export per request of a task: create or resume them, poll them, stage their files and split what is too big.

Each step goes on when one scope fails and records why; an error that affects all scopes is raised. Knows the client and
the lake; of Airflow only the task's checkpoint.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sei_provider import lake as sei_lake
from sei_provider import metrics
from sei_provider.api.errors import SeiError, SeiNotFoundError
from sei_provider.api.export import Export, ExportStatus
from sei_provider.api.request import ExportRequest
from sei_provider.operators._staging import Stager, download_folder, spool, table_of
from sei_provider.operators._state import BatchState, Part, TaskCheckpoint, map_concurrently
from sei_provider.plural import plural
from sei_provider.triggers.export import PollProgress, few

if TYPE_CHECKING:
    from sei_provider.api.client import SeiClient
    from sei_provider.api.polling import ExportPoller
    from sei_provider.lake.errors import LakeError
    from sei_provider.operators._splitting import Split, Splitter
    from sei_provider.triggers.export import ExportEvent

log = logging.getLogger(__name__)

_REUSE = timedelta(minutes=30)
"""Time for which SEI answers an identical request with the same export (CONTRACT, "Reuse")."""


@dataclass(slots=True)
class ExportBatch:
    """The exports of one task. `state` holds the progress of this try, `checkpoint` that of all tries."""

    client: SeiClient
    state: BatchState
    checkpoint: TaskCheckpoint
    stager: Stager
    splitter: Splitter
    give_up_after: float | None = None
    """Seconds since SEI made it after which an export is given up."""

    def create_or_resume(self, requests: list[ExportRequest]) -> None:
        """Have one export for each request: that of an earlier try where it is usable, otherwise a new one.

        SEI answers an identical request with the same export for 30 minutes (CONTRACT, "Reuse"). If that export is
        known to have failed, the request fails and names the time at which a later try can get another.
        """
        saved = self.checkpoint.load(requests)
        self._resume([request for request in requests if request.fingerprint in saved], saved)
        resumed = len(self.state.exports)
        done = {*self.state.exports, *self.state.errors}
        reused = self._create([request for request in requests if request.fingerprint not in done])
        self._log_exports(requests, resumed=resumed, reused=len(reused))
        self._count_exports(requests, reused)
        if kept := [*reused, *self.state.resumed]:
            self._note_published([request for request in requests if request.fingerprint in kept])

    def given_up_at(self) -> float:
        """Return the Unix time at which all exports that are waited for are given up; infinite if never."""
        if self.give_up_after is None:
            return math.inf
        made_at = (self.state.made_at.get(export_id) for export_id in self.state.exports.values())
        times = (datetime.fromisoformat(made).timestamp() if made else time.time() for made in made_at)
        return max(times, default=0.0) + self.give_up_after

    def poll(self, poller: ExportPoller, scopes: Mapping[str, str]) -> ExportEvent:
        """Wait in this process until every export has ended or the deadline is there; returns the trigger's event."""
        progress = PollProgress(log, poller, scopes)
        while poller.pending:
            time.sleep(poller.next_pause())
            # At least once: creating the exports may have taken all the time.
            self.client.poll(poller)
            progress.tell()
            if poller.is_over:
                break
        return {**poller.result(), "permanent": False, "state": {}}

    def collect(self, requests: list[ExportRequest], event: ExportEvent) -> list[ExportRequest]:
        """Stage what was completed, split what was too big, record why the rest failed; returns the parts of the split.

        Files are downloaded concurrently and staged one after another, so memory and disk hold a few at a time.
        """
        polled = [request for request in requests if request.fingerprint in self.state.exports]
        is_given_up = event["deadline"] >= self.given_up_at()
        ended = {}
        for request in polled:
            export_id = self.state.exports[request.fingerprint]
            if reply := event["ended"].get(export_id):
                ended[request.fingerprint] = Export.from_reply(request.report, reply)
            else:
                is_lost = export_id in event["lost"]
                given_up = is_given_up and not is_lost and event["error"] is None
                why = self._why_not_ended(export_id, event, given_up=given_up)
                self.state.fail(request, why, permanent=given_up or (event["permanent"] and not is_lost))
        if polled:
            counts = Counter(str(export.status) for export in ended.values())
            log.info(
                "%d of %s ended (%s); downloading those that completed",
                len(ended), plural(len(polled), "export"),
                ", ".join(f"{count} {status}" for status, count in counts.items()) or "none",
            )  # fmt: skip
        bad = {key for key, export in ended.items() if _has_failed(export)}
        parts = self._download([request for request in polled if request.fingerprint in ended.keys() - bad], ended)
        for request in polled:
            if request.fingerprint in bad:
                parts += self._split(request, ended[request.fingerprint])
        for request in polled:
            metrics.count(f"sei.exports.{self._outcome(request, ended, event)}", report=request.report)
        self.state.exports.clear()
        self.state.made_at.clear()
        return parts

    def _count_exports(self, requests: list[ExportRequest], reused: list[str]) -> None:
        counts = Counter(
            "resumed" if key in self.state.resumed else "reused" if key in reused else "created"
            for key in (request.fingerprint for request in requests)
            if key in self.state.exports
        )
        for how, number in counts.items():
            metrics.count(f"sei.exports.{how}", number, report=requests[0].report)

    def _outcome(self, request: ExportRequest, ended: Mapping[str, Export], event: ExportEvent) -> str:
        """Return how the wait for an export has ended, as the names of metrics say it."""
        key = request.fingerprint
        if key not in ended:
            is_lost = event["error"] is not None or self.state.exports[key] in event["lost"]
            return "lost" if is_lost else "running"
        if _has_failed(ended[key]):
            return "failed"
        return "unusable" if key in self.state.errors or key in self.state.split else "staged"

    def _resume(self, requests: list[ExportRequest], saved: dict[str, str]) -> None:
        for request, export in map_concurrently(
            lambda request: self.client.get_export(request.report, saved[request.fingerprint]), requests
        ):
            export_id = saved[request.fingerprint]
            if isinstance(export, SeiNotFoundError) or (
                isinstance(export, Export) and _has_failed(export) and not self.splitter.is_too_big(export)
            ):
                self.checkpoint.forget(request, unusable=True)
            elif isinstance(export, SeiError) and export.is_permanent:
                self.state.fail(request, f"export {export_id}: {export}", permanent=True)
            else:
                self.state.resumed.append(request.fingerprint)
                if isinstance(export, Export):
                    self._wait_for(request, export)
                else:  # a transient error: polling asks about this export again
                    self.state.exports[request.fingerprint] = export_id

    def _create(self, requests: list[ExportRequest]) -> list[str]:
        """Create exports; returns the fingerprints of the requests for which SEI gave back an existing one."""
        reused = []
        try:
            for request, export in map_concurrently(
                self.client.create_export, requests, when_idle=self.checkpoint.flush
            ):
                if isinstance(export, SeiError):
                    self.state.fail(request, str(export), permanent=export.is_permanent)
                elif self.checkpoint.is_unusable(export):
                    why = f"SEI gave back export {export.id}, which had failed or was broken in an earlier try"
                    self.state.fail(request, f"{why}. {_until_new(export)}")
                else:
                    self.checkpoint.save(request, export)
                    self._wait_for(request, export)
                    if export.reused:
                        reused.append(request.fingerprint)
                        self.state.reused.append(request.fingerprint)
        finally:  # also when an error that affects all scopes ends the task: its retry resumes what was created
            self.checkpoint.flush()
        return reused

    def _wait_for(self, request: ExportRequest, export: Export) -> None:
        self.state.exports[request.fingerprint] = export.id
        self.state.made_at[export.id] = export.created_at.astimezone(UTC).isoformat(timespec="seconds")

    def _log_exports(self, requests: list[ExportRequest], *, resumed: int, reused: int) -> None:
        state = self.state
        waiting = [request for request in requests if request.fingerprint in state.exports]
        times = [state.made_at[export_id] for export_id in state.exports.values() if export_id in state.made_at]
        log.info(
            "Waiting for %s (%d new, %d reused by SEI, %d resumed; %d failed)%s: %s",
            plural(len(waiting), "export"), len(waiting) - reused - resumed, reused, resumed,
            len(requests) - len(waiting),
            f", the oldest created at {min(times)}" if times else "",
            few(f"{request.scope.label} {state.exports[request.fingerprint]}" for request in waiting),
        )  # fmt: skip

    def _note_published(self, requests: list[ExportRequest]) -> None:
        """Record which of the exports that SEI gave back an earlier run has published: their figures are not new."""
        published = set()
        for table in {table_of(request) for request in requests}:
            with suppress(sei_lake.UnknownTableError):
                ledger = sei_lake.ledger(self.checkpoint.lake, table)
                published |= {entry["export_id"] for entries in ledger.values() for entry in entries}
        notes = []
        for request in requests:
            export_id = self.state.exports.get(request.fingerprint)
            if export_id in published and export_id in self.state.made_at:
                fresh_from = datetime.fromisoformat(self.state.made_at[export_id]) + _REUSE
                self.state.fresh_from[request.fingerprint] = fresh_from.isoformat()
                notes.append(f"{request.scope.label} {export_id}, fresh figures from {fresh_from.isoformat()}")
        if notes:
            log.warning(
                "SEI gave back %s that an earlier run has published, so these figures stay as they are. To "
                "get fresh figures, clear this task after the time given: %s",
                plural(len(notes), "export"), few(notes),
            )  # fmt: skip

    def _download(self, requests: list[ExportRequest], exports: dict[str, Export]) -> list[ExportRequest]:
        """Stage the files; returns the parts of those whose rows do not tell their period."""
        parts: list[ExportRequest] = []
        with download_folder() as folder:

            def download(request: ExportRequest) -> Path:
                export = exports[request.fingerprint]
                return spool(
                    folder / request.fingerprint,
                    lambda file: self.client.download_export(export, file, **self.stager.download_limit),
                )

            for request, file in map_concurrently(download, requests):
                export = exports[request.fingerprint]
                if isinstance(file, SeiError):
                    self._fail_file(request, file, str(file))
                elif isinstance(error := self.stager.stage(file, request, export), sei_lake.LabelError):
                    split = self.splitter.split_into_periods(request)
                    parts += self._replace(request, split, "its labels are no dates", f"export {export.id}: {error}")
                elif error:
                    self._fail_file(request, error, f"export {export.id}: {error}")
        return parts

    def _fail_file(self, request: ExportRequest, error: SeiError | LakeError, why: str) -> None:
        # A file that is gone is no unknown name: the next try creates its export anew.
        permanent = error.is_permanent and not isinstance(error, SeiNotFoundError)
        self.state.fail(request, why, permanent=permanent)
        repeated = error.invalidates_export_if_repeated and request.fingerprint in self.state.resumed
        if error.invalidates_export or repeated:
            # After a permanent error a person changes how the file is read, and then the same export will do.
            self.checkpoint.forget(request, unusable=not permanent)

    def _split(self, request: ExportRequest, export: Export) -> list[ExportRequest]:
        why = f"export {export.id} {export.status}: {export.error or 'SEI gave no reason'}"
        if not self.splitter.is_too_big(export):
            self.state.fail(request, f"{why}. {_until_new(export)}")
            return []
        try:
            split = self.splitter.split(request)
        except SeiError as error:
            if error.is_permanent:  # as below: it cannot be split, and the next hour may be a quieter one at SEI
                self.checkpoint.forget(request, unusable=True)
            self.state.fail(request, f"{why}; its child teams cannot be listed: {error}")
            return []
        if split is None:
            self.checkpoint.forget(request, unusable=True)
            why = f"{why}; it is one team and one period and cannot be split further. {_until_new(export)}"
            self.state.fail(request, why)
            return []
        return self._replace(request, split, "it is too big", why)

    def _replace(self, request: ExportRequest, split: Split, cause: str, why: str) -> list[ExportRequest]:
        """Record that other requests take the place of one, and return them."""
        self.state.split[request.fingerprint] = (
            f"{why}; its child teams are exported instead, {split.lost}" if split.lost else None
        )
        self.state.parts += [_part(request) for request in split.parts]
        log.info(
            "Splitting the %s, because %s (%s), into: %s",
            request.description, cause, why, few(part.description for part in split.parts),
        )  # fmt: skip
        return list(split.parts)

    def _why_not_ended(self, export_id: str, event: ExportEvent, *, given_up: bool) -> str:
        if why := event["lost"].get(export_id) or event["error"]:
            return f"export {export_id}: {why}"
        until = datetime.fromtimestamp(event["deadline"], UTC).isoformat(timespec="seconds")
        status = event["running"].get(export_id) or "of unknown status"
        created_at = self.state.made_at.get(export_id)
        limit = "the time of give_up_after" if given_up else "the task's timeout"
        resumed_by = "a try after that" if given_up else "the next try"
        return (
            f"export {export_id} was still {status} at {until}, when {limit} was up; it keeps running at SEI"
            f"{f', since {created_at}' if created_at else ''}"
            f"{f', and {resumed_by} resumes it' if self.checkpoint.keeps_ids else ''}"
        )


def _has_failed(export: Export) -> bool:
    """Tell whether an export has ended without a file."""
    return export.status in {ExportStatus.FAILED, ExportStatus.CANCELLED}


def _part(request: ExportRequest) -> Part:
    scope = {"teamId": request.scope.team_id, "orgTreeName": request.scope.org_tree}
    return {
        "scope": {name: value for name, value in scope.items() if value},
        "start": request.start.isoformat(),
        "end": request.end.isoformat(),
    }


def _until_new(export: Export) -> str:
    until = (export.created_at.astimezone(UTC) + _REUSE).isoformat(timespec="seconds")
    return f"SEI gives back the same export until {until}; a try after that can help"
