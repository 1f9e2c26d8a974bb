"""Every night: three reports for all teams, this month to date and the month before, into the lake."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG
from sei_common import export_all_reports


def yesterday(run_after: datetime) -> str:
    """Return the last whole day before a run."""
    return f"{run_after - timedelta(days=1):%Y-%m-%d}"


def month_before(run_after: datetime) -> str:
    """Return the first day of the month before yesterday's."""
    first = (run_after - timedelta(days=1)).replace(day=1)
    return f"{(first - timedelta(days=1)).replace(day=1):%Y-%m-%d}"


with DAG(
    "sei_nightly",
    description=__doc__,
    doc_md="""
Exports productivity, sprint and business alignment for all teams and publishes them as Parquet, one table each.

- **Teams**: all of SEI's org trees (the connection needs `account_identifier` for that), or of the one that the
  Variable `sei_org_tree` names; or a list of ids: the Variable `sei_teams` (JSON) or `sei_teams.yaml` beside the DAG.
- **Lake**: the Variable `sei_lake`. **SEI**: the connection `sei_default`.
- **Red?** `check_…` names what is missing; what did land is published. Clear the failed `export_…` tasks with
  their downstream tasks: only what is missing is asked for again.
""",
    schedule="30 2 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    user_defined_macros={"yesterday": yesterday, "month_before": month_before},
    tags=["sei"],
) as dag:
    export_all_reports(start="{{ month_before(dag_run.run_after) }}", end="{{ yesterday(dag_run.run_after) }}")
