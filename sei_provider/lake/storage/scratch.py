"""Temporary files: local disk for objects while they are built, before they are put into the lake."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sei_provider.lake.errors import StoreError
from sei_provider.lake.storage.errors import message_of


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Create a temporary folder and remove it afterwards. Raises `StoreError` if its disk fails or is full."""
    try:
        with tempfile.TemporaryDirectory(prefix="sei-") as folder:
            yield Path(folder)
    except OSError as error:
        if error.errno is None:  # not the disk's error: a damaged object, for example
            raise
        where = os.environ.get("TMPDIR", "the system's temporary folder, since TMPDIR is not set")
        msg = (
            f"cannot write temporary files ({where}): {message_of(error)}; "
            "free space on that disk, or set TMPDIR to a larger one. Nothing was changed in the lake"
        )
        raise StoreError(msg) from error
