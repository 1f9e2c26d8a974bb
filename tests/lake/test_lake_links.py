"""No link below a lake's root is followed, whatever call meets it; the root itself may be one."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from lake_bench import Bench, at, team_row
from upath import UPath

from sei_provider import lake
from sei_provider.lake import StoreError
from sei_provider.lake.errors import LinkError
from sei_provider.lake.tables.maintenance import foreign, quarantined, rewrite_months, sweep_staging

ROWS = [team_row("Eng/A", "2026-01-01", 7)]
BAD = [*ROWS, team_row("Eng/B", "2026-01-01", "x")]
KEY = bytes.fromhex("5f1c9a3be07d42886d3f0b7c51e2a9d4")
TABLE = "productivity_team_monthly"
OPENED: dict[str, Callable[[Path], Any]] = {
    "UPath": UPath,
    "path": Path,
    "text": str,
    "URL": lambda path: f"file://{path}",
    "URL as UPath": lambda path: UPath(f"file://{path}"),
}


def full(folder: Path, name: str = "lake") -> Bench:
    """Return a lake that has all that a lake can have: a table, staging, quarantine, people who were erased, raw."""
    folder.mkdir(exist_ok=True)
    bench = Bench(folder, root=UPath(folder / name), options={"on_bad_value": "quarantine", "hash_key": KEY})
    bench.export("team:1", BAD, age=1)
    bench.stage("team:2", ROWS, age=2)
    (folder / "body").write_text("Team\nA\n")
    lake.keep(folder / "body", UPath(folder / "raw"), bench.slice(), export_id="exp_1")
    lake.erase(UPath(folder / name), ["gone@example.com"], hash_key=KEY, erased_at=at(1))
    return bench


def everything(bench: Bench, place: Any) -> dict[str, Callable[[], object]]:
    """Every call that reads, writes, lists or deletes in a lake."""
    later = datetime.now(UTC) + timedelta(days=9)
    manifests = [json.loads(file.read_text()) for file in (bench.folder / "seen").glob("*.json")]

    def stage() -> object:
        (bench.folder / "body").write_text("\n".join([bench.header, *BAD, ""]))
        return lake.stage(
            bench.folder / "body",
            folder=lake.lake_path(place) / "_staging" / "task",
            slice=bench.slice("team:3"),
            request="cafe",
            export_id="exp_7",
            created_at=at(7),
            run_id="run",
            exported_at=at(8),
            columns=bench.columns,
            **bench.options,
        )

    staging = f"{place}/_staging/task"
    return {
        "stage": stage,
        "staged": lambda: lake.staged(UPath(staging)),
        "publish": lambda: lake.publish(place, manifests, published_at=at(9)),
        "read_table": lambda: lake.read_table(place, TABLE),
        "coverage": lambda: lake.coverage(place, TABLE),
        "ledger": lambda: lake.ledger(place, TABLE),
        "foreign": lambda: foreign(place),
        "quarantined": lambda: quarantined(place),
        "rewrite": lambda: rewrite_months(place, TABLE, at_most=3),
        "retype": lambda: lake.retype(place, TABLE, "pr_merged", "string"),
        "retire": lambda: lake.retire(place, TABLE, "team:1", retired_at=at(9)),
        "erase": lambda: lake.erase(place, ["A"], hash_key=KEY, erased_at=at(9), raw_path=UPath(bench.folder / "raw")),
        "unerase": lambda: lake.unerase(place, ["gone@example.com"], hash_key=KEY),
        "keep": lambda: lake.keep(bench.folder / "body", UPath(bench.folder / "raw"), bench.slice(), export_id="exp_1"),
        "discard": lambda: lake.discard(UPath(staging)),
        "sweep": lambda: sweep_staging(place, older_than=later),
    }


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


SWAPS = 300
IN_TABLES = {"publish", "read_table", "coverage", "ledger", "foreign", "rewrite", "retype", "retire", "erase"}
REFUSED = {
    "lake/_staging": {"stage", "staged", "publish", "erase", "discard", "sweep"},
    "lake/_staging/task": {"stage", "staged", "publish", "erase", "discard"},
    "lake/_quarantine": {"stage", "quarantined", "erase"},
    f"lake/_quarantine/{TABLE}": {"stage", "quarantined", "erase"},
    "lake/_schemas": IN_TABLES,
    "lake/_erased": {"stage", "erase", "unerase"},
    f"lake/{TABLE}": IN_TABLES,
    f"lake/{TABLE}/month=2026-01": IN_TABLES - {"rewrite"},
    f"raw/{TABLE}": {"keep", "erase"},
    f"raw/{TABLE}/2026-01-01_2026-01-31": {"keep", "erase"},
}


@pytest.mark.parametrize(("place", "opened"), list(zip(REFUSED, cycle(OPENED), strict=False)))
def test_no_call_reads_writes_or_deletes_behind_a_folder_that_is_a_link(tmp_path, place, opened):
    bench = full(tmp_path / "own")
    folder = bench.folder / place
    keep_manifests(bench)
    victim = tmp_path / "victim"
    folder.rename(victim)
    folder.symlink_to(victim)
    before, refused = contents(victim), set()
    for name, call in everything(bench, OPENED[opened](bench.folder / "lake")).items():
        error = refused_or_passed_over(call)
        refused |= {name} if isinstance(error, LinkError) else set()
        assert contents(victim) == before
    assert refused == REFUSED[place]


@pytest.mark.parametrize("opened", OPENED)
def test_no_call_reads_writes_or_deletes_behind_a_file_that_is_a_link(tmp_path, opened):
    bench = full(tmp_path / "own")
    keep_manifests(bench)
    victim = tmp_path / "victim"
    victim.mkdir()
    files = [path for path in bench.folder.rglob("*") if path.is_file() and path.parent.name not in {"own", "seen"}]
    for number, file in enumerate(files):
        file.rename(victim / f"{number}")
        file.symlink_to(victim / f"{number}")
    before = contents(victim)
    for call in everything(bench, OPENED[opened](bench.folder / "lake")).values():
        refused_or_passed_over(call)
        assert contents(victim) == before


def test_a_file_or_folder_that_is_a_link_is_an_error_that_names_it_and_says_what_to_do(tmp_path):
    bench = full(tmp_path / "own")
    month = bench.folder / "lake" / TABLE / "month=2026-01"
    month.rename(tmp_path / "elsewhere")
    month.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match=r"month=2026-01 is a symbolic link, and none is followed below the lake"):
        lake.read_table(bench.lake, TABLE)


@pytest.mark.parametrize("opened", OPENED)
def test_the_root_of_a_lake_may_be_a_link_or_lie_behind_one(tmp_path, opened):
    (tmp_path / "disk").mkdir()
    (tmp_path / "own").symlink_to(tmp_path / "disk")
    bench = full(tmp_path / "own", "real")
    (tmp_path / "disk" / "lake").symlink_to(tmp_path / "disk" / "real")
    keep_manifests(bench, "real")
    for call in everything(bench, OPENED[opened](bench.folder / "lake")).values():
        call()


@pytest.mark.parametrize("link", [os.link, os.symlink], ids=["hard link", "symbolic link"])
def test_a_lock_that_is_a_link_leaves_the_victim_as_it_is(tmp_path, link):
    bench = full(tmp_path / "own")
    victim, lock = tmp_path / "victim", bench.folder / "lake" / "_schemas" / f"{TABLE}.lock"
    victim.write_text("precious")
    lock.unlink()
    link(victim, lock)
    refused_or_passed_over(lambda: bench.export("team:1", ROWS, age=5))
    assert victim.read_text() == "precious"


def test_what_is_hard_linked_into_a_lake_is_never_written_through(tmp_path):
    bench = full(tmp_path / "own")
    victim = tmp_path / "victim"
    victim.mkdir()
    for number, file in enumerate(path for path in (bench.folder / "lake").rglob("*") if path.is_file()):
        (victim / f"{number}").hardlink_to(file)
    before = contents(victim)
    for call in everything(bench, bench.lake).values():
        refused_or_passed_over(call)
    assert contents(victim) == before


def test_a_link_that_takes_a_folders_place_again_and_again_gets_nothing_written_or_deleted(tmp_path):
    bench = full(tmp_path / "own")
    victim, folder = tmp_path / "victim", bench.folder / "lake" / "_staging" / "task"
    victim.mkdir()
    (victim / "f00d-exp_2.parquet").write_text("precious")
    (victim / "f00d-exp_2.json").write_text("precious")
    before, stop = contents(victim), threading.Event()
    swaps = 0

    def swap() -> None:
        nonlocal swaps
        while not stop.is_set():
            with suppress(OSError):  # the folder is made and removed meanwhile
                folder.rename(tmp_path / f"away-{swaps}")
            with suppress(OSError):
                folder.symlink_to(victim)
                swaps += 1
                folder.unlink()

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        while swaps < SWAPS:
            refused_or_passed_over(lambda: bench.stage("team:4", ROWS, age=10))
            refused_or_passed_over(lambda: lake.discard(bench.staging))
    finally:
        stop.set()
        swapper.join()
    assert contents(victim) == before


@pytest.mark.parametrize("name", ["lock", "json"])
def test_a_pipe_in_a_files_place_is_an_error_and_no_wait_for_ever(tmp_path, name):
    bench = full(tmp_path / "own")
    file = bench.folder / "lake" / "_schemas" / f"{TABLE}.{name}"
    file.unlink(missing_ok=True)
    os.mkfifo(file)
    with pytest.raises(StoreError, match="not a file"):
        bench.export("team:1", ROWS, age=5)


def keep_manifests(bench: Bench, name: str = "lake") -> None:
    """Keep what an export task has handed on, so that publish is asked for it whatever stands in staging."""
    (bench.folder / "seen").mkdir()
    for file in (bench.folder / name / "_staging" / "task").glob("f00d*.json"):
        text = file.read_text().replace(f"{bench.folder}/{name}/", f"{bench.folder}/lake/")
        (bench.folder / "seen" / file.name).write_text(text)


def refused_or_passed_over(call: Callable[[], object]) -> lake.LakeError | None:
    try:
        call()
    except lake.LakeError as error:
        return error
    return None
