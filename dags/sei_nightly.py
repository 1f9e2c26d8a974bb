"""Every night: the reports for all teams, this month to date and the month before, into the lake."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException  # whose place differs between 3.1 and 3.3
from airflow.sdk import DAG
from sei_common import START, export_all_reports

from sei_provider.hooks.dag_zone import dag_zone

MOST_MONTHS = 120


def yesterday(run_after: datetime, dag: Any = None) -> str:
    """Return the last whole day before a run, in the DAG's time zone."""
    return f"{run_after.astimezone(dag_zone(dag)) - timedelta(days=1):%Y-%m-%d}"


def month_before(run_after: datetime, dag: Any = None, months: int | str = 1) -> str:
    """Return the first day of the month so many months before yesterday's, in the DAG's time zone.

    Raises `AirflowFailException` if `months` is not a whole number from 0 to 120.
    """
    if not re.fullmatch("[0-9]{1,3}", str(months).strip()) or int(months) > MOST_MONTHS:
        msg = f"the Variable sei_lookback_months must be a whole number from 0 to {MOST_MONTHS}, not {months!r}"
        raise AirflowFailException(msg)
    day = run_after.astimezone(dag_zone(dag)) - timedelta(days=1)
    year, month = divmod(day.year * 12 + day.month - 1 - int(months), 12)
    return f"{year}-{month + 1:02}-01"


with DAG(
    "sei_nightly",
    description=__doc__,
    doc_md="""
Exports productivity, sprint, business alignment and efficiency (DORA) for all teams and publishes them as Parquet, one
table each; time in status too, if the Variable `sei_issue_statuses` names workflow statuses (a JSON list).

- **Teams**: all of SEI's org trees (the connection needs `account_identifier` for that), or of the one that the
  Variable `sei_org_tree` names; or a list of ids: the Variable `sei_teams` (JSON) or `sei_teams.yaml` beside the DAG.
- **Who they are**: with `account_identifier` the org trees are read before and after, into the table `teams`, one row
  per team id; rows get a `team_id` where it is certain.
- **Reports, range, tables**: the Variables `sei_reports`, `sei_lookback_months` and `sei_table_prefix`.
- **Lake**: the Variable `sei_lake`. **SEI**: the connection `sei_default`.
- **Red?** `check_…` names what is missing; what did land is published. Clear the failed `export_…` tasks with
  their downstream tasks: only what is missing is asked for again.
""",
    schedule="30 2 * * *",
    start_date=START,
    catchup=False,
    max_active_runs=1,
    user_defined_macros={"yesterday": yesterday, "month_before": month_before},
    tags=["sei"],
) as dag:
    export_all_reports(
        start="{{ month_before(dag_run.run_after, dag, var.value.get('sei_lookback_months', 1)) }}",
        end="{{ yesterday(dag_run.run_after, dag) }}",
    )
