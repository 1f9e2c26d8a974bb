"""Raw files as SEI sent them, kept beside the lake for audits, and for staging them again after a mistake."""

from __future__ import annotations

import re
from pathlib import Path

from sei_provider.lake.model import Slice
from sei_provider.lake.storage.backend import LakePath
from sei_provider.lake.storage.store import put

_GZIP = b"\x1f\x8b"


def keep(file: Path, raw: LakePath, slice_: Slice, *, export_id: str) -> LakePath:
    """Put a copy of a downloaded file at `<raw>/<table>/<start>_<end>/<scope>-<export id>.csv` (or `.csv.gz`).

    Atomic. The copy holds personal data as SEI sent it. Neither scope nor id can point outside the folder.
    """
    with file.open("rb") as body:
        ending = ".csv.gz" if body.read(2) == _GZIP else ".csv"
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", f"{slice_.scope}-{export_id}")
    target = raw / slice_.table / f"{slice_.start}_{slice_.end}" / f"{name}{ending}"
    put(target, file)
    return target
