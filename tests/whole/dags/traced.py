"""A night of one report, of which OpenLineage is told: only DAGs that ask for it are traced here."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from sei_provider.operators.check import SeiCheckOperator
from sei_provider.operators.export import SeiExportOperator
from sei_provider.operators.publish import SeiPublishOperator

with DAG(
    "traced",
    schedule=None,
    params={"lake": "", "scopes": [], "_selective_enable_ol": Param(True, const=True)},
    render_template_as_native_obj=True,
):
    export = SeiExportOperator(
        task_id="export",
        report="sprint",
        scopes="{{ params.scopes }}",
        start="2026-01-01",
        end="2026-02-28",
        lake="{{ params.lake }}",
        computation_mode="STORY_POINTS",
        poll_interval=2,
        retries=0,
    )
    publish = SeiPublishOperator(
        task_id="publish", staged=export.output, expected="{{ params.scopes }}", lake="{{ params.lake }}"
    )
    SeiCheckOperator(task_id="check", published=publish.output)
