"""One export per request of a task: create or resume them, poll them, stage their files and split what is too big.

Each step goes on when one scope fails and records why; an error that affects all scopes is raised. Knows the client and
the lake; of Airflow only the task's checkpoint.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sei_provider import lake as sei_lake
from sei_provider import metrics
from sei_provider.api.errors import SeiError, SeiNotFoundError
from sei_provider.api.export import Export, ExportStatus
from sei_provider.api.request import ExportRequest
from sei_provider.operators._reuse import note_published, until_new
from sei_provider.operators._staging import Stager, download_folder, spool
from sei_provider.operators._state import BatchState, Part, TaskCheckpoint
from sei_provider.operators._turns import Turns
from sei_provider.plural import plural
from sei_provider.triggers.export import PollProgress, few

if TYPE_CHECKING:
    from sei_provider.api.client import SeiClient
    from sei_provider.api.polling import ExportPoller
    from sei_provider.lake.errors import LakeError
    from sei_provider.operators._splitting import Split, Splitter
    from sei_provider.triggers.export import ExportEvent

log = logging.getLogger(__name__)


@dataclass(slots=True)
class ExportBatch:
    """The exports of one task. `state` holds the progress of this try, `checkpoint` that of all tries."""

    client: SeiClient
    state: BatchState
    checkpoint: TaskCheckpoint
    stager: Stager
    splitter: Splitter
    turns: Turns
    give_up_after: float | None = None
    """Seconds since SEI made it after which an export is given up."""

    def create_or_resume(self, requests: list[ExportRequest]) -> None:
        """Have one export for each request: that of an earlier try where it is usable, otherwise a new one.

        SEI answers an identical request with the same export for 30 minutes (CONTRACT, "Reuse"). If that export is
        known to have failed, the request fails and names the time at which a later try can get another. If the key's
        limit leaves no turns, `state.resume_at` tells when it does, and requests are left without an export.
        """
        saved = self.checkpoint.load(requests)
        self._resume([request for request in requests if request.fingerprint in saved], saved)
        done = {*self.state.exports, *self.state.errors}
        resumed = sum(request.fingerprint in self.state.exports for request in requests)
        unmade = [request for request in requests if request.fingerprint not in done]
        reused = self._create(unmade) if self.state.resume_at is None else []
        self._log_exports(requests, resumed=resumed, reused=len(reused))
        self._count_exports(requests, reused)
        if kept := [*reused, *self.state.resumed]:
            note_published(self.state, self.checkpoint, [each for each in requests if each.fingerprint in kept])

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

    def unmade(self, requests: list[ExportRequest]) -> list[ExportRequest]:
        """Return the requests that have no export yet, and neither failed nor are staged or split."""
        known = {*self.state.exports, *self.state.errors, *self.state.split}
        if unmade := [request for request in requests if request.fingerprint not in known]:
            staged = sei_lake.staged(self.checkpoint.folder, published=True)
            return [request for request in unmade if request.fingerprint not in staged]
        return []

    def unfinished(self, requests: list[ExportRequest]) -> list[ExportRequest]:
        """Return the requests whose exports have not ended as far as is known."""
        exports, ended = self.state.exports, self.state.ended
        return [
            request
            for request in requests
            if request.fingerprint in exports and exports[request.fingerprint] not in ended
        ]

    def record(self, requests: list[ExportRequest], event: ExportEvent) -> None:
        """Record which exports have ended, and why the others failed; after a wait for the limit these still run."""
        waited_for_limit, self.state.resume_at = self.state.resume_at is not None, None
        is_given_up = event["deadline"] >= self.given_up_at()
        for request in self.unfinished(requests):
            export_id = self.state.exports[request.fingerprint]
            if reply := event["ended"].get(export_id):
                self.state.ended[export_id] = reply
            elif not waited_for_limit or export_id in event["lost"]:
                is_lost = export_id in event["lost"]
                given_up = is_given_up and not is_lost and event["error"] is None
                why = self._why_not_ended(export_id, event, given_up=given_up)
                self.state.fail(request, why, permanent=given_up or (event["permanent"] and not is_lost))
                self._forget_export(request, "lost" if is_lost or event["error"] is not None else "running")

    def collect(self, requests: list[ExportRequest]) -> list[ExportRequest]:
        """Stage what was completed, and split what was too big; returns the parts of the split.

        Files are downloaded concurrently and staged one after another, so memory and disk hold a few at a time. If the
        key's limit leaves no turns, `state.resume_at` tells when it does, and `state.ended` what is left.
        """
        exports, replies = self.state.exports, self.state.ended
        ended = {
            request.fingerprint: Export.from_reply(request.report, replies[exports[request.fingerprint]])
            for request in requests
            if exports.get(request.fingerprint) in replies
        }
        if ended:
            counts = Counter(str(export.status) for export in ended.values())
            log.info(
                "%s ended (%s); downloading those that completed",
                plural(len(ended), "export"), ", ".join(f"{count} {status}" for status, count in counts.items()),
            )  # fmt: skip
        bad = [
            request for request in requests if request.fingerprint in ended and _has_failed(ended[request.fingerprint])
        ]
        good = [request for request in requests if request.fingerprint in ended and request not in bad]
        parts = self._download(good, ended)
        if self.state.resume_at is None:
            for request in bad:
                parts += self._split(request, ended[request.fingerprint])
                self._forget_export(request, "failed")
        return parts

    def _count_exports(self, requests: list[ExportRequest], reused: list[str]) -> None:
        counts = Counter(
            "resumed" if key in self.state.resumed else "reused" if key in reused else "created"
            for key in (request.fingerprint for request in requests)
            if key in self.state.exports
        )
        for how, number in counts.items():
            metrics.count(f"sei.exports.{how}", number, report=requests[0].report)

    def _resume(self, requests: list[ExportRequest], saved: dict[str, str]) -> None:
        for request, export in self.turns.map(
            lambda request: self.client.get_export(request.report, saved[request.fingerprint]),
            requests,
            unfinished=len(requests),
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
        if self._comes_too_late():  # there is no turn to ask about these before the deadline: polling asks
            unasked = self.checkpoint.load(requests)  # without those that are forgotten
            unasked = {key: unasked[key] for key in unasked.keys() - {*self.state.exports, *self.state.errors}}
            self.state.resumed, self.state.exports = [*self.state.resumed, *unasked], self.state.exports | unasked

    def _create(self, requests: list[ExportRequest]) -> list[str]:
        """Create exports; returns the fingerprints of the requests for which SEI gave back an existing one."""
        reused = []
        try:
            for request, export in self.turns.map(
                self.client.create_export,
                requests,
                unfinished=len(self.state.exports) + len(requests),
                when_idle=self.checkpoint.flush,
            ):
                if isinstance(export, SeiError):
                    self.state.fail(request, str(export), permanent=export.is_permanent)
                elif self.checkpoint.is_unusable(export):
                    why = f"SEI gave back export {export.id}, which had failed or was broken in an earlier try"
                    self.state.fail(request, f"{why}. {until_new(export)}")
                else:
                    self.checkpoint.save(request, export)
                    self._wait_for(request, export)
                    if export.reused:
                        reused.append(request.fingerprint)
                        self.state.reused.append(request.fingerprint)
        finally:  # also when an error that affects all scopes ends the task: its retry resumes what was created
            self.checkpoint.flush()
        if self._comes_too_late():
            self._fail_turnless(requests)
        return reused

    def _comes_too_late(self) -> bool:
        """Tell whether the key's limit leaves turns after the deadline only, and then forget when it does."""
        too_late = self.state.resume_at is not None and self.state.resume_at >= self.state.deadline
        self.state.resume_at = None if too_late else self.state.resume_at
        return too_late

    def _fail_turnless(self, requests: list[ExportRequest]) -> None:
        """Fail the requests that get no turn of the key's limit before the deadline."""
        why = (
            "the key's requests per minute are used up until after the task's timeout; its next try creates the export"
        )
        for request in requests:
            if request.fingerprint not in {*self.state.exports, *self.state.errors}:
                self.state.fail(request, why)

    def _forget_export(self, request: ExportRequest, outcome: str) -> None:
        """Drop an export that is dealt with, and count how that ended."""
        metrics.count(f"sei.exports.{outcome}", report=request.report)
        export_id = self.state.exports.pop(request.fingerprint)
        self.state.made_at.pop(export_id, None)
        self.state.ended.pop(export_id, None)

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
            sum(request.fingerprint in state.errors for request in requests),
            f", the oldest created at {min(times)}" if times else "",
            few(f"{request.scope.label} {state.exports[request.fingerprint]}" for request in waiting),
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

            def downloaded() -> Iterator[tuple[Path, ExportRequest, Export]]:
                unfinished = len(self.state.exports)
                for request, file in self.turns.map(
                    download, requests, unfinished=unfinished, when_idle=self.stager.stage_old
                ):
                    if isinstance(file, SeiError):
                        self._fail_file(request, file, str(file))
                        self._forget_export(request, "unusable")
                    else:
                        yield file, request, exports[request.fingerprint]

            for request, export, error in self.stager.stage_each(downloaded()):
                if isinstance(error, sei_lake.LabelError):
                    split = self.splitter.split_into_periods(request)
                    parts += self._replace(request, split, "its labels are no dates", f"export {export.id}: {error}")
                elif error:
                    self._fail_file(request, error, f"export {export.id}: {error}")
                unusable = request.fingerprint in {*self.state.errors, *self.state.split}
                self._forget_export(request, "unusable" if unusable else "staged")
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
            self.state.fail(request, f"{why}. {until_new(export)}")
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
            why = f"{why}; it is one team and one period and cannot be split further. {until_new(export)}"
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
