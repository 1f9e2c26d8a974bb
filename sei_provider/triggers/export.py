"""The trigger: follows the exports of one batch until each has ended. Only reads, so running twice does no harm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from sei_provider.api.errors import SeiError
from sei_provider.api.watch import Watch
from sei_provider.hooks.sei import SeiHook


class SeiExportTrigger(BaseTrigger):
    """Waits until all of a batch's exports have ended, or the deadline is there; then fires once.

    The event is what `Watch.outcome` gives.

    :param report: The report all exports are of.
    :param export_ids: The exports to follow.
    :param deadline: Unix time in seconds at which waiting ends. Absolute, so a restarted triggerer keeps it.
    :param polling: When to ask: `interval`, `delay`, `growth`, `longest` and `jitter` of `Watch`.
    :param sei_conn_id: The connection.
    """

    def __init__(
        self, *, report: str, export_ids: list[str], deadline: float, polling: dict[str, Any], sei_conn_id: str
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's own is not annotated
        self.report = report
        self.export_ids = export_ids
        self.deadline = deadline
        self.polling = polling
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
        """Ask in rounds, logging changes of status only."""
        watch = Watch(self.export_ids, deadline=self.deadline, **self.polling)
        refused: SeiError | None = None
        try:
            async with SeiHook(self.sei_conn_id, deadline=self.deadline).aget_conn() as client:
                while not watch.is_over:
                    await asyncio.sleep(watch.next_pause())
                    running = len(watch.pending)
                    await client.ask(self.report, watch)
                    if len(watch.pending) != running:
                        self.log.info("%d of %d exports still run", len(watch.pending), len(self.export_ids))
        except SeiError as error:  # nothing more can be learned, but what has ended can still be staged
            refused = error
        yield TriggerEvent(watch.outcome(refused))
