"""Script: stage and publish on a disk that is full or cannot be written.

    python full_disk.py <how> <folder> <disk> <what is on the disk: lake or scratch>

`disk` is a folder in `folder`, or a small file system mounted there. Prints, as JSON, the errors of staging and
publishing, and what could be read meanwhile and afterwards.
"""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lake_bench import Bench, team_row
from upath import UPath

from sei_provider import lake

ROOM = 8 << 10
JAN = "2026-01-01"


def main() -> None:
    how, folder, disk, what = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
    scratch = (disk if what == "scratch" else folder) / "scratch"
    scratch.mkdir()
    os.environ["TMPDIR"] = str(scratch)
    tempfile.tempdir = None
    bench = Bench(folder, root=UPath((disk if what == "lake" else folder) / "lake"))
    random.seed(1)
    notes = [f"{random.getrandbits(800):x}" for _ in range(300)]  # incompressible
    rows = [team_row(f"Eng/{number}", JAN, 2, note) for number, note in enumerate(notes)]
    bench.export("team:1", [team_row("Eng/0", JAN, 1, "a note")], age=1)
    waiting = bench.stage("team:1", rows, age=2)
    download = bench.folder / "body"  # the body of the staged slice
    before = contents(bench)
    narrow(how, disk)
    found = {
        "stage": said(lambda: bench.stage_file(download, bench.slice("team:2"), age=3)),
        "publish": said(lambda: bench.publish(waiting)),
        "rows": len(bench.rows("team")),
        "staged": len(lake.staged(bench.staging)),
        "unchanged": contents(bench) == before,
        "scratch": [path.name for path in scratch.iterdir()],
    }
    widen(how, disk)
    bench.publish(waiting)
    sys.stdout.write(json.dumps(found | {"afterwards": len(bench.rows("team"))}))
    sys.stdout.flush()
    # Arrow aborts a process now and then that ends just after a read: https://github.com/apache/arrow/issues/34314
    os._exit(0)


def contents(bench: Bench) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path(bench.lake.path).rglob("*") if path.is_file()}


def said(action: Callable[[], Any]) -> str:
    try:
        action()
    except lake.StoreError as error:
        return str(error)
    return "nothing"


def narrow(how: str, disk: Path) -> None:
    if how == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, resource.RLIM_INFINITY))
    elif how == "full":
        with (disk / "ballast").open("wb", buffering=0) as ballast:
            free = os.statvfs(disk)
            ballast.write(bytes(free.f_bavail * free.f_frsize - ROOM))
    elif how == "read-only":
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)  # noqa: S607  its place differs
    else:
        for folder in folders(disk):
            folder.chmod(0o555)


def widen(how: str, disk: Path) -> None:
    if how == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    elif how == "full":
        (disk / "ballast").unlink()
    elif how == "read-only":
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)  # noqa: S607  its place differs
    else:
        for folder in folders(disk):
            folder.chmod(0o755)


def folders(disk: Path) -> list[Path]:
    return [disk, *(path for path in disk.rglob("*") if path.is_dir())]


if __name__ == "__main__":
    main()
