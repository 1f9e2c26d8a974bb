"""DAGs for the tests of the whole: like `sei_nightly`, one report each, everything that varies in the run's conf."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Asset, task

from sei_provider.operators.check import SeiCheckOperator
from sei_provider.operators.export import SeiExportOperator
from sei_provider.operators.publish import SeiPublishOperator


@task
def teams(params: dict[str, Any]) -> list[list[Any]]:
    if not params["batches"]:
        msg = "the list of teams cannot be read today"
        raise ValueError(msg)
    return params["batches"]


def die_if_told(context: Any) -> None:
    """The end of a worker that ran out of memory, at every try."""
    if context["params"]["killed"] in context["task"].scopes:
        os.kill(os.getpid(), signal.SIGKILL)


for report, level in {"productivity": "developer", "sprint": None, "business_alignment": None}.items():
    with DAG(
        f"case_{report}",
        schedule=None,
        params={"batches": [], "lake": "", "start": "2026-01-01", "end": "2026-02-28", "killed": ""},
    ):
        batches = teams()
        export = SeiExportOperator.partial(
            task_id="export",
            report=report,
            level=level,
            start="{{ params.start }}",
            end="{{ params.end }}",
            lake="{{ params.lake }}",
            poll_interval=3,
            timeout=120,
            retries=1,
            retry_delay=timedelta(seconds=1),
            map_index_template="{{ task.scopes | first }} to {{ task.scopes | last }}",
            pre_execute=die_if_told,
        ).expand(scopes=batches)
        publish = SeiPublishOperator(
            task_id="publish",
            staged=export.output,
            expected=batches,
            lake="{{ params.lake }}",
            outlets=[Asset(f"case_{report}")],
        )
        SeiCheckOperator(task_id="check", published=publish.output)
