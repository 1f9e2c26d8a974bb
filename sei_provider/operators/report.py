"""The report task: for a batch of teams, ask SEI for a legacy report and stage what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from sei_provider.hooks.sei import SeiHook
from sei_provider.operators import batch
from sei_provider.operators.base import SeiBatchOperator
from sei_provider.operators.batch import Work
from sei_provider.operators.memory import Memory

if TYPE_CHECKING:
    from airflow.sdk import Context

    from sei_provider.lake import Manifest
    from sei_provider.lake.personal import PersonalData
    from sei_provider.lake.staging import BadValue


class SeiReportOperator(SeiBatchOperator):
    """Ask SEI for a legacy report of a batch of teams and stage the rows in the lake.

    SEI answers these reports at once, which may take minutes and holds the worker; prefer `SeiExportOperator` where
    it offers the same figures. Takes the place of it before `SeiPublishOperator`, with the same manifests.

    The CSV has no dates: its rows get the range asked for as `start_date` and `end_date`, which is never widened.
    A contributor report has a row for the org tree, each manager, their reports and each developer (CONTRACT
    row 20): never sum over them. Times to first comment are in days here, in hours in the exports (row 23).

    :param report: `team_report` or `contributor_report`.
    :param scopes: The batch: team ids (str or int), or `{"teamId": …}`. (templated)
    :param start: First day, inclusive, as a date or `yyyy-MM-dd`. (templated)
    :param end: Last day, inclusive. (templated)
    :param metrics: Names of metrics; None for all. (templated)
    :param granularity: `daily`, `weekly` or `monthly`, the unit of rates, any case; SEI's own choice if None.
    :param options: For a contributor report `{"includeRatings": True}` adds a rating beside each metric that has one.
    :param lake: The lake's place, as for `SeiExportOperator`. (templated)
    :param raw: Where to keep each file as SEI sent it, too; a place like `lake`. (templated)
    :param on_bad_value: What a value does that does not fit its column's type: `fail` the scope, or put the row into
        `<lake>/_quarantine/<table>/`.
    :param personal_data: What becomes of developers' names and e-mail addresses: `keep`, `drop` the columns, or `hash`
        them under the connection's extra `personal_data_secret`.
    :param single_writer: Promises that nothing else writes to the lake: for stores that cannot tell two writers apart.
    :param sei_conn_id: The connection. (templated)

    Raises `SeiInputError` for wrong arguments, before any call.
    """

    def __init__(
        self,
        *,
        report: str,
        scopes: Sequence[Any],
        start: str | date,
        end: str | date,
        metrics: Sequence[str] | None = None,
        granularity: str | None = None,
        options: Mapping[str, Any] | None = None,
        lake: str,
        raw: str | None = None,
        on_bad_value: BadValue = "fail",
        personal_data: PersonalData = "keep",
        single_writer: bool = False,
        sei_conn_id: str = SeiHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            report=report,
            scopes=scopes,
            start=start,
            end=end,
            metrics=metrics,
            granularity=granularity,
            options=options,
            lake=lake,
            raw=raw,
            on_bad_value=on_bad_value,
            personal_data=personal_data,
            single_writer=single_writer,
            sei_conn_id=sei_conn_id,
            **kwargs,
        )
        self._check_what_is_no_template()

    def execute(self, context: Context) -> list[Manifest]:
        """Ask for what no earlier try has staged."""
        requests, work, memory = self._requests(context), Work(), Memory(context, self.lake)
        with SeiHook(self.sei_conn_id).get_conn() as client:
            waiting = self._unstaged(requests, memory)
            batch.run_reports(client, waiting, work, memory, context["run_id"], self._staging())
        return self._hand_on(context, requests, work, memory)
