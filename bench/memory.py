"""Peak memory of a process, as the kernel has it."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path


def peak_memory(pid: int | None = None) -> int:
    """Return the most bytes of memory that a process has held, this one by default; 0 if it has ended.

    That of `getrusage` outlives exec, so it may be the peak of the process that started this one.
    """
    with suppress(OSError):
        status = Path(f"/proc/{pid or 'self'}/status").read_text(encoding="utf-8")
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        return int(found[1]) * 1024 if found else 0
    return 0
