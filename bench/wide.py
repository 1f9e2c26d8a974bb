"""Files at the bounds of the lake: many columns, many slices of many columns, many teams; CPU seconds and peak memory.

    python -m bench.wide [--columns 10000] [--slices 400] [--slice-columns 2000] [--teams 200000] [--against COMMIT]

Each step runs in its own process. With `--against`, that commit takes the same files first.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from upath import UPath

from bench.commits import extracted
from bench.lake import say
from bench.memory import peak_memory

NOW = datetime(2026, 3, 1, tzinfo=UTC)
BASE = ["Team", "Team_Hierarchy", "Start_Date", "End_Date"]
ROW = "2026-01-01,2026-01-31"


def main() -> None:
    """Run the steps and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--columns", type=int, default=10_000)
    parser.add_argument("--slices", type=int, default=400)
    parser.add_argument("--slice-columns", type=int, default=2_000)
    parser.add_argument("--teams", type=int, default=200_000)
    parser.add_argument("--against", metavar="COMMIT", help="run the same with an earlier commit, before this tree")
    parser.add_argument("--step", nargs=3, metavar=("NAME", "FOLDER", "COUNTS"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.step:
        _measure(asked.step[0], Path(asked.step[1]), json.loads(asked.step[2]))
        return
    with tempfile.TemporaryDirectory(prefix="sei-bench-") as name:
        trees = [Path.cwd()]
        if asked.against:
            trees.insert(0, extracted(asked.against, Path(name, "before")))
        for step, counts in (
            ("columns", [asked.columns]),
            ("stage", [asked.slices, asked.slice_columns]),
            ("publish", [asked.slices, asked.slice_columns]),
            ("teams", [asked.teams]),
        ):
            for number, tree in enumerate(trees):
                which = asked.against if number < len(trees) - 1 else "this tree"
                folder = Path(name, f"{'stage' if step == 'publish' else step}-{number}")
                said = _run(step, folder, counts, tree)
                say(f"{step} {counts}, {which}: {said}")


def columns(folder: Path, counts: list[int]) -> None:
    """One file of many undeclared columns and ten teams: staged and published."""
    names = [f"Category {number} effort" for number in range(counts[0] - len(BASE))]
    cells = {team: [str(team * number % 97) for number in range(len(names))] for team in range(10)}
    rows = [[f"T{team}", f"Eng/T{team}", ROW, *values] for team, values in cells.items()]
    _publish(folder, [_stage(folder, 0, [*BASE, *names], rows)])


def stage(folder: Path, counts: list[int]) -> None:
    """Many slices, each of many columns out of a quarter more, so that no two have the same: staged only."""
    total = counts[1] * 5 // 4
    manifests = []
    for number in range(counts[0]):
        first = number % (total - counts[1])
        names = [f"Category {column} tickets" for column in range(first, first + counts[1])]
        row = [f"T{number}", f"Eng/T{number}", ROW, *["1.5"] * counts[1]]
        manifests.append(_stage(folder, number, [*BASE, *names], [row]))
    (folder / "manifests").write_text(json.dumps(manifests))


def publish(folder: Path, _: list[int]) -> None:
    """Publish what `stage` left in the folder."""
    _publish(folder, json.loads((folder / "manifests").read_text()))


def teams(folder: Path, counts: list[int]) -> None:
    """One export of many teams: staged, published, and its coverage read."""
    rows = [[f"Team {n}", f"Eng/Group {n % 500}/Team {n}", ROW, "1"] for n in range(counts[0])]
    _publish(folder, [_stage(folder, 0, [*BASE, "PR_MERGED"], rows)])
    from sei_provider import lake

    list(lake.coverage(folder / "lake", "wide"))


STEPS: dict[str, Callable[[Path, list[int]], None]] = {
    "columns": columns,
    "stage": stage,
    "publish": publish,
    "teams": teams,
}


def _stage(folder: Path, number: int, header: list[str], rows: list[list[str]]) -> Any:
    from sei_provider import lake

    file = folder / "body"
    file.write_text("\n".join(",".join(cells) for cells in [header, *rows]) + "\n")
    return lake.stage(
        file,
        folder=UPath(folder) / "lake" / "_staging" / "task",
        slice=lake.Slice(
            table="wide", report="productivity", scope=f"team:{number}", start=date(2026, 1, 1), end=date(2026, 1, 31),
            granularity="monthly", metrics=frozenset({"PR_MERGED"}), definition={},
        ),
        request=f"{number:08}",
        export_id=f"exp_{number}",
        created_at=NOW + timedelta(seconds=number),
        run_id="run",
        exported_at=NOW + timedelta(seconds=number),
    )  # fmt: skip


def _publish(folder: Path, manifests: list[Any]) -> None:
    from sei_provider import lake

    lake.publish(folder / "lake", manifests, published_at=NOW + timedelta(days=1))


def _measure(step: str, folder: Path, counts: list[int]) -> None:
    folder.mkdir(exist_ok=True)
    began = time.process_time()
    try:
        STEPS[step](folder, counts)
        error = ""
    except Exception as failed:  # noqa: BLE001  printed
        error = f", {type(failed).__name__}: {str(failed)[:100]}"
    say(f"{time.process_time() - began:.1f} s of CPU, peak {peak_memory() / 2**20:.0f} MB{error}")


def _run(step: str, folder: Path, counts: list[int], tree: Path) -> str:
    command = [sys.executable, "-m", "bench.wide", "--step", step, str(folder), json.dumps(counts)]
    paths = {"PYTHONPATH": str(tree)}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=tree, env=paths)
    return done.stdout.rstrip("\n")


if __name__ == "__main__":
    main()
