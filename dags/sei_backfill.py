"""Backfill by a form: which reports, teams and months; shows the plan, and asks only for what the lake lacks."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, date, timedelta
from typing import Any

from airflow.sdk import DAG, Param, task, task_group
from sei_common import (
    ASSETS,
    BATCH_NAME,
    CHECK_DOC,
    EXPORT_DOC,
    LAKE,
    OPTIONS,
    PUBLISH_DOC,
    REPORTS,
    RETRIES,
    SCOPES_PER_TASK,
    TABLES,
    check_statuses,
    configured_scopes,
    list_scopes,
    table_of,
)

from sei_provider.operators.check import SeiCheckOperator
from sei_provider.operators.export import SeiExportOperator
from sei_provider.operators.publish import SeiPublishOperator
from sei_provider.plural import plural

log = logging.getLogger(__name__)

PARAMS = {
    "reports": Param(
        [report for report in REPORTS if report != "time_in_status"],
        type="array",
        items={"type": "string", "enum": list(REPORTS)},
        minItems=1,
        uniqueItems=True,
        examples=list(REPORTS),
        title="Reports",
        description="Time in status needs the Variable sei_issue_statuses.",
    ),
    "teams": Param(
        [],
        type=["null", "array"],  # a form requires what may not be null
        # What a scope is, the task `plan` checks; items of one type would keep out what operators take.
        items={"anyOf": [{"type": "string", "pattern": r"^\s*\S+\s*$"}, {"type": "integer"}, {"type": "object"}]},
        title="Teams",
        description="Ids, one a line. None: those of the org tree below, or those of every night.",
    ),
    "tree": Param(None, type=["null", "string"], title="Org tree", description="All teams of the tree of this name."),
    "from": Param(type="string", format="date", title="From", description="The month of this day is the first."),
    "to": Param(type="string", format="date", title="To", description="The month of this day is the last."),
    "chunk": Param(
        "month",
        type="string",
        enum=["month", "quarter"],
        title="Range of an export",
        description="A quarter takes a third of the requests, and SEI longer for each.",
    ),
    "which": Param(
        "missing",
        type="string",
        enum=["missing", "all"],
        title="Which",
        description="Missing: only what the lake does not hold for the whole month. All: everything once more.",
    ),
    "dry_run": Param(
        True,
        type="boolean",
        title="Only show the plan",
        description="In the log of the task `plan`: how many exports, and how long at the key's rate limit.",
    ),
}


@task(**RETRIES)
def plan(lake: str, params: Mapping[str, Any], dag_run: Any) -> dict[str, list[dict[str, Any]]]:
    """Plans what is to be exported, and shows it in its log: exports, requests, minutes at the key's rate limit.

    Fails at once, before any call, if what the form asks for makes no sense.
    """
    from sei_provider.hooks.permanent import no_retry_if_permanent
    from sei_provider.hooks.sei import SeiHook

    with no_retry_if_permanent():
        check_statuses(params["reports"], "the form")
        today = dag_run.run_after.astimezone(SeiHook().get_calendar().timezone).date()
        chunks = list(chunks_of(params["from"], params["to"], params["chunk"], not_after=today))
        scopes = scopes_of(params["teams"], params["tree"])
        work = {report: list(work_of(lake, report, scopes, chunks, params["which"])) for report in params["reports"]}
    show(work, scopes, chunks)
    if params["dry_run"]:
        log.info("Nothing is exported, because this run only shows the plan")
        return {}
    return work


@task
def part(work: Mapping[str, list[dict[str, Any]]], report: str) -> list[dict[str, Any]]:
    """Takes one report's part of the plan; with none, the report's other tasks are skipped."""
    return work.get(report, [])


def chunks_of(start: str, end: str, chunk: str, *, not_after: date) -> Iterator[tuple[date, date]]:
    """Return first and last day of each month or quarter from `start` to `end`, whole months up to the run's day."""
    from sei_provider.api.periods import period_of, whole_periods
    from sei_provider.api.validation import parse_end, parse_start

    first, last = whole_periods(parse_start(start, UTC), parse_end(end, UTC), "monthly", not_after=not_after)
    while first <= last:
        _, chunk_end = period_of(first, f"{chunk}ly")
        yield first, min(chunk_end, last)
        first = chunk_end + timedelta(days=1)


def scopes_of(teams: Any, tree: str | None) -> list[Any]:
    """Return the scopes that the form names: a list as the operators take it, or a tree; empty fields name none."""
    from sei_provider.api.errors import SeiInputError

    named = teams not in (None, [], "")
    tree = tree.strip() if tree else None
    if named and tree:
        msg = f"teams {teams} and the org tree {tree} are both given; give one of them"
        raise SeiInputError(msg)
    if named or tree:
        return list_scopes(teams if named else None, tree)
    return configured_scopes()


