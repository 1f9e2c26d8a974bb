"""The report task: for a batch of teams, ask SEI for a legacy report and stage what it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sei_provider.hooks.sei import SeiHook
from sei_provider.operators import batch
from sei_provider.operators.base import SeiBatchOperator
from sei_provider.operators.memory import Memory
from sei_provider.operators.work import Work

if TYPE_CHECKING:
    from airflow.sdk import Context

    from sei_provider.lake import Manifest


class SeiReportOperator(SeiBatchOperator):
    """Ask SEI for a legacy report of a batch of teams and stage the rows in the lake.

    SEI answers these reports at once, which may take minutes and holds the worker; prefer `SeiExportOperator` where
    it offers the same figures. Takes the place of it before `SeiPublishOperator`, with the same manifests.

    The CSV has no dates: its rows get the range asked for as `start_date` and `end_date`, which is never widened.
    A contributor report has a row for the org tree, each manager, their reports and each developer (CONTRACT
    row 20): never sum over them. Times to first comment are in days here, in hours in the exports (row 23).

    Takes the arguments of `SeiBatchOperator`:

    - `report`: `team_report` or `contributor_report`
    - `scopes`: teams only
    - `granularity`: `daily`, `weekly` or `monthly`, the unit of rates; SEI's own choice if None
    - `options`: for a contributor report `{"includeRatings": True}` adds a rating beside each metric that has one
    """

    _legacy = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._check_what_is_no_template()

    def execute(self, context: Context) -> list[Manifest]:
        """Ask for what no earlier try has staged."""
        work, memory = Work(), Memory(context, self.lake)
        with self._handing_on_what_landed(context, memory):
            requests = self._requests(context)
            with SeiHook(self.sei_conn_id).get_conn() as client:
                waiting = self._unstaged(requests, memory)
                batch.run_reports(client, waiting, work, memory, context["run_id"], self._staging())
        return self._hand_on(context, requests, work, memory)
