"""Run facets of our own. Imports OpenLineage, so only `lineage` imports this, when OpenLineage's provider asks."""

from __future__ import annotations

from typing import Any

from attrs import define
from openlineage.client.generated.base import RunFacet


@define
class SeiExportsRunFacet(RunFacet):  # type: ignore[misc,unused-ignore]  # without OpenLineage's types it is Any
    """Exports of a task that stages, by scope: `{scope, table, start, end, exportId, createdAt, rows, reused}`."""

    exportCount: int  # noqa: N815 - as all names of OpenLineage, here and below
    failedCount: int  # noqa: N815
    rowCount: int  # noqa: N815
    exports: list[dict[str, Any]]
    failed: list[dict[str, Any]]
    """Requests that were not staged, each with its `error`."""


@define
class SeiPublishRunFacet(RunFacet):  # type: ignore[misc,unused-ignore]
    """Months that were published, `{table, month, rows, slices}`, and what is missing, with its `error`."""

    months: list[dict[str, Any]]
    missingCount: int  # noqa: N815
    missing: list[dict[str, Any]]
