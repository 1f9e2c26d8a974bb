"""Shared parts of the example DAGs: the lake's place, the teams, the assets, and the tasks from teams to check."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import airflow.sdk
from airflow.sdk import Asset, AssetAll, AssetAny, Variable, task

from sei_provider.operators.check import SeiCheckOperator
from sei_provider.operators.export import SeiExportOperator
from sei_provider.operators.publish import SeiPublishOperator
from sei_provider.operators.teams import SeiTeamsOperator

LAKE = "{{ var.value.sei_lake }}"
"""The lake's place, one setting: the Airflow Variable `sei_lake`, a path or an address that `open_lake` takes."""

REPORTS: dict[str, list[str] | None] = {
    "productivity": ["activity", "velocity", "volume", "quality", "collaboration"],
    "sprint": ["work", "delivery", "deliveryAnalysis", "analysis"],
    "business_alignment": None,
    "efficiency": ["lttc", "df", "mttr", "cfr", "summary"],
    "time_in_status": None,
}
"""Metric groups by report; None asks for all there is."""

STATUSES = "sei_issue_statuses"
"""The Variable (a JSON list) with the workflow statuses of time in status, which is exported only if it is set."""

OPTIONS = {"time_in_status": {"issueStatuses": f"{{{{ var.value.get('{STATUSES}', '') }}}}"}}
"""Further members of the requests, by report."""

ZONE = "UTC"
"""The time zone of the schedules, and of the days on which they run: a name such as Europe/Berlin."""

START = datetime(2026, 1, 1, tzinfo=ZoneInfo(ZONE))
"""The first day of the schedules; its zone is the DAGs' own."""

TABLE_NAMES = {
    "productivity": "productivity_team_monthly",
    "sprint": "sprint_team_monthly",
    "business_alignment": "business_alignment_monthly",
    "efficiency": "efficiency_monthly",
    "time_in_status": "time_in_status_team_monthly",
}
"""Tables of the reports: one row per team and month."""

TABLES = {report: f"{{{{ var.value.get('sei_table_prefix', '') }}}}{table}" for report, table in TABLE_NAMES.items()}
"""Templates of the tables' full names, which begin with the Variable `sei_table_prefix`, if there is one. Give each
project its own if several share a lake: two cannot share a table."""

TEAMS_TABLE = "{{ var.value.get('sei_table_prefix', '') }}teams"
"""Template of the full name of the table of the teams: one row per team id."""

ASSETS = {report: Asset(f"sei_{table}", group="sei") for report, table in TABLE_NAMES.items()}
"""The assets that publishing updates: one for each table, with a partition per month."""

TEAMS_PER_EXPORT = 25
"""An export holds a team with its child teams; larger ones take SEI longer, and may time out there."""
SCOPES_PER_TASK = 100
BATCH_NAME = "{{ task.scopes | length }} scopes, {{ task.scopes | first }} to {{ task.scopes | last }}"
TASKS_AT_ONCE = 16
"""Tasks of a report that are begun and not ended; since Airflow 3.2 deferred ones count too.

1,600 exports under way are what SEI's limit lets a key create and download in eight minutes.
"""

RETRIES: Mapping[str, Any] = {"retries": 3, "retry_exponential_backoff": True}
"""Retries after Airflow's `default_task_retry_delay` (5 minutes), twice that, and four times that. SEI gives back a
failed export for 30 minutes, so the last retry gets a new one. Permanent errors, such as a refused key, get none."""

EXPORT_DOC = """Asks SEI for one export per scope of the batch, waits on the triggerer, and stages what came.

Red: the log names the scopes that did not land. A retry, or clearing the task, asks for those only."""
TREES_DOC = """Reads the org trees from SEI, so that publishing can tell teams by their ids.

Skipped if the connection has no `account_identifier`, which SEI wants for that. Red: the figures are published all
the same, some with no `team_id`. To repair it, clear this task together with what is downstream."""
PUBLISH_DOC = """Puts what was staged into the report's table and tells the table's asset which months it touched.

Runs, and succeeds, also if some scopes did not land: they keep their older rows."""
CHECK_DOC = """Turns the run red if anything that was asked for is missing from the lake, and names it.

To repair it, clear the red export tasks together with what is downstream of them."""


def table_of(report: str) -> str:
    """Return the full name of a report's table, in a task that runs."""
    return Variable.get("sei_table_prefix", default="") + TABLE_NAMES[report]


