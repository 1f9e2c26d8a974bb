"""The check task: fails a run if anything that was asked for is missing from the lake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (  # whose place differs between 3.1 and 3.3
    AirflowFailException,
    AirflowSkipException,
)
from airflow.sdk import BaseOperator

from sei_provider.api.validation import quoted
from sei_provider.lineage import of_check
from sei_provider.operators._missing import NOT_RUN, Missing, flat, sum_up
from sei_provider.operators._upstream import sources_of, upstream_states
from sei_provider.operators.publish import SeiPublishOperator
from sei_provider.plural import plural
from sei_provider.triggers.export import few

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context


class SeiCheckOperator(BaseOperator):
    """Fail if anything that was asked for is missing from the lake, and name it. Make it the run's last task.

    Columns that nobody declared, and that were dropped or hashed therefore, are told in a warning.

    Airflow judges a run by its last tasks and sends asset events only for tasks that succeed. Therefore publishing
    succeeds, and this task fails. It makes no retry, because its input would not change. To repair a run, clear the
    export tasks that failed together with their downstream tasks. If the publish tasks were skipped, it is skipped.

    :param published: The result of a `SeiPublishOperator`, or a list of them. (templated)
    """

    template_fields: Sequence[str] = ("published",)
    ui_color = "#f6e3c5"
    _landed: Sequence[Mapping[str, Any]] = ()
    """The results that lineage tells of."""

    def __init__(self, *, published: Any, trigger_rule: str = "all_done", **kwargs: Any) -> None:
        super().__init__(trigger_rule=trigger_rule, **kwargs)
        self.published = published
        self._published_by = sources_of(published)  # rendering replaces `published`

    def execute(self, context: Context) -> None:
        """Raise `AirflowFailException` with one line a reason why scopes are missing, and one on what to clear."""
        results = list(flat(self.published, keep_none=True))
        for result in results:
            if result is not None and not (isinstance(result, Mapping) and {"published", "missing"} <= set(result)):
                msg = f"published must be the results of publish tasks, as in publish.output, not {quoted(result)}"
                raise AirflowFailException(msg)
        tasks = upstream_states(self, context, SeiPublishOperator, through=self._published_by)
        states = {(task_id, index): state for task_id, found in tasks.items() for index, state in found.items()}
        skipped = [state for state in states.values() if state in NOT_RUN]
        if skipped and len(skipped) == len(states):
            msg = "the publish tasks before this one were skipped"
            raise AirflowSkipException(msg)
        landed = [result for result in results if result is not None]
        if not landed or len(landed) + len(skipped) < len(results):
            failed = few(
                sorted({task_id for (task_id, _), state in states.items() if state == "failed"} or {"publish"})
            )
            msg = (
                f"nothing was published, because the publish task before this one failed: {failed}\n"
                "What to do: its log says why; correct that, then clear it with what is downstream of it"
            )
            raise AirflowFailException(msg)
        self._landed = landed
        self._warn_of_unknown_columns(landed)
        if missing := [lack for result in landed for lack in result["missing"]]:
            raise AirflowFailException(_message(missing))
        self.log.info("All that was asked for is in the lake")

    def get_openlineage_facets_on_complete(self, _task_instance: Any) -> OperatorLineage[Any, Any]:
        """Return the tables as inputs, each with the assertion that it is complete, for OpenLineage's provider."""
        return of_check(
            [month for result in self._landed for month in result["published"]],
            [lack for result in self._landed for lack in result["missing"]],
        )

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """As above."""
        return self.get_openlineage_facets_on_complete(task_instance)

    def _warn_of_unknown_columns(self, results: Sequence[Mapping[str, Any]]) -> None:
        by_table: dict[str, set[str]] = {}
        for month in (month for result in results for month in result.get("published", ())):
            by_table.setdefault(month["table"], set()).update(month.get("unknown_columns", ()))
        for table, headers in sorted(by_table.items()):
            if headers:
                self.log.warning(
                    "Table %s: %s that nobody has declared, treated as if naming a person (personal_data): %s. Name "
                    "each in columns= if it is something else, or in personal_columns= if it does name "
                    "people; a number stands for a header that may be a name itself",
                    table, plural(len(headers), "column"), ", ".join(sorted(headers)),
                )  # fmt: skip


def _message(missing: Sequence[Missing]) -> str:
    count = f"{plural(len(missing), 'scope')} {'is' if len(missing) == 1 else 'are'}"
    older = sum(lack.get("keeps_rows", False) for lack in missing)
    kept = f", {older} of them keep their older rows" if older else ""
    if older == len(missing):
        kept = " and keeps its older rows" if older == 1 else " and keep their older rows"
    tasks = few(dict.fromkeys(lack["task"] for lack in missing if "task" in lack))
    clear = "the red task that lists the teams or exports them" if tasks == "none" else tasks
    return (
        f"{count} missing from the lake{kept}: {sum_up(missing)}\n"
        f"What to do: clear {clear}, with what is downstream: only what is missing is requested again"
    )
