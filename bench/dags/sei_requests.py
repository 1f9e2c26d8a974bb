"""Exports of one report in batches of 100, for `make requests`: workers and triggerer share one key."""

from __future__ import annotations

from airflow.sdk import DAG, task

from sei_provider.operators.check import SeiCheckOperator
from sei_provider.operators.export import SeiExportOperator
from sei_provider.operators.publish import SeiPublishOperator

OPTIONS = {"time_in_status": {"issueStatuses": ["To Do", "In Progress"]}}

for report in ("productivity", "sprint", "business_alignment", "efficiency", "time_in_status"):
    with DAG(f"requests_{report}", schedule=None, params={"batches": []}):

        @task
        def teams(params: dict[str, list[list[str]]]) -> list[list[str]]:
            """The batches that the run was started with."""
            return params["batches"]

        batches = teams()  # type: ignore[call-arg]  # Airflow fills in params
        export = SeiExportOperator.partial(
            task_id="export",
            report=report,
            start="2026-01-01",
            end="2026-01-31",
            options=OPTIONS.get(report),
            lake="{{ var.value.sei_lake }}",
            retries=2,
            max_active_tis_per_dagrun=16,  # as in the examples
        ).expand(scopes=batches)
        publish = SeiPublishOperator(
            task_id="publish", staged=export.output, expected=batches, lake="{{ var.value.sei_lake }}"
        )
        SeiCheckOperator(task_id="check", published=publish.output)
