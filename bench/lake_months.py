"""Months of a table at scale, by this tree and by an earlier commit: seconds, CPU, peak memory and bytes, as ratios.

    python -m bench.lake_months [--rows 2400000] [--teams 5000] [--turns 3] [--years 10] [--tenfold]
                                [--folder …] [--against COMMIT] [--only QUESTION …]

The questions: `publish` one month of developer rows (ten times as many with `--tenfold`), `one-team` into a month of a
sixth of the rows, `backfill` of 24 months by one export (rows read per row kept), and `coverage` of some years of all
teams, with the bytes of a footer. Each step runs in a process of its own. Both trees do the same steps in turn, each
with the package as it was then and the steps below; seconds and CPU are medians, memory is the highest peak.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import TypedDict

from bench.commits import extracted
from bench.lake import say, write_csv
from bench.lake_engines import END, HEADER, METRICS, NOW, START, stage
from bench.memory import peak_memory

QUESTIONS = ("publish", "one-team", "backfill", "coverage")
BACKFILL_MONTHS = 24
LATER = datetime(2026, 3, 1, tzinfo=UTC)


class Measured(TypedDict):
    """Cost of one step."""

    seconds: float
    cpu: float
    peak: float
    """MB."""
    told: dict[str, float]
    """Counts of the step itself."""


def main() -> None:
    """Ask the questions one after the other, and print a line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_400_000)
    parser.add_argument("--teams", type=int, default=5_000)
    parser.add_argument("--years", type=int, default=10)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--tenfold", action="store_true", help="publish ten times the rows, too")
    parser.add_argument("--folder", type=Path, help="where to put gigabytes for a while; a temporary folder by default")
    parser.add_argument("--against", metavar="COMMIT", help="compare with the package of an earlier commit")
    parser.add_argument("--only", nargs="+", choices=QUESTIONS, default=QUESTIONS, metavar="QUESTION")
    parser.add_argument("--step", nargs=3, metavar=("NAME", "LAKE", "ARGUMENT"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.step:
        run_step(asked.step[0], Path(asked.step[1]), asked.step[2])
        return
    with tempfile.TemporaryDirectory(prefix="sei-bench-", dir=asked.folder) as name:
        folder = Path(name)
        trees = {"this tree": Path.cwd()}
        if asked.against:
            trees = {asked.against: extracted(asked.against, folder / "before"), **trees}
        if "publish" in asked.only:
            sources = {f"{asked.rows:,} developer rows": folder / "one.csv.gz"}
            ten = folder / "ten.csv.gz" if asked.tenfold else None
            write_csv(folder / "one.csv.gz", ten, asked.rows)
            sources |= {f"{10 * asked.rows:,} developer rows": ten} if ten else {}
            for what, source in sources.items():
                compare(
                    f"one month of {what} published", "publish", trees, folder, asked.turns, [("stage", str(source))]
                )
        if "one-team" in asked.only:
            rows = asked.rows // 6
            write_month(folder / "month.csv", asked.teams, rows)
            write_team(folder / "team.csv", rows // asked.teams)
            before = [("stage", str(folder / "month.csv")), ("publish", ""), ("stage team", str(folder / "team.csv"))]
            compare(f"one team published into a month of {rows:,} rows", "publish", trees, folder, asked.turns, before)
        if "backfill" in asked.only:
            write_months(folder / "months.csv", asked.teams)
            before = [("stage months", str(folder / "months.csv"))]
            compare(f"{BACKFILL_MONTHS} months by one export", "count", trees, folder, asked.turns, before)
        if "coverage" in asked.only:
            years = f"{asked.teams} {asked.years}"
            what = f"coverage of {asked.years} years and {asked.teams:,} scopes"
            compare(what, "coverage", trees, folder, asked.turns, [("ledgers", years), ("publish", "")])


def compare(
    what: str, step: str, trees: dict[str, Path], folder: Path, turns: int, before: list[tuple[str, str]]
) -> None:
    """Prepare a lake by each tree, do the step by each in turn, each time on a copy, and print what it cost."""
    lakes = {}
    for number, (name, tree) in enumerate(trees.items()):
        lakes[name] = folder / f"prepared{number}"
        lakes[name].mkdir()
        for one, argument in before:
            measured(one, lakes[name], argument, tree)
    found: dict[str, list[Measured]] = {name: [] for name in trees}
    for _ in range(turns):
        for name, tree in trees.items():
            copy = folder / "lake"
            shutil.copytree(lakes[name], copy)
            found[name].append(measured(step, copy, str(lakes[name]), tree))
            shutil.rmtree(copy)
    for lake in lakes.values():
        shutil.rmtree(lake)
    say(what)
    first: tuple[float, float] | None = None
    for name, every in found.items():
        seconds, cpu = median(one["seconds"] for one in every), median(one["cpu"] for one in every)
        first = first or (seconds, cpu)
        told = "".join(f"   {label} {value:,.1f}" for label, value in every[-1]["told"].items())
        say(
            f"  {name:12} {seconds:6.2f} s {seconds / first[0]:5.2f} ×   CPU {cpu:6.2f} s {cpu / first[1]:5.2f} ×   "
            f"peak {max(one['peak'] for one in every):5.0f} MB{told}"
        )


def measured(name: str, lake: Path, argument: str, tree: Path) -> Measured:
    """Do one step in a process of its own, with the package of `tree`."""
    os.sync()
    command = [sys.executable, "-m", "bench.lake_months", "--step", name, str(lake), argument]
    paths = os.environ | {"PYTHONPATH": str(tree)}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=tree, env=paths)
    found: Measured = json.loads(done.stdout.splitlines()[-1])
    return found


def run_step(name: str, lake: Path, argument: str) -> None:
    """Do one step and print what `measured` reads. Modules are imported before the clock starts."""
    import sei_provider.lake as sei_lake

    for part in ("publish", "coverage", "stage"):
        getattr(sei_lake, part)
    if find_spec("sei_provider.lake.arrow_values") is None:  # an earlier commit, in which pyarrow imports pandas
        import pandas as pd  # noqa: F401
    wall, cpu = time.perf_counter(), time.process_time()
    told = STEPS[name](lake, argument)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    say(json.dumps(Measured(seconds=wall, cpu=cpu, peak=peak_memory() / 2**20, told=told)))


def stage_one(lake: Path, argument: str) -> dict[str, float]:
    """Stage an export of the whole org tree for one month."""
    return {"rows": stage(Path(argument), lake, "org:Engineering", "exp_1")}


def stage_team(lake: Path, argument: str) -> dict[str, float]:
    """Stage a newer export of one team."""
    return {"rows": stage(Path(argument), lake, "team:7", "exp_2", made=NOW + timedelta(hours=1))}


def stage_months(lake: Path, argument: str) -> dict[str, float]:
    """Stage one export of many months."""
    return {"rows": stage(Path(argument), lake, "org:Engineering", "exp_1", start=months_before(BACKFILL_MONTHS - 1))}


def stage_ledgers(lake: Path, argument: str) -> dict[str, float]:
    """Stage the empty answer of each team for some years, whose entries stand in the ledger of every month."""
    teams, years = map(int, argument.split())
    body = lake / "body"
    body.write_text(f"{HEADER}\n")
    for team in range(teams):
        stage(body, lake, f"team:{team}", f"exp_{team * 2654435761 % 2**128:032x}", start=months_before(12 * years - 1))
    return {}


def publish(lake: Path, prepared: str) -> dict[str, float]:
    """Publish what is staged in a lake, which may be a copy of the lake that it was staged in."""
    import sei_provider.lake as sei_lake

    file = lake / "manifests.jsonl"
    manifests = [json.loads(line.replace(prepared or str(lake), str(lake))) for line in file.open()]
    file.unlink()
    found = sei_lake.publish(lake, manifests, published_at=LATER)
    return {"rows": sum(month["rows"] for month in found)}


def count(lake: Path, prepared: str) -> dict[str, float]:
    """Publish, and count the rows that are read from Parquet files meanwhile."""
    import pyarrow.parquet as pq

    read = 0

    def counting(name: str) -> None:
        real = getattr(pq.ParquetFile, name)

        def wrapped(file: pq.ParquetFile, *args: object, **options: object) -> object:
            nonlocal read
            rows = real(file, *args, **options)
            read += len(rows)
            return rows

        setattr(pq.ParquetFile, name, wrapped)

    for name in ("read", "read_row_group", "read_row_groups"):
        counting(name)
    kept = publish(lake, prepared)["rows"]
    return {"rows": kept, "rows read per row kept:": read / kept}


def cover(lake: Path, _prepared: str) -> dict[str, float]:
    """Tell the coverage of all scopes and months, and the bytes that this process has read for it."""
    import pyarrow.parquet as pq

    import sei_provider.lake as sei_lake

    before = bytes_read()
    pairs = len(sei_lake.coverage(lake, "developers"))
    read = bytes_read() - before
    footer = max(pq.read_metadata(path).serialized_size for path in lake.glob("developers/month=*/data.parquet"))
    return {"pairs": pairs, "MB read:": read / 1e6, "KB a footer:": footer / 1e3}


def bytes_read() -> int:
    """Return how many bytes this process has read, from disk or cache."""
    return int(Path("/proc/self/io").read_text().split()[1])


STEPS: dict[str, Callable[[Path, str], dict[str, float]]] = {
    "stage": stage_one,
    "stage team": stage_team,
    "stage months": stage_months,
    "ledgers": stage_ledgers,
    "publish": publish,
    "count": count,
    "coverage": cover,
}


def months_before(months: int) -> date:
    """Return the first day of the month so many months before that of the made-up exports."""
    number = START.year * 12 + START.month - 1 - months
    return date(number // 12, number % 12 + 1, 1)


def write_month(file: Path, teams: int, rows: int) -> None:
    """Write made-up developers of all teams in one month."""
    with file.open("w") as target:
        target.write(f"{HEADER}\n")
        for number in range(rows):
            target.write(line(number % teams, number // teams, START, END))


def write_team(file: Path, rows: int) -> None:
    """Write made-up developers of one team, with other figures."""
    file.write_text("\n".join([HEADER, *(line(7, number, START, END, 2).strip() for number in range(rows)), ""]))


def write_months(file: Path, teams: int) -> None:
    """Write a made-up developer of each team in each of many months."""
    with file.open("w") as target:
        target.write(f"{HEADER}\n")
        for months in range(BACKFILL_MONTHS):
            first, after = months_before(months), months_before(months - 1)
            for team in range(teams):
                target.write(line(team, 0, first, after - timedelta(days=1)))


def line(team: int, number: int, start: date, end: date, factor: int = 1) -> str:
    """Return the row of one made-up developer."""
    person = f"Developer {team}-{number:02},developer-{team}-{number:02}@example.com"
    figures = ",".join(
        f"{(team * 31 + number * 7 + place * 13) * factor % 9000 / 100}" for place in range(len(METRICS))
    )
    return f"{person},Team {team},Engineering/Group {team % 50}/Team {team},{start},{end},{figures}\n"


if __name__ == "__main__":
    main()
