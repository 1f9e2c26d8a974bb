"""Interface of a store, and the implementation for stores that fsspec alone serves.

Internal to `storage`: other packages call the functions of `store`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TypeAlias, TypeVar

import stamina

from sei_provider.lake.errors import StoreError
from sei_provider.lake.storage.errors import Explanation, explain_system_error

if TYPE_CHECKING:
    from obstore.store import AzureStore, S3Store
    from upath import UPath

    from sei_provider.lake.storage.disk_path import DiskPath
    from sei_provider.lake.storage.object_path import ObjectPath

LakePath: TypeAlias = "UPath | ObjectPath | DiskPath"
"""Path of an object or a folder: on disk a `DiskPath`, in S3 and Azure an `ObjectPath`, behind fsspec a `UPath`."""

Lake: TypeAlias = "LakePath | Path | str | S3Store | AzureStore"
"""Forms in which users give a lake."""

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

    @property
    def conditional(self) -> bool:
        """True if two writers lose nothing of each other."""

    @property
    def unconditional_because(self) -> str:
        """Words for its treatment of conditions; empty if `conditional`."""

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """Errors of a store that is full, read-only, forbidden or out of reach."""

    def explain(self, error: Exception) -> Explanation:
        """Say what one of `errors` means."""

    def read(self, path: Any, use: Callable[[BinaryIO], Result]) -> Result | None:
        """Return what `use` makes of one version of the object; None if it does not exist."""

    def fetch(self, path: Any, into: Path) -> Fetched:
        """Copy one version of the object to `into`, unless it is a local file already."""

    def put(self, target: Any, source: Path, if_match: str | None) -> None:
        """Copy a local file to `target` atomically, if the object still has the version `if_match`."""

    def names(self, folder: Any) -> list[str]:
        """List the names directly below a folder."""

    def changed(self, path: Any) -> datetime | None:
        """Return when the object was last put; None if it does not exist."""

    @property
    def removed_at_once(self) -> int:
        """Number of objects that `remove` takes at once."""

    def remove(self, paths: Sequence[Any]) -> None:
        """Remove objects, which may be gone already."""

    def remove_if_empty(self, folder: Any) -> None:
        """Remove a folder that holds nothing."""

    def locked(self, folder: Any) -> AbstractContextManager[None]:
        """Keep other publishers out of a table."""


class ReplacedError(StoreError):
    """The object was replaced while it was read, so it is read again."""

    is_transient = True


def until_not_replaced() -> Iterable[stamina.Attempt]:
    """Return the attempts at reading one version of an object that publishers replace."""
    return stamina.retry_context(on=ReplacedError, attempts=10, timeout=None, wait_initial=0.05, wait_max=1)


class AtomicPutStore:
    """Object store behind fsspec whose puts are atomic but take no condition: safe for one writer only."""

    conditional = False
    removed_at_once = 1
    unconditional_because = "cannot keep two writers apart: only local disk, S3 and Azure Blob Storage can"

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """Errors of the system, and of those SDKs behind fsspec that are installed."""
        return (OSError, *_sdk_errors())

    def explain(self, error: Exception) -> Explanation:
        """As `explain_system_error`."""
        return explain_system_error(error)

    def read(self, path: UPath, use: Callable[[BinaryIO], Result]) -> Result | None:
        """As `store.read`. fsspec reads by ranges and pins no version, so the object is looked at before and after."""
        for attempt in until_not_replaced():
            with attempt:
                return self._read(path, use)
        return None

    def _read(self, path: UPath, use: Callable[[BinaryIO], Result]) -> Result | None:
        fs = path.fs
        fs.invalidate_cache()  # what was listed a while ago may be another version
        try:
            before = fs.info(path.path)
            with fs.open(path.path, "rb") as data:
                try:
                    result = use(data)
                finally:
                    fs.invalidate_cache()
                    if fs.info(path.path) != before:
                        msg = f"{path} was replaced every time it was read: run the task again"
                        raise ReplacedError(msg)
                return result
        except FileNotFoundError:
            return None

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
            self._require_bucket(folder)
            return []
        # A listing is by prefix in some stores, and may hold the folder itself: `foo` is not `foo_unprocessed`.
        return [name.removeprefix(inside) for name in found if name.startswith(inside)]

    def _require_bucket(self, folder: UPath) -> None:
        """Raise `FileNotFoundError` if the bucket is missing; a folder that is missing is one without objects."""
        if folder.protocol != "memory":
            folder.fs.ls(folder.path.strip("/").partition("/")[0], detail=False)

    def changed(self, path: UPath) -> datetime | None:
        """Return when the object was last put; None if it does not exist, and for a folder, which is only a prefix."""
        try:
            found: datetime | None = path.fs.modified(path.path)
        except (FileNotFoundError, IsADirectoryError):
            return None
        return found

    def remove(self, paths: Sequence[UPath]) -> None:
        """Remove an object, which may be gone already."""
        for path in paths:
            with suppress(FileNotFoundError):
                path.fs.rm_file(path.path)

    def remove_if_empty(self, folder: UPath) -> None:
        """Do nothing: an object store has no folders."""

    def locked(self, folder: UPath) -> AbstractContextManager[None]:  # noqa: ARG002  nothing to lock
        """Lock nothing: the condition on the put, or the single writer, keeps writers apart."""
        return nullcontext()


def _sdk_errors() -> list[type[Exception]]:
    """Return the errors of the clouds' SDKs that are no `OSError`; what is not imported has raised nothing."""
    named = (
        ("google.auth.exceptions", "GoogleAuthError"),
        ("gcsfs.retry", "HttpError"),
        ("botocore.exceptions", "BotoCoreError"),
        ("botocore.exceptions", "ClientError"),
        ("azure.core.exceptions", "AzureError"),
        ("aiohttp", "ClientError"),
    )
    return [getattr(sys.modules[module], name) for module, name in named if module in sys.modules]
