"""Interface of a store, and the implementation for stores that fsspec alone serves.

Internal to `storage`: other packages call the functions of `store`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

from upath import UPath

MISSING = ""
"""Version of an object that does not exist."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Fetched:
    """One version of an object, in a local file; `file` is None if the object does not exist."""

    file: Path | None
    version: str


class Backend(Protocol):
    """One kind of store. The functions of `store` that have the same names say what each method guarantees."""

    conditional: bool
    """True if two concurrent writers lose nothing of each other."""
    errors: tuple[type[Exception], ...]
    """Exceptions that it raises when it is full, read-only, forbidden or unreachable."""

    def read(self, path: UPath, use: Callable[[BinaryIO], Result]) -> Result | None:
        """Return what `use` makes of one version of the object; None if it does not exist."""

    def fetch(self, path: UPath, into: Path) -> Fetched:
        """Copy one version of the object to `into`, unless it is a local file already."""

    def put(self, target: UPath, source: Path, if_match: str | None) -> None:
        """Copy a local file to `target` atomically, if the object still has the version `if_match`."""

    def names(self, folder: UPath) -> list[str]:
        """List the names directly below a folder."""

    def changed(self, path: UPath) -> datetime | None:
        """Return when the object was last put; None if it does not exist."""

    def remove(self, path: UPath) -> None:
        """Remove an object, which may be gone already."""

    def remove_if_empty(self, folder: UPath) -> None:
        """Remove a folder that holds nothing."""

    def locked(self, folder: UPath) -> AbstractContextManager[None]:
        """Keep other publishers out of a table."""


class AtomicPutStore:
    """Object store behind fsspec whose puts are atomic but take no condition: safe for one writer only."""

    conditional = False
    errors: tuple[type[Exception], ...] = (OSError,)

    def read(self, path: UPath, use: Callable[[BinaryIO], Result]) -> Result | None:
        """As `store.read`."""
        path.fs.invalidate_cache()  # what was listed a while ago may be another version
        try:
            data = path.fs.open(path.path, "rb")
        except FileNotFoundError:
            return None
        with data:
            return use(data)

    def fetch(self, path: UPath, into: Path) -> Fetched:
        """As `store.fetch`."""
        try:
            path.fs.get_file(path.path, str(into))
        except FileNotFoundError:
            return Fetched(None, MISSING)
        return Fetched(into, "single writer")

    def put(self, target: UPath, source: Path, if_match: str | None) -> None:  # noqa: ARG002  no conditions here
        """As `store.put`."""
        target.fs.put_file(str(source), target.path)

    def names(self, folder: UPath) -> list[str]:
        """As `store.names`."""
        fs, inside = folder.fs, folder.path.strip("/") + "/"
        fs.invalidate_cache()
        try:
            found = [str(name).strip("/") for name in fs.ls(inside, detail=False)]
        except FileNotFoundError:
            return []
        # A listing is by prefix in some stores, and may hold the folder itself: `foo` is not `foo_unprocessed`.
        return [name.removeprefix(inside) for name in found if name.startswith(inside)]

    def changed(self, path: UPath) -> datetime | None:
        """Return when the object was last put; None if it does not exist, and for a folder, which is only a prefix."""
        try:
            found: datetime | None = path.fs.modified(path.path)
        except (FileNotFoundError, IsADirectoryError):
            return None
        return found

    def remove(self, path: UPath) -> None:
        """Remove an object, which may be gone already."""
        with suppress(FileNotFoundError):
            path.fs.rm_file(path.path)

    def remove_if_empty(self, folder: UPath) -> None:
        """Do nothing: an object store has no folders."""

    def locked(self, folder: UPath) -> AbstractContextManager[None]:  # noqa: ARG002  nothing to lock
        """Lock nothing: the condition on the put, or the single writer, keeps writers apart."""
        return nullcontext()
