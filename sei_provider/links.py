"""The link from a task to SEI: to the team's page, otherwise to the API's records. Addresses come from the hook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperatorLink

from sei_provider.api import endpoints
from sei_provider.api.reports import REPORTS

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

    from sei_provider.api.call import Call
    from sei_provider.api.request import ExportRequest
    from sei_provider.hooks.sei import SeiHook


class SeiExportLink(BaseOperatorLink):
    """Link from a task to the page in SEI of its team, of a batch to that of its first team.

    No document names a page that shows an export. Where the connection has no `account_identifier`, or the batch no
    team, the link leads to the records of the exports in SEI's API, which need the key as a header.
    """

    name = "SEI export"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's signature
        """Return the task's link. Airflow calls this after a run, in its process, and keeps the answer as an XCom."""
        return str(getattr(operator, "link", ""))


def task_link(hook: SeiHook, requests: Sequence[ExportRequest], export_ids: Sequence[str]) -> str:
    """Return the address of the first team's page, otherwise of the exports' records; empty if there is neither."""
    request = next((each for each in requests if each.scope.team_id), None)
    if request and request.scope.team_id:
        page = hook.get_page(REPORTS[request.report].page, request.scope.team_id)
        if page:
            return page
    return hook.get_url(_record_call(requests[0].report, export_ids)) if export_ids else ""


def _record_call(report: str, export_ids: Sequence[str]) -> Call[Any]:
    """Return the call that reads a single export, or the list of several; without a list it reads the first."""
    if len(export_ids) > 1 and REPORTS[report].has_list:
        return endpoints.list_exports(report, {}, page=0)
    return endpoints.get_export(report, export_ids[0])
