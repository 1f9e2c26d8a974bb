"""One task to be put into the state deferred by `dev.metadata`; it is never executed."""

from __future__ import annotations

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

with DAG("waiting", schedule=None):
    EmptyOperator(task_id="export")
