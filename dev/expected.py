"""The rows that the lake should hold, read by Python's own csv from the bytes that the sandbox recorded."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

from sei_provider.lake import read_table
from sei_provider.sandbox.control import SandboxControl

TABLES = {
    "productivity": "productivity_team_monthly",
    "sprint": "sprint_team_monthly",
    "business_alignment": "business_alignment_monthly",
    "efficiency": "efficiency_monthly",
}
"""The tables of the example DAGs' reports, without time in status, which needs a Variable."""
ADDED = {"month", "team_id", "team_depth", "is_leaf"}
"""Columns that the lake adds to SEI's, beside lineage."""
NONE = {"", "—"}
"""Cells that are null in the lake (CONTRACT row 22)."""
Row = frozenset[tuple[str, Any]]


def rows_sent(sandbox: SandboxControl, export_ids: Iterable[str]) -> Counter[Row]:
    """Return every row of these exports, without its cells that hold nothing."""
    return Counter(row for export_id in export_ids for row in _parsed(sandbox.bytes(export_id)))


def rows_in(lake: str, table: str, months: Collection[str] | None = None) -> Counter[Row]:
    """Return every row of a table (of these months), without nulls, lineage and the columns that the lake adds."""
    return Counter(
        frozenset(
            (name, _plain(value))
            for name, value in row.items()
            if value is not None and not name.startswith("_") and name not in ADDED
        )
        for row in read_table(lake, table).to_pylist()
        if months is None or row["month"] in months
    )


def _parsed(body: bytes) -> Iterable[Row]:
    text = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
    for row in csv.DictReader(io.StringIO(text.decode("utf-8-sig"), newline="")):
        yield frozenset(
            (re.sub(r"\W+", "_", name).lower(), _number_or_text(cell)) for name, cell in row.items() if cell not in NONE
        )


def _number_or_text(cell: str) -> Any:
    return float(cell) if re.fullmatch(r"-?\d+(\.\d+)?", cell) else cell


def _plain(value: Any) -> Any:
    return value if isinstance(value, float) else str(value)
