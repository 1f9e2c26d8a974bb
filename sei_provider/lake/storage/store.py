"""Objects of the lake: read one, put one atomically, on local disk or in an object store.

Nothing outside `storage` may open an object for writing: an exception inside `open("wb")` leaves half an object,
on disk and on S3 (DESIGN, decision 14).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from upath import UPath

from sei_provider.lake.errors import UnsupportedStoreError
from sei_provider.lake.storage.backend import AtomicPutStore, Backend, Fetched, Result
from sei_provider.lake.storage.errors import store_errors
from sei_provider.lake.storage.local import LocalDisk
from sei_provider.lake.storage.scratch import scratch_folder

MAX_WORKERS = 16
"""Objects read, fetched or removed at the same time: each waits for the store or the disk."""

Item = TypeVar("Item")


def lake_path(lake: UPath | Path | str) -> UPath:
    """Return the root of a lake as a path object; Airflow's ObjectStoragePath is one already."""
    return UPath(lake) if isinstance(lake, (str, Path)) else lake


def require_safe_writes(path: UPath, *, single_writer: bool) -> None:
    """Raise `UnsupportedStoreError` if this store cannot keep two writers apart, unless `single_writer` is true."""
    if not (_backend(path).conditional or single_writer):
        msg = (
            f"cannot write {path}: this store cannot keep concurrent publishers apart, only local disk and S3 can; "
            "if you make sure that there is never more than one publisher, pass single_writer=True"
        )
        raise UnsupportedStoreError(msg)


def read(path: UPath, use: Callable[[BinaryIO], Result]) -> Result | None:
    """Return what `use` makes of the object, which it gets as a seekable file; None if the object does not exist.

    `use` sees one version of the object and is called again if that version is replaced meanwhile. Raises
    `StoreError`, as all functions of this module do, if the disk or the store fails.
    """
    with _errors("read", path):
        return _backend(path).read(path, use)


def read_each(paths: Sequence[UPath], use: Callable[[BinaryIO], Result]) -> list[Result | None]:
    """Return what `read` returns for each path; up to `MAX_WORKERS` are read at the same time."""
    return _each(lambda path: read(path, use), paths)


def fetch(path: UPath, into: Path) -> Fetched:
    """Copy the object to the local file `into`, unless it is a local file already, and return it with its version."""
    with _errors("read", path):
        return _backend(path).fetch(path, into)


def fetch_each(paths: Sequence[UPath], into: Path) -> list[Fetched]:
    """Return what `fetch` returns for each path, in files of the folder `into`, concurrently as `read_each` does."""
    return _each(lambda numbered: fetch(numbered[1], into / f"{numbered[0]}"), list(enumerate(paths)))


def put(target: UPath, source: Path, *, if_match: str | None = None) -> None:
    """Make `target` a copy of the local file `source`.

    Atomic and durable: readers see the complete old object or the complete new one, also if this process dies.
    `if_match` is the version that the target must still have, `MISSING` if it must not exist. If another writer has
    put it since, raises `ConflictError` and puts nothing. On disk nothing is compared: hold `locked` instead.
    """
    with _errors("write", target):
        _backend(target).put(target, source, if_match)


def put_bytes(target: UPath, data: bytes, *, if_match: str | None = None) -> None:
    """Make `data` the content of `target`, as `put` does."""
    with scratch_folder() as scratch:
        source = scratch / "object"
        source.write_bytes(data)
        put(target, source, if_match=if_match)


def names(folder: UPath) -> list[str]:
    """List the names directly below a folder, objects and folders; none if the folder does not exist."""
    with _errors("list", folder):
        return sorted(_backend(folder).names(folder))


def last_change(folder: UPath) -> datetime | None:
    """Return when an object directly below the folder was last put, or an empty folder made; None if neither exists."""
    with _errors("list", folder):
        backend = _backend(folder)
        times = (backend.changed(folder / name) for name in backend.names(folder))
        return max((time for time in times if time), default=None) or backend.changed(folder)


def remove_each(paths: Sequence[UPath]) -> None:
    """Remove objects, which may be gone already, concurrently as `read_each` does and so in no order."""

    def remove(path: UPath) -> None:
        with _errors("remove", path):
            _backend(path).remove(path)

    _each(remove, paths)


def remove_if_empty(folder: UPath) -> None:
    """Remove the folder unless something is in it; an object store has no folders."""
    _backend(folder).remove_if_empty(folder)


@contextmanager
def locked(folder: UPath) -> Iterator[None]:
    """Keep other publishers on this machine out of a table on disk. Waits without limit."""
    with ExitStack() as stack:
        with _errors("lock", folder):
            stack.enter_context(_backend(folder).locked(folder))
        yield


def _errors(operation: str, path: UPath) -> AbstractContextManager[None]:
    return store_errors(operation, path, _backend(path).errors)


def _each(call: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Call for each item, by threads that take every n-th: a queue of thousands costs as much as the calls."""
    results: list[Any] = [None] * len(items)
    parts = [items[first::MAX_WORKERS] for first in range(min(MAX_WORKERS, len(items)))]
    with ThreadPoolExecutor(MAX_WORKERS, thread_name_prefix="sei-lake") as pool:
        for first, part in enumerate(pool.map(lambda part: [call(item) for item in part], parts)):
            results[first::MAX_WORKERS] = part
    return results


def _backend(path: Any) -> Backend:
    protocol = path.protocol
    if protocol in {"", "file", "local"}:
        return _DISK
    if protocol in {"s3", "s3a"}:
        from sei_provider.lake.storage.cloud import S3

        return S3()
    if protocol in {"memory", "gs", "gcs", "az", "abfs", "abfss"}:
        return _ATOMIC_PUTS
    msg = (
        f"cannot use {path}: puts to a {protocol} store are not atomic; "
        "use local disk, S3, Google Cloud Storage or Azure Blob Storage"
    )
    raise UnsupportedStoreError(msg)


_DISK = LocalDisk()
_ATOMIC_PUTS = AtomicPutStore()
