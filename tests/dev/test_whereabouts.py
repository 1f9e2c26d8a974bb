"""Record of workers and triggerers, from the API's answers at each look."""

from typing import Any

from dev.emulation.whereabouts import Try, Whereabouts


def _task(state: str, **fields: Any) -> dict[str, Any]:
    task = {"task_id": "export", "map_index": -1, "try_number": 1, "hostname": "", "triggerer_job": None}
    return {**task, "rendered_map_index": None, "state": state, **fields}


def test_a_worker_has_what_it_was_seen_running_each_try_once() -> None:
    seen = Whereabouts()
    for _ in range(2):
        seen.look([_task("running", hostname="worker-1"), _task("running", task_id="publish", hostname="worker-2")])
    seen.look(
        [_task("running", try_number=2, hostname="worker-2"), _task("success", task_id="publish", hostname="worker-2")]
    )
    assert seen.tasks == {"worker-1": {Try("export", 1)}, "worker-2": {Try("export", 2), Try("publish", 1)}}
    assert seen.running == {"worker-2": ["export"]}
    assert seen.retried == {"export"}


def test_a_triggerer_has_what_it_waits_for_not_what_nobody_has_taken_yet() -> None:
    seen = Whereabouts()
    seen.look([_task("deferred", hostname="worker-1")])
    assert (seen.triggers, seen.waiting, seen.running) == ({}, {}, {})
    seen.look([_task("deferred", hostname="worker-1", triggerer_job={"hostname": "triggerer-2"})])
    assert seen.triggers == {"triggerer-2": {Try("export", 1)}}
    assert seen.waiting == {"triggerer-2": ["export"]}
    seen.look([_task("running", hostname="worker-1", triggerer_job={"hostname": "triggerer-2"})])
    assert seen.waiting == {}
