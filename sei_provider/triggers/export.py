"""The trigger: follows the exports of one batch until each has ended. Only reads, so running twice does no harm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from sei_provider.api.errors import SeiError
from sei_provider.api.polling import ExportPoller
from sei_provider.hooks.sei import SeiHook

_RENAMED = {"delay": "initial_delay", "growth": "backoff", "longest": "max_interval"}
"""Names in trigger rows that an older version stored, and their names now."""


class SeiExportTrigger(BaseTrigger):
    """Waits until all of a batch's exports have ended, or the deadline is there; then fires once.

    The event is what `ExportPoller.result` gives, and `final`: whether its `error` would be met again by another try.

    :param report: The report all exports are of.
    :param export_ids: The exports to follow.
    :param deadline: Unix time in seconds at which waiting ends. Absolute, so a restarted triggerer keeps it.
    :param polling: When to ask: `interval`, `initial_delay`, `backoff`, `max_interval` and `jitter` of `ExportPoller`.
    :param sei_conn_id: The connection.
    """

    def __init__(
        self, *, report: str, export_ids: list[str], deadline: float, polling: dict[str, Any], sei_conn_id: str
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's own is not annotated
        self.report = report
        self.export_ids = export_ids
        self.deadline = deadline
        self.polling = {_RENAMED.get(name, name): value for name, value in polling.items()}
        self.sei_conn_id = sei_conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What a triggerer needs to make this trigger again."""
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
        """Ask in rounds; says what it waits for, and again each time that half of it has ended."""
        poller = ExportPoller(self.report, self.export_ids, deadline=self.deadline, **self.polling)
        told = len(self.export_ids)
        until = datetime.fromtimestamp(self.deadline, UTC).isoformat(timespec="seconds")
        self.log.info("Waiting for %d %s exports until %s", told, self.report, until)
        refused: SeiError | None = None
        try:
            async with SeiHook(self.sei_conn_id, deadline=self.deadline).aget_conn() as client:
                while poller.pending:
                    await asyncio.sleep(poller.next_pause())
                    # At least once: making the exports may have taken all the time.
                    await client.poll(poller)
                    if len(poller.pending) <= told // 2:
                        told = len(poller.pending)
                        self.log.info("%d of %d exports still run", told, len(self.export_ids))
                    if poller.is_over:
                        break
        except SeiError as error:  # nothing more can be learned, but what has ended can still be staged
            refused = error
        yield TriggerEvent({**poller.result(refused), "final": refused is not None and refused.is_permanent})

    async def on_kill(self) -> None:
        """Say what keeps running when a user ends the wait (Airflow 3.3): SEI has no call that cancels an export."""
        self.log.info("No longer waiting. SEI cannot cancel exports: those that run keep running there")