def work_of(
    lake: str, report: str, scopes: list[Any], chunks: list[tuple[date, date]], which: str
) -> Iterator[dict[str, Any]]:
    """Give, for each chunk and batch of scopes, what one export task requests; what the lake holds is left out."""
    from sei_provider.api.planner import batches
    from sei_provider.api.request import Scope
    from sei_provider.hooks.lake import open_lake
    from sei_provider.lake import UnknownTableError, coverage
    from sei_provider.lake.periods import months_between

    held: set[tuple[str, str]] = set()
    if which == "missing":
        place = open_lake(lake)
        try:
            parts = coverage(place, table_of(report), start=chunks[0][0], end=chunks[-1][1])
        except UnknownTableError:  # nothing has landed there yet
            parts = []
        held = {(part["scope"], part["month"]) for part in parts if part["complete"]}
    for start, end in chunks:
        months = {f"{month:%Y-%m}" for month in months_between(start, end)}
        missing = [scope for scope in scopes if any((Scope.parse(scope).label, month) not in held for month in months)]
        for batch in batches(missing, SCOPES_PER_TASK):
            yield {"start": start.isoformat(), "end": end.isoformat(), "scopes": batch}


def show(work: Mapping[str, list[dict[str, Any]]], scopes: list[Any], chunks: list[tuple[date, date]]) -> None:
    """Log the plan: a line for each report and chunk, and the total of exports and requests."""
    from tabulate import tabulate

    from sei_provider.api.reports import REPORTS as KNOWN
    from sei_provider.hooks.sei import SeiHook

    lines, requests = [], 0
    for report, tasks in work.items():
        # A create and a download; a status call as well where no list covers a hundred exports (CONTRACT).
        each = 2 if KNOWN[report].has_list else 3
        for start, end in chunks:
            exports = sum(len(task["scopes"]) for task in tasks if task["start"] == start.isoformat())
            requests += each * exports
            lines.append([report, start, end, len(scopes), len(scopes) - exports, exports, each * exports])
    total = sum(line[5] for line in lines)
    lines.append(["all", chunks[0][0], chunks[-1][1], "", "", total, requests])
    head = ["report", "from", "to", "scopes", "in the lake", "exports", "requests"]
    for line in tabulate(lines, head).splitlines():
        log.info("%s", line)
    limit = SeiHook().get_requests_per_minute()
    log.info(
        "%s: %s or more, which takes %.1f minutes or more at %s a minute",
        plural(total, "export"), plural(requests, "request"), requests / limit, plural(limit, "request"),
    )  # fmt: skip


# --8<-- [start:group]
def export_part_by_part(report: str, work: Any) -> None:
    """In a DAG: for each part of a report's plan the tasks export, publish and check.

    What has been published stays if the run is cancelled, and another run need not request it again. Therefore the
    later a task stands in its part, the higher its priority: a part is finished before the next one starts.
    """

    @task_group(group_id=report)
    def each(start: str, end: str, scopes: list[Any]) -> None:
        export = SeiExportOperator(
            task_id="export",
            report=report,
            scopes=scopes,
            start=start,
            end=end,
            metric_groups=REPORTS[report],
            options=OPTIONS.get(report),
            lake=LAKE,
            # Few, so that months land one after another, and the nightly run gets its turns of the key meanwhile.
            max_active_tis_per_dagrun=4,
            weight_rule="upstream",
            map_index_template="{{ task.start }} to {{ task.end }}: " + BATCH_NAME,
            doc_md=EXPORT_DOC,
            **RETRIES,
        )
        publish = SeiPublishOperator(
            task_id="publish",
            staged=export.output,
            expected=scopes,
            lake=LAKE,
            table=TABLES[report],
            outlets=[ASSETS[report]],
            weight_rule="upstream",
            map_index_template="from {{ (task.staged or []) | map(attribute='start') | unique | join(', ') }}",
            doc_md=PUBLISH_DOC,
            **RETRIES,
        )
        SeiCheckOperator(
            task_id="check",
            published=publish.output,
            weight_rule="upstream",
            map_index_template="{{ (task.published or {}).get('published') | map(attribute='month') | join(', ') }}",
            doc_md=CHECK_DOC,
        )

    each.expand_kwargs(work)


# --8<-- [end:group]


with DAG(
    "sei_backfill",
    description=__doc__,
    doc_md="""
Started by hand, with a form. Leave *Only show the plan* ticked first, and read the log of the task `plan`: what is in
the lake, how many exports the rest takes, and how long that is at the key's rate limit. Then run it without the tick.

- It may be **cancelled** at any time (mark the run as failed). What was published stays; another run with the same
  form asks only for the rest.
- **Missing** is what a scope has no slice of over the whole month, so the month to date always is. A scope that SEI
  could not export in one piece, and that was split, stays missing under its own name: its child teams are there.
- For a plain "every team, every month" there is also `airflow backfill create --dag-id sei_history`.
""",
    schedule=None,
    params=PARAMS,
    max_active_runs=1,
    tags=["sei"],
) as dag:
    planned = plan(LAKE)
    for name in REPORTS:
        export_part_by_part(name, part.override(task_id=f"part_{name}")(planned, name))
