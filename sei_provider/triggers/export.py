"""The trigger polls the exports of one batch until each has ended. It only reads, so running it twice does no harm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any, TypedDict, cast

from airflow.triggers.base import BaseTrigger, TriggerEvent

from sei_provider.api.errors import SeiError
from sei_provider.api.polling import ExportPoller, PollResult
from sei_provider.hooks.sei import SeiHook

_POLLING_751F940 = {"delay": "initial_delay", "growth": "backoff", "longest": "max_interval"}
"""The names under which commit 751f940 stored a trigger's `polling`; a `jitter` was among them."""


class Polling(TypedDict, total=False):
    """Intervals of polling, as `ExportPoller` takes them."""

    interval: float
    initial_delay: float | None
    backoff: float
    max_interval: float


class ExportEvent(PollResult):
    """The trigger's event, from which the resumed task knows what became of its exports."""

    permanent: bool
    """Every later try would meet the `error` that stopped polling."""


def load_event(stored: Mapping[str, Any]) -> ExportEvent:
    """Read an event as Airflow stored it, in this version or an older one."""
    return cast("ExportEvent", {"permanent": stored.get("final", False), **stored})


class SeiExportTrigger(BaseTrigger):
    """Polls until all exports of a batch have ended or the deadline is there, then fires once, with an `ExportEvent`.

    :param report: The report that all exports are of.
    :param export_ids: The exports to poll.
    :param deadline: Unix time in seconds at which polling ends. It is absolute, so a restarted triggerer keeps it.
    :param polling: When to poll.
    :param sei_conn_id: The connection.
    """

    def __init__(
        self, *, report: str, export_ids: list[str], deadline: float, polling: Polling, sei_conn_id: str
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
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll in rounds; logs the start, and each time that half of the exports have ended."""
        poller = ExportPoller(self.report, self.export_ids, deadline=self.deadline, **self.polling)
        logged = len(self.export_ids)
        until = datetime.fromtimestamp(self.deadline, UTC).isoformat(timespec="seconds")
        self.log.info("Polling %d %s exports until %s", logged, self.report, until)
        failure: SeiError | None = None
        try:
            async with SeiHook(self.sei_conn_id, deadline=self.deadline).aget_conn() as client:
                while poller.pending:
                    await asyncio.sleep(poller.next_pause())
                    # At least once: creating the exports may have taken all the time.
                    await client.poll(poller)
                    if len(poller.pending) <= logged // 2:
                        logged = len(poller.pending)
                        self.log.info("%d of %d exports still run", logged, len(self.export_ids))
                    if poller.is_over:
                        break
        except SeiError as error:  # nothing more can be learned, but what has ended can still be staged
            failure = error
        yield TriggerEvent({**poller.result(failure), "permanent": failure is not None and failure.is_permanent})

    async def on_kill(self) -> None:
        """Log that the exports keep running when a user ends the wait (Airflow 3.3): SEI has no call to cancel them."""
        self.log.info("Polling was stopped. The exports keep running at SEI, which has no call to cancel them")
