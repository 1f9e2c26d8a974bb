"""Runs of many exports of one report, in batches, by a real Airflow of their own against the sandbox."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dev.stack import PROJECT, Stack

PER_MINUTE = 400
"""Requests that SEI allows a key."""
EXPORT_SECONDS = 5.0
TIMEOUT = 1800.0
_BATCH = 100


def airflow_for(exports: int, folder: Path, *, limited: bool) -> Stack:
    """Return an Airflow with the DAGs of `bench/dags`; sandbox and connection have SEI's limit, or none."""
    return Stack(
        folder / "airflow",
        dags=PROJECT / "bench" / "dags",
        lake=folder / "lake",
        sandbox_teams=exports,
        sandbox_seconds=EXPORT_SECONDS,
        sandbox_options=("--requests-per-minute", str(PER_MINUTE)) if limited else (),
        requests_per_minute=PER_MINUTE if limited else 1_000_000,
    )


def batches(teams: Sequence[str]) -> dict[str, list[Sequence[str]]]:
    """Return the conf of a run that exports these teams."""
    return {"batches": [teams[first : first + _BATCH] for first in range(0, len(teams), _BATCH)]}
