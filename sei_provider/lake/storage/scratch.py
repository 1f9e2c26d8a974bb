"""Temporary files: local disk for objects while they are built, before they are put into the lake.

Only their owner may read them, whatever the umask. A folder is locked for as long as its process lives, so what a
killed one left behind can be told from what is in use.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sei_provider.lake.errors import StoreError
from sei_provider.lake.storage.errors import message_of

_PREFIX = "sei-scratch-"
LEFT_BEHIND_AFTER = timedelta(days=1)
"""Age at which a folder that no process holds is removed: one is not locked yet in the moment after it was made."""


@contextmanager
def private_folder() -> Iterator[Path]:
    """Create a temporary folder, 0700, and remove it afterwards."""
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as folder:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with suppress(OSError):  # a file system without locks: age alone decides there
                fcntl.flock(held, fcntl.LOCK_SH)
            yield Path(folder)
        finally:
            os.close(held)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """As `private_folder`; raises `StoreError` if the disk of temporary files fails or is full."""
    try:
        with private_folder() as folder:
            yield folder
    except OSError as error:
        if error.errno is None:  # not the disk's error: a damaged object, for example
            raise
        where = os.environ.get("TMPDIR", "the system's temporary folder, since TMPDIR is not set")
        msg = (
            f"cannot write temporary files ({where}): {message_of(error)}; "
            "free space on that disk, or set TMPDIR to a larger one. Nothing was changed in the lake"
        )
        raise StoreError(msg) from error


def sweep_scratch(*, older_than: datetime | None = None) -> list[str]:
    """Remove the temporary folders that killed processes of this user left on this machine, and return their paths.

    `older_than` is a day ago by default. What a living process holds stays, however old it is.
    """
    limit = (older_than or datetime.now(UTC) - LEFT_BEHIND_AFTER).timestamp()
    removed = []
    with suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            if not entry.name.startswith(_PREFIX):
                continue
            with suppress(OSError):  # another process sweeps too
                found = entry.stat(follow_symlinks=False)
                if found.st_mtime < limit and found.st_uid == os.geteuid() and _is_abandoned(entry.path):
                    shutil.rmtree(entry.path)
                    removed.append(entry.path)
    return removed


def _is_abandoned(folder: str) -> bool:
    """Return whether no process holds a folder; raises `OSError` if it is none, such as a link."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(held)
    return True
