"""The publish task: put staged slices into the lake's tables, and name what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from os import PathLike
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSkipException  # whose place differs between 3.1 and 3.3
from airflow.sdk import BaseOperator

from sei_provider import lake as sei_lake
from sei_provider import metrics
from sei_provider.lake.model import ALL_TREES, checked_table_name
from sei_provider.lineage import DatasetName, of_publish
from sei_provider.operators._arguments import (
    argument_errors,
    check_flag,
    check_place,
    check_text,
    is_template,
    optional,
)
from sei_provider.operators._base import SeiBatchOperator
from sei_provider.operators._missing import (
    NOT_RUN,
    Missing,
    check_expected,
    check_staged,
    find_missing,
    flat,
)
from sei_provider.operators._secrets import refuse_secrets
from sei_provider.operators._upstream import sources_of, upstream_exports, upstream_states
from sei_provider.operators.teams import SeiTeamsOperator
from sei_provider.plural import plural
from sei_provider.triggers.export import few

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context

    from sei_provider.lake import Manifest, Published
    from sei_provider.lake.storage.backend import LakePath


class SeiPublishOperator(BaseOperator):
    """Publish staged slices: each replaces in its tables what its request covers.

    Runs when all exports are done, failed ones too. Publishes what is staged, keeps the older rows of what is missing,
    and succeeds, because Airflow sends asset events only for tasks that succeed. Put `SeiCheckOperator` after it to
    fail the run. It is idempotent. If all export tasks before it were skipped and `expected` is not empty, it is
    skipped too.

    The result is `{"published": [{table, month, rows, slices, superseded, path}, …], "missing": [{scope, error, table,
    start, end, task, path, keeps_rows}, …]}`. Of what is missing, all but scope and error as far as they are known.

    Each of the task's `outlets` (assets, not aliases) gets an event, with
    `{"published": [{table, month, rows, exports, manifest, scopes, restated}, …], "missing": 3}` as its extra;
    `manifest` is the month's object, whose footer holds the ledger of the exports, `scopes` counts the table's scopes
    by the state of their month (`{"complete": 12, "missing": 1}`), where the lake's coverage summary can be read, and
    `restated` tells of figures that have changed in a month that was over. On Airflow 3.3 there is one event per month,
    with the month (`2026-01`) as its partition: schedule consumers by `PartitionedAssetTimetable`, because a plain
    `schedule=[asset]` ignores such events. Before 3.3 a task cannot name partitions: there is one event, and consumers
    find the months in its extra.

    Readings of the org trees (`SeiTeamsOperator`) among `staged` bring the table of teams up to date first. Rows get a
    `team_id` if the reading before their export and the one after it leave no doubt whose they are, otherwise null.

    :param staged: The results of the export tasks, and of those that read the org trees: manifests, or lists of them.
        (templated)
    :param expected: The value given to the export tasks, as `scopes` or by `expand_kwargs`: whatever of it is not
        staged is missing. So is all that an export task asked for and did not hand on, directly upstream or by way of
        the tasks whose results are `staged`. (templated)
    :param lake: The lake's place, the same as for the export. (templated)
    :param table: The table's name, if not the report's own. (templated)
    :param single_writer: Promises that nothing else writes to the lake: for stores that cannot tell two writers apart.
    """

    template_fields: Sequence[str] = ("staged", "expected", "lake", "table")
    ui_color = "#cfe8d5"
    _sources: Sequence[DatasetName] = ()
    _result: Mapping[str, Any] = MappingProxyType({"published": (), "missing": ()})
    _new_tables: Collection[str] = ()
    """Facts for the lineage of this try: inputs of the exports before it, its result, and tables that it has made."""

    def __init__(
        self,
        *,
        staged: Any,
        expected: Any,
        lake: str | PathLike[str],
        table: str | None = None,
        single_writer: bool = False,
        trigger_rule: str = "all_done",
        **kwargs: Any,
    ) -> None:
        super().__init__(trigger_rule=trigger_rule, **kwargs)
        with argument_errors():
            if not is_template(table):
                optional(check_text)("table", table)
                if table is not None:
                    checked_table_name(table)
            if not is_template(lake):
                check_place("lake", lake)
            if not is_template(expected):
                check_expected(expected)
            check_flag("single_writer", single_writer)
        self.staged = staged
        self._staged_by = sources_of(staged)  # rendering replaces `staged`
        self.expected = expected
        self.lake = lake
        self.table = table
        self.single_writer = single_writer

    def execute(self, context: Context) -> dict[str, Any]:
        """Publish, then name what is missing."""
        from sei_provider.hooks.lake import open_lake

        refuse_secrets(self)
        with argument_errors():
            check_place("lake", self.lake)
            check_expected(self.expected)
            staged = check_staged(self.staged)
        manifests = [each for each in staged if not (each.get("teams") or each.get("developers"))]
        exports = upstream_exports(self, context, SeiBatchOperator, self.expected, through=self._staged_by)
        if exports and all(export.state in NOT_RUN for export in exports) and any(flat(self.expected)):
            msg = "all export tasks before this one were skipped"
            raise AirflowSkipException(msg)
        asked = [export.asked for export in exports if export.asked]
        self._sources = [DatasetName(*each["source"]) for each in asked if "source" in each]
        with argument_errors():
            lake = open_lake(str(self.lake))
            missing = find_missing(self.expected, manifests, exports)
        tables = {self.table or each["table"] for each in manifests if each["error"] is None}
        self._new_tables = {table for table in tables if not sei_lake.has_table(lake, table)}
        refused: list[Missing] = []
        lost_readings: list[Missing] = []
        not_landed: set[int] = set()

        def note_refused(manifest: Manifest, error: sei_lake.LakeError) -> None:
            into = lost_readings if manifest not in manifests else refused
            into.append(_refused(manifest, error, self.task_id))
            not_landed.add(id(manifest))

        published = sei_lake.publish(
            lake,
            staged,
            published_at=datetime.now(UTC),
            table=self.table,
            single_writer=self.single_writer,
            on_refused=note_refused,
        )
        missing += [*refused, *_lost_to_a_wrong_clock(published, manifests)]
        _look_up_in_lake(lake, missing, self.table)
        landed = [each for each in manifests if each["error"] is None and id(each) not in not_landed]
        _count(published, landed, missing, self.table)
        missing += [*lost_readings, *self._readings_not_made(context)]
        for month in published:
            self.log.info("%(table)s, month %(month)s: %(rows)d rows after %(slices)d slices", month)
            for lost in month["superseded"]:
                self.log.warning(
                    "%s, month %s: %s %s to %s (export %s): %s: %s",
                    month["table"], month["month"], lost["scope"], lost["start"], lost["end"], lost["export_id"],
                    lost["reason"], few(f"{by['scope']} {by['export_id']}" for by in lost["by"]),
                )  # fmt: skip
            if restated := month["restated"]:
                teams = few(restated["teams"]) if restated["teams"] else "teams that are people are not named"
                self.log.warning(
                    "%s, month %s is over, and figures have changed: %s of %s, by up to %.3g %%: %s",
                    month["table"], month["month"], plural(restated["figures"], "figure"),
                    plural(restated["team_count"], "team"), 100 * restated["largest"], teams,
                )  # fmt: skip
        good = sum(manifest["error"] is None for manifest in manifests) - len(refused)
        slices, scopes = plural(len(manifests), "slice"), plural(len(missing), "scope")
        self.log.info("%d of %s published, %s missing", good, slices, scopes)
        own = {manifest["table"] for manifest in staged if manifest.get("developers")}
        of_reports = [month for month in published if month["table"] not in own]
        states = _scopes_by_state(lake, of_reports) if self.outlets else {}
        for asset in self.outlets:
            _describe(context["outlet_events"][asset], of_reports, missing, states)
        self._result = {"published": published, "missing": missing}
        return {**self._result}

    def get_openlineage_facets_on_complete(self, _task_instance: Any) -> OperatorLineage[Any, Any]:
        """Return the reports as inputs and the tables as outputs, with schema and rows, for OpenLineage's provider."""
        from sei_provider.hooks.lake import open_lake

        return of_publish(
            open_lake(str(self.lake)), self._sources, **self._result, new=self._new_tables, address=str(self.lake)
        )

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """As above, of what was done before the error."""
        return self.get_openlineage_facets_on_complete(task_instance)

    def _readings_not_made(self, context: Context) -> Iterator[Missing]:
        """Name the tasks before this one that were to read the org trees and failed."""
        tasks = upstream_states(self, context, SeiTeamsOperator, through=self._staged_by)
        for task_id, state in ((task_id, state) for task_id, found in tasks.items() for state in found.values()):
            if state in {"failed", "upstream_failed"}:
                error = f"task {task_id} has not read the org trees ({state}), so rows may lack their team_id"
                yield Missing(scope=ALL_TREES, error=error, task=task_id)


