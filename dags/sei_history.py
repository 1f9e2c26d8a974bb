"""History: one closed month per run, made for `airflow backfill create --dag-id sei_history`."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG
from sei_common import export_all_reports, intervals

with DAG(
    "sei_history",
    description=__doc__,
    doc_md="""
Exports one whole month per run. On its own it takes each month once, a day after it closed; for what lies
before, let Airflow make the runs:

    airflow backfill create --dag-id sei_history --from-date 2025-01-01 --to-date 2025-12-31

A month exported again replaces what it held before, and nothing else. To skip what is there already, or to choose
teams and reports, use `sei_backfill`.
""",
    schedule=intervals("0 4 1 * *"),
    start_date=datetime(2020, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=2,
    tags=["sei"],
) as dag:
    export_all_reports(start="{{ data_interval_start | ds }}", end="{{ macros.ds_add(data_interval_end | ds, -1) }}")
