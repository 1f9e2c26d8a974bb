"""`columns=` of the export and report tasks, rendered natively or to text, and checked before any call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import DAG

from sei_provider.api.errors import SeiInputError
from sei_provider.operators._base import SeiExportError
from sei_provider.operators.export import SeiExportOperator
from sei_provider.operators.report import SeiReportOperator
from sei_provider.sandbox.control import SandboxControl
from tests.operators.conftest import Task, kinds
from tests.tasks import REUSE, TaskState

CHOSEN = {"Granularity": "label", "SPRINT_COMMIT": ["commit", "string"]}


@pytest.mark.parametrize("text", ["{{ params.columns }}", "{{ params.columns | tojson }}"])
@pytest.mark.parametrize("native", [True, False])
def test_columns_are_rendered_natively_or_to_text(sandbox: SandboxControl, lake: Path, text: str, native: bool) -> None:
    dag = DAG("any", schedule=None, render_template_as_native_obj=native)
    task = Task(lake, state=None, scopes=["11"], columns=text, dag=dag)
    task.operator.render_template_fields({"params": {"columns": CHOSEN}})
    (manifest,) = task.run()
    schema = pq.read_schema(manifest["path"])
    assert {"label", "commit"} <= set(schema.names)
    assert str(schema.field("commit").type) == "string"


WRONG = [{"Squad": "Team Name"}, ["Squad"], "Squad=team", {"Squad": ("squad", "int")}, {"Squad": ("team", "date")}]


@pytest.mark.parametrize("columns", WRONG)
def test_wrong_columns_are_an_error_when_the_dag_is_read(lake: Path, columns: Any) -> None:
    with pytest.raises(SeiInputError, match="columns"):
        Task(lake, state=None, columns=columns)
    days = {"start": "2026-01-01", "end": "2026-01-31"}
    with pytest.raises(SeiInputError, match="columns"):
        SeiReportOperator.partial(task_id="report", report="team_report", lake=str(lake), columns=columns, **days)


def test_wrong_columns_of_a_template_are_an_error_before_any_call(sandbox: SandboxControl, lake: Path) -> None:
    task = Task(lake, state=None, columns="{{ params.columns }}")
    task.operator.render_template_fields({"params": {"columns": WRONG[0]}})
    with pytest.raises(AirflowFailException, match=r"columns.* not snake_case; write 'team_name'"):
        task.run()
    assert sandbox.requests() == []


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({}, {"columns": CHOSEN}),
        ({"columns": CHOSEN}, {}),
        ({}, {"personal_data": "drop"}),
        ({}, {"on_bad_value": "quarantine"}),
        ({"personal_data": "drop"}, {"personal_data": "drop", "personal_columns": ["Sprint Goal"]}),
    ],
)
def test_a_retry_reads_all_files_anew_if_their_columns_or_a_policy_have_changed_meanwhile(
    sandbox: SandboxControl, lake: Path, state: TaskState, before: dict[str, Any], now: dict[str, Any]
) -> None:
    sandbox.fault("fail", team="13", times=1)
    task = Task(lake, state=state, **before)
    with pytest.raises(SeiExportError, match="team:13"):
        task.run()
    [earlier, _] = [manifest for manifest in task.pushed["return_value"] if not manifest["error"]]
    sandbox.advance(REUSE)
    task.operator = Task(lake, state=state, **now).operator
    staged = task.run()
    assert {manifest["scope"] for manifest in staged} == {"team:11", "team:12", "team:13"}
    assert len({manifest["reading"] for manifest in staged} | {earlier["reading"]}) == 2
    schemas = {tuple(pq.read_schema(manifest["path"]).names) for manifest in staged}
    assert len(schemas) == 1, "one table, one meaning"
    assert kinds(sandbox)["create"] == 4, "the exports of the try before are read again, not made again"


def test_a_retry_under_the_same_arguments_reads_no_file_twice(
    sandbox: SandboxControl, lake: Path, state: TaskState
) -> None:
    sandbox.fault("fail", team="13", times=1)
    task = Task(lake, state=state, columns=CHOSEN)
    with pytest.raises(SeiExportError, match="team:13"):
        task.run()
    sandbox.advance(REUSE)
    assert len(task.run()) == 3
    assert kinds(sandbox)["download"] == 3


def test_columns_are_templated() -> None:
    assert "columns" in SeiExportOperator.template_fields
    assert "columns" in SeiReportOperator.template_fields
