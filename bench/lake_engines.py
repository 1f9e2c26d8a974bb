"""Engines that `bench.lake` compares: each reads one CSV.gz with declared types, checks it and writes Parquet.

Each imports its libraries when it is called, so that a process loads those of one engine only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path

DIMENSIONS = ("Developer", "Email", "Team", "Team_Hierarchy")
METRICS = ("CODING_DAYS", "PR_MERGED", "COMMITS", "PR_CYCLE_TIME_DAYS_AVG", "LINES_ADDED", "LINES_DELETED",
           "WORK_COMPLETED", "REWORK_PERCENT", "REVIEWS", "COMMENTS")  # fmt: skip
HEADER = ",".join([*DIMENSIONS, "Start_Date", "End_Date", *METRICS])
START, END = date(2026, 1, 1), date(2026, 1, 31)
NOW = datetime(2026, 2, 1, tzinfo=UTC)


def by_lake(source: Path, target: Path) -> int:
    """Stage the file as the export task does."""
    return stage(source, target, "org:Engineering", "exp_1")


def stage(source: Path, lake: Path, scope: str, export_id: str, *, start: date = START, made: datetime = NOW) -> int:
    """Stage one made-up export."""
    from upath import UPath

    import sei_provider.lake as sei_lake

    slice_ = sei_lake.Slice(
        table="developers",
        report="productivity",
        scope=scope,
        start=start,
        end=END,
        granularity="monthly",
        metrics=frozenset(METRICS),
        **{"definition" if "definition" in sei_lake.Slice.__annotations__ else "meaning": {}},  # as 751f940 calls it
    )
    folder = UPath(lake) / "_staging" / "bench"
    manifest = sei_lake.stage(
        source, folder=folder, slice=slice_, request=f"{hash(scope):x}".strip("-"), export_id=export_id,
        created_at=made, run_id="bench", exported_at=made,
    )  # fmt: skip
    with (lake / "manifests.jsonl").open("a") as file:
        file.write(json.dumps(manifest) + "\n")
    return manifest["rows"]


def by_pandas(source: Path, target: Path) -> int:
    """`read_csv`, checks, `to_parquet`."""
    import numpy as np
    import pandas as pd

    types: dict[str, str] = dict.fromkeys(DIMENSIONS, "str") | dict.fromkeys(METRICS, "float64")
    frame = pd.read_csv(source, dtype=types, parse_dates=["Start_Date", "End_Date"], date_format="%Y-%m-%d",
                        keep_default_na=False, na_values=["", "—"])  # fmt: skip
    fits = frame["Team"].notna() & frame["Start_Date"].between(pd.Timestamp(START), pd.Timestamp(END))
    if not fits.all() or np.isinf(frame[list(METRICS)].to_numpy()).any():
        raise ValueError
    frame.to_parquet(target, compression="zstd", index=False)
    return len(frame)


def by_polars(source: Path, target: Path) -> int:
    """`scan_csv`, `sink_parquet`, and the checks over what was written."""
    import polars as pl

    types = dict.fromkeys(DIMENSIONS, pl.String) | dict.fromkeys(["Start_Date", "End_Date"], pl.Date)
    schema = pl.Schema(types | dict.fromkeys(METRICS, pl.Float64))
    pl.scan_csv(source, schema=schema, null_values=["", "—"]).sink_parquet(target, compression="zstd")
    rows = pl.scan_parquet(target)
    checks = [pl.len(), pl.col("Team").null_count(), pl.col("Start_Date").is_between(START, END).all().alias("dates")]
    finite = [pl.col(name).is_finite().all() for name in METRICS]
    count, nameless, *fits = rows.select([*checks, *finite]).collect().row(0)
    if nameless or not all(fits):
        raise ValueError
    return int(count)


def by_duckdb(source: Path, target: Path) -> int:
    """`COPY … TO` from `read_csv`, and the checks over what was written."""
    import duckdb

    types = dict.fromkeys(DIMENSIONS, "VARCHAR") | dict.fromkeys(["Start_Date", "End_Date"], "DATE")
    columns = types | dict.fromkeys(METRICS, "DOUBLE")
    connection = duckdb.connect()
    connection.read_csv(str(source), header=True, columns=columns, na_values=["", "—"]).write_parquet(
        str(target), compression="zstd"
    )
    finite = " and ".join(f"bool_and(coalesce(isfinite({name}), true))" for name in METRICS)
    fits = f"bool_and(Team is not null) and bool_and(Start_Date between '{START}' and '{END}') and {finite}"
    ((rows, valid),) = connection.read_parquet(str(target)).aggregate(f"count(*), {fits}").fetchall()
    if not valid:
        raise ValueError
    return int(rows)


ENGINES: Mapping[str, Callable[[Path, Path], int]] = {
    "sei_provider.lake": by_lake,
    "pandas": by_pandas,
    "Polars": by_polars,
    "DuckDB": by_duckdb,
}
