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

TEAMS_PER_EXPORT = 25
"""An export holds a team with its child teams; larger ones take SEI longer, and may time out there."""
SCOPES_PER_TASK = 100
BATCH_NAME = "{{ task.scopes | length }} scopes, {{ task.scopes | first }} to {{ task.scopes | last }}"


@task
def teams() -> list[list[Any]]:
    """The scopes to export, in batches.

    The Variable `sei_teams` (a JSON list of team ids) if there is one, else `sei_teams.yaml` beside this file, else
    all teams of SEI's org trees, or of the one that the Variable `sei_org_tree` names.
    """
    import yaml

    from sei_provider.api.planner import batches, plan_scopes
    from sei_provider.hooks.sei import SeiHook

    listed = Variable.get("sei_teams", default=None, deserialize_json=True)
    file = Path(__file__).with_name("sei_teams.yaml")
    if listed is None and file.exists():
        listed = yaml.safe_load(file.read_text(encoding="utf-8"))
    if listed is None:
        roots = SeiHook().list_teams(Variable.get("sei_org_tree", default=None))
        listed = [scope for root in roots for scope in plan_scopes(root, TEAMS_PER_EXPORT)]
    return batches(listed, SCOPES_PER_TASK)


def export_all_reports(start: str, end: str) -> None:
    """In a DAG: for each report the tasks export (one for each batch of scopes), publish and check.

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
