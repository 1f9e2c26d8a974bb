"""Local disk: atomic puts by renaming a complete file, and one file lock per table."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from filelock import FileLock
from upath import UPath

from sei_provider.lake.storage.backend import MISSING, Fetched, Result
from sei_provider.lake.storage.errors import Explanation, explain_system_error


class LocalDisk:
    """Local disk. Versions are not compared: publishers hold the lock of the table."""

    conditional = True
    unconditional_because = ""
    errors: tuple[type[Exception], ...] = (OSError,)

    def explain(self, error: Exception) -> Explanation:
        """As `explain_system_error`."""
        return explain_system_error(error)

    def read(self, path: UPath, use: Callable[[BinaryIO], Result]) -> Result | None:
        """As `store.read`."""
        try:
            data = Path(path.path).open("rb")  # noqa: SIM115  only `open` may fail with FileNotFoundError
        except (FileNotFoundError, NotADirectoryError):
            return None
        with data:
            return use(data)

    def fetch(self, path: UPath, into: Path) -> Fetched:  # noqa: ARG002  a local file is not copied
        """Return the object itself: it is a local file."""
        file = Path(path.path)
        return Fetched(file, "locked") if file.exists() else Fetched(None, MISSING)

    def put(self, target: UPath, source: Path, if_match: str | None) -> None:  # noqa: ARG002  writers hold the lock
        """Write a complete file beside the target, then rename it: readers see the old object or the new one."""
        path = Path(target.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Readers ignore names that start with "_", so what a killed process leaves behind does no harm.
        unfinished = path.parent / f"_put-{uuid4().hex}"
        try:
            with source.open("rb") as data, unfinished.open("xb") as part:
                shutil.copyfileobj(data, part, 1 << 20)
                part.flush()
                os.fsync(part.fileno())
            unfinished.replace(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise

    def names(self, folder: UPath) -> list[str]:
        """As `store.names`."""
        path = Path(folder.path)
        return [child.name for child in path.iterdir()] if path.is_dir() else []

    def changed(self, path: UPath) -> datetime | None:
        """Return the time of the last modification; None if nothing is there."""
        try:
            return datetime.fromtimestamp(Path(path.path).stat().st_mtime, UTC)
        except FileNotFoundError:
            return None

    def remove(self, path: UPath) -> None:
        """Remove a file, which may be gone already."""
        Path(path.path).unlink(missing_ok=True)

    def remove_if_empty(self, folder: UPath) -> None:
        """Remove the folder unless something is in it."""
        with suppress(OSError):  # another publisher removed it, or put something into it
            Path(folder.path).rmdir()

    @contextmanager
    def locked(self, folder: UPath) -> Iterator[None]:
        """Hold the file lock of the table; the system frees it when the process dies.

        It lies beside the schema, because Polars cannot read a folder that has it.
        """
        path = Path(folder.path)
        beside = path.parent / "_schemas"
        beside.mkdir(parents=True, exist_ok=True)
        with FileLock(beside / f"{path.name}.lock"):
            yield
