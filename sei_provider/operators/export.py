"""The export task: for a batch of scopes, create exports, wait deferred, download and stage what SEI made."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException

from sei_provider import lake as sei_lake
from sei_provider.api.errors import SeiInputError
from sei_provider.api.periods import whole_periods
from sei_provider.api.request import ExportRequest, Scope
from sei_provider.api.watch import Watch
from sei_provider.hooks.sei import SeiHook
from sei_provider.operators import batch
from sei_provider.operators.batch import Made
from sei_provider.operators.memory import Memory
from sei_provider.triggers.export import SeiExportTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

    from sei_provider.lake import Manifest

_BACKSTOP = timedelta(minutes=10)
"""How much later than our own deadline Airflow ends the wait: only a triggerer that is gone lets it come to that."""
_ANY_SCOPE = Scope(team_id="0")


class SeiExportError(AirflowException):
    """Some of a batch's scopes did not land; the message names them. The others are staged and handed on."""


class SeiExportOperator(BaseOperator):
    """Export one report for a batch of scopes and stage the rows in the lake.

    Creates one export per scope, defers once while SEI works, then downloads, checks and stages. The result is
    one manifest per scope: `{scope, start, end, table, path, rows, export_id, created_at, error}`, of which
    `path` is None where `error` is not. Scopes that landed are handed on even if others did not; then the task
    fails with one `SeiExportError` naming those, and its retry asks SEI for those only.

    :param report: `productivity`, `sprint` or `business_alignment`.
    :param scopes: The batch: team ids (str or int), or `{"teamId": …}`, `{"orgTreeName": …}` or both. (templated)
    :param start: First day, inclusive, as a date or `yyyy-MM-dd`; widened to a whole period. (templated)
    :param end: Last day, inclusive; widened to a whole period, but not past the day of the run. (templated)
    :param metric_groups: Groups of metrics; None for all of the report's. (templated)
    :param metrics: Single metrics beside or instead of groups. (templated)
    :param level: `developer` or `team` (productivity), `team` or `sprint` (sprint); `team` if None.
    :param granularity: `weekly`, `monthly` or `quarterly`, for sprint also `sprint`; any case.
    :param aggregation: Productivity only; `mean` if None.
    :param computation_mode: Sprint only: `STORY_POINTS` or `TICKETS`; SEI's own choice if None.
    :param options: Further members of the request's `options`, sent as they are.
    :param lake: The lake's place: a path, or what `ObjectStoragePath` takes, as in `s3://conn@bucket/lake`. (templated)
    :param sei_conn_id: The connection. (templated)
    :param poll_interval: Seconds from creation to the first status call; later pauses grow to two minutes.
    :param timeout: How long to wait for SEI, from the start of a try, in seconds or as a timedelta. SEI has no
        call that cancels an export, so what is still running then keeps running there.
    :param deferrable: Wait on the triggerer (True) or in the worker's slot.

    Raises `SeiInputError` for wrong arguments, before any call.
    """

    template_fields: Sequence[str] = ("scopes", "start", "end", "metric_groups", "metrics", "lake", "sei_conn_id")
    ui_color = "#dcebf7"

    def __init__(
        self,
        *,
        report: str,
        scopes: Sequence[Any],
        start: str | date,
        end: str | date,
        metric_groups: Sequence[str] | None = None,
        metrics: Sequence[str] | None = None,
        level: str | None = None,
        granularity: str = "monthly",
        aggregation: str | None = None,
        computation_mode: str | None = None,
        options: Mapping[str, Any] | None = None,
        lake: str,
        sei_conn_id: str = SeiHook.default_conn_name,
        poll_interval: float = 10.0,
        timeout: float | timedelta = timedelta(hours=2),
        deferrable: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.report = report
        self.scopes = scopes
        self.start = start
        self.end = end
        self.metric_groups = metric_groups
        self.metrics = metrics
        self.level = level
        self.granularity = granularity
        self.aggregation = aggregation
        self.computation_mode = computation_mode
        self.options = options
        self.lake = lake
        self.sei_conn_id = sei_conn_id
        self.poll_interval = poll_interval
        self.timeout = timeout
        self.deferrable = deferrable
        # What is no template is checked as the DAG is read: a wrong name is an import error, not a failed night.
        self._request(_ANY_SCOPE, date.min, date.min, metric_groups=None, metrics=None)

    def execute(self, context: Context) -> list[Manifest]:
        """Take up what an earlier try made, create the rest, and wait."""
        timeout = self.timeout if isinstance(self.timeout, timedelta) else timedelta(seconds=self.timeout)
        deadline = time.time() + timeout.total_seconds()
        requests = self._requests(context)
        memory = Memory(context, self.lake)
        staged = sei_lake.staged(memory.folder)
        waiting = [request for request in requests if request.key not in staged]
        if not waiting and memory.was_cleared:
            self.log.info("All %d scopes had landed when this task was cleared: exporting anew", len(requests))
            sei_lake.discard(memory.folder)
            waiting = requests
        self.log.info(
            "Asking SEI for %s of %d scopes, %s to %s (%d staged by an earlier try): %s",
            self.report, len(waiting), requests[0].start, requests[0].end, len(requests) - len(waiting),
            ", ".join(request.scope.label for request in waiting) or "nothing left to ask",
        )  # fmt: skip
        with SeiHook(self.sei_conn_id, deadline=deadline).get_conn() as client:
            made = batch.make_exports(client, waiting, memory)
            export_ids = list(made.exports.values())
            if export_ids and self.deferrable:
                self._defer(export_ids, deadline, timeout, asdict(made))
            watch = Watch(export_ids, interval=self.poll_interval, deadline=deadline)
            seen = batch.follow_exports(client, self.report, watch)
        return self._stage(context, requests, memory, made, seen)

    def execute_complete(self, context: Context, event: dict[str, Any], made: dict[str, Any]) -> list[Manifest]:
        """Resume after the trigger: download and stage what was completed."""
        return self._stage(context, self._requests(context), Memory(context, self.lake), Made(**made), event)

    def on_kill(self) -> None:
        """Say what keeps running: SEI has no call that cancels an export."""
        self.log.warning("Killed. SEI cannot cancel exports: those made keep running there, and a retry takes them up")

    def _requests(self, context: Context) -> list[ExportRequest]:
        """One request per scope, each scope once, over whole periods up to the day this run stands for."""
        calendar = SeiHook(self.sei_conn_id).get_calendar()
        asked = self._request(_ANY_SCOPE, self.start, self.end)
        start, end = whole_periods(
            asked.start,
            asked.end,
            asked.granularity,
            # The run's own day, the same over all tries (DESIGN, decision 4).
            not_after=context["dag_run"].run_after.astimezone(calendar.timezone).date(),
            week_starts_on=calendar.week_starts_on,
        )
        requests = [self._request(scope, start, end) for scope in dict.fromkeys(map(Scope.parse, self.scopes))]
        if not requests:
            msg = "there is no scope to export; give at least one team or org tree"
            raise SeiInputError(msg)
        return requests

    def _request(self, scope: Scope, start: Any, end: Any, **instead: Any) -> ExportRequest:
        settings: dict[str, Any] = {
            "metric_groups": self.metric_groups,
            "metrics": self.metrics,
            "level": self.level,
            "granularity": self.granularity,
            "aggregation": self.aggregation,
            "computation_mode": self.computation_mode,
            "options": self.options,
        }
        return ExportRequest(report=self.report, scope=scope, start=start, end=end, **(settings | instead))

    def _defer(self, export_ids: list[str], deadline: float, timeout: timedelta, made: dict[str, Any]) -> None:
        self.defer(
            trigger=SeiExportTrigger(
                report=self.report,
                export_ids=export_ids,
                deadline=deadline,
                poll_interval=self.poll_interval,
                sei_conn_id=self.sei_conn_id,
            ),
            method_name="execute_complete",
            kwargs={"made": made},
            timeout=timeout + _BACKSTOP,
        )

    def _stage(
        self, context: Context, requests: list[ExportRequest], memory: Memory, made: Made, seen: dict[str, Any]
    ) -> list[Manifest]:
        with SeiHook(self.sei_conn_id).get_conn() as client:
            manifests = batch.stage_exports(client, requests, made, seen, memory, context["run_id"])
        bad = [manifest for manifest in manifests if manifest["error"]]
        self.log.info(
            "Staged %d rows of %d scopes; %d did not land",
            sum(manifest["rows"] for manifest in manifests), len(manifests) - len(bad), len(bad),
        )  # fmt: skip
        if not bad:
            memory.forget(requests)
            return manifests
        context["ti"].xcom_push(key="return_value", value=manifests)  # the good ones go on without the bad
        named = "; ".join(f"{manifest['scope']}: {manifest['error']}" for manifest in bad)
        msg = f"{len(bad)} of {len(manifests)} scopes of the {self.report} export did not land: {named}"
        raise SeiExportError(msg)
