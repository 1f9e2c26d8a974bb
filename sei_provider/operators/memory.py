"""What an export task remembers from try to try: ids of exports in Airflow's task state, slices in its staging folder.

The state store came with Airflow 3.3; without it a retry still finds the staged slices, but not the exports
that were still running when the try before it died (DESIGN, decisions 6 and 7).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Context

    from sei_provider.api.export import Export
    from sei_provider.api.request import ExportRequest

log = logging.getLogger(__name__)


class Memory:
    """One task instance's memory.

    `folder` is its staging folder below the lake, `was_cleared` whether somebody cleared the task just before this try.
    """

    def __init__(self, context: Context, lake: str) -> None:
        from airflow.sdk import ObjectStoragePath

        ti = context["ti"]
        # The same for every try, and for no other task: dag, run, task and map index.
        name = "\n".join([ti.dag_id, ti.run_id, ti.task_id, str(ti.map_index)])
        self.folder: Any = ObjectStoragePath(lake) / "_staging" / hashlib.sha256(name.encode()).hexdigest()[:20]
        self._store: Any = context.get("task_state_store")
        self._is_first_try = ti.try_number <= 1
        # Clearing a task sets max_tries to the number of its last try plus its retries, so this tells a try that
        # follows a clear from one that follows a failure.
        self.was_cleared = not self._is_first_try and ti.try_number - 1 == ti.max_tries - (ti.task.retries or 0)

    def recall(self, requests: Iterable[ExportRequest]) -> dict[str, str]:
        """The export ids that an earlier try saved, by request key."""
        if self._is_first_try:
            return {}
        if self._store is None:
            log.warning(
                "This Airflow keeps no task state (it came with 3.3): exports that the try before this one made "
                "and did not stage are made again"
            )
            return {}
        found = {request.key: self._store.get(_name(request)) for request in requests}
        return {key: export_id for key, export_id in found.items() if export_id}

    def save(self, request: ExportRequest, export: Export) -> None:
        """Keep the id of the export that was made for a request."""
        if self._store is not None:
            self._store.set(_name(request), export.id)

    def forget(self, requests: Iterable[ExportRequest]) -> None:
        """Drop the ids of exports that nobody needs any more."""
        if self._store is not None:
            for request in requests:
                self._store.delete(_name(request))


def _name(request: ExportRequest) -> str:
    return f"export:{request.key}"
