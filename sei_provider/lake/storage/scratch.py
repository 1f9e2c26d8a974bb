"""Local disk for objects while they are built, before anything of them is in the lake."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sei_provider.lake.errors import StoreError
from sei_provider.lake.storage.errors import said


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give a local folder to build objects in; it is gone afterwards. Raises `StoreError` if its disk gives no room."""
    try:
        with tempfile.TemporaryDirectory(prefix="sei-") as folder:
            yield Path(folder)
    except OSError as error:
        if error.errno is None:  # a damaged object, say: not the disk's
            raise
        where = os.environ.get("TMPDIR", "the system's, since TMPDIR is not set")
        msg = (
            f"cannot write scratch files in the temporary folder ({where}): {said(error)}; "
            "free its disk, or set TMPDIR to a larger one. Nothing was changed in the lake"
        )
        raise StoreError(msg) from error
