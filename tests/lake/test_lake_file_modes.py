"""File modes: names of people are the owner's alone, whatever the umask; what killed workers leave goes by its age."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lake_bench import Bench, team_row
from upath import UPath

from sei_provider import lake
from sei_provider.lake.storage.scratch import scratch_folder, sweep_scratch
from sei_provider.lake.tables.maintenance import sweep_staging

ROWS = [team_row("Eng/A", "2026-01-01", 7), team_row("Eng/B", "2026-01-01", "x")]
AGED = 8 * 86400
HOLD = """
import sys
from sei_provider.lake.storage.scratch import scratch_folder
with scratch_folder() as folder:
    (folder / "part").write_text("rows")
    print(folder, flush=True)
    sys.stdin.read()
"""


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def modes(folder: Path) -> set[str]:
    """Modes of a folder and of all that it holds, as octal digits with d for folders."""
    found = [folder, *folder.rglob("*")]
    return {f"{'d' if path.is_dir() else ''}{stat.S_IMODE(path.stat().st_mode):o}" for path in found}


@pytest.mark.parametrize("mask", [0o000, 0o002, 0o022, 0o027, 0o077], ids=oct)
def test_quarantine_and_raw_copies_are_for_their_owner_alone_and_the_rest_is_as_the_umask_says(tmp_path, mask):
    bench = Bench(tmp_path, options={"on_bad_value": "quarantine"})
    (tmp_path / "sent").write_text("Team\nA\n")
    with umask(mask):
        bench.export("team:1", ROWS, age=1)
        bench.stage("team:2", ROWS, age=2)
        lake.keep(tmp_path / "sent", UPath(tmp_path / "raw"), bench.slice(), export_id="exp_1")
    assert modes(tmp_path / "raw") == modes(tmp_path / "lake/_quarantine") == {"d700", "600"}
    for shared in (bench.table, "_schemas", "_staging"):  # the lock among them
        assert modes(tmp_path / "lake" / shared) == {f"d{0o777 & ~mask:o}", f"{0o666 & ~mask:o}"}
    assert stat.S_IMODE((tmp_path / "lake").stat().st_mode) == 0o777 & ~mask


def test_folders_of_a_lake_with_a_setgid_root_keep_its_group(tmp_path):
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake").chmod(0o2775)
    with umask(0o002):
        Bench(tmp_path).export("team:1", ROWS[:1], age=1)
    assert modes(tmp_path / "lake") == {"d2775", "664"}


def test_an_erased_persons_rows_in_quarantine_and_raw_copies_leave_files_for_their_owner_alone(tmp_path):
    key = bytes.fromhex("5f1c9a3be07d42886d3f0b7c51e2a9d4")
    bench = Bench(tmp_path, options={"on_bad_value": "quarantine"})
    (tmp_path / "sent").write_text("Team,Note\nA,B\nC,D\n")
    with umask(0):
        bench.export("team:1", ROWS, age=1)
        lake.keep(tmp_path / "sent", UPath(tmp_path / "raw"), bench.slice(), export_id="exp_1")
        lake.erase(bench.lake, ["B"], hash_key=key, erased_at=datetime.now(UTC), raw_path=UPath(tmp_path / "raw"))
    assert modes(tmp_path / "raw") == modes(tmp_path / "lake/_quarantine") == {"d700", "600"}
    assert "D" in next((tmp_path / "raw").rglob("*.csv")).read_text()


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@contextmanager
def holder() -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Start a process that uses a temporary folder until it is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        folder = Path(process.stdout.readline().strip())
        try:
            yield process, folder
        finally:
            process.kill()


def age(path: Path, seconds: float = AGED) -> None:
    then = datetime.now(UTC).timestamp() - seconds
    os.utime(path, (then, then), follow_symlinks=False)


def test_a_killed_workers_temporary_folder_goes_by_its_age_and_a_living_ones_stays(temporary):
    with umask(0), scratch_folder() as ours:
        assert stat.S_IMODE(ours.stat().st_mode) == 0o700
    with holder() as (process, folder):
        age(folder)
        assert sweep_scratch() == []
        process.kill()
        process.wait()
        age(folder, 60)
        assert sweep_scratch() == []
        age(folder)
        sweep_staging(UPath(temporary / "lake"), older_than=datetime.now(UTC) - timedelta(days=7))
    assert list(temporary.iterdir()) == []


def test_nothing_is_swept_that_only_looks_like_a_temporary_folder(temporary, tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").write_text("x")
    (temporary / "sei-scratch-link").symlink_to(victim)
    (temporary / "sei-scratch-file").write_text("x")
    (temporary / "sei-mine").mkdir()
    for path in [victim, *temporary.iterdir()]:
        age(path)
    assert sweep_scratch(older_than=datetime.now(UTC)) == []
    assert len(list(temporary.iterdir())) == 3
    assert (victim / "precious").exists()


def test_files_that_killed_writers_left_in_the_lake_go_by_their_age(tmp_path, temporary):
    bench = Bench(tmp_path, options={"on_bad_value": "quarantine"})
    bench.export("team:1", ROWS, age=1)
    bench.stage("team:2", ROWS, age=2)
    folders = [path for path in (tmp_path / "lake").rglob("*") if path.is_dir() and path.name != "_staging"]
    for folder in folders:
        for name, seconds in (("_put-old", AGED), ("_put-new", 60)):
            (folder / name).write_text("part")
            age(folder / name, seconds)
    before = {path for path in (tmp_path / "lake").rglob("*") if path.is_file()}
    swept = sweep_staging(bench.lake, older_than=datetime.now(UTC) - timedelta(days=7))
    left = {folder / "_put-old" for folder in folders}
    assert {path for path in (tmp_path / "lake").rglob("*") if path.is_file()} == before - left
    assert {tmp_path / "lake" / name for name in swept} == left
    assert f"{bench.table}/month=2026-01/_put-old" in swept
