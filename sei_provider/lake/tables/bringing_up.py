"""Older months under the columns that a table has got since, so that every object of it has one schema.

Readers take the schema of one file for the table's: pyarrow, pandas and Polars would lose, or stumble over, a column
that only later months have. It happens when a column is new, or gets its type: rarely, and not again.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from sei_provider.lake.storage.scratch import scratch_folder
from sei_provider.lake.storage.store import read
from sei_provider.lake.tables.table import (
    again,
    arrow_schema,
    conform,
    fetch_month,
    fetch_schema,
    months,
    object_path,
    put_month,
    put_schema,
    read_schema,
)


def bring_up(folder: UPath) -> None:
    """Put every month that has other columns than the table anew, its rows and ledger as they are.

    A publisher that dies in between leaves the table marked, and the next one goes on.
    """
    target = arrow_schema(read_schema(folder))
    for month in months(folder):
        if read(object_path(folder, month), pq.read_schema) != target:
            _rewrite(folder, month)
    _unmark(folder, target)


@again
def _rewrite(folder: UPath, month: date) -> None:
    with scratch_folder() as scratch:
        content, version = fetch_month(folder, month, scratch)
        if content is None:
            return
        schema = arrow_schema(read_schema(folder))
        rows = (conform(table, schema) for table in content.tables())
        put_month(folder, month, rows, content.ledger, schema=schema, if_match=version, scratch=scratch)


@again
def _unmark(folder: UPath, done: pa.Schema) -> None:
    schema, version = fetch_schema(folder)
    if schema.behind and arrow_schema(schema) == done:  # else somebody has widened it again, and goes on themselves
        put_schema(folder, replace(schema, behind=False), if_match=version)
