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
        missing = [lack for result in results for lack in result["missing"]]
        if missing:
            named = "; ".join(f"{lack['scope']}: {lack['error']}" for lack in missing)
            msg = f"{len(missing)} scopes are missing from the lake and keep their older rows: {named}"
            raise AirflowFailException(msg)
        self.log.info("All that was asked for is in the lake")
