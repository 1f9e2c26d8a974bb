"""What the example DAGs share: the lake's place, the teams, the assets, and the tasks from teams to check."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow.sdk import Asset, Variable, task

from sei_provider.operators.check import SeiCheckOperator
from sei_provider.operators.export import SeiExportOperator
from sei_provider.operators.publish import SeiPublishOperator

LAKE = "{{ var.value.sei_lake }}"
"""The lake's place, one setting: the Airflow Variable `sei_lake`, a path or an `ObjectStoragePath` URL."""

REPORTS: dict[str, list[str] | None] = {
    "productivity": ["activity", "velocity", "volume", "quality", "collaboration"],
    "sprint": ["work", "delivery", "deliveryAnalysis", "analysis"],
    "business_alignment": None,
}
"""Metric groups by report; None asks for all there is."""

ASSETS = {report: Asset(f"sei_{report}") for report in REPORTS}
"""What publishing updates; schedule your own DAGs by these."""

TEAMS_PER_TASK = 100
BATCH_NAME = "{{ task.scopes | length }} teams, {{ task.scopes | first }} to {{ task.scopes | last }}"


@task
def teams() -> list[list[Any]]:
    """The teams in batches: the Variable `sei_teams` (a JSON list of ids), else `sei_teams.yaml` beside this file."""
    import yaml

    listed = Variable.get("sei_teams", default=None, deserialize_json=True)
    if listed is None:
        listed = yaml.safe_load(Path(__file__).with_name("sei_teams.yaml").read_text(encoding="utf-8"))
    return [listed[first : first + TEAMS_PER_TASK] for first in range(0, len(listed), TEAMS_PER_TASK)]


def export_all_reports(start: str, end: str) -> None:
    """In a DAG: for each report the tasks export (one for each batch of teams), publish and check.

    `start` and `end` are templates of the first and the last day, both inclusive.
    """
    batches = teams()
    for report, metric_groups in REPORTS.items():
        export = SeiExportOperator.partial(
            task_id=f"export_{report}",
            report=report,
            start=start,
            end=end,
            metric_groups=metric_groups,
            lake=LAKE,
            retries=2,
            max_active_tis_per_dagrun=4,
            map_index_template=BATCH_NAME,
        ).expand(scopes=batches)
        publish = SeiPublishOperator(
            task_id=f"publish_{report}",
            staged=export.output,
            expected=batches,
            lake=LAKE,
            outlets=[ASSETS[report]],
            retries=2,
        )
        SeiCheckOperator(task_id=f"check_{report}", published=publish.output)
