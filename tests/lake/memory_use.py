"""Script: stage made-up rows, publish them twice, and print Arrow's peak memory after each step.

    python memory_use.py <folder> <rows>

The lake's limits are divided by 16, so that a file of a few megabytes far exceeds them.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pyarrow as pa
from lake_bench import Bench, team_row

from sei_provider.lake.staging import csv_records, month_writer, staged_file
from sei_provider.lake.tables import external_sort


def main() -> None:
    folder, rows = Path(sys.argv[1]), int(sys.argv[2])
    csv_records.BLOCK_BYTES >>= 4
    staged_file.ROW_GROUP_BYTES >>= 4
    staged_file._KEPT_BYTES >>= 4
    month_writer.ALONE_BYTES >>= 4
    external_sort.RUN_BYTES >>= 4
    external_sort._BLOCK_BYTES >>= 4
    bench = Bench(folder)
    peaks = []
    pool = pa.default_memory_pool()
    for age in (1, 2):
        staged = bench.stage(
            f"team:{age}",
            [team_row(f"E/{(7919 * n) % 5003} of {age}", "2026-01-01", n, f"words to fill {n}") for n in range(rows)],
            age=age,
        )
        peaks.append(pool.max_memory())
        bench.publish(staged)
        peaks.append(pool.max_memory())
    sys.stdout.write(json.dumps(peaks))
    sys.stdout.flush()
    # Arrow aborts a process now and then that ends just after a read: https://github.com/apache/arrow/issues/34314
    os._exit(0)


if __name__ == "__main__":
    main()
