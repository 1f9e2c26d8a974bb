"""A year by `airflow backfill create`, on a real Airflow of its own. Slow; nothing is killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.stack import PROJECT, Stack
from sei_provider.sandbox.data.organisation import Organisation
from tests.whole.backfilled import assert_backfilled, backfill

TEAMS = 3
TEAM_IDS = [team.id for team in Organisation(TEAMS).leaves]
YEAR = [f"2025-{month:02}" for month in range(1, 13)]


@pytest.fixture(autouse=True)
def _no_faults_left() -> None:
    """In place of the fixture that the other tests of this folder share: it would start their Airflow."""


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with Stack(
        tmp_path / "airflow",
        dags=PROJECT / "dags",
        lake=tmp_path / "lake",
        teams=TEAM_IDS,
        sandbox_teams=TEAMS,
        sandbox_seconds=2.0,
        requests_per_minute=10_000,
        parallelism=4,
    ) as stack:
        stack.wait_for_dags("sei_history")
        yield stack


def test_a_year_is_backfilled_month_by_month(stack: Stack) -> None:
    backfill(stack, YEAR, timeout=540)
    assert_backfilled(stack, YEAR, TEAM_IDS)
