"""Calls of an S3 store for staging and publishing one-team slices, in chunks and by one file a slice; rows read.

    python -m bench.store_calls [--slices 5000] [--months 24]

Stages made-up exports of one month into a server that speaks S3 on this machine, and publishes them; then publishes one
export of many months and counts the rows that it reads from the staged file for each row that a month keeps.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import pyarrow.parquet as pq
from obstore.store import S3Store

import sei_provider.lake as sei_lake
from bench.lake import say
from sei_provider.lake.staging import staged_file
from sei_provider.lake.staging.chunk import CHUNK_SLICES

NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)
HEADER = "Team,Team Hierarchy,Start_Date,PR_MERGED,CODING_DAYS"
FIRST = date(2024, 1, 1)


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=5_000)
    parser.add_argument("--months", type=int, default=24)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sei-bench-") as name, s3() as (endpoint, calls):
        say(f"{asked.slices:,} one-team slices on S3: calls of the store")
        for how, at_once in (("in chunks", CHUNK_SLICES), ("one file each", 1)):
            count_calls(Path(name), endpoint, calls, how, asked.slices, at_once)
        read, kept = rows_read(Path(name), asked.months)
        say(f"one export of {asked.months} months: {read / kept:.2f} rows read per row kept ({read:,} of {kept:,})")


def count_calls(folder: Path, endpoint: str, calls: Counter[str], how: str, slices: int, at_once: int) -> None:
    """Stage and publish, and print the calls of each."""
    store: Any = S3Store(
        "bench", prefix=how.replace(" ", "-"), endpoint=endpoint, access_key_id="bench", secret_access_key="bench",  # noqa: S106  of a server in this process
        region="us-east-1", client_options={"allow_http": True},
    )  # fmt: skip
    lake = sei_lake.lake_path(store)
    exports = list(finished(folder, slices, [FIRST]))
    calls.clear()
    manifests = []
    for first in range(0, slices, at_once):
        task = first // 100
        manifests += staged(exports[first : first + at_once], lake / "_staging" / f"{task}")
    staging = calls.total()
    calls.clear()
    sei_lake.publish(lake, manifests, published_at=NOW)
    files = len({manifest["path"] for manifest in manifests})
    say(f"  {how}: staging {staging:,}, {staging / files:.1f} a file; publish {calls.total():,} of {files:,} files")
    say(f"    the bound of publish, 2 a file and 15, is {2 * files + 15:,}: {dict(calls)}")


def rows_read(folder: Path, months: int) -> tuple[int, int]:
    """Publish one export of many months, and return the rows read from its staged file, and those in the table."""
    days = [date(FIRST.year + number // 12, number % 12 + 1, 1) for number in range(months)]
    lake, plain, read = folder / "lake", pq.ParquetFile.read_row_group, Counter[str]()

    def counted(self: pq.ParquetFile, *args: Any, **options: Any) -> Any:
        rows = plain(self, *args, **options)
        read["rows"] += len(rows) if "_scope" not in rows.schema.names else 0
        return rows

    (export,) = finished(folder, 1, days, rows=400)
    (manifest,) = staged([export], lake / "_staging" / "0")
    with patch.object(pq.ParquetFile, "read_row_group", counted), patch.object(staged_file, "_SMALL_BYTES", 0):
        published = sei_lake.publish(lake, [manifest], published_at=NOW)
    return read["rows"], sum(month["rows"] for month in published)


def finished(folder: Path, count: int, days: list[date], *, rows: int = 1) -> Iterator[sei_lake.FinishedExport]:
    """Yield made-up exports, each of one team, or of `rows` teams."""
    for number in range(count):
        file = folder / "export.csv" if rows > 1 else folder / f"{number}.csv"
        teams = [f"T{number}.{row}" for row in range(rows)]
        lines = [f"{team},Eng/{team},{day},{number % 7},{number % 5}" for team in teams for day in days]
        file.write_text("\n".join([HEADER, *lines, ""]))
        yield sei_lake.FinishedExport(
            file=file,
            slice=sei_lake.Slice(
                table="productivity_team_monthly",
                report="productivity",
                scope=f"team:{number}",
                start=days[0],
                end=(days[-1] + timedelta(days=31)).replace(day=1) - timedelta(days=1),
                granularity="monthly",
                metrics=frozenset({"PR_MERGED", "CODING_DAYS"}),
                definition={},
            ),
            request=f"{number:08x}",
            export_id=f"exp_{number}",
            created_at=NOW,
            exported_at=NOW,
        )


def staged(exports: Iterable[sei_lake.FinishedExport], folder: Any) -> list[sei_lake.Manifest]:
    """Stage exports, all of which fit."""
    found = sei_lake.stage_chunk(list(exports), folder=folder, run_id="bench")
    return [one for one in found if not isinstance(one, sei_lake.LakeError)]


@contextmanager
def s3() -> Iterator[tuple[str, Counter[str]]]:
    """Serve S3 on a free port of this machine; yields its endpoint, and its calls by method."""
    from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    calls: Counter[str] = Counter()

    class Counting(MotoRequestHandler):
        def log_request(self, *_args: object) -> None:
            calls[f"{self.command}{'?delete' if self.path.endswith('?delete') else ''}"] += 1

    server = make_server("127.0.0.1", 0, create_backend_app("s3"), threaded=True, request_handler=Counting)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    httpx.put(f"{endpoint}/bench").raise_for_status()
    yield endpoint, calls
    server.shutdown()
    server.server_close()
    thread.join()


if __name__ == "__main__":
    main()
