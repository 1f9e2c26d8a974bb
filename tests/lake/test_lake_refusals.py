"""A disk that is full or read-only: an error says so, and nothing is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

MOUNTED = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"']
POWERLESS = ["setpriv", "--bounding-set=-all"] if os.geteuid() == 0 else []
"""Drops the capability by which root ignores permissions."""


def may_mount() -> bool:
    """True if this machine lets its users mount small file systems of their own; many containers do not."""
    with tempfile.TemporaryDirectory() as folder:
        tried = subprocess.run([*MOUNTED, folder, "true"], check=False, capture_output=True)
    return tried.returncode == 0


HOWS = {"limit": "File too large", "forbidden": "Permission denied"}
"""Cases that need no mount: a limit to the size of files, and folders without write permission."""
MOUNTS = {"full": "No space left on device", "read-only": "Read-only file system"} if may_mount() else {}


@pytest.mark.parametrize("what", ["lake", "scratch"])
@pytest.mark.parametrize(("how", "words"), [*HOWS.items(), *MOUNTS.items()])
def test_a_full_or_read_only_disk_is_an_error_that_says_so_and_the_old_rows_stay(tmp_path, how, words, what):
    disk = tmp_path / "disk"
    disk.mkdir()
    prefix = [*MOUNTED, str(disk)] if how in MOUNTS else POWERLESS if how == "forbidden" else []
    script = Path(__file__).with_name("full_disk.py")
    command = [*prefix, sys.executable, str(script), how, str(tmp_path), str(disk), what]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for step in ("stage", "publish"):
        assert words in found[step], found[step]
        assert str(disk if how != "limit" else tmp_path) in found[step]
        assert any(
            advice in found[step] for advice in ("free some space", "free space on that disk", "write access")
        ), found[step]
    assert found["unchanged"]
    assert (found["rows"], found["staged"], found["scratch"]) == (1, 1, [])
    assert found["afterwards"] == 300
