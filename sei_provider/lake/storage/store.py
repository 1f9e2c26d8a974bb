"""Objects of the lake: read one, put one atomically, on local disk or in an object store.

Nothing outside `storage` may open an object for writing: an exception inside `open("wb")` leaves half an object,
on disk and on S3 (DESIGN, decision 14).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from upath import UPath

from sei_provider.lake.errors import UnsupportedStoreError
from sei_provider.lake.storage.address import split_address
from sei_provider.lake.storage.backend import AtomicPutStore, Backend, Fetched, Lake, LakePath, Result
from sei_provider.lake.storage.disk_path import DiskPath
from sei_provider.lake.storage.errors import opening_errors, store_errors
from sei_provider.lake.storage.local import LocalDisk
from sei_provider.lake.storage.object_path import ObjectPath
from sei_provider.lake.storage.scratch import scratch_folder

MAX_WORKERS = 16
"""Objects read, fetched or removed at the same time: each waits for the store or the disk."""

Item = TypeVar("Item")


def lake_path(lake: Lake, *, address: str | None = None) -> LakePath:
    """Return the root of a lake as a path.

    An `S3Store` or `AzureStore` of obstore becomes an `ObjectPath`, as does an `s3://` or `abfs://` address, whose
    credentials obstore takes from the environment or the machine. A place on local disk becomes a `DiskPath`, whose
    root it is. All else stays or becomes a `UPath`; Airflow's ObjectStoragePath is one already. `address` is how
    messages and manifests name the bucket of a store. Raises `LakeAddressError` if stores could take the address for
    another place.
    """
    if isinstance(lake, (ObjectPath, DiskPath)):
        return lake
    if isinstance(lake, (str, Path)):
        return _from_address(str(lake))
    if not hasattr(lake, "protocol"):
        return _object_root(lake, address)
    path: UPath = cast("UPath", lake)
    if path.protocol in _DISK_PROTOCOLS:
        scheme, slashes, _ = str(path).rpartition("://")
        return DiskPath(Path(path.path), prefix=scheme + slashes)
    split_address(str(path))
    return path


def _from_address(address: str) -> LakePath:
    scheme, bucket, key = split_address(address)
    if scheme in _EXTRAS:
        return _store_from_address(scheme, bucket, key)
    if scheme in _DISK_PROTOCOLS:
        return DiskPath(Path(key), prefix=f"{scheme}://" if scheme else "")
    return UPath(f"{scheme}://{bucket}/{key}")


def staging_path(folder: Lake) -> LakePath:
    """Return a task's staging folder as a path; on disk its root is that of the lake around `_staging`."""
    path = lake_path(folder)
    return path.within("_staging") if isinstance(path, DiskPath) else path


def private(path: LakePath) -> LakePath:
    """Return a path below which all that is made on local disk is for its owner alone."""
    return replace(path, private=True) if isinstance(path, DiskPath) else path


def require_safe_writes(path: LakePath, *, single_writer: bool) -> None:
    """Raise `UnsupportedStoreError` if this store cannot keep two writers apart, unless `single_writer` is true."""
    if single_writer:
        _backend(path)
        return
    with _errors("write", path):
        because = _backend(path).unconditional_because
    if because:
        msg = (
            f"cannot write {path}: this store {because}; "
            "if you make sure that there is never more than one publisher, pass single_writer=True"
        )
        raise UnsupportedStoreError(msg)


def read(path: LakePath, use: Callable[[BinaryIO], Result]) -> Result | None:
    """Return what `use` makes of the object, which it gets as a seekable file; None if the object does not exist.

    `use` sees one version of the object and is called again if that version is replaced meanwhile. Raises
    `StoreError`, as all functions of this module do, if the disk or the store fails.
    """
    with _errors("read", path):
        return _backend(path).read(_place(path), use)


def read_each(paths: Sequence[LakePath], use: Callable[[BinaryIO], Result]) -> list[Result | None]:
    """Return what `read` returns for each path; up to `MAX_WORKERS` are read at the same time."""
    return _each(lambda path: read(path, use), paths)


def fetch(path: LakePath, into: Path) -> Fetched:
    """Copy the object to the local file `into`, unless it is a local file already, and return it with its version."""
    with _errors("read", path):
        return _backend(path).fetch(_place(path), into)


def fetch_each(paths: Sequence[LakePath], into: Path) -> list[Fetched]:
    """Return what `fetch` returns for each path, in files of the folder `into`, concurrently as `read_each` does."""
    return _each(lambda numbered: fetch(numbered[1], into / f"{numbered[0]}"), list(enumerate(paths)))


def put(target: LakePath, source: Path, *, if_match: str | None = None) -> None:
    """Make `target` a copy of the local file `source`.

    Atomic and durable: readers see the complete old object or the complete new one, also if this process dies.
    `if_match` is the version that the target must still have, `MISSING` if it must not exist. If another writer has
    put it since, raises `ConflictError` and puts nothing. On disk nothing is compared: hold `locked` instead.
    """
    with _errors("write", target):
        _backend(target).put(_place(target), source, if_match)


def put_bytes(target: LakePath, data: bytes, *, if_match: str | None = None) -> None:
    """Make `data` the content of `target`, as `put` does."""
    with scratch_folder() as scratch:
        source = scratch / "object"
        source.write_bytes(data)
        put(target, source, if_match=if_match)


