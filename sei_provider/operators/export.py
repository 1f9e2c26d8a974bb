"""The export task: for a batch of scopes, create exports, wait deferred, download and stage what SEI made."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sei_provider import lake as sei_lake
from sei_provider.api.polling import ExportPoller
from sei_provider.api.request import ExportRequest, Scope
from sei_provider.hooks.sei import SeiHook
from sei_provider.links import SeiExportLink, call_behind
from sei_provider.operators import batch
from sei_provider.operators.base import SeiBatchOperator
from sei_provider.operators.making import make_exports
from sei_provider.operators.memory import Memory
from sei_provider.operators.splitting import TIMED_OUT, Splitter
from sei_provider.operators.work import Work
from sei_provider.triggers.export import SeiExportTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

    from sei_provider.lake import Manifest

_BACKSTOP = timedelta(minutes=10)
"""How much later than our own deadline Airflow ends the wait: only a triggerer that is gone lets it come to that."""


class SeiExportOperator(SeiBatchOperator):
    """Export one report for a batch of scopes and stage the rows in the lake.

    Creates one export per scope, defers once while SEI works, then downloads, checks and stages. The result is
    one manifest per scope: `{scope, start, end, table, path, rows, export_id, created_at, error}`, of which
    `path` is None where `error` is not. Scopes that landed are handed on even if others did not; then the task
    fails with one `SeiExportError` naming those, and its retry asks SEI for those only.

    Takes the arguments of `SeiBatchOperator` and those below. `report` is `productivity`, `sprint` or
    `business_alignment`; `start` and `end` are widened to whole periods of `granularity` (`weekly`, `monthly`,
    `quarterly`, for sprint also `sprint`), but not past the day of the run; `metrics` go beside or instead of groups.

    :param metric_groups: Groups of metrics; None for all of the report's. (templated)
    :param level: `developer` or `team` (productivity), `team` or `sprint` (sprint); `team` if None.
    :param aggregation: Productivity only; `mean` if None.
    :param computation_mode: Sprint only: `STORY_POINTS` or `TICKETS`; SEI's own choice if None.
    :param poll_interval: Seconds between the first rounds of questions about what SEI has done.
    :param poll_initial_delay: Seconds before the first round; as long as `poll_interval` if None. Airflow 3.3.2 may
        fail a task that resumes less than about five seconds after it deferred.
    :param poll_backoff: Factor by which each pause is longer than the one before.
    :param poll_max_interval: Seconds that no pause exceeds.
    :param timeout: How long a try waits for SEI, from its start, in seconds or as a timedelta. It is the only limit
        there is, and ours alone: SEI takes no limit and has no call that cancels an export, so what is still running
        then keeps running there. The task fails naming it; its retry takes it up and waits as long again.
    :param split_on: What SEI says, in any case, of an export that failed because it is too big. Such an export is
        replaced by those of the halves of its range, at one period by those of its child teams (the rows of the team
        itself are then missing). None switches splitting off.
    :param deferrable: Wait on the triggerer (True) or in the worker's slot.
    """

    template_fields: Sequence[str] = (*SeiBatchOperator.template_fields, "metric_groups")
    operator_extra_links = (SeiExportLink(),)
    link = ""
    """What the link leads to; known once there are exports."""

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
        split_on: Sequence[str] | None = TIMED_OUT,
        deferrable: bool = True,
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
        self.split_on = split_on or ()
        self.deferrable = deferrable
        self._check_what_is_no_template()
        ExportPoller(self.report, (), deadline=0.0, **self._polling())

    def _asked(self) -> dict[str, Any]:
        return super()._asked() | {
            "metric_groups": self.metric_groups,
            "level": self.level,
            "aggregation": self.aggregation,
            "computation_mode": self.computation_mode,
        }

    def execute(self, context: Context) -> list[Manifest]:
        """Take up what an earlier try made, create the rest, and wait."""
        timeout = self.timeout if isinstance(self.timeout, timedelta) else timedelta(seconds=self.timeout)
        deadline = time.time() + timeout.total_seconds()
        work, memory = Work(), Memory(context, self.lake)
        with self._handing_on_what_landed(context, memory):
            requests = self._requests(context)
            waiting = self._unstaged(requests, memory)
            asked = self._work(context["run_id"], requests, waiting, work, memory, deadline)
        return self._hand_on(context, asked, work, memory)

    def execute_complete(
        self, context: Context, event: dict[str, Any], work: dict[str, Any], deadline: float
    ) -> list[Manifest]:
        """Resume after the trigger: stage what was completed, and go on with what had to be split."""
        come_so_far, memory = Work(**work), Memory(context, self.lake)
        with self._handing_on_what_landed(context, memory):
            requests = self._requests(context)
            asked = self._work(context["run_id"], requests, [], come_so_far, memory, deadline, event)
        return self._hand_on(context, asked, come_so_far, memory)

    def on_kill(self) -> None:
        """Say what keeps running: SEI has no call that cancels an export."""
        self.log.warning("Killed. SEI cannot cancel exports: those made keep running there, and a retry takes them up")

    def _work(
        self,
        run_id: str,
        requests: list[ExportRequest],
        waiting: list[ExportRequest],
        work: Work,
        memory: Memory,
        deadline: float,
        seen: dict[str, Any] | None = None,
    ) -> list[ExportRequest]:
        """Rounds of making, following and settling exports, until none had to be split; gives all that was asked for.

        A deferred wait ends this call; `execute_complete` comes back with what was `seen`.
        """
        # Once the wait is over, what has ended is fetched however late it is.
        hook = SeiHook(self.sei_conn_id, deadline=None if seen else deadline)
        with hook.get_conn() as client:
            scopes = {request.scope for request in requests}
            splitter = Splitter(client, scopes, self.split_on, week_starts_on=hook.get_calendar().week_starts_on)
            self._link_to(hook, work)
            while seen or waiting:
                if seen is None:
                    make_exports(client, waiting, work, memory, splitter)
                    self._link_to(hook, work)
                    if work.exports and self.deferrable:
                        self._defer(work, deadline)
                    poller = ExportPoller(self.report, work.exports.values(), deadline=deadline, **self._polling())
                    seen = batch.follow_exports(client, poller)
                asked = [*requests, *self._parts(work)]
                parts = batch.settle(client, asked, work, seen, memory, run_id, splitter, self._staging())
                landed = sei_lake.staged(memory.folder)
                waiting, seen = [part for part in parts if part.fingerprint not in landed], None
        return [*requests, *self._parts(work)]

    def _link_to(self, hook: SeiHook, work: Work) -> None:
        if work.exports:
            self.link = hook.get_url(call_behind(self.report, list(work.exports.values())))

    def _polling(self) -> dict[str, Any]:
        return {
            "interval": self.poll_interval,
            "initial_delay": self.poll_initial_delay,
            "backoff": self.poll_backoff,
            "max_interval": self.poll_max_interval,
        }

    def _parts(self, work: Work) -> list[ExportRequest]:
        return [self._request(Scope.parse(part["scope"]), part["start"], part["end"]) for part in work.parts]

    def _defer(self, work: Work, deadline: float) -> None:
        self.defer(
            trigger=SeiExportTrigger(
                report=self.report,
                export_ids=list(work.exports.values()),
                deadline=deadline,
                polling=self._polling(),
                sei_conn_id=self.sei_conn_id,
            ),
            method_name="execute_complete",
            kwargs={"work": asdict(work), "deadline": deadline},
            timeout=timedelta(seconds=max(0.0, deadline - time.time())) + _BACKSTOP,
        )
