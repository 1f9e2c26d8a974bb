"""Memory of a process, as the kernel has it."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path


def peak_memory(pid: int | None = None) -> int:
    """Return the most bytes of memory that a process has held, this one by default; 0 if it has ended.

    That of `getrusage` outlives exec, so it may be the peak of the process that started this one.
    """
    return _bytes("VmHWM", Path(f"/proc/{pid or 'self'}/status"))


def memory_share(pid: int) -> int:
    """Return the bytes of a process, with pages that processes share divided among them (`Pss`); 0 if it has ended."""
    return _bytes("Pss", Path(f"/proc/{pid}/smaps_rollup"))


def _bytes(name: str, file: Path) -> int:
    with suppress(OSError):
        found = re.search(rf"{name}:\s+(\d+) kB", file.read_text(encoding="utf-8"))
        return int(found[1]) * 1024 if found else 0
    return 0
