"""The link from an export task to SEI. The call is chosen here; its address comes from the hook."""

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


class SeiExportLink(BaseOperatorLink):
    """Link from a task to the records of its exports in SEI's API.

    No document names a page of SEI's web interface that shows an export. The API's record needs the key as a header,
    so the link is for `curl` rather than for a browser.
    """

    name = "SEI export"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's signature
        """Return the task's link. Airflow calls this after a run, in its process, and keeps the answer as an XCom."""
        return str(getattr(operator, "link", ""))


def record_call(report: str, export_ids: Sequence[str]) -> Call[Any]:
    """Return the call that reads a single export, or the list of several; without a list it reads the first."""
    if len(export_ids) > 1 and REPORTS[report].has_list:
        return endpoints.list_exports(report, {}, page=0)
    return endpoints.get_export(report, export_ids[0])
