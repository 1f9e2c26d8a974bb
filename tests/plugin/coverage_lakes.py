"""Lakes with made-up coverage summaries, and the page's application with a user who may see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from sei_provider.lake.storage.backend import MISSING, Lake
from sei_provider.lake.storage.store import lake_path
from sei_provider.lake.tables.coverage_summary import CELLS, CoverageSummary, put_summary, summary_path

TABLE = "productivity_team_monthly"
PUBLISHED = datetime(2026, 2, 3, 2, 30, tzinfo=UTC)
JAN, FEB = date(2026, 1, 1), date(2026, 2, 1)
TODAY = date(2026, 2, 3)


def cell(scope: str, month: date = JAN, path: str | None = None, **values: Any) -> dict[str, Any]:
    """A complete month of a scope, unless `values` say otherwise."""
    end = date(2026, 1, 31) if month == JAN else date(2026, 2, 28)
    return {
        "month": month,
        "scope": scope,
        "published_at": PUBLISHED,
        "seen_at": PUBLISHED,
        "complete": True,
        "rows": 12,
        "quarantined": 0,
        "path": path,
        "above": path.rpartition("/")[0] if path is not None else None,
        "exports": 1,
        "export_id": "exp_1",
        "exported_at": PUBLISHED,
        "start": month,
        "end": end,
        "runs": ["scheduled__2026-02-03"],
        **values,
    }


def summary(cells: Sequence[Mapping[str, Any]], **about: Any) -> CoverageSummary:
    """A summary with these cells."""
    rows = sorted((dict(each) for each in cells), key=lambda each: (each["month"], each["scope"]))
    return CoverageSummary(
        **{
            "report": "productivity",
            "granularity": "monthly",
            "months": tuple(sorted({each["month"] for each in cells})),
            "damaged": frozenset(),
            "cells": pa.Table.from_pylist(rows, schema=CELLS),
            **about,
        }
    )


def put(lake: Lake, cells: Sequence[Mapping[str, Any]], table: str = TABLE, **about: Any) -> None:
    """Put a summary of a table into a lake."""
    path = summary_path(lake_path(lake), table)
    put_summary(path, summary(cells, **about), if_match=MISSING)
