"""People clear and fail tasks that wait, through the calls that Airflow's UI makes."""

from __future__ import annotations

from tests.chaos.conftest import Chaos
from tests.chaos.run import BATCHES


def test_a_task_cleared_while_it_waits_takes_up_its_twenty_exports(chaos: Chaos) -> None:
    run = chaos.start("sprint")
    run.wait_for("deferred")
    run.clear(1)
    chaos.landed(run, "nothing: one batch cleared while it waits")
    assert run.tries() == [1, 2, 1]
    assert "Waiting for 20 exports (0 new, 0 reused by SEI, 20 resumed" in run.log("export", 1)


def test_a_task_failed_by_hand_while_it_waits_is_named_and_once_cleared_takes_up_its_twenty_exports(
    chaos: Chaos,
) -> None:
    run = chaos.start("business_alignment")
    run.wait_for("deferred")
    run.mark_failed(2)
    assert run.end() == "failed"
    assert "20 scopes are missing from the lake" in run.log("check")
    published = run.published()
    run.clear(2, downstream=True)
    chaos.landed(run, "nothing: one batch failed by hand while it waits, then cleared")
    assert {scope for month in published.values() for scope in month} == {
        f"team:{team}" for batch in BATCHES[:2] for team in batch
    }
    assert "Waiting for 20 exports (0 new, 0 reused by SEI, 20 resumed" in run.log("export", 2)
