"""History: one closed month per run, made for `airflow backfill create --dag-id sei_history`."""

from __future__ import annotations

from airflow.sdk import DAG
from sei_common import START, export_all_reports, intervals, period_before

with DAG(
    "sei_history",
    description=__doc__,
    doc_md="""
Exports one whole month per run: the one before the run. On its own it takes each month once, a day after it closed,
and started by hand the month before this one; for what lies before, let Airflow make the runs:

    airflow backfill create --dag-id sei_history --from-date 2025-01-01 --to-date 2025-12-31

A month exported again replaces what it held before, and nothing else. To skip what is there already, or to choose
teams and reports, use `sei_backfill`.
""",
    schedule=intervals("0 4 1 * *"),
    start_date=START.replace(year=2020),
    catchup=False,
    max_active_runs=2,
    user_defined_macros={"period_before": period_before},
    tags=["sei"],
) as dag:
    export_all_reports(
        start="{{ period_before(dag, dag_run, 'monthly').start }}",
        end="{{ period_before(dag, dag_run, 'monthly').end }}",
    )
