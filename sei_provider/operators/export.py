"""The export task: for a batch of scopes, create exports, wait deferred, download and stage their files."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from sei_provider.api.polling import ExportPoller
from sei_provider.api.request import ExportRequest, Scope
from sei_provider.hooks.sei import SeiHook
from sei_provider.links import SeiExportLink, task_link
from sei_provider.operators._arguments import (
    Check,
    check_factor,
    check_flag,
    check_names,
    check_seconds,
    check_words,
    deferrable_by_default,
    optional,
)
from sei_provider.operators._base import REQUEST_ARGUMENTS, SeiBatchOperator
from sei_provider.operators._batch import ExportBatch
from sei_provider.operators._splitting import TIMED_OUT, Splitter
from sei_provider.operators._state import BatchState, TaskCheckpoint
from sei_provider.operators._turns import Turns
from sei_provider.triggers.export import ExportEvent, Polling, SeiExportTrigger, load_event

if TYPE_CHECKING:
    from airflow.sdk import Context

    from sei_provider.lake import Manifest

_BACKSTOP = timedelta(minutes=10)
"""Time after our own deadline at which Airflow ends the wait. It comes to that only if the triggerer is gone."""

_SHARE_OF_WAITING = 0.9
"""Part of `execution_timeout` in which a task that waits in its worker polls; the rest is for downloads."""


class SeiExportOperator(SeiBatchOperator):
    """Export one report for a batch of scopes and stage the rows in the lake.

    Creates one export per scope, defers while SEI works, then downloads, checks and stages the files. The result is
    one manifest per scope: `{scope, start, end, table, path, rows, export_id, created_at, error}`. If the scope failed,
    `error` says why and `path` is None; its retry requests those scopes only. SEI gives an identical request the same
    export for 30 minutes (CONTRACT, "Reuse"). If an earlier run has published that export, its figures are not new, and
    the manifest tells in `fresh_from` from when on a new one can be had.

    Takes the arguments of `SeiBatchOperator` and those below. `report` is `productivity`, `sprint`,
    `business_alignment`, `efficiency` or `time_in_status`; `start` and `end` are widened to whole periods of
    `granularity` (`weekly`, `monthly`, `quarterly`, for sprint also `sprint`, for time in status `daily`), but not past
    the day of the run; `metrics` go beside or instead of groups, for efficiency instead of them only.

    Rows of time in status have a label of their period and no dates. One export holds several months; where SEI
    documents no label (days, weeks, quarters, level `sprint`), or a label is another, each period is one export.

    :param metric_groups: Groups of metrics; None for all of the report's. (templated)
    :param level: `developer` or `team` (productivity), `team` or `sprint` (sprint, time in status); `team` if None. At
        level `sprint` of sprint the granularity is `sprint` if None.
    :param aggregation: For productivity, `mean` if None, and for efficiency: `mean`, `median`, `p90` or `p95`; SEI's
        own choice if None.
    :param computation_mode: Sprint only: `STORY_POINTS` or `TICKETS`; SEI's own choice if None.
    :param poll_interval: Seconds between the first polls.
    :param poll_initial_delay: Seconds before the first poll; as long as `poll_interval` if None. On the triggerer the
        first poll comes a second after `[workers] min_heartbeat_interval` (5) or later, because Airflow may fail a task
        that resumes sooner.
    :param poll_backoff: Factor by which each pause is longer than the one before.
    :param poll_max_interval: Seconds that no pause exceeds.
    :param timeout: Seconds or timedelta from the start of a try for which it waits for SEI; Airflow's
        `execution_timeout` counts too, if it is shorter. The limit is ours alone: SEI takes none and has no call to
        cancel an export, so an export that still runs then keeps running there. What has ended is staged and handed
        on, and the task fails and names the rest; its retry resumes that and waits as long again.
    :param give_up_after: Seconds or timedelta since SEI made it after which an export is given up: it counts as a
        permanent failure, so it causes no further retry that the tasks after this one would wait for. None: never.
    :param split_on: SEI's words, in any case, for an export that failed because it is too big. Such an export is
        replaced by those of the halves of its range, at one period by those of its child teams (the rows of the team
        itself are then missing). None switches splitting off.
    :param deferrable: Wait on the triggerer (True) or in the worker's slot (False). None: on the triggerer, unless
        Airflow's `[operators] default_deferrable` says `False`.
    """

    template_fields: Sequence[str] = (*SeiBatchOperator.template_fields, "metric_groups")
    _asked = (*REQUEST_ARGUMENTS, "metric_groups", "level", "aggregation", "computation_mode")
    _checks: Mapping[str, Check] = {
        **SeiBatchOperator._checks,  # noqa: SLF001 - its subclass
        "metric_groups": optional(check_names),
        "poll_interval": partial(check_seconds, above=True),
        "poll_initial_delay": optional(check_seconds),
        "poll_backoff": check_factor,
        "poll_max_interval": partial(check_seconds, above=True),
        "timeout": partial(check_seconds, above=True),
        "give_up_after": optional(partial(check_seconds, above=True)),
        "split_on": check_words,
        "deferrable": optional(check_flag),
    }
    operator_extra_links = (SeiExportLink(),)
    link = ""
    """The link's address; to records in the API it is known once there are exports."""

    def __init__(
        self,
        *,
        metric_groups: Sequence[str] | None = None,
        level: str | None = None,
        aggregation: str | None = None,
        computation_mode: str | None = None,
        poll_interval: float = 10.0,
        poll_initial_delay: float | None = None,
        poll_backoff: float = 1.5,
        poll_max_interval: float = 120.0,
        timeout: float | timedelta = timedelta(hours=2),
        give_up_after: float | timedelta | None = None,
        split_on: Sequence[str] | None = TIMED_OUT,
        deferrable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.metric_groups = metric_groups
        self.level = level
        self.aggregation = aggregation
        self.computation_mode = computation_mode
        self.poll_interval = poll_interval
        self.poll_initial_delay = poll_initial_delay
        self.poll_backoff = poll_backoff
        self.poll_max_interval = poll_max_interval
        self.timeout = timeout
        self.give_up_after = give_up_after
        self.split_on = () if split_on is None else split_on
        self.deferrable = deferrable_by_default() if deferrable is None else deferrable
        self._check_arguments()
        self._polling: Polling = {
            "interval": check_seconds("poll_interval", poll_interval),
            "initial_delay": None
            if poll_initial_delay is None
            else check_seconds("poll_initial_delay", poll_initial_delay),
            "backoff": poll_backoff,
            "max_interval": check_seconds("poll_max_interval", poll_max_interval),
        }

    def execute(self, context: Context) -> list[Manifest]:
        """Resume the exports that an earlier try created, create the others, and wait."""
        with self._refusing(context):
            self._check_arguments()
        limits = [check_seconds("timeout", self.timeout)]
        if self.execution_timeout:  # Airflow watches over the time in the worker only, and ends all work there
            limits.append(self.execution_timeout.total_seconds() * (1 if self.deferrable else _SHARE_OF_WAITING))
        return self._run(context, BatchState(deadline=time.time() + min(limits)), None)

    def execute_complete(
        self,
        context: Context,
        event: dict[str, Any],
        work: dict[str, Any] | None = None,
        deadline: float | None = None,
    ) -> list[Manifest]:
        """Resume after the trigger: stage what was completed, and go on with what has to be split.

        The event holds all that is needed. 751f940 stored the state and the deadline beside it.
        """
        loaded = load_event(event)
        state = BatchState.from_json(loaded["state"] or {"deadline": deadline, **(work or {})})
        return self._run(context, state, loaded)

    def on_kill(self) -> None:
        """Log that the exports keep running: SEI has no call to cancel them."""
        self.log.warning(
            "Killed. The exports keep running at SEI, which has no call to cancel them; a retry resumes them"
        )

    def _run(self, context: Context, state: BatchState, event: ExportEvent | None) -> list[Manifest]:
        with self._refusing(context):
            checkpoint = TaskCheckpoint(context, str(self.lake))
        # After the wait what has ended is downloaded however late it is.
        hook = SeiHook(self.sei_conn_id, deadline=None if event else state.deadline)
        with self._handing_on_staged(context, checkpoint):
            requests = self._requests(context, hook)
            stager = self._stager(context, hook, checkpoint)
            unmade = [] if event else self._unstaged(context, requests, checkpoint, stager)
            with hook.get_conn() as client:
                splitter = Splitter(
                    client,
                    asked={request.scope for request in requests},
                    failures=self.split_on,
                    week_starts_on=hook.get_calendar().week_starts_on,
                )
                batch = ExportBatch(
                    client,
                    state=state,
                    checkpoint=checkpoint,
                    stager=stager,
                    splitter=splitter,
                    turns=Turns(client, state, may_defer=self.deferrable),
                    give_up_after=None
                    if self.give_up_after is None
                    else check_seconds("give_up_after", self.give_up_after),
                )
                requests += [
                    self._request(Scope.parse(part["scope"]), part["start"], part["end"]) for part in state.parts
                ]
                self._link_to(hook, requests, state)
                if event:
                    batch.record(requests, event)
                    unmade = batch.unmade(requests)
                while unmade or state.exports:
                    if unmade:
                        batch.create_or_resume(unmade)
                        self._link_to(hook, requests, state)
                    if state.resume_at is None and batch.unfinished(requests):
                        batch.record(requests, self._wait(batch, requests))
                    parts = batch.collect(requests) if state.resume_at is None else []
                    requests += parts
                    if state.resume_at is not None:
                        self._defer(batch, requests)
                    unmade = batch.unmade(parts)
        return self._hand_on(context, requests, state, checkpoint, stager)

    def _wait(self, batch: ExportBatch, requests: list[ExportRequest]) -> ExportEvent:
        """Wait for the exports in this process, or end this call with a deferral that `execute_complete` follows."""
        if self.deferrable:
            self._defer(batch, requests)
        scopes = _polled(batch, requests)
        deadline = min(batch.state.deadline, batch.given_up_at())
        poller = ExportPoller(self.report, list(scopes), deadline=deadline, **self._polling)
        return batch.poll(poller, scopes)

    def _defer(self, batch: ExportBatch, requests: list[ExportRequest]) -> None:
        """End this call until the exports have ended, or until the key's limit leaves turns again."""
        state, scopes = batch.state, _polled(batch, requests)
        deadline = min(state.deadline, batch.given_up_at())
        self.defer(
            trigger=SeiExportTrigger(
                report=self.report,
                export_ids=list(scopes),
                deadline=deadline,
                polling=self._polling,
                sei_conn_id=self.sei_conn_id,
                scopes=list(scopes.values()),
                state=asdict(state),
                resume_at=state.resume_at,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=max(0.0, (state.resume_at or deadline) - time.time())) + _BACKSTOP,
        )

    def _link_to(self, hook: SeiHook, requests: list[ExportRequest], state: BatchState) -> None:
        self.link = task_link(hook, requests, list(state.exports.values())) or self.link


def _polled(batch: ExportBatch, requests: list[ExportRequest]) -> dict[str, str]:
    """Return the scopes of the exports that have not ended, by export id."""
    return {batch.state.exports[request.fingerprint]: request.scope.label for request in batch.unfinished(requests)}
