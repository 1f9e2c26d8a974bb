"""Rows read ahead: the next piece is read in a thread while the caller works on the one before."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pyarrow as pa


def read_ahead(pieces: Generator[pa.Table]) -> Generator[pa.Table]:
    """Yield what a generator yields, and let it read its next piece meanwhile: Arrow reads without Python's lock.

    One piece waits at most, so memory is bounded. An error of the generator is raised where its piece would come. The
    generator is closed and the thread has ended when this one ends, fails or is closed.
    """
    with closing(pieces), ThreadPoolExecutor(1, thread_name_prefix="sei-lake-read") as reading:
        coming = reading.submit(next, pieces, None)
        while (piece := coming.result()) is not None:
            coming = reading.submit(next, pieces, None)
            yield piece
            del piece
