"""The key's requests per minute, shared by every process of this machine that uses the key.

SEI counts requests per API key (400 a minute, CONTRACT "Limits"), so workers and triggerer must count
together: in a sliding window in one SQLite file per key, behind a file lock (pyrate-limiter). Knows no HTTP.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from pathlib import Path
from typing import cast

from pyrate_limiter import Rate, RateItem, SQLiteBucket

# Longer than SEI's minute by the time a request may spend on its way: two requests that leave a full minute
# apart may arrive less than a minute apart.
_WINDOW_SECONDS = 61
_SHORTEST_WAIT = 0.05


class RateLimit:
    """At most `at_most` requests in any `seconds`, over all processes that share `file`."""

    def __init__(self, file: Path, at_most: int, *, seconds: float = _WINDOW_SECONDS) -> None:
        self._at_most = at_most
        self._bucket = SQLiteBucket.init_from_file(
            [Rate(at_most, int(seconds * 1000))], db_path=str(file), use_file_lock=True
        )

    def try_acquire(self) -> float:
        """Take the right to send one request now.

        Returns 0.0 if taken, else the seconds after which it is worth asking again. Blocks only while another
        process holds the file lock; call it off the event loop.
        """
        with self._bucket.lock:
            now = self._forget_what_is_past()
            item = RateItem("request", now)
            if self._bucket.put(item):
                return 0.0
            return max(_SHORTEST_WAIT, cast("int", self._bucket.waiting(item)) / 1000)

    def slow_down(self) -> None:
        """Halve what is left of this window, for every process: SEI said 429, so somebody else uses the key too."""
        with self._bucket.lock:
            now = self._forget_what_is_past()
            weight = (self._at_most - self._bucket.count()) // 2
            if weight > 0:
                self._bucket.put(RateItem("429", now, weight=weight))

    def _forget_what_is_past(self) -> int:
        now = time.time_ns() // 1_000_000
        self._bucket.leak(now)
        return now


def shared_rate_limit(base_url: str, api_key: str, per_minute: int) -> RateLimit:
    """The limit of one key at one SEI, the same for every process of this user on this machine.

    The file lies in the machine's temporary folder and is named by a hash, so it gives the key away to nobody.
    Raises `PermissionError` if that folder belongs to somebody else.
    """
    folder = Path(tempfile.gettempdir()) / f"sei-provider-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        msg = f"{folder} is not ours; the shared rate limit needs a folder of its own: remove it, or set TMPDIR"
        raise PermissionError(msg)
    name = hashlib.sha256(f"{base_url}\n{api_key}".encode()).hexdigest()[:24]
    return RateLimit(folder / f"{name}.sqlite", per_minute)
