"""Progress of an export task: within a try (`BatchState`), and from one try to the next (`TaskCheckpoint`)."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, cast

from sei_provider.api.errors import SeiError
from sei_provider.api.request import ExportRequest

if TYPE_CHECKING:
    from airflow.sdk import Context

    from sei_provider.api.export import Export

log = logging.getLogger(__name__)

MAX_WORKERS = 8
"""Calls at a time: enough to use up the key's limit, few enough to be a good neighbour."""
CHUNK_IDS = 25
CHUNK_SECONDS = 1.0
"""Export ids are saved when so many are unsaved, or after so long: one call to Airflow for each id would be the slowest
part of creating them (DESIGN, decision 6)."""

_CHECKPOINT = "checkpoint"
"""The key of the task state store under which a checkpoint lies."""
_STARTED_751F940 = "begun"
"""Commit 751f940 kept a key per value: this one, `export:<fingerprint>` and `of_no_use:<fingerprint>`."""
_FIELDS_751F940 = {"taken_up": "resumed", "final": "permanent"}

Item = TypeVar("Item")
Result = TypeVar("Result")


class Part(TypedDict):
    """A request that takes the place of one that was too big; the rest of it is the same."""

    scope: dict[str, str]
    start: str
    end: str


@dataclass(slots=True)
class BatchState:
    """The state of one try, as JSON values by the request's fingerprint; it travels in the trigger's event."""

    deadline: float = 0.0
    """Unix time in seconds at which this try stops waiting."""
    exports: dict[str, str] = field(default_factory=dict)
    """The ids of the exports that are being waited for."""
    made_at: dict[str, str] = field(default_factory=dict)
    """SEI's creation times of these exports, by export id, as far as they are known."""
    resumed: list[str] = field(default_factory=list)
    """The requests whose export an earlier try created."""
    reused: list[str] = field(default_factory=list)
    """The requests for which SEI gave back an export that it had made before."""
    fresh_from: dict[str, str] = field(default_factory=dict)
    """The requests for which SEI gave back a published export, and the time from which SEI creates a new one."""
    errors: dict[str, str] = field(default_factory=dict)
    """The requests that failed in this try, and why."""
    permanent: list[str] = field(default_factory=list)
    """Those of them that would fail in every later try."""
    parts: list[Part] = field(default_factory=list)
    """The requests that took the place of those that were too big."""
    split: dict[str, str | None] = field(default_factory=dict)
    """The requests that were split: the rows that no part carries, or None if the parts carry all."""
    ended: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By export id, the reply that tells of its end, until its file is staged."""
    resume_at: float | None = None
    """Unix time in seconds at which the key's limit leaves turns again; None while there are some."""
    deferrals_left: int | None = None
    """Number of times that this try may still defer for the limit; None if it has not yet."""

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> BatchState:
        """Read a state as a deferral carried it, in this version or in 751f940."""
        return cls(**{_FIELDS_751F940.get(name, name): value for name, value in saved.items()})

    def fail(self, request: ExportRequest, why: str, *, permanent: bool = False) -> None:
        """Record that a request failed in this try, and whether every later try would fail as well."""
        self.errors[request.fingerprint] = why
        if permanent:
            self.permanent.append(request.fingerprint)

    @property
    def is_permanent_failure(self) -> bool:
        """Tell whether something failed, and every later try would fail in the same way."""
        return bool(self.errors) and set(self.errors) <= set(self.permanent)


class _Saved(TypedDict):
    """A checkpoint as it lies in the task state store."""

    started_at: str
    exports: dict[str, str]
    """Export ids by the request's fingerprint."""
    unusable: list[str]
    """Ids of exports that failed or whose file cannot be used: SEI may give them back for 30 minutes."""


