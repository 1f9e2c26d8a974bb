"""The link from an export task to SEI. Knows which call shows what; the address comes from the hook."""

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
    """From a task to what SEI's API says of its exports.

    Which page of SEI's web interface shows an export is not documented; so this is the API's own record, which wants
    the key as a header and is for `curl`, not for a browser.
    """

    name = "SEI export"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's signature
        """Airflow asks right after a run of the task, in its process, and keeps the answer as an XCom."""
        return str(getattr(operator, "link", ""))


def call_behind(report: str, export_ids: Sequence[str]) -> Call[Any]:
    """What shows these exports: the record of a single one; of several the list, where SEI has one, or the first."""
    if len(export_ids) > 1 and REPORTS[report].has_list:
        return endpoints.list_exports(report, {}, page=0)
    return endpoints.get_export(report, export_ids[0])
