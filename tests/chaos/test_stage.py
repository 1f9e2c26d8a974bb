"""Staging fails or is killed half-way, and the next try stages the rest."""

from __future__ import annotations

from tests.chaos.conftest import Chaos


def test_a_lake_that_cannot_be_written_for_a_while_costs_tries_but_no_export(chaos: Chaos) -> None:
    run = chaos.start("sprint")
    run.wait_for("deferred")
    assert run.staged() == []
    in_the_way = run.lake / "_staging"
    in_the_way.parent.mkdir(parents=True, exist_ok=True)
    in_the_way.write_text("a file where staging's folder should be")
    run.wait_for("up_for_retry", 0)
    in_the_way.unlink()
    chaos.landed(run, "nothing: the lake cannot be written for a while")
    assert max(run.tries()) > 1
    assert "_staging" in run.log("export", 0, attempt=1)
