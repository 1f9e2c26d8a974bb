"""What accumulates beside a lake's tables: staging that no run came back for, and rows put aside."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypedDict

import pyarrow.parquet as pq
from upath import UPath

from sei_provider.lake.manifests import discard
from sei_provider.lake.slices import in_utc
from sei_provider.lake.store import lake_path


class Quarantined(TypedDict):
    """The rows of one export that were put aside."""

    table: str
    path: str
    rows: int


def sweep_staging(lake: UPath, *, older_than: datetime) -> list[str]:
    """Remove the staging folders that nothing was put into since `older_than`; gives their names.

    Publishing removes what it published. What is older than any run may take is of runs that were abandoned, and
    clearing their tasks exports anew.
    """
    older_than = in_utc(older_than, "older_than")
    staging = lake_path(lake) / "_staging"
    if not staging.exists():
        return []
    swept = []
    for folder in staging.iterdir():
        newest = max((path.stat().st_mtime for path in folder.iterdir()), default=0.0)
        if datetime.fromtimestamp(newest, UTC) < older_than:
            discard(folder)
            swept.append(folder.name)
    return sorted(swept)


def quarantined(lake: UPath) -> list[Quarantined]:
    """What is in quarantine, by table and file."""
    aside = lake_path(lake) / "_quarantine"
    found = []
    for path in sorted(aside.glob("*/*.parquet"), key=str) if aside.exists() else []:
        with path.open("rb") as file:
            found.append(Quarantined(table=path.parent.name, path=str(path), rows=pq.read_metadata(file).num_rows))
    return found
