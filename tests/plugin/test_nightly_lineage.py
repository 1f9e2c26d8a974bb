"""Lineage of the example `sei_nightly`, task by task, as OpenLineage's own provider extracts it.

The tasks are those of the DAG's file. They run in this process, against a sandbox; only a run of Airflow is made up.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from copy import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.definitions.mappedoperator import MappedOperator

from sei_provider.sandbox.server import serve
from sei_provider.testing import connect
from tests.operators.test_lineage import event, names, report_of
from tests.tasks import RUN_AFTER, OutletEvents, Run, task_context

DAGS = Path(__file__).parents[2] / "dags"
SCOPES = ["11", "12"]
REPORTS = ("productivity", "sprint", "business_alignment", "efficiency", "time_in_status")


class Variables:
    """The Variables of the example DAGs, as templates read them."""

    def __init__(self, **values: str) -> None:
        self._values = values

    def __getattr__(self, name: str) -> str:
        return self._values[name]

    def get(self, name: str, default: str | None = None) -> str | None:
        return self._values.get(name, default)


class Nightly:
    """One night of the example `sei_nightly` in this process: its own tasks, one after another, rendered as it says."""

    def __init__(self, dag: DAG, lake: Path) -> None:
        self.dag, self.lake = dag, lake
        variables = Variables(sei_lake=str(lake), sei_issue_statuses='["In Progress"]')
        self._values = {
            "dag": dag,
            "dag_run": SimpleNamespace(run_after=RUN_AFTER),
            "var": SimpleNamespace(value=variables),
        }
        self._pushed: dict[str, dict[str, Any]] = {}

    def run(self, task_id: str, **arguments: Any) -> Any:
        """Run a task with what those before it would hand on; return the operator, from which OpenLineage reads."""
        found = self.dag.get_task(task_id)
        operator: Any = found.unmap({"scopes": SCOPES}) if isinstance(found, MappedOperator) else copy(found)
        pushed = self._pushed.setdefault(task_id, {})
        vars(operator).update(arguments)
        environment = self.dag.get_template_env()
        for name in {*operator.template_fields} - {*arguments, "scopes", "published"}:
            value = operator.render_template(getattr(operator, name), self._values, environment)
            setattr(operator, name, value)
        context = task_context(
            operator, tries=1, max_tries=0, run_began=RUN_AFTER, push=lambda *, key, value: pushed.update({key: value})
        )
        if task_id.startswith(("publish", "check")):
            states = {f"{name}_0" if name.startswith("export") else name: "success" for name in self._pushed}
            xcoms = {(name, 0 if name.startswith("export") else -1): values for name, values in self._pushed.items()}
            context = Run(states, xcoms).context | {"outlet_events": OutletEvents(SimpleNamespace)}
        pushed["return_value"] = operator.execute(context)
        return operator

    def run_all(self) -> dict[str, Any]:
        """Run the tasks of all reports; return their operators by their ids."""
        ran = {"teams_before": self.run("teams_before")}
        for report in REPORTS:
            export, after, publish, check = (
                f"{step}_{report}" for step in ("export", "teams_after", "publish", "check")
            )
            ran[export] = self.run(export, deferrable=False, poll_interval=0.05)
            ran[after] = self.run(after)
            staged = [self._pushed[name]["return_value"] for name in ("teams_before", export, after)]
            ran[publish] = self.run(publish, staged=staged, expected=[SCOPES])
            ran[check] = self.run(check, published=self._pushed[publish]["return_value"])
        return ran


@pytest.fixture
def nightly(monkeypatch: pytest.MonkeyPatch) -> Iterator[DAG]:
    """The DAG of the example, imported as Airflow imports it: from its own folder."""
    monkeypatch.syspath_prepend(DAGS)
    before = set(sys.modules)
    yield importlib.import_module("sei_nightly").dag
    for name in set(sys.modules) - before:
        if name in {"sei_nightly", "sei_common"}:
            del sys.modules[name]


def test_each_task_of_the_nightly_example_tells_what_it_read_and_wrote(
    nightly: DAG, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = tmp_path / "lake"
    with serve(teams=4, seconds=0) as sandbox:
        connect(monkeypatch, sandbox.base_url, account_identifier="account-1")
        night = Nightly(nightly, lake)
        ran = night.run_all()
        assert {task.task_id for task in nightly.tasks} - set(ran) == {"teams", "choose_reports"}, "plain Python"
        told = {name: event(operator, tmp_path) for name, operator in ran.items()}
        namespace, _ = report_of(sandbox, "")
        exported = {export["id"] for export in sandbox.exports()}
    found = {name: (names(each["inputs"]), names(each["outputs"])) for name, each in told.items()}

    def source(name: str) -> tuple[str, str]:
        return namespace, f"account-1/acme/web/{name}"

    def table(name: str) -> tuple[str, str]:
        return "file", f"{lake}/{name}"

    trees: Any = ([source("org_trees")], [])
    expected: dict[str, Any] = {"teams_before": trees}
    for report in REPORTS:
        own = table(sys.modules["sei_common"].TABLE_NAMES[report])
        expected |= {
            f"export_{report}": ([source(report)], []),
            f"teams_after_{report}": trees,
            f"publish_{report}": ([source(report)], [own]),
            f"check_{report}": ([own], []),
        }
    assert found == expected
    facets = [told[f"export_{report}"]["run"]["facets"]["sei_exports"] for report in REPORTS]
    assert {each["exportId"] for facet in facets for each in facet["exports"]} == exported
    for report in REPORTS:
        (output,) = told[f"publish_{report}"]["outputs"]
        assert output["facets"]["schema"]["fields"]
        assert output["outputFacets"]["outputStatistics"]["rowCount"] > 0
        assert output["facets"]["lifecycleStateChange"]["lifecycleStateChange"] == "CREATE"
        quality = [each["inputFacets"]["dataQualityAssertions"] for each in told[f"check_{report}"]["inputs"]]
        assert all(each["success"] for facet in quality for each in facet["assertions"])
    assert "@" not in str(told)
    assert "_staging" not in str(found)
