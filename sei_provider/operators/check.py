"""The check task: turns a run red that did not land everything it was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException  # whose place differs between 3.1 and 3.3
from airflow.sdk import BaseOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class SeiCheckOperator(BaseOperator):
    """Fail if anything that was asked for is missing from the lake, and name it. Make it the run's last task.

    Airflow judges a run by its last tasks and sends asset events only for tasks that succeed; so publishing
    succeeds, and this task fails. It does not retry: nothing it looks at would change. To mend a run, clear the
    export tasks that failed together with what is downstream of them.

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
            msg = "nothing was published: the publish task before this one failed; see its log"
            raise AirflowFailException(msg)
        missing = [lack for result in results for lack in result["missing"]]
        if missing:
            named = "; ".join(f"{lack['scope']}: {lack['error']}" for lack in missing)
            msg = f"{len(missing)} missing from the lake, their older rows are kept: {named}"
            raise AirflowFailException(msg)
        self.log.info("Everything that was asked for is in the lake")
