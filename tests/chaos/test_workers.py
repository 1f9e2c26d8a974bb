"""Workers are killed half-way through making exports or staging them, and the next try takes up what there is."""

from __future__ import annotations

import pytest

from tests.chaos.conftest import Chaos
from tests.chaos.run import BATCHES

BATCH = 1
NOT_MADE = BATCHES[BATCH][-2:]
"""Teams whose exports SEI does not make, with a 429, until it is told to."""
LOST = BATCHES[BATCH][4:6]
"""Teams whose exports SEI makes, but tells their ids so slowly that the worker dies without them."""

KILLED = "Process terminated by signal"
"""Airflow's line in a task's log if the task's process was killed and its worker lives."""


@pytest.mark.parametrize("report", ["sprint", "productivity", "business_alignment"])
def test_a_worker_killed_as_it_creates_leaves_exports_without_saved_ids_which_sei_gives_again(
    chaos: Chaos, report: str
) -> None:
    for team in NOT_MADE:
        chaos.sandbox.fault("429_seconds", team=team, call="create")
    for team in LOST:
        chaos.sandbox.fault("slow_body", team=team, call="create", times=1)
    run = chaos.start(report)
    run.wait(lambda: run.saved(BATCH) == 16 and {*LOST} < {*run.per_scope()}, "16 ids saved and 2 on their way")
    assert not {*NOT_MADE} & {*run.per_scope()}
    run.task_process(BATCH).kill()
    # Business alignment tells a reuse by the export's age alone: more than 5 seconds.
    chaos.sandbox.advance(10)
    chaos.sandbox.clear_faults()
    chaos.landed(run, "task process, 16 of 20 exports made and saved, 2 made and not saved")
    assert run.tries() == [1, 2, 1]
    assert KILLED in run.log("export", BATCH, attempt=1)
    assert "Waiting for 20 exports (2 new, 2 reused by SEI, 16 resumed" in run.log("export", BATCH)


def test_a_worker_killed_as_it_creates_leaves_saved_ids_and_only_the_rest_is_made(chaos: Chaos) -> None:
    for team in NOT_MADE:
        chaos.sandbox.fault("429_seconds", team=team, call="create")
    run = chaos.start("business_alignment")
    run.wait(lambda: run.saved(BATCH) == 18, "18 ids saved")
    assert not {*NOT_MADE} & {*run.per_scope()}
    run.task_process(BATCH).kill()
    chaos.sandbox.clear_faults()
    chaos.landed(run, "task process, 18 of 20 exports made and saved")
    assert run.tries() == [1, 2, 1]
    assert KILLED in run.log("export", BATCH, attempt=1)
    assert "Waiting for 20 exports (2 new, 0 reused by SEI, 18 resumed" in run.log("export", BATCH)


@pytest.mark.parametrize(
    "what", ["task process", pytest.param("worker with its task process", id="worker-with-its-task-process")]
)
def test_a_worker_killed_as_it_stages_has_the_rest_staged_by_the_next_try(chaos: Chaos, what: str) -> None:
    for team in LOST:
        chaos.sandbox.fault("slow_body", team=team, call="download", times=1)
    run = chaos.start("sprint")
    run.wait(lambda: run.slices_staged() == 58, "58 slices staged")
    task_process, worker = run.task_process(BATCH), run.worker(BATCH)
    if what != "task process":
        worker.kill()  # first, so that it cannot tell anyone how its task ended
    task_process.kill()
    chaos.landed(run, f"{what}, 18 of 20 slices staged")
    assert run.tries() == [1, 2, 1]
    log = run.log("export", BATCH)
    assert "(18 staged by an earlier try)" in log
    assert "Waiting for 2 exports (0 new, 0 reused by SEI, 2 resumed" in log
