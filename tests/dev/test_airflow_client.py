"""The client of Airflow's REST API, against answers in the shapes that Airflow 3.3.2 gives."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from dev.airflow_client import AirflowClient, task_name
from dev.processes import StackError

LOCKED = {"detail": {"reason": "Database error", "message": "Serious error when handling your request."}}
NIGHT = datetime(2026, 3, 18, 2, 30, tzinfo=UTC)


class Airflow:
    """Answers calls by method and path; keeps what it was asked."""

    def __init__(self, answers: dict[str, Callable[[httpx.Request], httpx.Response]]) -> None:
        self.answers = answers
        self.calls: list[tuple[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/token":
            return httpx.Response(201, json={"access_token": "t"})
        assert request.headers["authorization"] == "Bearer t"
        call = f"{request.method} {request.url.path.removeprefix('/api/v2')}"
        self.calls.append((call, json.loads(request.content) if request.content else None))
        return self.answers[call](request)

    def client(self) -> AirflowClient:
        return AirflowClient("http://airflow", transport=httpx.MockTransport(self))


def _one_after_another(*replies: httpx.Response) -> Callable[[httpx.Request], httpx.Response]:
    left: Iterator[httpx.Response] = iter(replies)
    return lambda _request: next(left)


def test_all_pages_are_read() -> None:
    def page(request: httpx.Request) -> httpx.Response:
        first, size = int(request.url.params["offset"]), int(request.url.params["limit"])
        rows = [{"task_id": f"t{number}"} for number in range(250)][first : first + size]
        return httpx.Response(200, json={"task_instances": rows, "total_entries": 250})

    airflow = Airflow({"GET /dags/d/dagRuns/r/taskInstances": page})
    assert [task["task_id"] for task in airflow.client().task_instances("d", "r")] == [f"t{n}" for n in range(250)]
    assert len(airflow.calls) == 3


def test_a_call_that_met_a_locked_database_is_made_again() -> None:
    replies = _one_after_another(httpx.Response(500, json=LOCKED), httpx.Response(200, json={}))
    airflow = Airflow({"PATCH /dags/d": replies})
    airflow.client().unpause("d")
    assert airflow.calls == [("PATCH /dags/d", {"is_paused": False})] * 2


def test_a_read_without_an_answer_is_made_again_and_what_changes_something_is_not() -> None:
    def silent(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("timed out", request=request)  # noqa: EM101, TRY003 - httpx's own words

    airflow = Airflow({"GET /dags/d/dagRuns": silent, "PATCH /dags/d": silent})
    with pytest.raises(StackError, match="Airflow has not answered GET /dags/d/dagRuns within 30 s"):
        airflow.client().dag_runs("d")
    with pytest.raises(StackError, match="Airflow has not answered PATCH /dags/d within 30 s"):
        airflow.client().unpause("d")
    assert [call for call, _ in airflow.calls] == ["GET /dags/d/dagRuns"] * 3 + ["PATCH /dags/d"]


def test_another_error_is_told_at_once_with_what_was_asked_and_what_came_back() -> None:
    airflow = Airflow({"PATCH /dags/d": lambda _request: httpx.Response(404, json={"detail": "no such DAG"})})
    with pytest.raises(StackError, match=r"PATCH /dags/d: 404 .*no such DAG"):
        airflow.client().unpause("d")
    assert len(airflow.calls) == 1


def test_two_runs_of_one_date_get_two_run_ids() -> None:
    def run(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"dag_run_id": json.loads(request.content)["dag_run_id"]})

    client = Airflow({"POST /dags/d/dagRuns": run}).client()
    first, second = client.trigger("d", run_after=NIGHT), client.trigger("d", run_after=NIGHT)
    assert first != second
    assert first.startswith("manual__2026-03-18T02:30:00+00:00__")


OURS = {"dag_run_id": "ours", "run_type": "manual", "state": "running"}


def _scheduled(run_id: str, state: str) -> dict[str, str]:
    return {"dag_run_id": run_id, "run_type": "scheduled", "state": state}


def _runs(*runs: dict[str, str]) -> httpx.Response:
    return httpx.Response(200, json={"dag_runs": runs, "total_entries": len(runs)})


def _triggered(*, run_lists: list[httpx.Response], due: list[str]) -> Airflow:
    """An Airflow whose lists of runs and next dates of the schedule come in this order."""
    dates = [httpx.Response(200, json={"next_dagrun_run_after": date}) for date in due]
    return Airflow(
        {
            "POST /dags/d/dagRuns": lambda _request: httpx.Response(200, json={"dag_run_id": "ours"}),
            "PATCH /dags/d": lambda _request: httpx.Response(200, json={}),
            "GET /dags/d": _one_after_another(*dates),
            "GET /dags/d/dagRuns": _one_after_another(*run_lists),
            "PATCH /dags/d/dagRuns/today": lambda _request: httpx.Response(200, json={}),
        }
    )


PAST, FUTURE = "2026-01-01T02:30:00Z", "9999-01-01T02:30:00Z"


def test_trigger_only_waits_for_the_schedules_own_run_and_marks_it_alone_as_done() -> None:
    before, made = _runs(OURS, _scheduled("yesterday", "success")), _runs(OURS, _scheduled("today", "queued"))
    airflow = _triggered(run_lists=[before, made], due=[PAST, FUTURE])
    assert airflow.client().trigger_only("d", run_after=NIGHT) == "ours"
    assert [call for call, _ in airflow.calls] == [
        "POST /dags/d/dagRuns",
        "PATCH /dags/d",
        "GET /dags/d",
        "GET /dags/d/dagRuns",
        "GET /dags/d",
        "GET /dags/d/dagRuns",
        "PATCH /dags/d/dagRuns/today",
    ]
    assert airflow.calls[-1][1] == {"state": "success"}


def test_trigger_only_does_not_wait_for_a_second_date_of_the_schedule_that_passed_meanwhile() -> None:
    """The scheduler makes no run for it while ours and the first have the places: CI once met it at 02:30."""
    made = _runs(OURS, _scheduled("today", "queued"))
    airflow = _triggered(run_lists=[made, made], due=[PAST])
    assert airflow.client().trigger_only("d", run_after=NIGHT) == "ours"
    assert [call for call, _ in airflow.calls][-1] == "PATCH /dags/d/dagRuns/today"


def test_trigger_only_marks_a_run_that_the_scheduler_made_before_the_first_look() -> None:
    airflow = _triggered(run_lists=[_runs(OURS, _scheduled("today", "queued"))], due=[FUTURE])
    assert airflow.client().trigger_only("d", run_after=NIGHT) == "ours"
    assert [call for call, _ in airflow.calls][-1] == "PATCH /dags/d/dagRuns/today"


def test_trigger_only_marks_nothing_if_the_schedule_has_no_run_due() -> None:
    airflow = _triggered(run_lists=[_runs(OURS)], due=[FUTURE])
    assert airflow.client().trigger_only("d", run_after=NIGHT) == "ours"
    assert [call for call, _ in airflow.calls][-1] == "GET /dags/d/dagRuns"


def test_a_task_is_marked_by_hand_a_mapped_one_by_its_index() -> None:
    done = httpx.Response(200, json={})
    path = "PATCH /dags/d/dagRuns/r/taskInstances/t"
    airflow = Airflow({path: lambda _request: done, f"{path}/2": lambda _request: done})
    airflow.client().set_state("d", "r", "t", "success")
    airflow.client().set_state("d", "r", "t", "failed", map_index=2)
    assert airflow.calls == [(path, {"new_state": "success"}), (f"{path}/2", {"new_state": "failed"})]


def test_what_a_mapped_task_keeps_is_read_by_key() -> None:
    def state(request: httpx.Request) -> httpx.Response:
        rows = [{"key": "export:1", "value": "exp_1"}] if request.url.params["map_index"] == "2" else []
        return httpx.Response(200, json={"task_state_store": rows, "total_entries": len(rows)})

    client = Airflow({"GET /dags/d/dagRuns/r/taskInstances/t/state-store": state}).client()
    assert client.task_state("d", "r", "t", map_index=2) == {"export:1": "exp_1"}
    assert client.task_state("d", "r", "t", map_index=1) == {}


def test_a_log_line_shows_what_was_raised_and_where() -> None:
    frames = [{"filename": "batch.py", "lineno": 7, "name": "stage"}]
    entry = {
        "timestamp": "2026-03-18T02:30:00Z",
        "level": "error",
        "event": "Task failed",
        "error_detail": [{"exc_type": "SeiError", "exc_value": "export 1 failed", "frames": frames}],
    }
    answer = {"content": [{"event": "::group::"}, entry], "continuation_token": None}
    airflow = Airflow(
        {"GET /dags/d/dagRuns/r/taskInstances/t/logs/1": lambda _request: httpx.Response(200, json=answer)}
    )
    assert airflow.client().task_log("d", "r", "t", try_number=1).splitlines() == [
        "::group::",
        "2026-03-18T02:30:00Z error Task failed",
        "    batch.py:7 in stage",
        "    SeiError: export 1 failed",
    ]


def test_a_mapped_task_is_called_by_its_readable_name_if_it_has_one() -> None:
    assert task_name({"task_id": "teams", "map_index": -1, "rendered_map_index": None}) == "teams"
    assert task_name({"task_id": "export", "map_index": 3, "rendered_map_index": None}) == "export[3]"
    assert task_name({"task_id": "export", "map_index": 3, "rendered_map_index": "Payments"}) == "export[Payments]"
