"""One version of a large object, read by ranges as a file."""

from __future__ import annotations

import io
from typing import Any

import obstore
from obstore.exceptions import BaseError, PreconditionError
from obstore.store import AzureStore, S3Store

from sei_provider.lake.storage.backend import ReplacedError


class PinnedObject(io.RawIOBase):
    """One version of an object, read by ranges; `replaced` once the store has another one."""

    def __init__(self, store: S3Store | AzureStore, key: str, size: int, e_tag: str | None) -> None:
        self.store, self._key, self._size, self._e_tag = store, key, size, e_tag
        self._position = 0
        self.replaced = False

    def readable(self) -> bool:
        """Return true."""
        return True

    def seekable(self) -> bool:
        """Return true."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position and return it."""
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Read the next part of the version that was opened; raises if the store has another one."""
        into = memoryview(buffer)
        end = min(self._position + len(into), self._size)
        if end <= self._position:
            return 0
        try:
            found = obstore.get(
                self.store, self._key, options={"range": (self._position, end), "if_match": self._e_tag}
            )
            part = memoryview(found.bytes())
        except (PreconditionError, FileNotFoundError):
            self.replaced = True
            raise
        except BaseError:  # 416 where the store reads whatever version it has, and that has become shorter
            self.replaced = obstore.head(self.store, self._key)["e_tag"] != self._e_tag
            raise
        if found.meta["e_tag"] != self._e_tag:  # not every store honours If-Match on a read
            self.replaced = True
            msg = f"{self._key} was replaced while it was read"
            raise ReplacedError(msg)
        into[: len(part)] = part
        self._position += len(part)
        return len(part)
