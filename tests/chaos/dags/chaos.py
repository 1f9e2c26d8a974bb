"""DAGs for killing: like `sei_nightly`, one report each, with three batches of twenty teams and quick retries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from sei_provider.operators.check import SeiCheckOperator
from sei_provider.operators.export import SeiExportOperator
from sei_provider.operators.publish import SeiPublishOperator


@task
def teams(params: dict[str, Any]) -> list[list[str]]:
    return params["batches"]


for report in ("productivity", "sprint", "business_alignment", "efficiency"):
    with DAG(
        f"chaos_{report}", schedule=None, params={"batches": [], "lake": "", "start": "2026-01-01", "end": "2026-02-28"}
    ):
        batches = teams()
        export = SeiExportOperator.partial(
            task_id="export",
            report=report,
            start="{{ params.start }}",
            end="{{ params.end }}",
            lake="{{ params.lake }}",
            # Longer than the exports take: so long all three batches are sure to wait side by side.
            poll_initial_delay=8,
            poll_interval=2,
            timeout=180,
            retries=3,
            retry_delay=timedelta(seconds=2),
        ).expand(scopes=batches)
        publish = SeiPublishOperator(
            task_id="publish", staged=export.output, expected=batches, lake="{{ params.lake }}", retries=3
        )
        SeiCheckOperator(task_id="check", published=publish.output)