def _count(
    published: Iterable[Published], landed: Sequence[Manifest], missing: Iterable[Missing], renamed: str | None
) -> None:
    """Send metrics of what was published and what was not, of each table; nothing to count is a 0."""
    now = datetime.now(UTC)
    rows, quarantined, restated, lacking = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for manifest in landed:
        table = renamed or manifest["table"]
        rows[table] += manifest["rows"]
        quarantined[table] += manifest.get("quarantined", 0)
        if created_at := manifest["created_at"]:
            metrics.timing(
                "sei.export_to_lake", (now - datetime.fromisoformat(created_at)).total_seconds(), table=table
            )
    for month in published:
        restated[month["table"]] += month["restated"]["figures"] if month["restated"] else 0
    lacking.update(lack.get("table", "unknown") for lack in missing)
    for table in sorted({*rows, *lacking}):
        metrics.count("sei.rows.published", rows[table], table=table)
        metrics.count("sei.rows.quarantined", quarantined[table], table=table)
        metrics.count("sei.figures.restated", restated[table], table=table)
        metrics.count("sei.scopes.missing", lacking[table], table=table)


def _describe(
    event: Any,
    published: Sequence[Published],
    missing: Sequence[Any],
    states: Mapping[tuple[str, str], Mapping[str, int]],
) -> None:
    """Write what was published into an asset's event, and how much is missing; not which, as events stay for good."""
    event.extra = {
        "published": [
            {
                "table": month["table"],
                "month": month["month"],
                "rows": month["rows"],
                "exports": month["slices"],
                "manifest": month["path"],
                "scopes": dict(states.get((month["table"], month["month"]), {})),
                "restated": _restated(month),
            }
            for month in published
        ],
        "missing": len(missing),
    }
    if hasattr(event, "add_partitions"):  # Airflow 3.3
        event.add_partitions(sorted({month["month"] for month in published}))


