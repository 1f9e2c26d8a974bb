"""The trigger polls the exports of one batch until each has ended. It only reads, so running it twice does no harm."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypedDict, cast

from airflow.providers.common.compat.sdk import conf  # whose place differs between 3.1 and 3.3
from airflow.triggers.base import BaseTrigger, TriggerEvent

from sei_provider.api.errors import SeiError
from sei_provider.api.polling import ExportPoller, PollResult
from sei_provider.hooks.sei import SeiHook
from sei_provider.plural import plural
from sei_provider.printable import printable

_POLLING_751F940 = {"delay": "initial_delay", "growth": "backoff", "longest": "max_interval"}
"""The names under which commit 751f940 stored a trigger's `polling`; a `jitter` was among them."""
_PROGRESS_SECONDS = 300.0
_ITEMS_LOGGED = 5


def few(items: Iterable[str]) -> str:
    """Join the first few items for a line of a log: `a, b and 37 more`; they may be names that others chose."""
    listed = [printable(item) for item in items]
    more = len(listed) - _ITEMS_LOGGED
    return ", ".join(listed[:_ITEMS_LOGGED]) + (f" and {more} more" if more > 0 else "") if listed else "none"


class Polling(TypedDict, total=False):
    """Intervals of polling, as `ExportPoller` takes them."""

    interval: float
    initial_delay: float | None
    backoff: float
    max_interval: float


class ExportEvent(PollResult):
    """The trigger's event, from which alone the resumed task knows what became of its exports."""

    permanent: bool
    """Every later try would meet the `error` that stopped polling."""
    state: dict[str, Any]
    """The task's state as it was when it deferred, because `dag.test()` drops what else a deferral carries."""


def load_event(stored: Mapping[str, Any]) -> ExportEvent:
    """Read an event as Airflow stored it, in this version or an older one."""
    return cast("ExportEvent", {"permanent": stored.get("final", False), "state": {}, **stored})


class PollProgress:
    """Logs how many exports still run: each time that half of them have ended, and every five minutes.

    `scopes` names their scopes, by export id.
    """

    def __init__(self, log: Any, poller: ExportPoller, scopes: Mapping[str, str]) -> None:
        self._log = log
        self._poller = poller
        self._scopes = scopes
        self._exports = len(poller.pending)
        self._pending = self._exports
        self._logged_at = time.monotonic()

    def tell(self) -> None:
        """Log a line if there is something to tell, or if the last one is minutes ago."""
        pending, now = self._poller.pending, time.monotonic()
        if len(pending) <= self._pending // 2 or now - self._logged_at >= _PROGRESS_SECONDS:
            self._pending, self._logged_at = len(pending), now
            self._log.info(
                "%d of %s still running: %s",
                len(pending), plural(self._exports, "export"),
                few(f"{self._scopes.get(one, 'export')} {one}" for one in pending),
            )  # fmt: skip


class _ShownEvent(TriggerEvent):
    """An event of which Airflow's own log line shows counts only: whole, it has a hundred characters per export."""

    def __repr__(self) -> str:
        event = self.payload
        counts = ", ".join(f"{len(event[name])} {name}" for name in ("ended", "running", "lost"))
        return f"ExportEvent({counts}, error={event['error']!r})"

    __str__ = __repr__


class SeiExportTrigger(BaseTrigger):
    """Polls until all exports of a batch have ended or the deadline is there, then fires once, with an `ExportEvent`.

    Where the task waits for the key's limit, the event comes at a time, `resume_at`, whatever the exports do.

    :param report: The report that all exports are of.
    :param export_ids: The exports to poll.
    :param deadline: Unix time in seconds at which polling ends. It is absolute, so a restarted triggerer keeps it.
    :param polling: When to poll. Whatever it says, the event comes a second after Airflow's `[workers]
        min_heartbeat_interval`, because Airflow may fail a task that resumes before the worker that it deferred in has
        seen its end ("state mismatch").
    :param sei_conn_id: The connection.
    :param scopes: The scopes of the exports in their order, for the log.
    :param state: JSON values that the event hands back to the task.
    :param resume_at: Unix time in seconds at which the event comes, no sooner, if the task waits for the key's limit.
        The task has read it in its own bucket, so it holds where this machine counts in another one. Until then only
        rounds are made that leave nobody else waiting.
    """

    def __init__(
        self,
        *,
        report: str,
        export_ids: list[str],
        deadline: float,
        polling: Polling,
        sei_conn_id: str,
        scopes: Sequence[str] = (),
        state: Mapping[str, Any] | None = None,
        resume_at: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's own is not annotated
        self.report = report
        self.export_ids = export_ids
        self.deadline = deadline
        self.polling = cast(
            "Polling",
            {_POLLING_751F940.get(name, name): value for name, value in polling.items() if name != "jitter"},
        )
        self.sei_conn_id = sei_conn_id
        self.scopes = list(scopes)
        self.state = dict(state or {})
        self.resume_at = resume_at

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what a triggerer needs to make this trigger again."""
        return (
            "sei_provider.triggers.export.SeiExportTrigger",
            {
                "report": self.report,
                "export_ids": self.export_ids,
                "deadline": self.deadline,
                "polling": self.polling,
                "sei_conn_id": self.sei_conn_id,
                "scopes": self.scopes,
                "state": self.state,
                "resume_at": self.resume_at,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll in rounds until every export has ended, or the deadline or the time to resume is there."""
        soonest = time.monotonic() + conf.getint("workers", "min_heartbeat_interval") + 1
        end = self.deadline if self.resume_at is None else min(self.deadline, self.resume_at)
        poller = ExportPoller(self.report, self.export_ids, deadline=end, **self.polling)
        until = datetime.fromtimestamp(end, UTC).isoformat(timespec="seconds")
        self.log.info("Polling %s until %s", plural(len(self.export_ids), f"{self.report} export"), until)
        failure: SeiError | None = None
        try:
            if poller.pending:
                await self._poll(poller, soonest)
        except SeiError as error:  # nothing more can be learned, but what has ended can still be staged
            failure = error
        await asyncio.sleep(max(0.0, soonest - time.monotonic()))
        if self.resume_at is not None:
            await asyncio.sleep(max(0.0, self.resume_at - time.time()))
        permanent = failure is not None and failure.is_permanent
        yield _ShownEvent(payload={**poller.result(failure), "permanent": permanent, "state": self.state})

    async def _poll(self, poller: ExportPoller, soonest: float) -> None:
        progress = PollProgress(self.log, poller, dict(zip(self.export_ids, self.scopes, strict=False)))
        async with SeiHook(self.sei_conn_id, deadline=poller.deadline).aget_conn() as client:
            while poller.pending:
                await asyncio.sleep(max(poller.next_pause(), soonest - time.monotonic()))
                if self.resume_at is None or not await client.seconds_until(len(poller.pending)):
                    # At least once: creating the exports may have taken all the time.
                    await client.poll(poller)
                    progress.tell()
                if poller.is_over:
                    break

    async def on_kill(self) -> None:
        """Log that the exports keep running when a user ends the wait (Airflow 3.3): SEI has no call to cancel them."""
        self.log.info("Polling was stopped. The exports keep running at SEI, which has no call to cancel them")
