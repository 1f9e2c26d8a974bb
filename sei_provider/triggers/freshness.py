"""The trigger looks into a lake until its figures are complete. It only reads, so running it twice does no harm."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, TypedDict

from airflow.providers.common.compat.sdk import conf  # whose place differs between 3.1 and 3.3
from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from sei_provider import lake as sei_lake
from sei_provider.hooks.dag_zone import zone_named
from sei_provider.plural import plural
from sei_provider.triggers.export import few

if TYPE_CHECKING:
    from sei_provider.lake import Incomplete

_SLOWEST_LOOK = 120.0
"""Seconds that a look may take when the deadline is over: a store that does not answer must not silence the alarm."""


class FreshnessEvent(TypedDict):
    """The trigger's event, from which alone the resumed task knows the outcome, because `dag.test()` drops the rest."""

    lacking: str | None
    """Figures still lacking at the deadline; None if all are complete."""
    error: str | None
    """The error of the lake that ended the wait at once, because it does not pass by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshnessCheck:
    """Question to a lake, as JSON values: do the scopes have complete figures of these days?"""

    lake: str
    table: str
    scopes: Sequence[str]
    """Labels: `team:456`, `org:Engineering`."""
    start: str
    """First day, `YYYY-MM-DD`, as `end`, the last."""
    end: str
    zone: str
    """Name of the time zone in which a day ends."""

    def look(self) -> str | None:
        """Return what is lacking, in one line a reason; None if all figures are complete. Blocks: reads the lake.

        A lake that cannot be read now, and a table that is not there yet, are lacking too. Raises a `LakeError` that
        does not pass by itself.
        """
        from sei_provider.hooks.lake import open_lake

        try:
            found = sei_lake.incomplete(
                open_lake(self.lake),
                self.table,
                scopes=self.scopes,
                start=date.fromisoformat(self.start),
                end=date.fromisoformat(self.end),
                zone=zone_named(self.zone),
            )
        except (sei_lake.LakeError, OSError) as error:
            if isinstance(error, sei_lake.LakeError) and error.is_permanent:
                raise
            return f"no scope of table {self.table} is known to have complete figures: {error}"
        if not found:
            return None
        lack = "lacks" if len(found) == 1 else "lack"
        return f"{len(found):,} of {plural(len(self.scopes), 'scope')} {lack} complete figures: {self._summary(found)}"

    def _summary(self, found: Sequence[Incomplete]) -> str:
        groups: dict[tuple[str, str, str], list[Incomplete]] = defaultdict(list)
        for lack in found:
            groups[lack["start"], lack["end"], lack["state"]].append(lack)
        return "\n".join(
            f"{self.table}, {start} to {end}: {few(lack['scope'] for lack in lacks)}: {lacks[0]['reason']}"
            for (start, end, _), lacks in groups.items()
        )


class SeiFreshnessTrigger(BaseTrigger):
    """Looks until all figures are complete or the deadline is there, then fires once, with a `FreshnessEvent`.

    The lake is read on a thread of its own, off the event loop that all triggers share.

    :param lake: The lake's place, as operators take it.
    :param table: The table.
    :param scopes: Labels of the scopes.
    :param start: First day, `YYYY-MM-DD`.
    :param end: Last day, `YYYY-MM-DD`.
    :param zone: Name of the time zone in which a day ends.
    :param deadline: Unix time in seconds of the last look. It is absolute, so a restarted triggerer keeps it.
    :param poke_interval: Seconds between two looks. The first comes a second after Airflow's `[workers]
        min_heartbeat_interval` or later, because Airflow may fail a task that resumes sooner ("state mismatch").
    """

    def __init__(
        self,
        *,
        lake: str,
        table: str,
        scopes: Sequence[str],
        start: str,
        end: str,
        zone: str,
        deadline: float,
        poke_interval: float,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's own is not annotated
        self.check = FreshnessCheck(lake=lake, table=table, scopes=list(scopes), start=start, end=end, zone=zone)
        self.deadline = deadline
        self.poke_interval = poke_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what a triggerer needs to make this trigger again."""
        return (
            "sei_provider.triggers.freshness.SeiFreshnessTrigger",
            {**asdict(self.check), "deadline": self.deadline, "poke_interval": self.poke_interval},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look again and again until nothing is lacking or the deadline is there."""
        soonest = time.monotonic() + conf.getint("workers", "min_heartbeat_interval") + 1
        until = datetime.fromtimestamp(self.deadline, UTC).isoformat(timespec="seconds")
        self.log.info("Looking into table %s of %s until %s", self.check.table, self.check.lake, until)
        before: str | None = None
        while True:
            pause = min(self.poke_interval, self.deadline - time.time())
            await asyncio.sleep(max(pause, soonest - time.monotonic(), 0))
            is_last = time.time() >= self.deadline
            event = await self._look()
            if event["lacking"] is None or event["error"] or is_last:
                break
            if event["lacking"] != before:  # a line for each change: Airflow drops long logs of triggers
                before = event["lacking"]
                self.log.info("Not complete yet: %s", before)
        yield TriggerEvent(dict(event))

    async def _look(self) -> FreshnessEvent:
        patience = max(self.deadline - time.time(), 0) + _SLOWEST_LOOK
        try:
            # Not the one thread of all synchronous code of triggers, where a slow store would hold up the others.
            look = sync_to_async(self.check.look, thread_sensitive=False)
            return FreshnessEvent(lacking=await asyncio.wait_for(look(), patience), error=None)
        except TimeoutError:
            lacking = f"the lake {self.check.lake} did not answer within {patience:.0f} seconds"
            return FreshnessEvent(lacking=lacking, error=None)
        except sei_lake.LakeError as error:
            return FreshnessEvent(lacking=None, error=str(error))
