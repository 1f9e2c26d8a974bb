"""Objects of the lake: read one, put one whole, on local disk or in an object store.

The only place, with `cloud` beside it, that knows what kind of store it is. Nothing else may open an object for
writing: an exception inside `open("wb")` leaves half of it, on disk and on S3 (DESIGN, decision 14).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar
from uuid import uuid4

from filelock import FileLock
from upath import UPath

from sei_provider.lake.errors import UnsupportedStoreError
from sei_provider.lake.storage.errors import naming
from sei_provider.lake.storage.scratch import scratch_folder

ABSENT = ""
"""The version of an object that is not there."""

Item = TypeVar("Item")
Result = TypeVar("Result")
_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Fetched:
    """One version of an object, in a local file; `file` is None if there is no object."""

    file: Path | None
    version: str


class _Store(Protocol):
    """What each kind of store can do; the functions below say what it means."""

    conditional: bool
    """Whether two writers lose nothing of each other."""
    errors: tuple[type[Exception], ...]
    """What it raises when it is full, read-only, forbidden or out of reach."""

    def read(self, path: UPath, use: Callable[[BinaryIO], Result]) -> Result | None: ...
    def fetch(self, path: UPath, into: Path) -> Fetched: ...
    def put(self, target: UPath, source: Path, replacing: str | None) -> None: ...
    def names(self, folder: UPath) -> list[str]: ...
    def changed(self, path: UPath) -> datetime | None: ...
    def remove(self, path: UPath) -> None: ...
    def remove_if_empty(self, folder: UPath) -> None: ...
    def locked(self, folder: UPath) -> AbstractContextManager[None]: ...


def lake_path(lake: UPath | Path | str) -> UPath:
    """Give the lake's root as a path object; Airflow's ObjectStoragePath is one already."""
    return UPath(lake) if isinstance(lake, (str, Path)) else lake


def check_writers(path: UPath, *, single_writer: bool) -> None:
    """Raise `UnsupportedStoreError` if this store cannot keep two writers apart, unless there is only one."""
    if not (_store(path).conditional or single_writer):
        msg = (
            f"cannot write {path}: only on local disk and on S3 do two publishers at once lose nothing of each other; "
            "if you make sure that there is never more than one, say single_writer=True"
        )
        raise UnsupportedStoreError(msg)


def read(path: UPath, use: Callable[[BinaryIO], Result]) -> Result | None:
    """Give what `use` makes of the object, opened for reading anywhere in it; None if there is none.

    `use` sees one version of the object, and may be called again if that is replaced meanwhile. Raises `StoreError`,
    as all functions here do, if the disk or the store does not let us.
    """
    with _naming("read", path):
        return _store(path).read(path, use)


def read_each(paths: Sequence[UPath], use: Callable[[BinaryIO], Result]) -> list[Result | None]:
    """Give what `read` gives for each, a few at a time, since each waits for the store or the disk."""
    return _each(lambda path: read(path, use), paths)


def fetch(path: UPath, into: Path) -> Fetched:
    """Have the object in a local file, `into` unless it lies on disk anyway, and tell its version."""
    with _naming("read", path):
        return _store(path).fetch(path, into)


def fetch_each(paths: Sequence[UPath], into: Path) -> list[Fetched]:
    """Give what `fetch` gives for each, in files of the folder `into`, a few at a time as `read_each` does."""
    return _each(lambda numbered: fetch(numbered[1], into / f"{numbered[0]}"), list(enumerate(paths)))


def put(target: UPath, source: Path, *, replacing: str | None = None) -> None:
    """Make `target` a copy of the local file `source`.

    Atomic and durable: whoever reads, or dies, sees the whole old object or the whole new one.
    `replacing` is the version it must still have, `ABSENT` for none: raises `ConflictError`, and puts nothing, if
    another writer was faster. On disk that is what `locked` is for.
    """
    with _naming("write", target):
        _store(target).put(target, source, replacing)


def put_bytes(target: UPath, data: bytes, *, replacing: str | None = None) -> None:
    """Make `data` the content of `target`, as `put` does."""
    with scratch_folder() as scratch:
        source = scratch / "object"
        source.write_bytes(data)
        put(target, source, replacing=replacing)


def names(folder: UPath) -> list[str]:
    """The names right below a folder, objects and folders, as they are now; none if there is no such folder."""
    with _naming("list", folder):
        return sorted(_store(folder).names(folder))


def last_change(folder: UPath) -> datetime | None:
    """When an object right below the folder was last put, or an empty folder made; None if there is nothing."""
    with _naming("list", folder):
        store = _store(folder)
        times = (store.changed(folder / name) for name in store.names(folder))
        return max((time for time in times if time), default=None) or store.changed(folder)


def remove_each(paths: Sequence[UPath]) -> None:
    """Remove objects, which may be gone already, a few at a time as `read_each` does, so in no order."""

    def remove(path: UPath) -> None:
        with _naming("remove", path):
            _store(path).remove(path)

    _each(remove, paths)


def remove_if_empty(folder: UPath) -> None:
    """Remove the folder unless something is in it; in an object store it is gone with what was in it."""
    _store(folder).remove_if_empty(folder)


@contextmanager
def locked(folder: UPath) -> Iterator[None]:
    """Keep other publishers, of this machine, out of a table on disk. Waits for as long as it takes; death frees it."""
    with ExitStack() as stack:
        with _naming("lock", folder):
            stack.enter_context(_store(folder).locked(folder))
        yield


def _naming(doing: str, path: UPath) -> AbstractContextManager[None]:
    return naming(doing, path, _store(path).errors)


class _Disk:
    conditional = True
    errors: tuple[type[Exception], ...] = (OSError,)

    def read(self, path: UPath, use: Callable[[BinaryIO], Result]) -> Result | None:
        try:
            data = Path(path.path).open("rb")  # noqa: SIM115  only the opening may find nothing
        except (FileNotFoundError, NotADirectoryError):
            return None
        with data:
            return use(data)

    def fetch(self, path: UPath, into: Path) -> Fetched:  # noqa: ARG002  it is local already
        file = Path(path.path)
        return Fetched(file, "locked") if file.exists() else Fetched(None, ABSENT)

    def put(self, target: UPath, source: Path, replacing: str | None) -> None:  # noqa: ARG002  see `locked`
        path = Path(target.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        # "_": readers of the folder pass over what a killed process leaves behind.
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
        path = Path(folder.path)
        return [child.name for child in path.iterdir()] if path.is_dir() else []

    def changed(self, path: UPath) -> datetime | None:
        try:
            return datetime.fromtimestamp(Path(path.path).stat().st_mtime, UTC)
        except FileNotFoundError:
            return None

    def remove(self, path: UPath) -> None:
        Path(path.path).unlink(missing_ok=True)

    def remove_if_empty(self, folder: UPath) -> None:
        with suppress(OSError):  # another publisher removed it, or something came in: neither is a reason to fail
            Path(folder.path).rmdir()

    @contextmanager
    def locked(self, folder: UPath) -> Iterator[None]:
        path = Path(folder.path)
        path.mkdir(parents=True, exist_ok=True)
        with FileLock(path / "_lock"):
            yield


class OneStepStore:
    """A store that fsspec speaks to and whose puts are one step, but bound to no condition."""

    conditional = False
    errors: tuple[type[Exception], ...] = (OSError,)

    def read(self, path: UPath, use: Callable[[BinaryIO], Result]) -> Result | None:
        """As `read` of this module."""
        path.fs.invalidate_cache()  # what was listed a while ago may be another version
        try:
            data = path.fs.open(path.path, "rb")
        except FileNotFoundError:
            return None
        with data:
            return use(data)

    def fetch(self, path: UPath, into: Path) -> Fetched:
        """As `fetch` of this module."""
        try:
            path.fs.get_file(path.path, str(into))
        except FileNotFoundError:
            return Fetched(None, ABSENT)
        return Fetched(into, "single writer")

    def put(self, target: UPath, source: Path, replacing: str | None) -> None:  # noqa: ARG002  no conditions here
        """As `put` of this module."""
        target.fs.put_file(str(source), target.path)

    def names(self, folder: UPath) -> list[str]:
        """As `names` of this module."""
        fs, inside = folder.fs, folder.path.strip("/") + "/"
        fs.invalidate_cache()
        try:
            found = [str(name).strip("/") for name in fs.ls(inside, detail=False)]
        except FileNotFoundError:
            return []
        # A listing is by prefix in some stores, and may hold the folder itself: `foo` is not `foo_unprocessed`.
        return [name.removeprefix(inside) for name in found if name.startswith(inside)]

    def changed(self, path: UPath) -> datetime | None:
        """When the object was last put; None if there is none, and of folders, which only look as if there were any."""
        try:
            found: datetime | None = path.fs.modified(path.path)
        except (FileNotFoundError, IsADirectoryError):
            return None
        return found

    def remove(self, path: UPath) -> None:
        """Remove an object; it may be gone already."""
        with suppress(FileNotFoundError):
            path.fs.rm_file(path.path)

    def remove_if_empty(self, folder: UPath) -> None:
        """Nothing to do: there are no folders."""

    def locked(self, folder: UPath) -> AbstractContextManager[None]:  # noqa: ARG002  nothing to lock
        """No lock: a condition on the put, or the single writer, does what it is for."""
        return nullcontext()


def _each(call: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Call for each, by threads that take every n-th: to hand thousands out singly takes as long as the calls do."""
    results: list[Any] = [None] * len(items)
    parts = [items[first::_AT_ONCE] for first in range(min(_AT_ONCE, len(items)))]
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="sei-lake") as pool:
        for first, part in enumerate(pool.map(lambda part: [call(item) for item in part], parts)):
            results[first::_AT_ONCE] = part
    return results


def _store(path: Any) -> _Store:
    protocol = path.protocol
    if protocol in {"", "file", "local"}:
        return _DISK
    if protocol in {"s3", "s3a"}:
        from sei_provider.lake.storage.cloud import S3

        return S3()
    if protocol in {"memory", "gs", "gcs", "az", "abfs", "abfss"}:
        return _ONE_STEP
    msg = (
        f"cannot use {path}: a put may be seen half done in a {protocol} store; "
        "the lake may lie on local disk, S3, Google Cloud Storage or Azure Blob Storage"
    )
    raise UnsupportedStoreError(msg)


_DISK = _Disk()
_ONE_STEP = OneStepStore()
