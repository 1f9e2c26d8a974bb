"""Lineage, as OpenLineage's own provider extracts it from the tasks and its client writes it to a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import airflow
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.providers.openlineage.extractors.manager import ExtractorManager
from airflow.providers.openlineage.plugins.adapter import OpenLineageAdapter
from airflow.providers.openlineage.utils.utils import translate_airflow_asset
from airflow.sdk import DAG, Asset, ObjectStoragePath
from airflow.sdk.io import attach
from airflow.utils.state import TaskInstanceState
from fsspec.implementations.memory import MemoryFileSystem
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import Dataset
from openlineage.client.transport.file import FileConfig, FileTransport
from packaging.version import Version

from sei_provider.lake import read_table
from sei_provider.lineage import MAX_LISTED, of_export, report_dataset, sanitize_uri, table_dataset
from sei_provider.operators._base import SeiExportError
from sei_provider.operators.check import SeiCheckOperator
from sei_provider.operators.publish import SeiPublishOperator
from sei_provider.operators.teams import SeiTeamsOperator
from sei_provider.sandbox.control import SandboxControl
from sei_provider.testing import connect
from tests.operators.conftest import Task
from tests.tasks import Run

SPRINT = "sprint_team_monthly"
PLACES = {"disk": "{folder}/lake"}
if Version(airflow.__version__) >= Version("3.2"):  # the older one's paths tell a place in memory with a third slash
    PLACES["object-storage-path"] = "memory://{name}/lake"


class Night:
    """Export, publish and check as a run of Airflow would have them, each with what Airflow tells the next."""

    def __init__(self, lake: Any, **arguments: Any) -> None:
        self.task = Task(lake, state=None, **arguments)
        self.lake, self.report, self.scopes = str(lake), self.task.operator.report, self.task.operator.scopes
        self.publish: Any = None
        self.check: Any = None

    def run(self, *, single_writer: bool = False) -> None:
        """Run all three; the check may fail."""
        try:
            self.task.pushed["return_value"] = self.task.run()
        except (SeiExportError, AirflowFailException):
            state = "failed"
        else:
            state = "success"
        self.publish = SeiPublishOperator(
            task_id="publish", staged=self.task.pushed.get("return_value"), expected=self.scopes, lake=self.lake,
            single_writer=single_writer,
        )  # fmt: skip
        dag = DAG("night", schedule=None)
        dag.add_task(self.task.operator)
        dag.add_task(self.publish)
        self.publish.set_upstream(self.task.operator)
        run = Run({"export": state}, {("export", -1): self.task.pushed})
        self.check = SeiCheckOperator(task_id="check", published=self.publish.execute(run.context))
        try:
            self.check.execute({})
        except AirflowFailException:
            return


def event(operator: Any, folder: Path, *, error: BaseException | None = None) -> dict[str, Any]:
    """The event that the provider makes of a task's end and its client writes."""
    state = TaskInstanceState.SUCCESS if error is None else TaskInstanceState.FAILED
    ti: Any = SimpleNamespace(task=operator, map_index=-1)
    found = ExtractorManager().extract_metadata(SimpleNamespace(run_id="run"), operator, state, task_instance=ti)
    file = folder / "events.jsonl"
    adapter = OpenLineageAdapter(OpenLineageClient(transport=FileTransport(FileConfig(str(file), append=True))))
    named: dict[str, Any] = {"nominal_start_time": None, "nominal_end_time": None, "owners": [], "tags": []}
    named |= {"run_id": "01942b3e-0000-7000-8000-000000000000", "job_name": operator.task_id, "job_description": None}
    named |= {"end_time": "2026-03-18T02:30:00+00:00", "task": found}
    if error is None:
        adapter.complete_task(**named)
    else:
        adapter.fail_task(**named, error=error)
    written: dict[str, Any] = json.loads(file.read_text().splitlines()[-1])
    return written


def names(datasets: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(each["namespace"], each["name"]) for each in datasets]


def report_of(sandbox: SandboxControl, report: str) -> tuple[str, str]:
    return sandbox.base_url.replace("http:", "sei:"), f"acme/web/{report}"


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "lake"


