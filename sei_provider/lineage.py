"""Lineage: the data sets that tasks read and write, and their assets, as OpenLineage names them.

Operators keep plain values, and turn them into facets only when OpenLineage's provider asks, so nothing here imports it
before that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import SplitResult, quote, urlsplit

from sei_provider.lake.column_metadata import SOURCE_KEY, UNIT_KEY
from sei_provider.lake.storage.address import split_address

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import Dataset, OutputDataset
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Asset

    from sei_provider.lake import Manifest, Published
    from sei_provider.lake.storage.backend import LakePath

MAX_LISTED = 1000
"""Exports and scopes that one facet names; it counts all of them."""
_NAMES = ("account", "organization", "project")
_HOW_TO = "write it as sei://host/account/organization/project/report; the account may be left out"


class DatasetName(NamedTuple):
    """A data set by OpenLineage's two names."""

    namespace: str
    name: str


def report_dataset(base_url: str, origin: Mapping[str, str | None], report: str) -> DatasetName:
    """Return a report of SEI as a data set: `sei://host` and `account/organization/project/report`.

    A connection that names no account has none in the name. `report` may be another thing that SEI holds.
    """
    parts = urlsplit(base_url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    names = [*(name for key in _NAMES if (name := origin.get(key))), report]
    port = f":{parts.port}" if parts.port else ""
    return DatasetName(f"sei://{host}{port}", "/".join(quote(name, safe="") for name in names))


def table_dataset(address: str) -> DatasetName:
    """Return a table as a data set, by the address of its folder, as the providers of files, S3 and GCS name theirs."""
    scheme, bucket, key = split_address(str(address))
    if scheme in {"", "file"}:
        return DatasetName("file", key)
    return DatasetName(f"{scheme}://{bucket.rpartition('@')[2]}", key)


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Return the one spelling of an asset's URI `sei://host/account/organization/project/report`.

    Raises `ValueError` for another form. Airflow calls it for each asset of this scheme.
    """
    names = uri.path.strip("/").split("/")
    if not uri.hostname or len(names) not in {3, 4} or not all(names) or uri.query:
        msg = f"{uri.geturl()} is not a report of SEI: {_HOW_TO}"
        raise ValueError(msg)
    return uri._replace(netloc=uri.netloc.rpartition("@")[2].lower(), path=f"/{'/'.join(names)}")


def convert_asset_to_openlineage(asset: Asset, lineage_context: object) -> Dataset:  # noqa: ARG001 - Airflow's signature
    """Return the data set of an asset with such a URI: that of the tasks which export the report."""
    from airflow.providers.common.compat.openlineage.facet import Dataset

    uri = urlsplit(asset.uri)
    return Dataset(namespace=f"{uri.scheme}://{uri.netloc}", name=uri.path.lstrip("/"))


def of_export(
    sources: Iterable[DatasetName], manifests: Sequence[Manifest], error: str | None
) -> OperatorLineage[Any, Any]:
    """Return the lineage of a task that stages: what it reads of SEI as its inputs, and a run facet of its exports.

    `error` is what ended the task. Staged files are no data sets, because publish removes them.
    """
    from airflow.providers.common.compat.openlineage.facet import InputDataset
    from airflow.providers.openlineage.extractors import OperatorLineage

    from sei_provider.lineage_facets import SeiExportsRunFacet

    staged = [each for each in manifests if each["error"] is None]
    failed = [each for each in manifests if each["error"] is not None]
    facet = SeiExportsRunFacet(
        exportCount=len(staged),
        failedCount=len(failed),
        rowCount=sum(each["rows"] for each in staged),
        exports=[_export(each) for each in staged[:MAX_LISTED]],
        failed=[{**_slice(each), "error": each["error"]} for each in failed[:MAX_LISTED]],
    )
    inputs = [InputDataset(*name) for name in sources]
    return OperatorLineage(inputs=inputs, run_facets={"sei_exports": facet, **_error(error)})


def of_publish(
    lake: LakePath,
    sources: Iterable[DatasetName],
    published: Sequence[Published],
    missing: Sequence[Mapping[str, Any]],
    *,
    new: Collection[str],
    address: str,
) -> OperatorLineage[Any, Any]:
    """Return the lineage of publishing: SEI's reports as inputs; each table as an output, with schema and statistics.

    Rows and files counted are those of the months that were written. `new` are the tables that there were not before.
    """
    from airflow.providers.common.compat.openlineage.facet import InputDataset
    from airflow.providers.openlineage.extractors import OperatorLineage

    from sei_provider.lineage_facets import SeiPublishRunFacet

    by_table: dict[str, list[Published]] = {}
    for month in published:
        by_table.setdefault(month["table"], []).append(month)
    facet = SeiPublishRunFacet(
        months=[{name: month[name] for name in ("table", "month", "rows", "slices")} for month in published],
        missingCount=len(missing),
        missing=[
            {name: lack[name] for name in ("scope", "table", "start", "end", "error") if name in lack}
            for lack in missing[:MAX_LISTED]
        ],
    )
    return OperatorLineage(
        inputs=[InputDataset(*name) for name in dict.fromkeys(sources)],
        outputs=[_table(lake, address, table, months, is_new=table in new) for table, months in by_table.items()],
        run_facets={"sei_publish": facet},
    )


def of_check(published: Iterable[Published], missing: Iterable[Mapping[str, Any]]) -> OperatorLineage[Any, Any]:
    """Return the lineage of the check: the tables as inputs, each with the assertion that it is complete."""
    from airflow.providers.common.compat.openlineage.facet import InputDataset
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.facet_v2 import data_quality_assertions_dataset as quality

    tables = {month["table"]: month["path"].partition("/month=")[0] for month in published}
    lacking = [lack.get("table") for lack in missing]
    inputs = []
    for table, address in tables.items():
        count = sum(name in {table, None} for name in lacking)
        assertion = quality.Assertion(assertion="sei_complete", success=not count)
        facet = quality.DataQualityAssertionsDatasetFacet(assertions=[assertion])
        inputs.append(InputDataset(*table_dataset(address), inputFacets={"dataQualityAssertions": facet}))
    return OperatorLineage(inputs=inputs)


def _table(lake: LakePath, address: str, table: str, months: Sequence[Published], *, is_new: bool) -> OutputDataset:
    from airflow.providers.common.compat.openlineage.facet import (
        LifecycleStateChange,
        LifecycleStateChangeDatasetFacet,
        OutputDataset,
        OutputStatisticsOutputDatasetFacet,
        SchemaDatasetFacet,
        SchemaDatasetFacetFields,
    )

    from sei_provider.lake.tables.month_schema import arrow_schema
    from sei_provider.lake.tables.stored_schema import known_table

    change = LifecycleStateChange.OVERWRITE
    if months[0]["new_columns"]:
        change = LifecycleStateChange.ALTER
    if is_new:
        change = LifecycleStateChange.CREATE
    fields = [
        SchemaDatasetFacetFields(name=column.name, type=str(column.type), description=_description(column.metadata))
        for column in arrow_schema(known_table(lake, table))
    ]
    return OutputDataset(
        *table_dataset(f"{address.rstrip('/')}/{table}"),
        facets={
            "schema": SchemaDatasetFacet(fields=fields),
            "lifecycleStateChange": LifecycleStateChangeDatasetFacet(lifecycleStateChange=change),
        },
        outputFacets={
            "outputStatistics": OutputStatisticsOutputDatasetFacet(
                rowCount=sum(month["rows"] for month in months), fileCount=len(months)
            )
        },
    )


def _description(metadata: Mapping[bytes, bytes] | None) -> str | None:
    """Return unit and source of a column, as far as they are known: `hours; sprint (SEI's documents 000)`."""
    known = [text.decode() for key in (UNIT_KEY, SOURCE_KEY) if (text := (metadata or {}).get(key))]
    return "; ".join(known) or None


def _slice(manifest: Manifest) -> dict[str, Any]:
    return {name: manifest[name] for name in ("scope", "table", "start", "end")}


def _export(manifest: Manifest) -> dict[str, Any]:
    return {
        **_slice(manifest),
        "exportId": manifest["export_id"],
        "createdAt": manifest["created_at"],
        "rows": manifest["rows"],
        "reused": manifest.get("reused", False),
    }


def _error(error: str | None) -> dict[str, Any]:
    from airflow.providers.common.compat.openlineage.facet import ErrorMessageRunFacet

    return {} if error is None else {"errorMessage": ErrorMessageRunFacet(message=error, programmingLanguage="python")}
