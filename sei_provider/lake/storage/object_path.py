"""Path of an object in an obstore store, with those parts of UPath's interface that the lake uses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sei_provider.lake.storage.object_store import ObjectStore


@dataclass(frozen=True, slots=True)
class ObjectPath:
    """A key of a bucket, relative to the bucket; the empty key is the bucket itself."""

    store: ObjectStore
    key: str

    def __truediv__(self, name: str) -> ObjectPath:
        return ObjectPath(self.store, f"{self.key}/{name}".strip("/"))

    def __str__(self) -> str:
        return f"{self.store.address}/{self.key}".rstrip("/")

    @property
    def protocol(self) -> str:
        """Scheme of the address: `s3` or `abfs`."""
        return self.store.address.partition(":")[0]

    @property
    def path(self) -> str:
        """Bucket and key, as fsspec names an object."""
        return f"{self.store.bucket}/{self.key}".rstrip("/")

    @property
    def name(self) -> str:
        """Last part of the key."""
        return PurePosixPath(self.key).name

    @property
    def parent(self) -> ObjectPath:
        """Folder that the object lies in; the bucket is its own parent."""
        return ObjectPath(self.store, self.key.rpartition("/")[0])

    @property
    def parents(self) -> list[ObjectPath]:
        """All folders that the object lies in, the nearest first, the bucket last."""
        found = [self.parent] if self.key else []
        while found and found[-1].key:
            found.append(found[-1].parent)
        return found

    def with_suffix(self, suffix: str) -> ObjectPath:
        """Return the path with another suffix."""
        return ObjectPath(self.store, str(PurePosixPath(self.key).with_suffix(suffix)))
