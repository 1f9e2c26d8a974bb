"""DAGs whose exports die before they can tell anything, or are skipped: what publish and check make of it."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from sei_provider.operators.check import SeiCheckOperator
from sei_provider.operators.export import SeiExportOperator
from sei_provider.operators.publish import SeiPublishOperator

LAKE = "{{ var.value.sei_lake }}/asked"
TEAMS = ["11", "12"]


def die(_: Any) -> None:
    msg = "the worker is lost"
    raise RuntimeError(msg)


def export(report: str, **arguments: Any) -> SeiExportOperator:
    return SeiExportOperator(
        task_id=report, report=report, scopes=TEAMS, start="2026-01-01", end="2026-01-31", lake=LAKE, **arguments
    )


def check(*exports: SeiExportOperator) -> None:
    publish = SeiPublishOperator(task_id="publish", staged=[each.output for each in exports], expected=TEAMS, lake=LAKE)
    SeiCheckOperator(task_id="check", published=publish.output)


with DAG("asked_two_reports", schedule=None) as two_reports:
    check(export("sprint"), export("productivity", pre_execute=die))

with DAG("asked_two_months", schedule=None) as two_months:
    months = [
        {"scopes": TEAMS, "start": "2026-01-01", "end": "2026-01-31"},
        {"scopes": TEAMS, "start": "2026-02-01", "end": "2026-02-28", "lake": "/dev/null/lake"},
    ]
    mapped = SeiExportOperator.partial(task_id="export", report="sprint").expand_kwargs(
        [{"lake": LAKE, **month} for month in months]
    )
    publish = SeiPublishOperator(task_id="publish", staged=mapped.output, expected=months, lake=LAKE)
    SeiCheckOperator(task_id="check", published=publish.output)

with DAG("asked_branch", schedule=None) as branch:

    @task.short_circuit
    def holiday() -> bool:
        return False

    exported = export("sprint")
    holiday.override(task_id="is_a_working_day", ignore_downstream_trigger_rules=False)() >> exported
    check(exported)
