"""Client for the part of Airflow's public REST API (v2) that the demo and the tests use."""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Self

import httpx

from dev.processes import StackError

PAGE = 100  # the API's default upper limit of rows in one answer (`[api] maximum_page_limit`)
REPLY_SECONDS = 30.0  # bound on one answer
SCHEDULE_SECONDS = 60.0  # bound on what the scheduler does in one or two seconds
FINAL_STATES = ("success", "failed")

Json = dict[str, Any]


class AirflowClient:
    """Talks to one Airflow whose SimpleAuthManager makes everyone an admin."""

    def __init__(self, base_url: str, *, transport: httpx.BaseTransport | None = None) -> None:
        self.base_url = base_url.rstrip("/")
        # The environment's proxies are not for this machine's own addresses.
        self._http = httpx.Client(base_url=self.base_url, timeout=REPLY_SECONDS, trust_env=False, transport=transport)
        self._token: str | None = None

    def __enter__(self) -> Self:
        """Keep one HTTP client open."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Close the HTTP client."""
        self._http.close()

    def healthy(self) -> bool:
        """Say whether metadatabase, scheduler, dag-processor and triggerer all report healthy now.

        Also calls the execution API, which tasks speak to: its first answer takes seconds, which the first task would
        otherwise spend in state `running`.
        """
        try:
            reply = self._http.get("/api/v2/monitor/health")
            tasks_may_call = self._http.get("/execution/health").is_success
        except httpx.TransportError:
            return False
        if not (reply.is_success and tasks_may_call):
            return False
        parts = reply.json()
        return all(
            (parts.get(name) or {}).get("status") == "healthy"
            for name in ("metadatabase", "scheduler", "dag_processor", "triggerer")
        )

    def dag_ids(self) -> set[str]:
        """Return the ids of all DAGs that were parsed."""
        return {dag["dag_id"] for dag in self._pages("/dags", "dags")}

    def import_errors(self) -> list[Json]:
        """Return `{filename, stack_trace, …}` of every DAG file that failed to import."""
        return self._pages("/importErrors", "import_errors")

    def unpause(self, *dag_ids: str) -> None:
        """Let DAGs run. A DAG scheduled by an asset starts no run while it is paused."""
        for dag_id in dag_ids:
            self._call("PATCH", f"/dags/{dag_id}", json={"is_paused": False})

    def trigger(
        self,
        dag_id: str,
        *,
        run_after: datetime | None = None,
        logical_date: datetime | None = None,
        conf: Mapping[str, Any] | None = None,
    ) -> str:
        """Start a run by hand and return its run id.

        A `run_after` in the past is kept as given and the run starts at once. Airflow would make the run id from it
        alone and refuse the same date a second time, hence the id made here. `logical_date` stays unique per DAG.
        """
        body: Json = {"logical_date": _iso(logical_date), "conf": dict(conf or {})}
        if run_after is not None:
            body["run_after"] = _iso(run_after)
            body["dag_run_id"] = f"manual__{_iso(run_after)}__{secrets.token_hex(4)}"
        return str(self._call("POST", f"/dags/{dag_id}/dagRuns", json=body)["dag_run_id"])

    def trigger_only(
        self,
        dag_id: str,
        *,
        run_after: datetime,
        logical_date: datetime | None = None,
        conf: Mapping[str, Any] | None = None,
    ) -> str:
        """Start a run by hand of a paused DAG that has a schedule, and no other run; return its run id.

        With `max_active_runs=1` the schedule's own run waits for ours, whose date is earlier, and is marked as done
        before its turn comes.
        """
        run_id = self.trigger(dag_id, run_after=run_after, logical_date=logical_date, conf=conf)
        self.unpause_only(dag_id)
        return run_id

    def unpause_only(self, dag_id: str) -> None:
        """Unpause a DAG and mark the run as done that its schedule makes for its last date, whatever that is today.

        Deleted, it would be made again. One is all that is waited for: if the schedule's next date passes meanwhile,
        that run is due too, but has no place beside ours and this one where `max_active_runs` is 1.
        """
        self.unpause(dag_id)
        deadline = time.monotonic() + SCHEDULE_SECONDS
        # In this order: a run that is made between the two calls is no more due, and must be seen.
        while self._due(dag_id) and not self._open_scheduled_runs(dag_id):
            if time.monotonic() > deadline:
                msg = f"{dag_id} was unpaused and has a run due, which the scheduler did not make: does it run?"
                raise StackError(msg)
            time.sleep(0.2)
        for run_id in self._open_scheduled_runs(dag_id):
            self._call("PATCH", f"/dags/{dag_id}/dagRuns/{run_id}", json={"state": "success"})

    def dag_runs(self, dag_id: str) -> list[Json]:
        """Return all runs of a DAG, oldest `run_after` first."""
        return self._pages(f"/dags/{dag_id}/dagRuns", "dag_runs", order_by="run_after")

    def wait(
        self,
        dag_id: str,
        run_id: str,
        *,
        timeout: float,
        progress: Callable[[Mapping[str, int]], None] | None = None,
        poll: float = 0.5,
    ) -> str:
        """Wait until a run has ended and return its state, `success` or `failed`.

        `progress` is called at every poll with the number of task instances per state.

        Raises:
            StackError: still not ended after `timeout` seconds; says which tasks are in which state.
        """
        deadline = time.monotonic() + timeout
        while True:
            state = str(self._call("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"])
            if progress is not None:
                progress(self.counts(dag_id, run_id))
            if state in FINAL_STATES:
                return state
            if time.monotonic() > deadline:
                open_tasks = [
                    f"{task_name(task)}: {task['state']}"
                    for task in self.task_instances(dag_id, run_id)
                    if task["state"] not in {"success", "skipped"}
                ]
                msg = f"waited {timeout:.0f} s for run {run_id} of {dag_id}, which is {state}; not done: {open_tasks}"
                raise StackError(msg)
            time.sleep(poll)

    def counts(self, dag_id: str, run_id: str) -> dict[str, int]:
        """Return the number of a run's task instances by state; those not yet scheduled count as `waiting`."""
        counts: dict[str, int] = {}
        for task in self.task_instances(dag_id, run_id):
            state = task["state"] or "waiting"
            counts[state] = counts.get(state, 0) + 1
        return counts

    def task_instances(self, dag_id: str, run_id: str) -> list[Json]:
        """Return all task instances of a run, mapped ones too.

        Of their fields: `task_id`, `map_index`, `rendered_map_index`, `state`, `try_number`, `start_date`, `end_date`,
        and `id`, another one for each try, which is in the titles of the processes that work on it.
        """
        return self._pages(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", "task_instances")

    def tasks_in(self, dag_id: str, run_id: str, state: str) -> list[Json]:
        """Return a run's task instances in one state; `failed` are those that failed by themselves."""
        return [task for task in self.task_instances(dag_id, run_id) if task["state"] == state]

    def xcoms(self, dag_id: str, run_id: str, *, task_id: str = "~", key: str | None = None) -> list[Json]:
        """Return the XComs of a run (or of one task) as `{task_id, map_index, key, value, …}`, values read."""
        only_key = {} if key is None else {"xcom_key": key}
        run = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        return [
            self._call(
                "GET",
                f"{run}/{entry['task_id']}/xcomEntries/{entry['key']}",
                params={"map_index": entry["map_index"], "deserialize": True},
            )
            for entry in self._pages(f"{run}/{task_id}/xcomEntries", "xcom_entries", **only_key)
        ]

    def task_log(
        self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1, try_number: int | None = None
    ) -> str:
        """Return the text of one try's log, the trigger's part included; of the last try by default."""
        if try_number is None:
            instance = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/{map_index}"
            try_number = int(self._call("GET", instance)["try_number"])
        reply = self._call(
            "GET",
            f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}",
            params={"map_index": map_index, "full_content": True},
            headers={"Accept": "application/json"},
        )
        return "\n".join(_log_line(entry) for entry in reply["content"])

    def clear(
        self,
        dag_id: str,
        run_id: str,
        *,
        task_ids: Sequence[str | tuple[str, int]] | None = None,
        only_failed: bool = False,
        downstream: bool = False,
    ) -> list[Json]:
        """Clear tasks of a run, by id or (id, map index), so that they run again; return those cleared."""
        body: Json = {
            "dry_run": False,
            "dag_run_id": run_id,
            "only_failed": only_failed,
            "include_downstream": downstream,
        }
        if task_ids is not None:
            body["task_ids"] = list(task_ids)
        return list(self._call("POST", f"/dags/{dag_id}/clearTaskInstances", json=body)["task_instances"])

    def set_state(self, dag_id: str, run_id: str, task_id: str, state: str, *, map_index: int = -1) -> None:
        """Mark one task instance as `success`, `failed` or `skipped`, as a person does in the UI."""
        instance = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        mapped = f"/{map_index}" if map_index >= 0 else ""
        self._call("PATCH", instance + mapped, json={"new_state": state})

    def task_state(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1) -> dict[str, Any]:
        """Return what a task instance keeps in its task state store: values by key. Airflow 3.3 and later."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/state-store"
        return {row["key"]: row["value"] for row in self._pages(path, "task_state_store", map_index=map_index)}

    def test_connection(self, connection: Mapping[str, Any]) -> tuple[bool, str]:
        """Have Airflow test a connection; one that is stored may be given with its password masked."""
        result = self._call("POST", "/connections/test", json=dict(connection))
        return result["status"], result["message"]

    def asset_events(self, **filters: str | int) -> list[Json]:
        """Return asset events, oldest first; `filters` as in the API, e.g. `source_dag_id`, `source_run_id`."""
        return self._pages("/assets/events", "asset_events", order_by="timestamp", **filters)

    def queued_asset_events(self, dag_id: str) -> list[Json]:
        """Return the asset events that wait to become a run of this DAG."""
        return list(self._call("GET", f"/dags/{dag_id}/assets/queuedEvents")["queued_events"])

    def _open_scheduled_runs(self, dag_id: str) -> list[str]:
        runs = self.dag_runs(dag_id)
        return [
            run["dag_run_id"] for run in runs if run["run_type"] == "scheduled" and run["state"] not in FINAL_STATES
        ]

    def _due(self, dag_id: str) -> bool:
        due = self._call("GET", f"/dags/{dag_id}")["next_dagrun_run_after"]
        return due is not None and datetime.fromisoformat(due) <= datetime.now(UTC)

    def _pages(self, path: str, field: str, **params: str | int) -> list[Json]:
        rows: list[Json] = []
        while True:
            page = self._call("GET", path, params={**params, "limit": PAGE, "offset": len(rows)})
            rows += page[field]
            if not page[field] or len(rows) >= page["total_entries"]:
                return rows

    def _call(self, method: str, path: str, **request: Any) -> Json:
        headers = {"Authorization": f"Bearer {self._bearer()}", **request.pop("headers", {})}
        for last_try in (False, False, True):
            try:
                reply = self._http.request(method, f"/api/v2{path}", headers=headers, **request)
            except httpx.TimeoutException as error:
                if method == "GET" and not last_try:
                    continue
                msg = f"Airflow has not answered {method} {path} within {REPLY_SECONDS:.0f} s"
                raise StackError(msg) from error
            # On SQLite the API server deadlocks with itself for five seconds when a call that changes something meets
            # a task's start: it writes its audit log on the event loop that the other transaction needs to end.
            # The call was not carried out then, and a run id of ours cannot be used twice. What only reads may fail
            # for a moment too: 3.3.2 answers 500 for asset events while a run that they start is queued.
            may_pass = reply.is_server_error and (method == "GET" or "Database error" in reply.text)
            if last_try or not may_pass:
                break
            time.sleep(0.5)
        if reply.is_error:
            msg = f"Airflow refused {method} {path}: {reply.status_code} {reply.text[:1000]}"
            raise StackError(msg)
        answer: Json = reply.json() if reply.content else {}
        return answer

    def _bearer(self) -> str:
        if self._token is None:
            reply = self._http.get("/auth/token")
            reply.raise_for_status()
            self._token = str(reply.json()["access_token"])
        return self._token


def task_name(task: Mapping[str, Any]) -> str:
    """Return how a person would call a task instance: `export_sprint[Payments]`, or its task id alone."""
    if task["map_index"] < 0:
        return str(task["task_id"])
    return f"{task['task_id']}[{task['rendered_map_index'] or task['map_index']}]"


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _log_line(entry: str | Json) -> str:
    if isinstance(entry, str):
        return entry
    start = " ".join(str(entry[key]) for key in ("timestamp", "level") if entry.get(key))
    lines = [f"{start} {entry['event']}".strip()]
    for error in entry.get("error_detail") or ():
        lines += [f"    {frame['filename']}:{frame['lineno']} in {frame['name']}" for frame in error["frames"]]
        lines.append(f"    {error['exc_type']}: {error['exc_value']}")
    return "\n".join(lines)
