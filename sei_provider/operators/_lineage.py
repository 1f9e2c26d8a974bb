"""Messages of a task that stages: to publish, the error that ended it; to OpenLineage, what it has read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException  # whose place differs between 3.1 and 3.3
from airflow.sdk import BaseOperator

from sei_provider.hooks.permanent import no_retry_if_permanent
from sei_provider.lineage import DatasetName, of_export
from sei_provider.operators._missing import ERROR
from sei_provider.operators._secrets import refuse_secrets

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context

    from sei_provider.lake import Manifest


class StagingOperator(BaseOperator):
    """Keeps what one try has read and handed on, and returns it when OpenLineage's provider asks."""

    _sources: Sequence[DatasetName] = ()
    _handed_on: Sequence[Manifest] = ()
    _ended_by: str | None = None

    def get_openlineage_facets_on_complete(self, _task_instance: Any) -> OperatorLineage[Any, Any]:
        """Return what the task read of SEI as its inputs, and its exports as a run facet."""
        return of_export(self._sources, self._handed_on, self._ended_by)

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """As above, with what failed and why."""
        return self.get_openlineage_facets_on_complete(task_instance)

    def _end_with(self, context: Context, error: str) -> None:
        """Hand the error that ends the task on to the publish task."""
        self._ended_by = error
        context["ti"].xcom_push(key=ERROR, value=error)

    @contextmanager
    def _refusing(self, context: Context) -> Iterator[None]:
        """End the task at once if its arguments or its lake are wrong, and hand the reason on to the publish task."""
        try:
            refuse_secrets(self)
            with no_retry_if_permanent():
                yield
        except AirflowFailException as error:
            self._end_with(context, str(error))
            raise