def test_an_export_reads_the_report_and_names_its_exports(sandbox: SandboxControl, lake: Path, tmp_path: Path) -> None:
    night = Night(lake)
    night.run()
    told = event(night.task.operator, tmp_path)
    assert (names(told["inputs"]), told["outputs"]) == ([report_of(sandbox, "sprint")], [])
    facet = told["run"]["facets"]["sei_exports"]
    assert (facet["exportCount"], facet["failedCount"], facet["rowCount"], facet["failed"]) == (3, 0, 6, [])
    assert {each["exportId"] for each in facet["exports"]} == {export["id"] for export in sandbox.exports()}
    first = facet["exports"][0]
    assert {"scope": "team:11", "table": SPRINT, "start": "2026-01-01", "end": "2026-02-28"}.items() <= first.items()
    assert (first["rows"], first["reused"], first["createdAt"][:3]) == (2, False, "202")
    assert "errorMessage" not in told["run"]["facets"]


def test_publish_leads_from_the_report_to_the_table_with_types_units_rows_and_life(
    sandbox: SandboxControl, lake: Path, tmp_path: Path
) -> None:
    night = Night(lake, computation_mode="STORY_POINTS")
    night.run()
    told = event(night.publish, tmp_path)
    assert names(told["inputs"]) == [report_of(sandbox, "sprint")]
    assert names(told["outputs"]) == [("file", f"{lake}/{SPRINT}")]
    (table,) = told["outputs"]
    fields = {each["name"]: each for each in table["facets"]["schema"]["fields"]}
    assert set(fields) == set(read_table(lake, SPRINT).schema.names) - {"month"}
    assert (fields["team"]["type"], fields["start_date"]["type"]) == ("string", "date32[day]")
    assert fields["sprint_commit"]["type"] == "double"
    assert fields["sprint_commit"]["description"] == "story points; sprint (SEI's documents 000)"
    assert table["outputFacets"]["outputStatistics"].items() >= {"rowCount": 6, "fileCount": 2}.items()
    assert table["facets"]["lifecycleStateChange"]["lifecycleStateChange"] == "CREATE"
    facet = told["run"]["facets"]["sei_publish"]
    assert facet["months"] == [
        {"table": SPRINT, "month": month, "rows": 3, "slices": 3} for month in ("2026-01", "2026-02")
    ]
    assert (facet["missingCount"], facet["missing"]) == (0, [])


def test_the_life_of_a_table_is_create_then_overwrite_and_alter_if_a_column_comes(
    sandbox: SandboxControl, lake: Path, tmp_path: Path
) -> None:
    lives = []
    for groups in (["activity"], ["activity"], ["activity", "velocity"]):
        sandbox.advance(1900)
        night = Night(lake, report="productivity", metric_groups=groups, scopes=["11"])
        night.run()
        (table,) = event(night.publish, tmp_path)["outputs"]
        lives.append(table["facets"]["lifecycleStateChange"]["lifecycleStateChange"])
    assert lives == ["CREATE", "OVERWRITE", "ALTER"]


