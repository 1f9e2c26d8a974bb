"""Objects of the lake: read one, put one whole. The only module that knows what kind of store it is.

Local disk so far. Nothing else may open an object for writing: an exception inside `open("wb")` leaves half of it
(DESIGN, decision 14).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from filelock import FileLock
from upath import UPath

from sei_provider.lake.errors import UnsupportedStoreError


def lake_path(lake: UPath | Path | str) -> UPath:
    """Give the lake's root as a path object; Airflow's ObjectStoragePath is one already."""
    return UPath(lake) if isinstance(lake, (str, Path)) else lake


def put(target: UPath, source: Path) -> None:
    """Make `target` a copy of the local file `source`.

    Atomic and durable: whoever reads, or dies, sees the whole old object or the whole new one.
    """
    with _replacing(target) as part, source.open("rb") as data:
        shutil.copyfileobj(data, part, 1 << 20)


def put_bytes(target: UPath, data: bytes) -> None:
    """Make `data` the content of `target`, as `put` does."""
    with _replacing(target) as part:
        part.write(data)


@contextmanager
def scratch_file() -> Iterator[Path]:
    """Give a local file to build an object in; it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="sei-") as folder:
        yield Path(folder) / "object"


@contextmanager
def locked(folder: UPath) -> Iterator[None]:
    """Keep other publishers, of this machine, out of a table. Waits for as long as it takes; death frees it."""
    path = _on_disk(folder)
    path.mkdir(parents=True, exist_ok=True)
    with FileLock(path / "_lock"):
        yield


@contextmanager
def _replacing(target: UPath) -> Iterator[BinaryIO]:
    path = _on_disk(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    # "_": readers of the folder pass over what a killed process leaves behind.
    unfinished = path.parent / f"_put-{uuid4().hex}"
    try:
        with unfinished.open("xb") as part:
            yield part
            part.flush()
            os.fsync(part.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _on_disk(path: UPath) -> Path:
    if path.protocol not in {"", "file", "local"}:
        msg = f"cannot write {path}: this version puts objects on local disk only; use a path or a file:// address"
        raise UnsupportedStoreError(msg)
    return Path(path.path)
