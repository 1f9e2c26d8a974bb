"""Trees of earlier commits, for benchmarks that measure then and now."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


def extracted(commit: str, folder: Path) -> Path:
    """Extract a commit, with the benchmarks of this tree in place of its own."""
    folder.mkdir()
    archive = subprocess.run(["git", "archive", commit], check=True, stdout=subprocess.PIPE).stdout  # noqa: S607
    subprocess.run(["tar", "-x", "-C", str(folder)], check=True, input=archive)  # noqa: S607
    shutil.rmtree(folder / "bench", ignore_errors=True)
    shutil.copytree(Path(__file__).parent, folder / "bench")
    return folder
