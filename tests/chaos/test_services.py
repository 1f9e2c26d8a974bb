"""Airflow's own processes are killed with all that they started, and started again."""

from __future__ import annotations

from tests.chaos.conftest import Chaos
from tests.chaos.run import BATCHES, TEAMS


def test_the_triggerer_is_killed_while_sixty_exports_wait_and_a_new_one_goes_on_waiting(chaos: Chaos) -> None:
    run = chaos.start("sprint")
    run.wait_for("deferred")
    assert len(run.exports()) == len(TEAMS)
    chaos.kill("triggerer")
    chaos.stack.start_process("triggerer")
    chaos.landed(run, "triggerer, while 60 exports wait")
    assert run.tries() == [1, 1, 1]
    for batch in range(len(BATCHES)):
        assert "Staged 40 rows of 20 slices; 0 scopes failed" in run.log("export", batch)


def test_the_scheduler_is_killed_while_sixty_exports_wait_and_a_new_one_lets_them_finish(chaos: Chaos) -> None:
    run = chaos.start("business_alignment")
    run.wait_for("deferred")
    assert len(run.exports()) == len(TEAMS)
    chaos.kill("scheduler")
    run.wait_for("scheduled")  # the triggerer has seen the exports end, and nobody is there to go on
    chaos.stack.start_process("scheduler")
    chaos.landed(run, "scheduler and its workers, while 60 exports wait")
    assert run.tries() == [1, 1, 1]


def test_the_scheduler_is_killed_while_its_workers_create_and_a_new_one_has_the_rest_made(chaos: Chaos) -> None:
    not_made = [team for batch in BATCHES for team in batch[-2:]]
    for team in not_made:
        chaos.sandbox.fault("429_seconds", team=team, call="create")
    run = chaos.start("business_alignment")
    run.wait(lambda: all(run.saved(batch) == 18 for batch in range(len(BATCHES))), "18 ids of each batch saved")
    assert not {*not_made} & {*run.per_scope()}
    chaos.kill("scheduler")
    chaos.sandbox.clear_faults()
    chaos.stack.start_process("scheduler")
    chaos.landed(run, "scheduler and its workers, 18 of 20 exports of each batch made and saved")
    assert run.tries() == [2, 2, 2]
    for batch in range(len(BATCHES)):
        log = run.log("export", batch)
        assert "Waiting for 20 exports (2 new, 0 reused by SEI, 18 resumed" in log
