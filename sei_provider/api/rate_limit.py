"""The rate limit of a key, shared by the processes of a machine (SQLite) or of all machines (Redis). Knows no HTTP.

SEI counts requests per API key (400 a minute, CONTRACT "Limits"), so workers and triggerer count in one sliding window
(pyrate-limiter): in one SQLite file per key behind a file lock, or in Redis (DESIGN, decision 3). A request that cannot
be counted is not sent.
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
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from pyrate_limiter import AbstractBucket, Rate, RateItem, RedisBucket, SQLiteBucket

from sei_provider.api.errors import SeiConnectionError, SeiInputError
from sei_provider.api.redaction import sanitize

if TYPE_CHECKING:
    from filelock import FileLock

# Longer than SEI's minute by the time a request may spend on its way: two requests that leave a full minute
# apart may arrive less than a minute apart.
_WINDOW_SECONDS = 61
_SENT_BY_NOW = "UPDATE rate_bucket SET item_timestamp = :now WHERE item_timestamp > :now"
_SHORTEST_WAIT = 0.05
_LOCK_SECONDS = 0.005
"""Pause between two tries for the file's lock, which others hold for less than a millisecond. With the usual 0.05 eight
processes that send without a limit spent most of their time in it.
"""
_REDIS_SECONDS = 10.0
"""Timeout of Redis, of waiting for its lock, and of a lock whose process died."""


class RateLimit(ABC):
    """At most `at_most` requests in any `seconds`, over all who count in the same bucket."""

    def __init__(self, at_most: int, seconds: float) -> None:
        self._at_most = at_most
        self._window = int(seconds * 1000)
        self._rates = [Rate(at_most, self._window)]

    def try_acquire(self) -> float:
        """Acquire the right to send one request now.

        Returns 0.0 if acquired, otherwise the seconds to wait before trying again. Blocks while another process counts,
        so call it off the event loop. Raises `SeiConnectionError` if the bucket cannot be used: nothing is sent without
        counting, because SEI refuses a key that sends too much everywhere.
        """
        with self._counting() as (bucket, now):
            item = RateItem("request", now)
            if bucket.put(item):
                return 0.0
            return max(_SHORTEST_WAIT, cast("int", bucket.waiting(item)) / 1000)

    def seconds_until(self, requests: int) -> float:
        """Return the seconds until so many requests can be sent if nobody else sends any, but counts none of them.

        More than the limit never fit at once, so they count as the whole limit. Raises as `try_acquire`.
        """
        with self._counting() as (bucket, now):
            # The newest request of those that have to leave the window first.
            last = cast("RateItem | None", bucket.peek(self._at_most - min(requests, self._at_most)))
            return 0.0 if last is None else max(0, last.timestamp + self._window + 1 - now) / 1000

    def penalize(self) -> None:
        """Halve the rest of this window for everybody: after a 429 somebody else must be using the key too."""
        with self._counting() as (bucket, now):
            weight = (self._at_most - cast("int", bucket.count())) // 2
            if weight > 0:
                bucket.put(RateItem("429", now, weight=weight))

    @abstractmethod
    def _counting(self) -> AbstractContextManager[tuple[AbstractBucket, int]]:
        """Lock the bucket, drop what is past, and give it with the time in milliseconds."""


class FileLimit(RateLimit):
    """Counts in an SQLite file, for all processes of one machine."""

    def __init__(self, file: Path, at_most: int, *, seconds: float = _WINDOW_SECONDS) -> None:
        super().__init__(at_most, seconds)
        self._file = file
        self._bucket = SQLiteBucket.init_from_file(self._rates, db_path=str(file), use_file_lock=True)

    @contextmanager
    def _counting(self) -> Iterator[tuple[AbstractBucket, int]]:
        try:
            with cast("FileLock", self._bucket.lock).acquire(poll_interval=_LOCK_SECONDS):
                now = time.time_ns() // 1_000_000
                self._bucket.leak(now)
                newest = self._bucket.peek(0)
                if newest is not None and newest.timestamp > now:  # the clock was set back, and all were sent by now
                    with self._bucket.conn as connection:
                        connection.execute(_SENT_BY_NOW, {"now": now})
                yield self._bucket, now
        except (sqlite3.Error, OSError) as error:
            raise _counting_error(str(self._file), "free the disk, or set TMPDIR", error) from error


class RedisLimit(RateLimit):
    """Counts in Redis under the key `name`, for all machines, by the clock of Redis.

    Raises `SeiInputError` if `url` is not a Redis URL, or the package `redis` is not installed. Connects when first
    used.
    """

    def __init__(self, url: str, name: str, at_most: int, *, seconds: float = _WINDOW_SECONDS) -> None:
        try:
            from redis import Redis, RedisError
        except ImportError:
            msg = "counting requests in Redis needs the package redis: pip install 'airflow-provider-sei[redis]'"
            raise SeiInputError(msg) from None
        super().__init__(at_most, seconds)
        self._name = name
        self._trouble = RedisError
        try:
            self._place = _without_password(url)
            self._redis = Redis.from_url(url, socket_timeout=_REDIS_SECONDS, socket_connect_timeout=_REDIS_SECONDS)
        except ValueError:  # says the whole URL, which may hold a password
            msg = "rate_limit_url is not a Redis URL; it looks like redis://host:6379/0 or rediss://host:6380/0"
            raise SeiInputError(msg) from None

    @contextmanager
    def _counting(self) -> Iterator[tuple[AbstractBucket, int]]:
        # The bucket's script is atomic, but counts up to the time that its caller names. Of two callers the one with
        # the older time would miss the other's request. So there is one clock, and a lock around reading and counting.
        lock = self._redis.lock(
            f"{self._name}:lock", timeout=_REDIS_SECONDS, sleep=0.01, blocking_timeout=_REDIS_SECONDS
        )
        try:
            with lock:
                seconds, microseconds = self._redis.time()
                now = seconds * 1000 + microseconds // 1000
                # Created each time, because that loads its script, which a restarted Redis has forgotten.
                bucket = RedisBucket.init(self._rates, self._redis, self._name)
                bucket.leak(now)
                if late := self._redis.zrangebyscore(self._name, f"({now}", "+inf"):  # as in a file
                    self._redis.zadd(self._name, dict.fromkeys(cast("list[bytes]", late), now))
                yield bucket, now
        except (self._trouble, OSError) as error:
            raise _counting_error(self._place, "check that Redis runs there", error) from error


def shared_rate_limit(base_url: str, api_key: str, per_minute: int, redis_url: str | None = None) -> RateLimit:
    """Return the limit of one key at one SEI, shared by all who use the same Redis, or by this user on this machine.

    The file is in the machine's temporary folder. The names of the file and of the key in Redis are hashes, so they do
    not reveal the API key. Raises `SeiConnectionError` if that folder belongs to somebody else or cannot be written,
    and `SeiInputError` for an invalid `redis_url`.
    """
    name = hashlib.sha256(f"{base_url}\n{api_key}".encode()).hexdigest()[:24]
    if redis_url:
        return RedisLimit(redis_url, f"sei-provider:{name}", per_minute)
    folder = Path(tempfile.gettempdir()) / f"sei-provider-{os.getuid()}"
    advice = "free the disk, or set TMPDIR"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            advice, msg = "remove it, or set TMPDIR", "the folder belongs to another user"
            raise PermissionError(msg)
        return FileLimit(folder / f"{name}.sqlite", per_minute)
    except (sqlite3.Error, OSError) as error:
        raise _counting_error(str(folder), advice, error) from error


def _counting_error(place: str, advice: str, error: Exception) -> SeiConnectionError:
    why = sanitize(str(error)) or type(error).__name__
    msg = (
        f"The key's requests per minute cannot be counted in {place}: {why}. "
        f"Nothing was sent, because SEI refuses a key that exceeds its limit; {advice}"
    )
    return SeiConnectionError(msg, sent=False)


def _without_password(url: str) -> str:
    """Return the URL without user and password. Raises `ValueError` for an invalid port."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"
