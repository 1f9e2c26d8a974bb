"""The check task: fails a run if anything that was asked for is missing from the lake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException  # whose place differs between 3.1 and 3.3
from airflow.sdk import BaseOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class SeiCheckOperator(BaseOperator):
    """Fail if anything that was asked for is missing from the lake, and name it. Make it the run's last task.

    Columns that nobody declared, and that were dropped or hashed therefore, are told in a warning.

    Airflow judges a run by its last tasks and sends asset events only for tasks that succeed. Therefore publishing
    succeeds, and this task fails. It makes no retry, because its input would not change. To repair a run, clear the
    export tasks that failed together with their downstream tasks.

    :param published: The result of a `SeiPublishOperator`, or a list of them. (templated)
    """

    template_fields: Sequence[str] = ("published",)
    ui_color = "#f6e3c5"

    def __init__(self, *, published: Any, trigger_rule: str = "all_done", **kwargs: Any) -> None:
        super().__init__(trigger_rule=trigger_rule, **kwargs)
        self.published = published

    def execute(self, context: Context) -> None:  # noqa: ARG002 - Airflow's signature
        """Raise `AirflowFailException` naming every missing scope."""
        results = [self.published] if isinstance(self.published, Mapping) else list(self.published or [])
        if not results or None in results:
            msg = "nothing was published, because the publish task before this one failed: see its log"
            raise AirflowFailException(msg)
        self._warn_of_unknown_columns(results)
        missing = [lack for result in results for lack in result["missing"]]
        if missing:
            named = "; ".join(f"{lack['scope']}: {lack['error']}" for lack in missing)
            msg = f"{len(missing)} scopes are missing from the lake and keep their older rows: {named}"
            raise AirflowFailException(msg)
        self.log.info("All that was asked for is in the lake")

    def _warn_of_unknown_columns(self, results: Sequence[Mapping[str, Any]]) -> None:
        by_table: dict[str, set[str]] = {}
        for month in (month for result in results for month in result.get("published", ())):
            by_table.setdefault(month["table"], set()).update(month.get("unknown_columns", ()))
        for table, headers in sorted(by_table.items()):
            if headers:
                self.log.warning(
                    "Table %s: %d columns that nobody has declared were treated as if they named a person "
                    "(personal_data): %s. Name each in columns= if it is something else, or in personal_columns= if it "
                    "does name people; a number stands for a header that may be a name itself",
                    table, len(headers), ", ".join(sorted(headers)),
                )  # fmt: skip