class TaskCheckpoint:
    """Memory of one task instance over its tries: export ids in Airflow's task state, slices in its staging folder.

    The task state store came with Airflow 3.3. Before, a retry finds the staged slices only, and gets running exports
    back from SEI for as long as SEI reuses them (DESIGN, decisions 6 and 7). All calls to Airflow are made by the
    thread that calls these methods, which has to be the task's main thread: Airflow's client is not made for more.

    `folder` is the task's staging folder, `lake` the lake it lies in, `keeps_ids` whether export ids outlive a try,
    `is_first_try` whether there was none before.
    """

    def __init__(self, context: Context, lake: str) -> None:
        from sei_provider.hooks.lake import open_lake

        ti = context["ti"]
        # The same for every try, and for no other task: dag, run, task and map index.
        name = "\n".join([ti.dag_id, ti.run_id, ti.task_id, str(ti.map_index)])
        self.lake = open_lake(lake)
        self.folder = self.lake / "_staging" / hashlib.sha256(name.encode()).hexdigest()[:20]
        self._store: Any = context.get("task_state_store")
        self.keeps_ids = self._store is not None
        self.is_first_try = ti.try_number <= 1
        # Clearing a task sets max_tries to the number of its last try plus its retries. So this many tries lay before
        # the last clear; 0 if there was none. (airflow/models/taskinstance.py, clear_task_instances; 3.1 to 3.3)
        self._tries_before_clear = ti.max_tries - (ti.task.retries or 0)
        self._is_cleared = not self.is_first_try and ti.try_number - 1 == self._tries_before_clear
        self._run = context["dag_run"]
        self._unsaved = 0
        self._saved_at = 0.0

    @cached_property
    def started_at(self) -> datetime | None:
        """Return the time at which the task started the work that it has not finished yet.

        It is None if all work is still to be done: in the first try, and after a clear of a task that had succeeded.
        Without a state store it is None after every clear, because nobody knows whether the task had succeeded.
        """
        if self.is_first_try:
            return None
        if self.keeps_ids:
            started_at = self._saved["started_at"]
            return datetime.fromisoformat(started_at) if started_at else None
        if self._tries_before_clear:
            log.warning(
                "This Airflow has no task state store (Airflow 3.3 has): exports that this task created before it was "
                "cleared and did not stage are requested again. SEI gives them back for 30 minutes, then creates new "
                "ones"
            )
            return None
        run_started_at: datetime | None = self._run.start_date
        return run_started_at

    @property
    def may_have_succeeded(self) -> bool:
        """Tell whether this task was cleared just before this try and, as far as is known, had succeeded."""
        return self._is_cleared and self.started_at is None

    def begin(self) -> None:
        """Record that the task has started and not finished."""
        if self.started_at is None:
            if self._is_of_751f940:
                self._store.delete(_STARTED_751F940)
                self._is_of_751f940 = ""
            self._saved = _Saved(started_at=datetime.now(UTC).isoformat(), exports={}, unusable=[])
            self._unsaved += 1
            self.flush()

    def load(self, requests: Iterable[ExportRequest]) -> dict[str, str]:
        """Return the export ids that an earlier try saved, by the request's fingerprint."""
        exports, fingerprints = self._saved["exports"], [request.fingerprint for request in requests]
        for fingerprint in fingerprints if self._is_of_751f940 else ():
            if fingerprint not in exports and (export_id := self._store.get(f"export:{fingerprint}")):
                exports[fingerprint] = export_id
            if unusable := self._store.get(f"of_no_use:{fingerprint}"):
                self._saved["unusable"].append(unusable)
        return {fingerprint: exports[fingerprint] for fingerprint in fingerprints if fingerprint in exports}

    def save(self, request: ExportRequest, export: Export) -> None:
        """Keep the id of the export that was created for a request; it may be saved with the next ones."""
        self._saved["exports"][request.fingerprint] = export.id
        self._unsaved += 1
        if self._unsaved >= CHUNK_IDS or time.monotonic() - self._saved_at >= CHUNK_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Save what is not saved yet."""
        if self._unsaved:
            if self.keeps_ids:
                self._store.set(_CHECKPOINT, dict(self._saved))
            self._unsaved, self._saved_at = 0, time.monotonic()

    def forget(self, request: ExportRequest, *, unusable: bool) -> None:
        """Drop the id of a request's export, so that the next try creates one; `unusable` refuses the same from SEI."""
        if request.fingerprint not in self.load([request]):
            return
        export_id = self._saved["exports"].pop(request.fingerprint)
        if unusable:
            self._saved["unusable"].append(export_id)
        if self._is_of_751f940:
            self._store.delete(f"export:{request.fingerprint}")
        self._unsaved += 1
        self.flush()

    def is_unusable(self, export: Export) -> bool:
        """Tell whether an earlier try found that the export failed or that its file cannot be used."""
        return export.id in self._saved["unusable"]

    def finish(self) -> None:
        """Drop everything, since all is staged: a clear from here on exports anew."""
        if self.keeps_ids:
            self._store.clear()

    @cached_property
    def _saved(self) -> _Saved:
        if self.keeps_ids and (saved := self._store.get(_CHECKPOINT)):
            return cast("_Saved", saved)
        return _Saved(started_at=self._is_of_751f940, exports={}, unusable=[])

    @cached_property
    def _is_of_751f940(self) -> str:
        """Return the time at which the task started if 751f940 started it, otherwise an empty text."""
        return str(self._store.get(_STARTED_751F940) or "") if self.keeps_ids else ""


def map_concurrently(
    call: Callable[[Item], Result], items: Iterable[Item], *, when_idle: Callable[[], None] = lambda: None
) -> Iterator[tuple[Item, Result | SeiError]]:
    """Call for all items, a few at a time; yields each item with its result or `SeiError` as they come.

    The next call starts when the caller has taken a result, so no more than a few results wait: downloads do not fill
    the disk while files are staged. `when_idle` is called about each second in which none comes. An error that affects
    all scopes, such as that of a wrong key, starts no further call; it is raised after those under way.
    """
    left = iter(items)
    failure: BaseException | None = None
    pool = ThreadPoolExecutor(MAX_WORKERS, thread_name_prefix="sei")
    try:
        calls = {pool.submit(call, item): item for item in islice(left, MAX_WORKERS)}
        while calls:
            done, _ = wait(calls, timeout=CHUNK_SECONDS, return_when=FIRST_COMPLETED)
            if not done:
                when_idle()
            for future in done:
                item = calls.pop(future)
                error = future.exception()
                if error is None:
                    yield item, future.result()
                elif isinstance(error, SeiError) and not error.affects_all_scopes:
                    yield item, error
                else:
                    failure = failure or error
                if failure is None:
                    calls |= {pool.submit(call, item): item for item in islice(left, 1)}
        if failure is not None:
            raise failure
    finally:
        pool.shutdown(cancel_futures=True)