def skip_without_account(_context: Any) -> None:
    """Skip a task that reads the org trees if the connection has no `account_identifier`."""
    from airflow.providers.common.compat.sdk import AirflowSkipException

    from sei_provider.hooks.sei import SeiHook

    if not SeiHook().get_origin()["account"]:
        msg = "the connection has no account_identifier, so SEI tells no org trees, and rows get no team_id"
        raise AirflowSkipException(msg)


def read_trees(task_id: str, **arguments: Any) -> SeiTeamsOperator:
    """In a DAG: a task that reads the org trees."""
    return SeiTeamsOperator(
        task_id=task_id,
        lake=LAKE,
        table=TEAMS_TABLE,
        pre_execute=skip_without_account,
        doc_md=TREES_DOC,
        **RETRIES,
        **arguments,
    )


# --8<-- [start:teams]
def list_scopes(teams: Any = None, org_tree: str | None = None) -> list[Any]:
    """List the scopes to export: these teams as they are, or those of the named org tree, or those of all trees.

    A tree gives whole subtrees of up to `TEAMS_PER_EXPORT` teams, and the teams above them for their own rows.
    """
    from sei_provider.api.errors import SeiInputError
    from sei_provider.api.planner import plan_scopes
    from sei_provider.api.scopes import parse_batch
    from sei_provider.hooks.sei import SeiHook

    if teams is not None:
        return [scope.value for scope in parse_batch(teams, "teams")]
    if org_tree is not None and not org_tree.strip():
        msg = "the org tree's name is empty; name one, or delete the Variable sei_org_tree for all trees"
        raise SeiInputError(msg)
    roots = SeiHook().list_teams(org_tree)
    return [scope for root in roots for scope in plan_scopes(root, TEAMS_PER_EXPORT)]


def configured_scopes() -> list[Any]:
    """List the scopes of every night.

    They come from the Variable `sei_teams` (a JSON list of team ids) if there is one, otherwise from `sei_teams.yaml`
    beside this file, otherwise from all of SEI's org trees, or from the one that the Variable `sei_org_tree` names.
    """
    from sei_provider.hooks.scopes import scopes_from_file, scopes_from_variable

    scopes = scopes_from_variable("sei_teams")
    if scopes is None:
        scopes = scopes_from_file(Path(__file__).with_name("sei_teams.yaml"))
    if scopes is not None:
        return [scope.value for scope in scopes]
    return list_scopes(org_tree=Variable.get("sei_org_tree", default=None))


@task(trigger_rule="all_done", **RETRIES)  # also if the org trees could not be read before it
def teams() -> list[list[Any]]:
    """Lists the scopes to export, in batches of about a hundred: one export task each.

    They come from the Variable `sei_teams`, from `sei_teams.yaml` beside the DAGs, or from SEI's org trees.
    """
    from sei_provider.api.planner import batches
    from sei_provider.hooks.permanent import no_retry_if_permanent

    with no_retry_if_permanent():
        return batches(configured_scopes(), SCOPES_PER_TASK)


# --8<-- [end:teams]


def configured_reports() -> list[str]:
    """List the reports of every night: those in the Variable `sei_reports` (a JSON list of names), otherwise all.

    Time in status is among all of them only if the Variable `sei_issue_statuses` names its statuses.
    """
    from sei_provider.api.errors import SeiInputError
    from sei_provider.api.validation import normalize_choice, quoted

    text = Variable.get("sei_reports", default=None)
    if text is None:
        return [report for report in REPORTS if report != "time_in_status" or has_statuses()]
    try:
        names = json.loads(text)
        listed = names if isinstance(names, list) else [names]
        chosen = [normalize_choice("report", name, REPORTS) for name in listed]
    except ValueError as error:
        msg = f'the Variable sei_reports must be a JSON list of reports, as in ["sprint"], not {quoted(text)}: {error}'
        raise SeiInputError(msg) from None
    if not chosen:
        msg = "the Variable sei_reports names no report; delete it for all of them"
        raise SeiInputError(msg)
    check_statuses(chosen, "the Variable sei_reports")
    return list(dict.fromkeys(chosen))


def has_statuses() -> bool:
    """Return whether the Variable `sei_issue_statuses` is set."""
    return Variable.get(STATUSES, default=None) is not None


def check_statuses(reports: Sequence[str], source: str) -> None:
    """Raise `SeiInputError` if the reports that `source` names hold time in status, and nothing names its statuses."""
    from sei_provider.api.errors import SeiInputError

    if "time_in_status" in reports and not has_statuses():
        msg = (
            f"{source} asks for time_in_status, which needs the Variable {STATUSES}: a JSON list of workflow statuses, "
            'as in ["In Progress", "In Review"]'
        )
        raise SeiInputError(msg)


