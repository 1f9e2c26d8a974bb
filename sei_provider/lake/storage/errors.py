"""Errors of disks and stores as `StoreError`: the operation, the path, the system's message and a remedy.

Knows error numbers and no particular store.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from sei_provider.lake.errors import StoreError

_FULL = "free some space there, or raise the quota, and run the task again"
_FORBIDDEN = "give this process write access, or mount it for writing, and run the task again"
_OTHER = "run the task again; if the error persists, check the store, its address and its credentials"
_ADVICE = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: _FULL,
    errno.EROFS: _FORBIDDEN,
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
}


class Explanation(NamedTuple):
    """Cause of a failure, and a remedy."""

    message: str
    advice: str


@contextmanager
def store_errors(
    operation: str,
    path: object,
    errors: tuple[type[Exception], ...],
    explain: Callable[[Exception], Explanation],
) -> Iterator[None]:
    """Raise the store's `errors` as a `StoreError` that names the operation, the path and a remedy."""
    try:
        yield
    except errors as error:
        what, advice = explain(error)
        msg = f"cannot {operation} {path}: {what}; {advice}. No object of the lake is left incomplete"
        # The message of a store can hold what it was asked with; that of the system cannot.
        raise StoreError(msg) from (error if isinstance(error, OSError) and error.errno else None)


@contextmanager
def opening_errors(address: object, errors: tuple[type[Exception], ...]) -> Iterator[None]:
    """Raise the `errors` of a store's client, which was given no account or a broken key, as a `StoreError`."""
    try:
        yield
    except errors as error:
        msg = (
            f"cannot open {address}: its connection or environment does not describe a store ({type(error).__name__}); "
            "check the account, the key and the endpoint there"
        )
        raise StoreError(msg) from None  # the client's message can hold what it was given


def explain_system_error(error: Exception) -> Explanation:
    """Explain an error of a disk, or of a store behind fsspec, by its number."""
    # s3fs raises PermissionError without a number.
    number = errno.EACCES if isinstance(error, PermissionError) else getattr(error, "errno", None)
    return Explanation(message_of(error), _ADVICE.get(number or 0, _OTHER))


def message_of(error: Exception) -> str:
    """Return the message of the system or the store."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
