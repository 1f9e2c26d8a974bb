"""Parquet files read as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from sei_provider.lake.arrow_values import empty_table


def read_rows(file: Path | BinaryIO, columns: Sequence[str] | None = None) -> pa.Table:
    """Return all rows of a file, or some columns that it has.

    `pq.read_table` does the same, and loads Arrow's query engine and pandas for it, which take 60 MB.
    """
    with pq.ParquetFile(file) as data:
        if data.num_row_groups:
            return data.read(columns=columns)
        rows = empty_table(data.schema_arrow)
    return rows.select(columns) if columns is not None else rows
