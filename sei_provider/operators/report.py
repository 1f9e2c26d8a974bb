"""The report task: for a batch of teams, ask SEI for a legacy report and stage what it answers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from sei_provider import metrics
from sei_provider.api.errors import SeiError
from sei_provider.api.export import Export
from sei_provider.api.request import ExportRequest
from sei_provider.hooks.sei import SeiHook
from sei_provider.links import SeiExportLink, task_link
from sei_provider.operators._base import SeiBatchOperator
from sei_provider.operators._staging import Stager, download_folder, spool
from sei_provider.operators._state import BatchState, TaskCheckpoint, map_concurrently

if TYPE_CHECKING:
    from airflow.sdk import Context

    from sei_provider.api.client import SeiClient
    from sei_provider.lake import Manifest

_NO_ROWS = b"Collection Name\n"
"""A legacy report without rows, for which SEI sends 0 bytes (CONTRACT row 21)."""


class SeiReportOperator(SeiBatchOperator):
    """Request a legacy report of a batch of teams from SEI and stage the rows in the lake.

    SEI answers while the task waits, which may take minutes and holds the worker. Prefer `SeiExportOperator` where it
    offers the same figures. The manifests are the same, and so is `SeiPublishOperator` after it.

    The CSV has no dates: its rows get the requested range as `start_date` and `end_date`, and it is never widened.
    A contributor report has a row for the org tree, each manager, their reports and each developer (CONTRACT
    row 20): never sum over them. Times to first comment are in days here, in hours in the exports (row 23).

    Takes the arguments of `SeiBatchOperator`:

    - `report`: `team_report`, `contributor_report` or `dora_report`
    - `scopes`: teams only
    - `granularity`: `daily`, `weekly` or `monthly`, the unit of rates; SEI's own choice if None
    - `options`: for a contributor report `{"includeRatings": True}` adds a rating beside each metric that has one, for
      a DORA report `{"calculationType": "MEDIAN"}` chooses among `MEAN`, `MEDIAN`, `P90` and `P95`
    """

    _legacy = True
    operator_extra_links = (SeiExportLink(),)
    link = ""
    """The link's address; a report has no record in the API, so without a page it stays empty."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._check_arguments()

    def execute(self, context: Context) -> list[Manifest]:
        """Request what no earlier try has staged."""
        with self._refusing(context):
            self._check_arguments()
            checkpoint = TaskCheckpoint(context, str(self.lake))
        state, hook = BatchState(), SeiHook(self.sei_conn_id)
        with self._handing_on_staged(context, checkpoint):
            requests = self._requests(context, hook)
            self.link = task_link(hook, requests, [])
            stager = self._stager(context, hook, checkpoint)
            with hook.get_conn() as client:
                unstaged = self._unstaged(context, requests, checkpoint, stager)
                _run_reports(client, unstaged, state, stager)
        return self._hand_on(context, requests, state, checkpoint, stager)


def _run_reports(client: SeiClient, requests: list[ExportRequest], state: BatchState, stager: Stager) -> None:
    with download_folder() as folder:

        def run(request: ExportRequest) -> tuple[Path, datetime]:
            requested_at = datetime.now(UTC)

            def download(file: IO[bytes]) -> None:
                if not client.run_report(request, file, **stager.download_limit):
                    file.write(_NO_ROWS)

            return spool(folder / request.fingerprint, download), requested_at

        def answered() -> Iterator[tuple[Path, ExportRequest, Export]]:
            for request, answer in map_concurrently(run, requests, when_idle=stager.stage_old):
                if isinstance(answer, SeiError):
                    metrics.count("sei.exports.failed", report=request.report)
                    state.fail(request, str(answer), permanent=answer.is_permanent)
                    continue
                file, at = answer
                # There is no export: the time of the request stands for SEI's own time and for an id.
                yield file, request, Export(report=request.report, id=f"report-{at:%Y%m%dT%H%M%S%f}", created_at=at)

        for request, _, error in stager.stage_each(answered()):
            metrics.count("sei.exports.unusable" if error else "sei.exports.staged", report=request.report)
            if error:
                state.fail(request, f"the {request.description}: {error}", permanent=error.is_permanent)
