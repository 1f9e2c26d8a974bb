"""The publish task: put staged slices into the lake's tables, and name what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from os import PathLike
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from sei_provider import lake as sei_lake
from sei_provider.api.request import Scope
from sei_provider.operators._arguments import (
    argument_errors,
    check_flag,
    check_place,
    check_text,
    is_template,
    optional,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from sei_provider.lake import Manifest, Published


class SeiPublishOperator(BaseOperator):
    """Publish staged slices: each replaces in its tables what its request covers.

    Runs when all exports are done, failed ones too. Publishes what is staged, keeps the older rows of what is missing,
    and succeeds, because Airflow sends asset events only for tasks that succeed. Put `SeiCheckOperator` after it to
    fail the run. It is idempotent.

    The result is `{"published": [{table, month, rows, slices, superseded, path}, …], "missing": [{scope, error}, …]}`.

    Each of the task's `outlets` (assets, not aliases) gets an event, with
    `{"published": [{table, month, rows, exports, manifest}, …], "missing": 3}` as its extra; `manifest` is the month's
    object, whose footer holds the ledger of the exports. On Airflow 3.3 there is one event per month, with the month
    (`2026-01`) as its partition: schedule consumers by `PartitionedAssetTimetable`, because a plain `schedule=[asset]`
    ignores such events. Before 3.3 a task cannot name partitions: there is one event, and consumers find the months in
    its extra.

    :param staged: The results of the export tasks: manifests, or lists of them. (templated)
    :param expected: The value given to the export tasks as `scopes`: whatever of it is not staged is missing.
        (templated)
    :param lake: The lake's place, the same as for the export. (templated)
    :param table: The table's name, if not the report's own. (templated)
    :param single_writer: Promises that nothing else writes to the lake: for stores that cannot tell two writers apart.
    """

    template_fields: Sequence[str] = ("staged", "expected", "lake", "table")
    ui_color = "#cfe8d5"

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
            if not is_template(table):  # the lake is that of the export, which checks it when the DAG is read
                optional(check_text)("table", table)
            check_flag("single_writer", single_writer)
        self.staged = staged
        self.expected = expected
        self.lake = lake
        self.table = table
        self.single_writer = single_writer

    def execute(self, context: Context) -> dict[str, Any]:
        """Publish, then name what is missing."""
        from sei_provider.hooks.lake import open_lake

        with argument_errors():
            check_place("lake", self.lake)
            lake = open_lake(str(self.lake))
        manifests: list[Manifest] = list(_flat(self.staged))
        if self.table:
            manifests = [{**manifest, "table": self.table} for manifest in manifests]
        refused: list[dict[str, str]] = []
        published = sei_lake.publish(
            lake,
            manifests,
            published_at=datetime.now(UTC),
            single_writer=self.single_writer,
            on_refused=lambda slice_, error: refused.append({"scope": slice_["scope"], "error": str(error)}),
        )
        missing = [*_missing(self.expected, manifests), *refused, *_lost_to_a_wrong_clock(published, manifests)]
        for month in published:
            self.log.info("%(table)s, month %(month)s: %(rows)d rows after %(slices)d slices", month)
            for lost in month["superseded"]:
                self.log.warning(
                    "%s, month %s: %s %s to %s (export %s): %s: %s",
                    month["table"], month["month"], lost["scope"], lost["start"], lost["end"], lost["export_id"],
                    lost["reason"], ", ".join(f"{by['scope']} {by['export_id']}" for by in lost["by"]) or "none left",
                )  # fmt: skip
            if restated := month["restated"]:
                self.log.warning(
                    "%s, month %s is over, and %d figures of %d teams have changed, by up to %.3g %%: %s",
                    month["table"], month["month"], restated["figures"], restated["team_count"],
                    100 * restated["largest"], ", ".join(restated["teams"]) or "teams that are people are not named",
                )  # fmt: skip
        good = sum(manifest["error"] is None for manifest in manifests) - len(refused)
        self.log.info("%d of %d slices published, %d scopes missing", good, len(manifests), len(missing))
        for asset in self.outlets:
            _describe(context["outlet_events"][asset], published, missing)
        return {"published": published, "missing": missing}


def _describe(event: Any, published: Sequence[Published], missing: Sequence[Any]) -> None:
    """Write what was published into an asset's event, and how much is missing; not which, as events stay for good."""
    event.extra = {
        "published": [
            {
                "table": month["table"],
                "month": month["month"],
                "rows": month["rows"],
                "exports": month["slices"],
                "manifest": month["path"],
            }
            for month in published
        ],
        "missing": len(missing),
    }
    if hasattr(event, "add_partitions"):  # Airflow 3.3
        event.add_partitions(sorted({month["month"] for month in published}))


def _missing(expected: Any, manifests: list[Manifest]) -> list[dict[str, str]]:
    """Return what was asked for and is not staged, each with the error where one is known."""
    scopes = [Scope.parse(scope).label for scope in _flat(expected)]
    if not scopes:
        return [
            {
                "scope": "all",
                "error": "no scope was asked for, because the task that lists the teams failed or found none",
            }
        ]
    known = {manifest["scope"] for manifest in manifests}
    unknown = "its export task handed nothing on: see that task's log"
    return [
        *({"scope": bad["scope"], "error": bad["error"]} for bad in manifests if bad["error"] is not None),
        *({"scope": scope, "error": unknown} for scope in dict.fromkeys(scopes) if scope not in known),
    ]


def _lost_to_a_wrong_clock(published: Iterable[Published], manifests: Iterable[Manifest]) -> Iterator[dict[str, str]]:
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
                yield {"scope": lost["scope"], "error": error}


def _flat(value: Any) -> Iterator[Any]:
    """Flatten nested lists, as mapped tasks give them; None counts as an empty list."""
    if value is None:
        return
    if isinstance(value, str | int | Mapping):
        yield value
        return
    for member in value:
        yield from _flat(member)
