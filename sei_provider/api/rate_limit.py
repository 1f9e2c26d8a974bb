"""The key's requests per minute, shared by everybody who uses the key: over this machine's processes, or all machines.

SEI counts requests per API key (400 a minute, CONTRACT "Limits"), so workers and triggerer must count together: in a
sliding window (pyrate-limiter) that lies in one SQLite file per key behind a file lock, or in Redis (DESIGN,
decision 3). What cannot be counted is not sent. Knows no HTTP.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from pyrate_limiter import AbstractBucket, Rate, RateItem, RedisBucket, SQLiteBucket

from sei_provider.api.errors import SeiConnectionError, SeiInputError, sanitize

# Longer than SEI's minute by the time a request may spend on its way: two requests that leave a full minute
# apart may arrive less than a minute apart.
_WINDOW_SECONDS = 61
_SHORTEST_WAIT = 0.05
_REDIS_SECONDS = 10.0
"""How long Redis may take to answer, somebody else may count, and a lock outlives a process that died with it."""


class RateLimit(ABC):
    """At most `at_most` requests in any `seconds`, over everybody who counts in the same place."""

    def __init__(self, at_most: int, seconds: float) -> None:
        self._at_most = at_most
        self._rates = [Rate(at_most, int(seconds * 1000))]

    def try_acquire(self) -> float:
        """Take the right to send one request now.

        Returns 0.0 if taken, else the seconds after which it is worth asking again. Blocks while somebody else is
        counting; call it off the event loop. Raises `SeiConnectionError` if nobody can count: without counting
        nothing is sent, since a key that sends too much is refused everywhere.
        """
        with self._counting() as (bucket, now):
            item = RateItem("request", now)
            if bucket.put(item):
                return 0.0
            return max(_SHORTEST_WAIT, cast("int", bucket.waiting(item)) / 1000)

    def penalize(self) -> None:
        """Halve what is left of this window, for everybody: SEI said 429, so somebody else uses the key too."""
        with self._counting() as (bucket, now):
            weight = (self._at_most - cast("int", bucket.count())) // 2
            if weight > 0:
                bucket.put(RateItem("429", now, weight=weight))

    @abstractmethod
    def _counting(self) -> AbstractContextManager[tuple[AbstractBucket, int]]:
        """The bucket, without what is past, and the time in milliseconds, while nobody else counts."""


class FileLimit(RateLimit):
    """Counts in an SQLite file: for all processes of one machine."""

    def __init__(self, file: Path, at_most: int, *, seconds: float = _WINDOW_SECONDS) -> None:
        super().__init__(at_most, seconds)
        self._file = file
        self._bucket = SQLiteBucket.init_from_file(self._rates, db_path=str(file), use_file_lock=True)

    @contextmanager
    def _counting(self) -> Iterator[tuple[AbstractBucket, int]]:
        try:
            with self._bucket.lock:
                now = time.time_ns() // 1_000_000
                self._bucket.leak(now)
                yield self._bucket, now
        except (sqlite3.Error, OSError) as error:
            raise _cannot_count(str(self._file), "free the disk, or set TMPDIR", error) from error


class RedisLimit(RateLimit):
    """Counts in Redis under the key `name`: for all machines, by the clock of Redis.

    Raises `SeiInputError` if `url` is no address of a Redis, or the package `redis` is not there. Connects when first
    used.
    """

    def __init__(self, url: str, name: str, at_most: int, *, seconds: float = _WINDOW_SECONDS) -> None:
        try:
            from redis import Redis, RedisError
        except ImportError:
            msg = "rate_limit_url needs the package redis: pip install 'airflow-provider-sei[redis]'"
            raise SeiInputError(msg) from None
        super().__init__(at_most, seconds)
        self._name = name
        self._trouble = RedisError
        try:
            self._place = _without_password(url)
            self._redis = Redis.from_url(url, socket_timeout=_REDIS_SECONDS, socket_connect_timeout=_REDIS_SECONDS)
        except ValueError:  # says the whole URL, which may hold a password
            msg = "rate_limit_url is no address of a Redis; it looks like redis://host:6379/0 or rediss://host:6380/0"
            raise SeiInputError(msg) from None

    @contextmanager
    def _counting(self) -> Iterator[tuple[AbstractBucket, int]]:
        # The bucket's script is atomic, but counts up to the time that its caller names: of two callers the one with
        # the older time would not see the other's request. Hence one clock, and a lock around reading it and counting.
        lock = self._redis.lock(
            f"{self._name}:lock", timeout=_REDIS_SECONDS, sleep=0.01, blocking_timeout=_REDIS_SECONDS
        )
        try:
            with lock:
                seconds, microseconds = self._redis.time()
                now = seconds * 1000 + microseconds // 1000
                # Made anew each time, since that loads its script: a Redis that was restarted has forgotten it.
                bucket = RedisBucket.init(self._rates, self._redis, self._name)
                bucket.leak(now)
                yield bucket, now
        except (self._trouble, OSError) as error:
            raise _cannot_count(self._place, "check that Redis runs there", error) from error


def shared_rate_limit(base_url: str, api_key: str, per_minute: int, redis_url: str | None = None) -> RateLimit:
    """The limit of one key at one SEI: the same for all who name the same Redis, else for this user on this machine.

    The file lies in the machine's temporary folder. It and the key in Redis are named by a hash, so they give the API
    key away to nobody. Raises `SeiConnectionError` if that folder belongs to somebody else or cannot be written, and
    `SeiInputError` for a `redis_url` that is none.
    """
    name = hashlib.sha256(f"{base_url}\n{api_key}".encode()).hexdigest()[:24]
    if redis_url:
        return RedisLimit(redis_url, f"sei-provider:{name}", per_minute)
    folder = Path(tempfile.gettempdir()) / f"sei-provider-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            msg = f"{folder} is not ours; the shared rate limit needs a folder of its own: remove it, or set TMPDIR"
            raise PermissionError(msg)
        return FileLimit(folder / f"{name}.sqlite", per_minute)
    except (sqlite3.Error, OSError) as error:
        raise _cannot_count(str(folder), "free the disk, or set TMPDIR", error) from error


def _cannot_count(place: str, advice: str, error: Exception) -> SeiConnectionError:
    why = sanitize(str(error)) or type(error).__name__
    msg = (
        f"The key's requests per minute cannot be counted in {place}: {why}. "
        f"Nothing was sent, since a limit that is not counted is not kept; {advice}"
    )
    return SeiConnectionError(msg, sent=False)


def _without_password(url: str) -> str:
    """The URL's scheme, host, port and path; raises `ValueError` for a port that is none."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"
