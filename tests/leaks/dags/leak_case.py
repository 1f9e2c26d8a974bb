"""A DAG like `sei_nightly` for the leak test; `redact=False` in the conf switches redaction off in its workers."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG

from sei_provider.api import redaction
from sei_provider.operators.check import SeiCheckOperator
from sei_provider.operators.export import SeiExportOperator
from sei_provider.operators.publish import SeiPublishOperator


def blind_if_told(context: Any) -> None:
    if not context["params"]["redact"]:
        redaction._Words.find_secret = lambda *_: iter(())  # type: ignore[method-assign]
        redaction._Words.find_personal = lambda *_: iter(())  # type: ignore[method-assign]


with DAG(
    "leak_case", schedule=None, params={"scopes": [], "lake": "", "redact": True}, render_template_as_native_obj=True
):
    export = SeiExportOperator(
        task_id="export",
        report="sprint",
        scopes="{{ params.scopes }}",
        start="2026-01-01",
        end="2026-02-28",
        lake="{{ params.lake }}",
        poll_interval=1,
        timeout=90,
        on_bad_value="quarantine",
        pre_execute=blind_if_told,
    )
    publish = SeiPublishOperator(
        task_id="publish", staged=export.output, expected="{{ params.scopes }}", lake="{{ params.lake }}"
    )
    SeiCheckOperator(task_id="check", published=publish.output)