def _restated(month: Published) -> dict[str, Any] | None:
    """Return how much of a month was restated, without the names of its teams."""
    found = month["restated"]
    return found and {"figures": found["figures"], "largest": found["largest"], "teams": found["team_count"]}


def _scopes_by_state(lake: LakePath, published: Iterable[Published]) -> dict[tuple[str, str], dict[str, int]]:
    """Count the scopes of each table and month by the state they are in now, as far as summaries can be read."""
    from sei_provider.lake.tables.coverage_grid import coverage_grid
    from sei_provider.lake.tables.coverage_summary import GRID_COLUMNS, read_summary

    found: dict[tuple[str, str], dict[str, int]] = {}
    for table in sorted({month["table"] for month in published}):
        with suppress(sei_lake.LakeError):  # publish has told in its log that the summary is behind
            summary = read_summary(lake, table, columns=GRID_COLUMNS)
            if summary:
                grid = coverage_grid(summary, today=datetime.now(UTC).date())
                found |= {(table, f"{month:%Y-%m}"): counts for month, counts in grid.month_counts().items()}
    return found


def _refused(manifest: Manifest, error: sei_lake.LakeError, task_id: str) -> Missing:
    return Missing(
        scope=manifest["scope"],
        error=str(error),
        table=manifest["table"],
        start=manifest["start"],
        end=manifest["end"],
        task=task_id,
    )


def _look_up_in_lake(lake: LakePath, missing: Iterable[Missing], renamed: str | None) -> None:
    """Add to what is missing what the lake knows of it from older exports: the team's path, and whether rows stay.

    The teams of a contributor report are people, who are not named.
    """
    ledgers: dict[str, list[dict[str, Any]]] = {}
    for lack in missing:
        if "table" not in lack:
            continue
        names_teams = "contributor_report" not in lack["table"]
        lack["table"] = renamed or lack["table"]
        if lack["table"] not in ledgers:
            ledgers[lack["table"]] = []
            with suppress(sei_lake.LakeError, OSError):  # what the lake lacks is told without it
                months = sei_lake.ledger(lake, lack["table"])
                ledgers[lack["table"]] = [entry for month in sorted(months) for entry in months[month]]
        entries = [entry for entry in ledgers[lack["table"]] if entry["scope"] == lack["scope"] and entry["rows"]]
        paths = [path for entry in entries[-1:] for path in entry["teams"] if path]
        if paths and names_teams:
            lack["path"] = min(paths, key=len)
        lack["keeps_rows"] = any(entry["start"] <= lack["end"] and lack["start"] <= entry["end"] for entry in entries)


def _lost_to_a_wrong_clock(published: Iterable[Published], manifests: Iterable[Manifest]) -> Iterator[Missing]:
    """Name the new exports that lost to older ones because a clock is wrong: their figures are in no table."""
    fresh = {(manifest["scope"], manifest["export_id"]) for manifest in manifests if not manifest.get("reused")}
    told = set()
    for month in published:
        for lost in month["superseded"]:
            key = (lost["scope"], lost["export_id"], month["table"])
            if lost["clock_went_back"] and key[:2] in fresh and key not in told:
                told.add(key)
                by = ", ".join(f"{by['scope']} {by['export_id']} of {by['created_at']}" for by in lost["by"])
                error = (
                    f"export {lost['export_id']} is new, but its createdAt is before that of exports that were staged "
                    f"earlier ({by}), so its rows are not in table {month['table']}: SEI's clock or this machine's is "
                    "wrong. Export again when SEI's clock is past these times"
                )
                yield Missing(scope=lost["scope"], error=error)
