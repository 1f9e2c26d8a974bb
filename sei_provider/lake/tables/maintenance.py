"""Maintenance: remove staging folders that were abandoned, and list the rows in quarantine."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict

import pyarrow.parquet as pq

from sei_provider.lake.periods import in_utc
from sei_provider.lake.staging.manifests import discard
from sei_provider.lake.storage.backend import LakePath
from sei_provider.lake.storage.store import lake_path, last_change, names, read


class Quarantined(TypedDict):
    """Rows of one export that were put into quarantine."""

    table: str
    path: str
    rows: int


def sweep_staging(lake: LakePath, *, older_than: datetime) -> list[str]:
    """Remove the staging folders that nothing was put into since `older_than`, and return their names.

    Publishing removes what it published. A folder older than any run can take belongs to a run that was abandoned;
    clearing its tasks exports again.
    """
    older_than = in_utc(older_than, "older_than")
    staging = lake_path(lake) / "_staging"
    swept = []
    for name in names(staging):
        changed = last_change(staging / name)
        if changed and changed < older_than:
            discard(staging / name)
            swept.append(name)
    return swept


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
