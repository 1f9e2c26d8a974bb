"""The lake against pandas, Polars and DuckDB on one machine in one run: times as ratios, and peak memory.

    python -m bench.lake [--rows 2400000] [--teams 5000] [--turns 3] [--folder …] [--against COMMIT]

Each engine runs in its own process, with the same declared types and the same checks: complete gzip, UTF-8, no empty
team or date, dates in range, finite numbers. Then one month is published from one-team slices. Compared runs take
turns, three times; seconds are medians, memory is the maximum of all turns. With `--against`, only staging is measured,
by this tree and by that commit, of a file without quotes and of one with every cell quoted.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeAlias

from bench.commits import extracted
from bench.lake_engines import ENGINES, HEADER, METRICS, NOW, stage
from bench.memory import peak_memory

TENFOLD = 10
Measured: TypeAlias = tuple[float, float, int]
"""Seconds, peak memory in MB, rows."""


def main() -> None:
    """Run everything and print one table for each question."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_400_000)
    parser.add_argument("--teams", type=int, default=5_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to put gigabytes for a while; a temporary folder by default")
    parser.add_argument("--against", metavar="COMMIT", help="compare staging with an earlier commit's")
    parser.add_argument("--step", nargs=3, metavar=("NAME", "SOURCE", "TARGET"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.step:
        run_step(asked.step[0], Path(asked.step[1]), Path(asked.step[2]))
        return
    with tempfile.TemporaryDirectory(prefix="sei-bench-", dir=asked.folder) as name:
        folder = Path(name)
        if asked.against:
            compare_commits(folder, asked.rows, asked.turns, asked.against)
            return
        compare_engines(folder, asked.rows, asked.turns)
        compare_publishing(folder, asked.teams, asked.turns)


def compare_engines(folder: Path, rows: int, turns: int) -> None:
    """CSV.gz to Parquet by four engines, and ours again with ten times the rows."""
    one, ten = folder / "one.csv.gz", folder / "ten.csv.gz"
    raw = write_csv(one, ten, rows)
    say(f"CSV.gz to Parquet: {rows:,} developer rows, {raw / 1e6:.0f} MB raw, {one.stat().st_size / 1e6:.0f} MB gzip")
    found = in_turns(turns, {name: partial(measured, name, one, folder / name) for name in ENGINES})
    ours = found["sei_provider.lake"][0]
    for name, (seconds, peak, count) in found.items():
        say(f"  {name:18} {seconds:6.1f} s   {seconds / ours:5.2f} × ours   peak {peak:6.0f} MB   {count:,} rows")
    tenfold("staged", found["sei_provider.lake"], measured("sei_provider.lake", ten, folder / "ten"))
    once = measured("publish one", folder / "sei_provider.lake", folder)
    tenfold("published", once, measured("publish one", folder / "ten", folder))


def compare_commits(folder: Path, rows: int, turns: int, commit: str) -> None:
    """Stage by this tree and by an earlier commit, each with the package as it was then."""
    before = extracted(commit, folder / "before")
    name = "sei_provider.lake"
    for what, quote in (("no cell quoted", ""), ("every cell quoted", '"')):
        source = folder / f"source{len(quote)}.csv.gz"
        raw = write_csv(source, None, rows, quote)
        cpu: dict[Path, list[float]] = defaultdict(list)

        def stage_by(tree: Path, source: Path = source, cpu: dict[Path, list[float]] = cpu) -> Measured:
            found = os.times()
            seconds = measured(name, source, folder / f"lake of {tree.name}", tree)
            now = os.times()
            cpu[tree].append(now.children_user + now.children_system - found.children_user - found.children_system)
            return seconds

        runs = {str(tree): partial(stage_by, tree) for tree in (before, Path.cwd())}
        (then, *_, then_rows), (now, *_, now_rows) = in_turns(turns, runs).values()
        cpu_then, cpu_now = (median(every) for every in cpu.values())
        say(f"{rows:,} rows, {raw / 1e6:.0f} MB raw, {what}: staged by {commit} and by this tree ({now_rows:,} rows)")
        say(f"  seconds     {then:6.2f} {now:6.2f}   {now / then:.2f} ×")
        say(f"  CPU seconds {cpu_then:6.2f} {cpu_now:6.2f}   {cpu_now / cpu_then:.2f} ×, imports included")
        if then_rows != now_rows:
            msg = f"{commit} staged {then_rows:,} rows, this tree {now_rows:,}"
            raise SystemExit(msg)


def tenfold(what: str, once: Measured, ten: Measured) -> None:
    """Print what ten times the rows cost."""
    seconds, peak, rows = ten
    say(f"  {what}: {once[0]:.1f} s, peak {once[1]:.0f} MB")
    say(f"  ten times the rows: {seconds:.1f} s, peak {peak:.0f} MB, {peak / once[1]:.2f} × ({rows:,} rows)")


def compare_publishing(folder: Path, teams: int, turns: int) -> None:
    """Many one-team slices into one month, and a scan of it against as many files."""
    lake, staged = folder / "many", folder / "staged"
    measured("stage many", Path(str(teams)), lake)
    lake.rename(staged)

    def publish_anew() -> Measured:
        empty(lake)
        shutil.copytree(staged, lake)
        return measured("publish many", lake, folder)

    seconds, peak, rows = in_turns(turns, {"": publish_anew})[""]
    say(f"{teams:,} one-team slices published: {seconds:.1f} s, peak {peak:.0f} MB, {rows:,} rows")
    objects = len(list((lake / "developers").rglob("*.parquet")))
    sources = {"one": lake / "developers", "many": folder / "files"}
    scans = in_turns(turns, {name: partial(measured, "scan", source, folder) for name, source in sources.items()})
    one, many = (seconds for seconds, *_ in scans.values())
    say(f"  a full scan: {one:.3f} s of {objects} object, {many:.2f} s of {teams:,} files, {many / one:.0f} ×")


def in_turns(turns: int, runs: Mapping[str, Callable[[], Measured]]) -> dict[str, Measured]:
    """Run them all in turn, several times over: a machine that is slow for a while is slow for all of them."""
    found: dict[str, list[Measured]] = defaultdict(list)
    for _ in range(turns):
        for name, run in runs.items():
            found[name].append(run())
    return {name: in_the_middle(every) for name, every in found.items()}


def in_the_middle(every: Sequence[Measured]) -> Measured:
    """Give the median of the seconds, the highest peak, and the rows, which are always the same."""
    seconds, peaks, (rows, *_) = zip(*every, strict=True)
    return median(seconds), max(peaks), rows


def empty(target: Path) -> None:
    """Remove what an earlier turn left."""
    if target.is_dir():
        shutil.rmtree(target)
    target.unlink(missing_ok=True)


def write_csv(one: Path, ten: Path | None, rows: int, quote: str = "") -> int:
    """Write made-up rows; the big file holds the same gzip member ten times, which is one valid body."""
    comma = f"{quote},{quote}"
    random.seed(0)
    per_team, raw = 12, 0
    cells = [f"{random.uniform(0, 90):.2f}" for _ in range(5_000)] + ["", "—"]  # noqa: S311  made-up figures
    member = one.with_name("member")
    with gzip.open(member, "wb", 1) as packed:
        for number in range(rows):
            team = number // per_team
            person = f"Developer {team}-{number % per_team:02},developer-{team}-{number % per_team:02}@example.com"
            figures = ",".join(random.choices(cells, k=len(METRICS)))  # noqa: S311  made-up figures
            place = f"Team {team % 5000},Engineering/Group {team % 50}/Team {team % 5000}"
            line = f"{person},{place},2026-01-01,2026-01-31,{figures}"
            raw += packed.write(f"{quote}{line.replace(',', comma)}{quote}\n".encode())
    head = gzip.compress(f"{HEADER}\n".encode())
    for path, times in ((one, 1), (ten, TENFOLD)):
        if path is None:
            continue
        with path.open("wb") as file:
            file.write(head)
            for _ in range(times):
                with member.open("rb") as source:
                    shutil.copyfileobj(source, file)
    return raw


def stage_many(teams: Path, lake: Path) -> int:
    """One slice of twelve developers for each team, and the same as plain files."""
    import pyarrow.parquet as pq

    files = lake.parent / "files"
    lake.mkdir()
    files.mkdir()
    source = lake / "body"
    for team in range(int(teams.name)):
        rows = [
            f"Developer {team}-{number:02},developer-{team}-{number:02}@example.com,Team {team},"
            f"Engineering/Group {team % 50}/Team {team},2026-01-01,2026-01-31,{','.join(['1.5'] * len(METRICS))}"
            for number in range(12)
        ]
        source.write_text("\n".join([HEADER, *rows, ""]))
        stage(source, lake, f"team:{team}", f"exp_{team}")
    for manifest in (json.loads(line) for line in (lake / "manifests.jsonl").open()):
        pq.write_table(pq.read_table(manifest["path"]), files / f"{manifest['export_id']}.parquet", compression="zstd")
    return int(teams.name)


def publish(lake: Path, _target: Path) -> int:
    """Publish all that is staged in a lake."""
    import sei_provider.lake as sei_lake

    manifests = [json.loads(line) for line in (lake / "manifests.jsonl").open()]
    (month,) = sei_lake.publish(lake, manifests, published_at=NOW)
    return month["rows"]


def scan(folder: Path, _target: Path) -> int:
    """Read all columns and rows of a folder."""
    import pyarrow.dataset as ds

    return len(ds.dataset(folder).to_table())


STEPS = {**ENGINES, "stage many": stage_many, "publish one": publish, "publish many": publish, "scan": scan}
WARM = {
    "sei_provider.lake": "import sei_provider.lake.staging.stage",
    "publish one": "import sei_provider.lake.tables.publish",
    "publish many": "import sei_provider.lake.tables.publish",
    "pandas": "import pandas, pyarrow.parquet",
    "Polars": "import polars",
    "DuckDB": "import duckdb",
    "scan": "import pyarrow.dataset",
}
"""Imported before the clock starts: with PYTHONDONTWRITEBYTECODE set they would be compiled within it."""


def measured(name: str, source: Path, target: Path, tree: Path | None = None) -> Measured:
    """Do one step in a process of its own, with the code of `tree`, this one by default."""
    if name in ENGINES:
        empty(target)
    os.sync()  # otherwise what was written before is still on its way to the disk while the clock runs
    tree = tree or Path.cwd()
    command = [sys.executable, str(tree / "bench" / "lake.py"), "--step", name, str(source), str(target)]
    paths = os.environ | {"PYTHONPATH": str(tree)}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=tree, env=paths)
    seconds, peak, rows = json.loads(done.stdout.splitlines()[-1])
    return seconds, peak, rows


def run_step(name: str, source: Path, target: Path) -> None:
    """Do one step and print what `measured` reads."""
    exec(WARM.get(name, ""))  # noqa: S102  our own import statements
    if name == "sei_provider.lake":
        target.mkdir()
    start = time.perf_counter()
    rows = STEPS[name](source, target)
    seconds = time.perf_counter() - start
    say(json.dumps([seconds, peak_memory() / 2**20, rows]))


def say(line: str) -> None:
    """Print at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
