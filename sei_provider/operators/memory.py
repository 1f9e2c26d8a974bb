"""What an export task remembers from try to try: ids of exports in Airflow's task state, slices in its staging folder.

The state store came with Airflow 3.3; without it a retry still finds the staged slices, but not the ids of the exports
that the try before it made (DESIGN, decisions 6 and 7).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Context

    from sei_provider.api.export import Export
    from sei_provider.api.request import ExportRequest

log = logging.getLogger(__name__)

_BEGUN = "begun"
"""The key under which the store holds since when a task is unfinished."""


class Memory:
    """One task instance's memory.

    `folder` is its staging folder below the lake, `keeps_ids` whether ids outlive a try.
    """

    def __init__(self, context: Context, lake: str) -> None:
        from airflow.sdk import ObjectStoragePath

        ti = context["ti"]
        # The same for every try, and for no other task: dag, run, task and map index.
        name = "\n".join([ti.dag_id, ti.run_id, ti.task_id, str(ti.map_index)])
        self.folder: Any = ObjectStoragePath(lake) / "_staging" / hashlib.sha256(name.encode()).hexdigest()[:20]
        self._store: Any = context.get("task_state_store")
        self.keeps_ids = self._store is not None
        self._is_first_try = ti.try_number <= 1
        # Clearing a task sets max_tries to the number of its last try plus its retries. So this many tries lay before
        # the last clear; 0 if there was none. (airflow/models/taskinstance.py, clear_task_instances; 3.1 to 3.3)
        self._tries_before_clear = ti.max_tries - (ti.task.retries or 0)
        self._is_cleared = not self._is_first_try and ti.try_number - 1 == self._tries_before_clear
        self._run = context["dag_run"]

    @cached_property
    def begun(self) -> datetime | None:
        """When this task first asked SEI for what it has not finished yet.

        None if it is to ask for all of it now: in its first try, and when somebody cleared it after it had succeeded.
        Without a state store nobody knows of a cleared task whether it had succeeded, so it is None then too.
        """
        if self._is_first_try:
            return None
        if self._store is not None:
            begun = self._store.get(_BEGUN)
            return datetime.fromisoformat(begun) if begun else None
        if self._tries_before_clear:
            log.warning(
                "This Airflow keeps no task state (it came with 3.3): what this task made before it was cleared and "
                "did not stage is made again"
            )
            return None
        return self._run.start_date

    @property
    def may_have_succeeded(self) -> bool:
        """Whether somebody cleared this task just before this try, as far as we know after it had succeeded."""
        return self._is_cleared and self.begun is None

    def begin(self) -> None:
        """Note that this task has begun and not finished."""
        if self._store is not None and self.begun is None:
            self._store.set(_BEGUN, datetime.now(UTC).isoformat())

    def recall(self, requests: Iterable[ExportRequest]) -> dict[str, str]:
        """The export ids that an earlier try saved, by request fingerprint."""
        if self._store is None or self.begun is None:
            return {}
        found = {request.fingerprint: self._store.get(_name(request)) for request in requests}
        return {key: export_id for key, export_id in found.items() if export_id}

    def save(self, request: ExportRequest, export: Export) -> None:
        """Keep the id of the export that was made for a request."""
        if self._store is not None:
            self._store.set(_name(request), export.id)

    def forget(self, request: ExportRequest) -> None:
        """Drop the id of an export that is of no use, so that the next try makes another."""
        if self._store is not None:
            self._store.delete(_name(request))

    def finish(self) -> None:
        """Drop everything: all is staged, and a clear from here on exports anew."""
        if self._store is not None:
            self._store.clear()


def _name(request: ExportRequest) -> str:
    return f"export:{request.fingerprint}"
