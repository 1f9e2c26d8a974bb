"""One real Airflow with a sandbox for all tests of the whole: scheduler, triggerer, workers as separate processes."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import airflow.sdk
import pytest

from dev.stack import PROJECT, Stack
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.data.organisation import Organisation
from tests.statsd import StatsdServer
from tests.tasks import REUSE

TEAMS = 12
TEAM_IDS = [team.id for team in Organisation(TEAMS).leaves]
CONSUMER = "sprint_report"
"""The consumer that docs/operators.md shows for this Airflow."""
DAGS = ["case_productivity", "case_sprint", "case_business_alignment", CONSUMER]
ASKED = ["asked_two_reports", "asked_two_months", "asked_branch"]
EXAMPLES = ["sei_nightly", "sei_history", "sei_backfill", "sei_legacy_reports", "sei_scorecard"]


class Whole:
    """Airflow and sandbox together, as the tests need them."""

    def __init__(self, stack: Stack, folder: Path, statsd: StatsdServer, lineage: Path) -> None:
        self.stack = stack
        self.statsd = statsd
        self.lineage = lineage
        """The file to which OpenLineage writes the events of the DAG `traced`."""
        self.airflow = stack.airflow
        self.sandbox = SandboxControl(stack.sandbox_url, key=stack.sandbox_key)
        self._lakes = (folder / f"lake-{number}" for number in itertools.count(1))

    def new_lake(self) -> str:
        return str(next(self._lakes))

    def start(self, report: str, batches: list[list[Any]], lake: str, **conf: Any) -> tuple[str, str]:
        """Start a run of `case_<report>`; gives its DAG and run id."""
        dag_id = f"case_{report}"
        return dag_id, self.airflow.trigger(dag_id, conf={"batches": batches, "lake": lake, **conf})

    def run(self, report: str, batches: list[list[Any]], lake: str, **conf: Any) -> tuple[str, str, str]:
        """Run `case_<report>` to its end; gives DAG id, run id and state."""
        dag_id, run_id = self.start(report, batches, lake, **conf)
        return dag_id, run_id, self.airflow.wait(dag_id, run_id, timeout=180)

    def states(self, dag_id: str, run_id: str) -> dict[str, str]:
        """The state of each task instance, mapped ones as `export[0]`."""
        return {
            task["task_id"] + (f"[{task['map_index']}]" if task["map_index"] >= 0 else ""): task["state"]
            for task in self.airflow.task_instances(dag_id, run_id)
        }

    def runs_by_assets(self, dag_id: str) -> list[dict[str, Any]]:
        """All runs of a DAG that assets start, once all have ended and no event waits to become another."""
        deadline = time.monotonic() + 120
        while True:
            runs = self.airflow.dag_runs(dag_id)
            ended = all(run["state"] in {"success", "failed"} for run in runs)
            if runs and ended and not self.airflow.queued_asset_events(dag_id):
                return runs
            assert time.monotonic() < deadline, f"{dag_id} has the runs {[run['state'] for run in runs]}"
            time.sleep(0.5)

    def exports_of(self, report: str, *, since: int = 0) -> list[dict[str, Any]]:
        """The exports of `case_<report>`, known by their range, without those of other DAGs that run meanwhile."""
        return [
            export
            for export in self.sandbox.exports()[since:]
            if export["report"] == report
            and export["body"]["dateRange"] == {"start": "2026-01-01", "end": "2026-02-28"}
        ]


def _consumer_of_the_docs() -> str:
    """The page's DAG for this Airflow, of the asset of `case_sprint`."""
    text = (PROJECT / "docs" / "operators.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    since_3_3, before = [block for block in blocks if f'DAG("{CONSUMER}"' in block]
    block: str = since_3_3 if hasattr(airflow.sdk, "PartitionedAtRuntime") else before
    return block.replace("sei_sprint_team_monthly", "case_sprint")


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Whole]:
    folder = tmp_path_factory.mktemp("whole")
    lineage, environment = folder / "lineage.jsonl", {}
    # OpenLineage is imported by every process of Airflow, so only for the tests that look at it.
    if any(item.path.name == "test_lineage.py" for item in request.session.items):
        transport = {"type": "file", "log_file_path": str(lineage), "append": True}
        environment["AIRFLOW__OPENLINEAGE__TRANSPORT"] = json.dumps(transport)
        environment["AIRFLOW__OPENLINEAGE__SELECTIVE_ENABLE"] = "True"
    dags = folder / "dags"
    shutil.copytree(PROJECT / "dags", dags, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(Path(__file__).parent / "dags", dags, dirs_exist_ok=True)
    (dags / f"{CONSUMER}.py").write_text(_consumer_of_the_docs(), encoding="utf-8")
    with (
        StatsdServer() as statsd,
        Stack(
            folder / "airflow",
            dags=dags,
            lake=folder / "lake",
            teams=TEAM_IDS,
            sandbox_teams=TEAMS,
            sandbox_seconds=2.0,
            requests_per_minute=10_000,
            parallelism=4,
            # No DAG file changes here, so none need be read again.
            environment={
                "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
                **statsd.environment,
                **environment,
            },
        ) as stack,
    ):
        stack.wait_for_dags(*DAGS, *ASKED, *EXAMPLES, "traced")
        stack.airflow.unpause(*DAGS, "sei_scorecard")
        yield Whole(stack, folder, statsd, lineage)


@pytest.fixture
def lake(whole: Whole) -> str:
    return whole.new_lake()


@pytest.fixture(autouse=True)
def _no_faults_or_exports_left(whole: Whole) -> Iterator[None]:
    whole.sandbox.advance(REUSE)
    yield
    whole.sandbox.clear_faults()
