"""Local disk: atomic puts by renaming a complete file, and one file lock per table. Follows no link below the lake.

Each call walks from the lake's root by descriptors of folders, so a link that takes a folder's place meanwhile is not
followed either. Only `fetch` gives a path, which its caller opens later.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from sei_provider.lake.errors import LinkError
from sei_provider.lake.storage.backend import MISSING, Fetched, Result
from sei_provider.lake.storage.disk_path import DiskPath
from sei_provider.lake.storage.errors import Explanation, explain_system_error

UNFINISHED = "_put-"
"""Prefix of a file that is being written. Readers ignore names that start with "_", so what a killed process leaves
behind does no harm."""

_WALK = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""`O_NONBLOCK`: opening a pipe that lies in a file's place must not wait for somebody who writes to it."""


class LocalDisk:
    """Local disk. Versions are not compared: publishers hold the lock of the table."""

    conditional = True
    removed_at_once = 1
    unconditional_because = ""
    errors: tuple[type[Exception], ...] = (OSError,)

    def explain(self, error: Exception) -> Explanation:
        """As `explain_system_error`."""
        return explain_system_error(error)

    def read(self, path: DiskPath, use: Callable[[BinaryIO], Result]) -> Result | None:
        """As `store.read`."""
        try:
            with _folder(path.parent) as folder:
                data = os.fdopen(_open(path, _READ, folder), "rb")
        except (FileNotFoundError, NotADirectoryError):
            return None
        with data:
            return use(data)

    def fetch(self, path: DiskPath, into: Path) -> Fetched:  # noqa: ARG002  a local file is not copied
        """Return the object itself: it is a local file."""
        try:
            with _folder(path.parent) as folder:
                os.close(_open(path, _READ, folder))
        except (FileNotFoundError, NotADirectoryError):
            return Fetched(None, MISSING)
        return Fetched(Path(path.path), "locked")

    def put(self, target: DiskPath, source: Path, if_match: str | None) -> None:  # noqa: ARG002  writers hold the lock
        """Write a complete file beside the target, then rename it: readers see the old object or the new one.

        A link in the target's place is replaced, and what it leads to stays as it is.
        """
        unfinished = f"{UNFINISHED}{uuid4().hex}"
        create = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with source.open("rb") as data, _folder(target.parent, make=True) as folder:
            try:
                file = os.open(unfinished, create, 0o600 if target.is_private else 0o666, dir_fd=folder)
                with os.fdopen(file, "wb") as part:
                    shutil.copyfileobj(data, part, 1 << 20)
                    part.flush()
                    os.fsync(part.fileno())
                os.replace(unfinished, _checked(target.name), src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with suppress(FileNotFoundError):
                    os.unlink(unfinished, dir_fd=folder)
                raise

    def names(self, folder: DiskPath) -> list[str]:
        """As `store.names`."""
        try:
            with _folder(folder) as found:
                listing = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=found)
        except (FileNotFoundError, NotADirectoryError):
            return []
        try:
            return os.listdir(listing)  # noqa: PTH208  a Path has no descriptor
        finally:
            os.close(listing)

    def changed(self, path: DiskPath) -> datetime | None:
        """Return the time of the last modification; None if nothing is there."""
        try:
            with _folder(path.parent) as folder:
                found = os.stat(path.name if path.key else ".", dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return datetime.fromtimestamp(found.st_mtime, UTC)

    def remove(self, paths: Sequence[DiskPath]) -> None:
        """Remove a file, which may be gone already; of a link only the link itself."""
        for path in paths:
            with suppress(FileNotFoundError), _folder(path.parent) as folder:
                os.unlink(_checked(path.name), dir_fd=folder)

    def remove_if_empty(self, folder: DiskPath) -> None:
        """Remove the folder unless something is in it."""
        with suppress(OSError), _folder(folder.parent) as parent:  # gone, or another publisher put something into it
            os.rmdir(_checked(folder.name), dir_fd=parent)

    def remove_unfinished(self, root: DiskPath, older_than: datetime) -> list[str]:
        """Remove what killed writers left of files under way, and return the names, relative to the lake."""
        removed = []
        with suppress(FileNotFoundError), _folder(root) as lake:
            for folder, _, files, opened in os.fwalk(".", dir_fd=lake):
                for name in (name for name in files if name.startswith(UNFINISHED)):
                    with suppress(FileNotFoundError):
                        found = os.stat(name, dir_fd=opened, follow_symlinks=False)
                        if stat.S_ISREG(found.st_mode) and found.st_mtime < older_than.timestamp():
                            os.unlink(name, dir_fd=opened)
                            removed.append(os.path.normpath(f"{folder}/{name}"))
        return removed

    @contextmanager
    def locked(self, folder: DiskPath) -> Iterator[None]:
        """Hold the file lock of the table; the system frees it when the process dies.

        It lies beside the schema, because Polars cannot read a folder that has it. Nothing is written to it, so a file
        that somebody has linked there stays as it is.
        """
        lock = folder.parent / "_schemas" / f"{folder.name}.lock"
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with _folder(lock.parent, make=True) as beside:
            file = _open(lock, flags, beside)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)


@contextmanager
def _folder(path: DiskPath, *, make: bool = False) -> Iterator[int]:
    """Open a folder of the lake, for calls relative to it; `make` those that are missing. Raises `LinkError`."""
    if make:
        path.root.mkdir(mode=0o700 if path.private else 0o777, parents=True, exist_ok=True)
    opened = os.open(path.root, _WALK)
    here = replace(path, key="")
    try:
        for part in path.parts:
            here = here / _checked(part)
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, 0o700 if here.is_private else 0o777, dir_fd=opened)
            try:
                inner = os.open(part, _WALK | os.O_NOFOLLOW, dir_fd=opened)
            except NotADirectoryError:
                _refuse_link(here, opened)
                raise
            os.close(opened)
            opened = inner
        yield opened
    finally:
        os.close(opened)


def _open(path: DiskPath, flags: int, folder: int) -> int:
    """Open a file that is no link, pipe or device."""
    try:
        file = os.open(_checked(path.name), flags, 0o666, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP:
            _refuse_link(path, folder)
        raise
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, "this is not a file", str(path))
    return file


def _refuse_link(path: DiskPath, folder: int) -> None:
    with suppress(FileNotFoundError):
        if stat.S_ISLNK(os.stat(path.name, dir_fd=folder, follow_symlinks=False).st_mode):
            msg = (
                f"{path} is a symbolic link, and none is followed below the lake {path.root}, since it can lead out of "
                "it: put the folder or the file itself there. The root of a lake may be a link"
            )
            raise LinkError(msg)


def _checked(name: str) -> str:
    if name in {"", ".", ".."} or "/" in name or "\0" in name:
        raise OSError(errno.EINVAL, f"{name!r} cannot name a file or folder")
    return name