def test_what_failed_is_in_the_facets_of_export_publish_and_check(
    sandbox: SandboxControl, lake: Path, tmp_path: Path
) -> None:
    sandbox.fault("fail", team="12")
    night = Night(lake)
    night.run()
    told = event(night.task.operator, tmp_path, error=SeiExportError("1 of 3 scopes failed"))
    facet = told["run"]["facets"]["sei_exports"]
    assert (facet["exportCount"], facet["failedCount"]) == (2, 1)
    assert facet["failed"][0]["scope"] == "team:12"
    assert "Metrics could not be computed" in facet["failed"][0]["error"]
    assert told["run"]["facets"]["errorMessage"]["message"] == "1 of 3 scopes failed"
    own = night.task.operator.get_openlineage_facets_on_failure(None).run_facets["errorMessage"]
    assert own.message.startswith("1 of 3 scopes of the sprint export failed: ")
    published = event(night.publish, tmp_path)
    assert published["run"]["facets"]["sei_publish"]["missingCount"] == 1
    assert published["run"]["facets"]["sei_publish"]["missing"][0]["scope"] == "team:12"
    checked = event(night.check, tmp_path, error=AirflowFailException("1 scope is missing"))
    (table,) = checked["inputs"]
    assert names([table]) == [("file", f"{lake}/{SPRINT}")]
    assertions = table["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert [(each["assertion"], each["success"]) for each in assertions] == [("sei_complete", False)]


def test_a_complete_table_passes_the_assertion(sandbox: SandboxControl, lake: Path, tmp_path: Path) -> None:
    night = Night(lake)
    night.run()
    (table,) = event(night.check, tmp_path)["inputs"]
    assert [each["success"] for each in table["inputFacets"]["dataQualityAssertions"]["assertions"]] == [True]


def test_a_task_that_ends_before_any_export_still_names_its_input_and_its_error(
    sandbox: SandboxControl, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, sandbox.base_url, password="sesame-open-wide")
    night = Night(lake)
    night.run()
    told = night.task.operator.get_openlineage_facets_on_failure(None)
    assert [(each.namespace, each.name) for each in told.inputs] == [report_of(sandbox, "sprint")]
    assert "HTTP 401" in told.run_facets["errorMessage"].message


def test_the_teams_task_reads_the_org_trees_and_the_developers(
    sandbox: SandboxControl, lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, sandbox.base_url, account_identifier="account-1")
    teams = SeiTeamsOperator(task_id="teams", lake=str(lake), developers="drop")
    ti = SimpleNamespace(
        dag_id="dag", run_id="run", task_id="teams", map_index=-1, try_number=1, max_tries=0, task=teams
    )
    teams.execute({"ti": ti, "run_id": "run", "dag_run": SimpleNamespace(clear_number=0)})  # type: ignore[typeddict-item]
    told = event(teams, tmp_path)
    namespace, _ = report_of(sandbox, "")
    assert names(told["inputs"]) == [(namespace, f"account-1/acme/web/{name}") for name in ("org_trees", "developers")]
    assert told["outputs"] == []


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Airflow's collector of the files that an ObjectStoragePath opens, as if OpenLineage were switched on."""
    monkeypatch.setattr(
        "airflow.providers.openlineage.extractors.manager.translate_airflow_asset",
        lambda asset, _: Dataset(namespace="collected", name=asset.uri),
    )
    if find_spec("airflow.sdk.lineage") is None:  # 3.1
        hook = import_module("airflow.lineage.hook")
        monkeypatch.setattr(hook, "_hook_lineage_collector", hook.HookLineageCollector())
        yield hook.get_hook_lineage_collector()
        return
    lineage, plugins = import_module("airflow.sdk.lineage"), import_module("airflow.sdk.plugins_manager")
    monkeypatch.setattr(plugins, "get_hook_lineage_readers_plugins", lambda: ["a reader"])
    lineage.get_hook_lineage_collector.cache_clear()
    yield lineage.get_hook_lineage_collector()
    lineage.get_hook_lineage_collector.cache_clear()


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_no_staged_file_and_no_schema_is_lineage(
    sandbox: SandboxControl, tmp_path: Path, collector: Any, place: str
) -> None:
    attach("memory", fs=MemoryFileSystem())
    lake = place.format(folder=tmp_path, name=tmp_path.name)
    night = Night(lake, single_writer=True)
    night.run(single_writer=True)
    told = [event(each, tmp_path) for each in (night.task.operator, night.publish, night.check)]
    found = {name for each in told for name in names(each["inputs"]) + names(each["outputs"])}
    assert found == {report_of(sandbox, "sprint"), table_dataset(f"{lake}/{SPRINT}")}
    assert not collector.has_collected, "the lake opens its files without Airflow's path"
    with ObjectStoragePath(f"memory://{tmp_path.name}/other").open("wb") as file:
        file.write(b"what Airflow's path opens is collected")
    assert collector.has_collected


def test_no_key_and_no_person_is_in_an_event(
    sandbox: SandboxControl, lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"account_identifier": "acme", "personal_data_secret": "a secret of sixteen"}
    connect(monkeypatch, sandbox.base_url, password="sesame-open-wide", **extra)
    night = Night(lake, scopes=["11"])
    night.run()
    event(night.task.operator, tmp_path, error=AirflowFailException("ended"))
    connect(monkeypatch, sandbox.base_url, **extra)
    sandbox.fault("fail", team="12")
    night = Night(lake, report="productivity", level="developer", scopes=["11", "12"])
    night.run()
    for each in (night.task.operator, night.publish, night.check):
        event(each, tmp_path)
    written = (tmp_path / "events.jsonl").read_text()
    rows = read_table(lake, "productivity_developer_monthly")
    people = {*rows["developer"].to_pylist(), *rows["developer_email"].to_pylist()}
    assert people
    assert [word for word in (*people, "sesame", "a secret of", "@", "Sandbox User") if word in written] == []


@pytest.mark.parametrize(
    ("address", "uri", "named"),
    [
        ("/data/lake/t", "file:///data/lake/t", ("file", "/data/lake/t")),
        ("file:///data/lake/t", "file:///data/lake/t", ("file", "/data/lake/t")),
        ("s3://aws_default@bucket/lake/t", "s3://bucket/lake/t", ("s3://bucket", "lake/t")),
        ("s3a://bucket/t", "s3://bucket/t", ("s3://bucket", "t")),
        ("gs://conn@bucket/lake/t", None, ("gs://bucket", "lake/t")),
        ("abfs://conn@container/lake/t", None, ("abfs://container", "lake/t")),
    ],
)
def test_a_table_is_called_as_airflow_translates_an_asset_at_its_address(
    address: str, uri: str | None, named: tuple[str, str]
) -> None:
    assert table_dataset(address) == named
    if uri:  # of a provider that is installed here
        found = translate_airflow_asset(Asset("a_table", uri=uri), None)
        assert found is not None
        assert (found.namespace, found.name) == named


@pytest.mark.parametrize(
    ("base_url", "origin", "uri"),
    [
        ("https://app.harness.io/prod1/sei/api", ("acme", "default", "web"), "sei://app.harness.io/acme/default/web/sprint"),
        ("https://App.Harness.io:8443", (None, "default", "web"), "sei://APP.harness.io:8443/default/web/sprint/"),
        ("http://[::1]:8765", ("acme", "the org", "a/b"), "sei://[::1]:8765/acme/the%20org/a%2Fb/sprint"),
    ],
)  # fmt: skip
def test_an_asset_of_a_report_is_translated_to_the_input_of_its_exports(
    base_url: str, origin: tuple[str | None, ...], uri: str
) -> None:
    named = report_dataset(base_url, dict(zip(("account", "organization", "project"), origin, strict=True)), "sprint")
    found = translate_airflow_asset(Asset("a_report", uri=uri), None)
    assert found is not None
    assert (found.namespace, found.name) == named


@pytest.mark.parametrize(
    "uri", ["sei://host/productivity", "sei:///a/b/c/d", "sei://host/a//c/d", "sei://host/a/b/c/d/e", "sei://host/a/b/c?x=1"]
)  # fmt: skip
def test_a_uri_of_another_form_is_refused_when_the_dag_is_read(uri: str) -> None:
    with pytest.raises(ValueError, match="write it as sei://host/account/organization/project/report"):
        Asset("a_report", uri=uri)


def test_a_uri_keeps_no_credentials() -> None:
    from urllib.parse import urlsplit

    assert sanitize_uri(urlsplit("sei://ann:word@host/a/b/c")).geturl() == "sei://host/a/b/c"


def test_a_facet_lists_a_thousand_exports_and_counts_all() -> None:
    manifest: Any = {
        "scope": "team:11", "table": SPRINT, "start": "2026-01-01", "end": "2026-01-31", "rows": 1, "error": None,
        "export_id": "exp_1", "created_at": "2026-03-18T02:30:00+00:00", "path": None,
    }  # fmt: skip
    facet = of_export([], [manifest] * 2500, None).run_facets["sei_exports"]
    assert (len(facet.exports), facet.exportCount, facet.rowCount) == (MAX_LISTED, 2500, 2500)


def test_without_openlineage_tasks_run_as_before(
    sandbox: SandboxControl, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [*sys.modules]:
        if name.startswith(("openlineage", "airflow.providers.openlineage", "sei_provider.lineage_facets")):
            monkeypatch.setitem(sys.modules, name, None)
    Night(lake).run()
    assert read_table(lake, SPRINT).num_rows == 6
    with pytest.raises(ImportError):
        import openlineage  # noqa: F401
