"""`make demo`: one nightly run of forty teams and five reports through a real Airflow, and a report of the result.

Tells the story in order; how Airflow is started is in `dev.stack`, how figures are laid out in `dev.report`.
"""

import sys
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

from dev import lake_files, report
from dev.airflow_client import AirflowClient
from dev.processes import StackError, exit_on_sigterm
from dev.progress import Progress
from dev.report import say
from dev.stack import PROJECT, Stack
from sei_provider.plural import plural
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.data.organisation import Organisation

STATE = PROJECT / ".demo"
LAKE = STATE / "lake"  # stays from run to run, so that a second run can be held against the first

TEAMS = 40
EXPORT_SECONDS = 3.0
RUN_AFTER = datetime(2026, 3, 18, 2, 30, tzinfo=UTC)
NIGHTLY, SCORECARD = "sei_nightly", "sei_scorecard"

RUN_TIMEOUT = 600.0
SCORECARD_TIMEOUT = 120.0


def main() -> int:
    """Run the demo and return its exit status: 0 if every task succeeded and a second run changed no rows."""
    exit_on_sigterm()
    began = time.monotonic()
    before = lake_files.row_counts(LAKE)
    team_ids = [team.id for team in Organisation(TEAMS).leaves]
    stack = Stack(
        STATE / "airflow",
        dags=PROJECT / "dags",
        lake=LAKE.as_uri(),
        teams=team_ids,
        sandbox_teams=TEAMS,
        sandbox_seconds=EXPORT_SECONDS,
        environment={"AIRFLOW_VAR_SEI_ISSUE_STATUSES": '["In Progress", "In Review"]'},
    )
    try:
        say("Starting the sandbox and Airflow (api-server, scheduler, dag-processor, triggerer) …")
        with stack:
            say(f"Up after {stack.started_in:.0f} s: sandbox {stack.sandbox_url}, Airflow {stack.airflow.base_url}")
            failed = _run(stack)
            _show_work(stack)
        say("Everything that was started is stopped.")
    except StackError as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        return 1
    if failed:
        return 1
    _show_lake()
    unchanged = not before or _show_comparison(before)
    report.heading(f"Done in {time.monotonic() - began:.0f} s")
    return 0 if unchanged else 1


def _run(stack: Stack) -> bool:
    """Run the nightly DAG and its consumer, and return whether either failed."""
    airflow = stack.airflow
    stack.wait_for_dags(NIGHTLY, SCORECARD)
    airflow.unpause(SCORECARD)
    say(f"Running {NIGHTLY} for {RUN_AFTER:%Y-%m-%d %H:%M} UTC: {TEAMS} teams × 5 reports, {EXPORT_SECONDS:g} s each")
    run_id = airflow.trigger_only(NIGHTLY, run_after=RUN_AFTER)
    return _failed(airflow, NIGHTLY, run_id, timeout=RUN_TIMEOUT) or _consumer_failed(airflow)


def _failed(airflow: AirflowClient, dag_id: str, run_id: str, *, timeout: float) -> bool:
    """Wait for a run and say whether it failed; the log of a failed try is printed at once, retried or not."""
    shown = set()

    def show_failed_tries(state: str) -> None:
        for task in airflow.tasks_in(dag_id, run_id, state):
            if (this_try := (task["id"], task["try_number"])) not in shown:
                shown.add(this_try)
                report.failed_try(airflow, task)

    with Progress(dag_id) as progress:

        def watch(counts: Mapping[str, int]) -> None:
            progress(counts)
            if "up_for_retry" in counts:
                show_failed_tries("up_for_retry")

        state = airflow.wait(dag_id, run_id, timeout=timeout, progress=watch)
    report.run(airflow, dag_id, run_id)
    show_failed_tries("failed")
    return state != "success"


def _consumer_failed(airflow: AirflowClient) -> bool:
    """Wait until the asset events have become runs of the consumer, and these have ended."""
    say(f"Waiting for {SCORECARD}, which its assets start …")
    deadline = time.monotonic() + SCORECARD_TIMEOUT
    while airflow.queued_asset_events(SCORECARD) or not airflow.dag_runs(SCORECARD):
        if time.monotonic() > deadline:
            msg = f"no run of {SCORECARD} {SCORECARD_TIMEOUT:.0f} s after {NIGHTLY} ended: did its assets get events?"
            raise StackError(msg)
        time.sleep(0.5)
    return any(
        _failed(airflow, SCORECARD, dag_run["dag_run_id"], timeout=SCORECARD_TIMEOUT)
        for dag_run in airflow.dag_runs(SCORECARD)
    )


def _show_work(stack: Stack) -> None:
    report.heading("Workers")
    report.workers(stack.sampler)
    report.heading("Requests to SEI")
    sandbox = SandboxControl(stack.sandbox_url)
    report.requests(sandbox.summary(), Counter(export["report"] for export in sandbox.exports()))


def _show_lake() -> None:
    report.heading(f"The lake, {LAKE.relative_to(PROJECT)}")
    report.tree(lake_files.files(LAKE))
    for name, table in lake_files.tables(LAKE).items():
        report.heading(f"{name}: {plural(table.num_rows, 'row')}, {plural(table.num_columns, 'column')}")
        report.first_rows(lake_files.without_lineage(table))


def _show_comparison(before: dict[str, lake_files.Rows]) -> bool:
    report.heading("Against the run before")
    changed = lake_files.changes(before, lake_files.row_counts(LAKE))
    for name, (gone, new) in changed.items():
        say(f"{name}: {plural(gone, 'row')} gone, {plural(new, 'row')} new")
    if not changed:
        say("No row changed but for the lineage columns.")
    return not changed


if __name__ == "__main__":
    sys.exit(main())