STEPS = ("export", "teams_after", "publish", "check")
"""Tasks of each report, whose ids end in the report's name."""


@task.branch(**RETRIES)
def choose_reports() -> list[str]:
    """Chooses the tasks of the reports that the Variable `sei_reports` names; those of the others are skipped."""
    from sei_provider.hooks.permanent import no_retry_if_permanent

    with no_retry_if_permanent():
        return [f"{step}_{report}" for report in configured_reports() for step in STEPS]


def export_all_reports(start: str, end: str) -> None:
    """In a DAG: for each report the tasks export (one for each batch of scopes), publish and check.

    The org trees are read before all exports, and after those of each report. `start` and `end` are templates of the
    first and the last day, both inclusive.
    """
    batches, chosen, before = teams(), choose_reports(), read_trees("teams_before")
    before >> batches
    for report, metric_groups in REPORTS.items():
        after = read_trees(f"teams_after_{report}", trigger_rule="all_done")
        # --8<-- [start:export]
        export = SeiExportOperator.partial(
            task_id=f"export_{report}",
            report=report,
            start=start,
            end=end,
            metric_groups=metric_groups,
            options=OPTIONS.get(report),
            lake=LAKE,
            max_active_tis_per_dagrun=TASKS_AT_ONCE,
            map_index_template=BATCH_NAME,
            doc_md=EXPORT_DOC,
            **RETRIES,
        ).expand(scopes=batches)
        # --8<-- [end:export]
        # --8<-- [start:publish]
        publish = SeiPublishOperator(
            task_id=f"publish_{report}",
            staged=[before.output, export.output, after.output],
            expected=batches,
            lake=LAKE,
            table=TABLES[report],
            outlets=[ASSETS[report]],
            doc_md=PUBLISH_DOC,
            **RETRIES,
        )
        # --8<-- [end:publish]
        # --8<-- [start:check]
        SeiCheckOperator(task_id=f"check_{report}", published=publish.output, doc_md=CHECK_DOC)
        # --8<-- [end:check]
        export >> after
        chosen >> [export, after, publish, *publish.downstream_list]


def intervals(cron: str) -> Any:
    """Return a schedule whose runs each cover the interval between two of these moments, and start at its end."""
    if hasattr(airflow.sdk, "CronDataIntervalTimetable"):
        return airflow.sdk.CronDataIntervalTimetable(cron, timezone=ZONE)
    from airflow.timetables.interval import CronDataIntervalTimetable  # Airflow 3.1

    return CronDataIntervalTimetable(cron, timezone=ZONE)


def day_of_run(dag: Any, dag_run: Any) -> date:
    """Return the day on which a run's data interval ends, or the run was to start, in the DAG's time zone."""
    from sei_provider.hooks.dag_zone import dag_zone

    moment = getattr(dag_run, "data_interval_end", None) or dag_run.run_after
    return moment.astimezone(dag_zone(dag)).date()


def period_before(dag: Any, dag_run: Any, granularity: str) -> tuple[date, date]:
    """Return first and last day of the last whole period (`monthly`, `weekly`) before a run.

    Also for a run by hand or by an asset, which has no data interval.
    """
    from sei_provider.api.periods import period_of

    this, _ = period_of(day_of_run(dag, dag_run), granularity)
    return period_of(this - timedelta(days=1), granularity)


# --8<-- [start:consumer]
def months_of(*assets: Asset) -> Any:
    """Return a schedule that runs a DAG for the months that `assets` publish.

    On Airflow 3.3 that is one run per month, when all assets have published it since the last. Older versions know no
    partitions: there a run starts when any asset has an event, for all months in the events until then. (If it waited
    for all assets, a run could take the newest month of one before the others have it, and no run would follow.)
    """
    if not hasattr(airflow.sdk, "PartitionedAtRuntime"):
        return AssetAny(*assets)
    return airflow.sdk.PartitionedAssetTimetable(assets=AssetAll(*assets))


def published_months(context: Mapping[str, Any]) -> list[str]:
    """Return the months (`2026-01`) that a run scheduled by `months_of` is for; none if it was started by hand."""
    if month := context.get("partition_key"):
        return [month]
    events = (event for of_asset in context["triggering_asset_events"].values() for event in of_asset)
    return sorted({part["month"] for event in events for part in event.extra.get("published", ())})


# --8<-- [end:consumer]
