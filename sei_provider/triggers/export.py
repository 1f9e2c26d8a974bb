"""The trigger: follows the exports of one batch until each has ended. Only reads, so running twice does no harm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from sei_provider.api.errors import SeiError
from sei_provider.api.watch import Watch
from sei_provider.hooks.sei import SeiHook

if TYPE_CHECKING:
    from sei_provider.api.client import AsyncSeiClient
    from sei_provider.api.export import Export

_AT_ONCE = 8
"""Status calls on their way at a time; more would only queue at the key's limit."""


class SeiExportTrigger(BaseTrigger):
    """Waits until all of a batch's exports have ended, or the deadline is there; then fires once.

    The event is what `Watch.outcome` gives.

    :param report: The report all exports are of.
    :param export_ids: The exports to follow.
    :param deadline: Unix time in seconds at which waiting ends. Absolute, so a restarted triggerer keeps it.
    :param poll_interval: Seconds until the first status call; later pauses grow (see `Watch`).
    :param sei_conn_id: The connection.
    """

    def __init__(
        self, *, report: str, export_ids: list[str], deadline: float, poll_interval: float, sei_conn_id: str
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's own is not annotated
        self.report = report
        self.export_ids = export_ids
        self.deadline = deadline
        self.poll_interval = poll_interval
        self.sei_conn_id = sei_conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What a triggerer needs to make this trigger again."""
        return (
            "sei_provider.triggers.export.SeiExportTrigger",
            {
                "report": self.report,
                "export_ids": self.export_ids,
                "deadline": self.deadline,
                "poll_interval": self.poll_interval,
                "sei_conn_id": self.sei_conn_id,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Ask in rounds, logging changes of status only."""
        watch = Watch(self.export_ids, interval=self.poll_interval, deadline=self.deadline)
        refused: SeiError | None = None
        try:
            async with SeiHook(self.sei_conn_id, deadline=self.deadline).aget_conn() as client:
                while not watch.is_over:
                    await asyncio.sleep(watch.next_pause())
                    await self._ask(client, watch)
        except SeiError as error:  # nothing more can be learned, but what has ended can still be staged
            refused = error
        yield TriggerEvent(watch.outcome(refused))

    async def _ask(self, client: AsyncSeiClient, watch: Watch) -> None:
        """One round: one status call for each export that has not ended."""
        places = asyncio.Semaphore(_AT_ONCE)

        async def ask(export_id: str) -> tuple[str, Export | SeiError]:
            async with places:
                try:
                    return export_id, await client.get_export(self.report, export_id)
                except SeiError as error:
                    return export_id, error

        before = len(watch.pending)
        for export_id, answer in await asyncio.gather(*map(ask, list(watch.pending))):
            watch.heard(export_id, answer)
        if len(watch.pending) != before:
            self.log.info("%d of %d exports still run", len(watch.pending), len(self.export_ids))
