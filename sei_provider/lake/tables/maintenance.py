"""Maintenance: remove abandoned staging, rewrite months that lack columns, list quarantine and foreign names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, datetime
from typing import TypedDict

import pyarrow as pa
import pyarrow.parquet as pq
import stamina

from sei_provider.lake.errors import ConflictError, LinkError
from sei_provider.lake.periods import in_utc
from sei_provider.lake.staging.manifests import discard
from sei_provider.lake.storage.backend import LakePath
from sei_provider.lake.storage.scratch import scratch_folder, sweep_scratch
from sei_provider.lake.storage.store import (
    lake_path,
    last_change,
    locked,
    names,
    read,
    remove_unfinished,
    require_safe_writes,
)
from sei_provider.lake.tables.coverage_summary import refresh_summary
from sei_provider.lake.tables.layout import FORMAT, foreign_names, table_folder
from sei_provider.lake.tables.month_schema import arrow_schema
from sei_provider.lake.tables.stored_schema import fetch_schema, known_table, put_schema, table_names
from sei_provider.lake.tables.table import Content, Rewritten, Snapshot, commit, snapshot


class Quarantined(TypedDict):
    """Rows of one export that were put into quarantine."""

    table: str
    path: str
    rows: int


def sweep_staging(lake: LakePath, *, older_than: datetime) -> list[str]:
    """Remove the staging folders that nothing was put into since `older_than`, and return their names.

    Publishing removes what it published. A folder older than any run can take belongs to a run that was abandoned;
    clearing its tasks exports again. What killed workers left behind goes by the same age: files under way in the lake,
    whose paths in it are returned too, and temporary folders of this user on this machine. Links are passed over.
    """
    older_than = in_utc(older_than, "older_than")
    staging = lake_path(lake) / "_staging"
    swept = []
    for name in names(staging):
        try:
            changed = last_change(staging / name)
            if changed and changed < older_than:
                discard(staging / name)
                swept.append(name)
        except LinkError:
            continue
    sweep_scratch(older_than=older_than)
    return swept + remove_unfinished(lake_path(lake), older_than=older_than)


def quarantined(lake: LakePath) -> list[Quarantined]:
    """List the files in quarantine, by table."""
    aside = lake_path(lake) / "_quarantine"
    found = []
    for table in names(aside):
        for path in (aside / table / name for name in names(aside / table) if name.endswith(".parquet")):
            rows = read(path, lambda file: pq.read_metadata(file).num_rows)
            if rows is not None:
                found.append(Quarantined(table=table, path=str(path), rows=rows))
    return found


class Foreign(TypedDict):
    """Names in the folder of a table that nothing of ours has; every reader of this package passes over them."""

    table: str
    names: list[str]


def foreign(lake: LakePath) -> list[Foreign]:
    """List by table what lies in its folder and is not of this package: an editor's backup, a marker of Hadoop.

    Other readers may take such files for data.
    """
    root = lake_path(lake)
    found = [Foreign(table=table, names=foreign_names(table_folder(root, table))) for table in table_names(root)]
    return [table for table in found if table["names"]]


def rewrite_months(lake: LakePath, table: str, *, at_most: int, single_writer: bool = False) -> list[str]:
    """Rewrite up to `at_most` months of a table that lack columns or lie in an older format, and return them.

    Publish rewrites only the first month of a table when a column comes. Rows and ledgers stay as they are. Brings the
    coverage summary of the table up to its ledgers, as `refresh_summary` does. Raises `UnknownTableError`.
    """
    root = lake_path(lake)
    require_safe_writes(root, single_writer=single_writer)
    known_table(root, table)
    with locked(table_folder(root, table)):
        refresh_summary(table_folder(root, table))
        for attempt in stamina.retry_context(on=ConflictError, attempts=10, timeout=None):
            with attempt:
                put = _rewrite(table_folder(root, table), at_most)
    return [f"{month:%Y-%m}" for month in put]


def _rewrite(folder: LakePath, at_most: int) -> list[date]:
    before = snapshot(folder)
    # All months of a table in an older format lie in that format.
    marked = before.schema.behind if before.schema.format == FORMAT else before.months
    behind = tuple(month for month in marked if month in before.months)
    schema = replace(before.schema, format=FORMAT, behind=behind)
    put = commit(before, _rewritten(before, behind[:at_most], arrow_schema(schema)), schema)
    after, version = fetch_schema(folder)
    if put and after.columns == schema.columns:
        rest = tuple(month for month in after.behind if month not in put)
        put_schema(folder, replace(after, behind=rest), if_match=version)
    return put


def _rewritten(before: Snapshot, months: Iterable[date], schema: pa.Schema) -> Iterator[tuple[date, Content]]:
    for month in months:
        with scratch_folder() as scratch:
            current = before.rows(month, scratch)
            if current:
                yield month, Rewritten(current, schema)