def names(folder: LakePath) -> list[str]:
    """List the names directly below a folder, objects and folders; none if the folder does not exist."""
    with _errors("list", folder):
        return sorted(_backend(folder).names(_place(folder)))


def last_change(folder: LakePath) -> datetime | None:
    """Return when an object directly below the folder was last put, or an empty folder made; None if neither exists."""
    with _errors("list", folder):
        backend = _backend(folder)
        folder = _place(folder)
        times = (backend.changed(folder / name) for name in backend.names(folder))
        return max((time for time in times if time), default=None) or backend.changed(folder)


def remove_each(paths: Sequence[LakePath]) -> None:
    """Remove objects of one store, which may be gone already: in bulk, or concurrently as `read_each`, in no order."""
    if not paths:
        return
    backend = _backend(paths[0])

    def remove(batch: Sequence[LakePath]) -> None:
        with _errors("remove", batch[0]):
            backend.remove([_place(path) for path in batch])

    at_once = backend.removed_at_once
    _each(remove, [paths[first : first + at_once] for first in range(0, len(paths), at_once)])


def remove_unfinished(lake: LakePath, *, older_than: datetime) -> list[str]:
    """Remove files that killed writers left behind, and return their names in the lake; object stores keep none."""
    with _errors("sweep", lake):
        return _DISK.remove_unfinished(lake, older_than) if isinstance(lake, DiskPath) else []


def remove_if_empty(folder: LakePath) -> None:
    """Remove the folder unless something is in it; an object store has no folders."""
    _backend(folder).remove_if_empty(_place(folder))


@contextmanager
def locked(folder: LakePath) -> Iterator[None]:
    """Keep other publishers on this machine out of a table on disk. Waits without limit."""
    with ExitStack() as stack:
        with _errors("lock", folder):
            stack.enter_context(_backend(folder).locked(_place(folder)))
        yield


def _errors(operation: str, path: LakePath) -> AbstractContextManager[None]:
    backend = _backend(path)
    return store_errors(operation, path, backend.errors, backend.explain)


def _each(call: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Call for each item, by threads that take every n-th: a queue of thousands costs as much as the calls."""
    results: list[Any] = [None] * len(items)
    parts = [items[first::MAX_WORKERS] for first in range(min(MAX_WORKERS, len(items)))]
    with ThreadPoolExecutor(MAX_WORKERS, thread_name_prefix="sei-lake") as pool:
        for first, part in enumerate(pool.map(lambda part: [call(item) for item in part], parts)):
            results[first::MAX_WORKERS] = part
    return results


def _backend(path: Any) -> Backend:
    if isinstance(path, ObjectPath):
        return path.store
    protocol = path.protocol
    if protocol in _DISK_PROTOCOLS:
        return _DISK
    if protocol in _ATOMIC_PUT_PROTOCOLS:
        return _ATOMIC_PUTS
    msg = (
        f"cannot use {path}: puts to a {protocol} store are not atomic; "
        "use local disk, S3, Google Cloud Storage or Azure Blob Storage"
    )
    raise UnsupportedStoreError(msg)


def _place(path: Any) -> Any:
    """Return the path as its store takes it: one on disk that no lake gave lies below its own folder."""
    if isinstance(path, DiskPath) or path.protocol not in _DISK_PROTOCOLS:
        return path
    return DiskPath(Path(path.path).parent, Path(path.path).name)


def _object_root(store: Any, address: str | None) -> ObjectPath:
    from sei_provider.lake.storage.object_store import ObjectStore

    if type(store).__name__ not in {"S3Store", "AzureStore"}:
        msg = (
            f"cannot use obstore's {type(store).__name__} as a lake: give an S3Store, an AzureStore, or a UPath, "
            "which local disk and Google Cloud Storage take"
        )
        raise UnsupportedStoreError(msg)
    opened = ObjectStore(store, address)
    return ObjectPath(opened, opened.root)


def _store_from_address(scheme: str, bucket: str, key: str) -> ObjectPath:
    if "@" in bucket:
        msg = (
            f"cannot use {scheme}://{bucket}/{key}: it names a connection, which only Airflow has; "
            "give the store itself, or the address without a connection"
        )
        raise UnsupportedStoreError(msg)
    try:
        from obstore.exceptions import BaseError
        from obstore.store import AzureStore, S3Store
    except ImportError:
        msg = (
            f"cannot use {scheme}://{bucket}/{key}: obstore is missing; install airflow-provider-sei[{_EXTRAS[scheme]}]"
        )
        raise UnsupportedStoreError(msg) from None
    with opening_errors(f"{scheme}://{bucket}", (BaseError, ValueError)):
        return _object_root((S3Store if scheme == "s3" else AzureStore)(bucket, prefix=key or None), None)


_DISK = LocalDisk()
_ATOMIC_PUTS = AtomicPutStore()
_DISK_PROTOCOLS = ("", "file", "local")
_EXTRAS = {"s3": "s3", "abfs": "azure"}
_ATOMIC_PUT_PROTOCOLS = ("memory", "gs", "gcs", "s3", "s3a", "az", "abfs", "abfss", "adl")
