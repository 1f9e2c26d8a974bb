"""What to say when a disk or a store does not let us: what was being done where, what it said, what to do.

Knows error numbers, and no store.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from sei_provider.lake.errors import StoreError

_NO_ROOM = "free some room there, or raise the quota, and run it again"
_NO_RIGHT = "give this process the right to, or mount it for writing, and run it again"
_ELSE = "run it again; if it stays so, look at the store, its address and its credentials"
_ADVICE = {
    errno.ENOSPC: _NO_ROOM,
    errno.EDQUOT: _NO_ROOM,
    errno.EFBIG: _NO_ROOM,
    errno.EROFS: _NO_RIGHT,
    errno.EACCES: _NO_RIGHT,
    errno.EPERM: _NO_RIGHT,
}


@contextmanager
def naming(doing: str, path: object, errors: tuple[type[Exception], ...]) -> Iterator[None]:
    """Turn the store's `errors` into a `StoreError` that names path and remedy."""
    try:
        yield
    except errors as error:
        number = errno.EACCES if isinstance(error, PermissionError) else getattr(error, "errno", None)  # s3fs has none
        advice = _ADVICE.get(number or 0, _ELSE)
        msg = f"cannot {doing} {path}: {said(error)}; {advice}. Every object of the lake is whole, old or new"
        raise StoreError(msg) from error


def said(error: Exception) -> str:
    """What the system or the store said."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
