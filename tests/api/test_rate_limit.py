"""The key's rate limit holds over processes, on one machine and in Redis; a request that is not counted is not sent."""

from __future__ import annotations

import fcntl
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
import redis

from sei_provider.api import SeiClient, SeiConnectionError, SeiInputError
from sei_provider.api.rate_limit import FileLimit, RateLimit, RedisLimit, shared_rate_limit
from tests.api.conftest import BASE_URL, SETTINGS, answering
from tests.redis_server import redis_server

WORKER = """
import sys, time
from pathlib import Path
from sei_provider.api.rate_limit import FileLimit, RedisLimit
place, at_most, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
if place.startswith("redis:"):
    limit = RedisLimit(place, "key", at_most, seconds=seconds)
else:
    limit = FileLimit(Path(place), at_most, seconds=seconds)
taken = 0
while taken < at_most:
    before = time.time()
    wait = limit.try_acquire()
    if not wait:
        print(before, time.time())
        taken += 1
    time.sleep(wait)
"""


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with redis_server() as url:
        yield url


@pytest.fixture(params=["file", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Place of the counts: the path of a file, or the address of an empty Redis."""
    if request.param == "file":
        return str(tmp_path / "limit.sqlite")
    url: str = request.getfixturevalue("redis_url")
    redis.Redis.from_url(url).flushall()
    return url


@pytest.fixture
def place_in_redis(redis_url: str) -> str:
    redis.Redis.from_url(redis_url).flushall()
    return redis_url


def limit_in(place: str, at_most: int) -> RateLimit:
    return RedisLimit(place, "key", at_most) if place.startswith("redis:") else FileLimit(Path(place), at_most)


def test_three_processes_together_never_exceed_the_limit_in_any_window_and_use_all_of_it(place: str) -> None:
    at_most, seconds = 40, 1.0
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, place, str(at_most), str(seconds)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    lines = [line for worker in workers for line in worker.communicate()[0].splitlines()]
    assert all(worker.returncode == 0 for worker in workers)
    taken = [tuple(map(float, line.split())) for line in lines]
    assert len(taken) == 3 * at_most, "the limit is used, not only kept"
    # A request is taken between its two times, so only those that lie in a window with both surely lie in it.
    window = seconds - 0.01  # the limit counts in whole milliseconds
    for start, _ in taken:
        assert sum(start <= before and after < start + window for before, after in taken) <= at_most


def test_issue_19_a_process_that_finds_another_counting_looks_again_within_milliseconds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    limit = FileLimit(tmp_path / "limit.sqlite", 10)
    pauses: list[float] = []
    with (tmp_path / "limit.sqlite.lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 3:
                fcntl.flock(held, fcntl.LOCK_UN)

        monkeypatch.setattr(time, "sleep", pause)
        assert limit.try_acquire() == 0.0
    assert len(pauses) == 3
    assert max(pauses) <= 0.01


def test_a_429_halves_what_is_left_for_every_process(place: str) -> None:
    mine, theirs = limit_in(place, 10), limit_in(place, 10)
    mine.penalize()
    taken = [theirs.try_acquire() == 0.0 for _ in range(10)]
    assert taken == [True] * 5 + [False] * 5
    assert 0 < mine.try_acquire() <= 61


def test_a_429_when_the_limit_is_used_up_does_not_add_to_it(place: str) -> None:
    limit = limit_in(place, 4)
    assert [limit.try_acquire() for _ in range(4)] == [0.0] * 4
    limit.penalize()
    assert limit.try_acquire() > 0


def test_the_time_until_requests_fit_is_that_of_the_window_and_asking_counts_none(place: str) -> None:
    limit = limit_in(place, 4)
    assert limit.seconds_until(4) == 0.0
    assert [limit.try_acquire() for _ in range(3)] == [0.0] * 3
    assert limit.seconds_until(1) == 0.0
    two, four, all_of_it = (limit.seconds_until(requests) for requests in (2, 4, 1000))
    assert 55 < two <= four + 1.0, "asked later, by as long as that took"
    assert four == pytest.approx(all_of_it, abs=1.0)
    assert limit.try_acquire() == 0.0, "asking counted nothing"


def test_a_clock_that_was_set_back_holds_nobody_up_for_longer_than_the_window(place: str) -> None:
    limit = limit_in(place, 4)
    assert [limit.try_acquire() for _ in range(2)] == [0.0] * 2
    _set_clock_back(place, hours=1)
    assert limit.seconds_until(2) == 0.0
    assert 55 < limit.seconds_until(4) <= 61.1
    assert [limit.try_acquire() for _ in range(2)] == [0.0] * 2
    assert 55 < limit.try_acquire() <= 61.1, "what was sent before counts as sent now"


def _set_clock_back(place: str, *, hours: int) -> None:
    """Move all that was counted into the time to come, where it lies once a clock was set back."""
    if place.startswith("redis:"):
        server = redis.Redis.from_url(place)
        for member, moment in server.zrange("key", 0, -1, withscores=True):
            server.zadd("key", {member: moment + hours * 3_600_000})
    else:
        with closing(sqlite3.connect(place)) as bucket, bucket:
            bucket.execute("UPDATE rate_bucket SET item_timestamp = item_timestamp + ?", (hours * 3_600_000,))


def test_the_file_of_a_key_does_not_name_it_and_is_ours_alone() -> None:
    import tempfile

    shared_rate_limit("https://sei.test", "sesame-open", 10)
    folders = list(Path(tempfile.gettempdir()).glob("sei-provider-*"))
    assert [folder.stat().st_mode & 0o777 for folder in folders] == [0o700]
    assert not [file for file in folders[0].iterdir() if "sesame" in file.name]


@pytest.mark.parametrize("counted", ["file", "redis"])
def test_keys_and_places_are_limited_apart(counted: str, redis_url: str) -> None:
    url = redis_url if counted == "redis" else None
    one = shared_rate_limit("https://sei.test/apart", "a", 1, url)
    assert one.try_acquire() == 0.0
    assert shared_rate_limit("https://sei.test/apart", "a", 1, url).try_acquire() > 0
    assert shared_rate_limit("https://sei.test/apart", "b", 1, url).try_acquire() == 0.0
    assert shared_rate_limit("https://other.test/apart", "a", 1, url).try_acquire() == 0.0


def test_redis_holds_no_key(redis_url: str) -> None:
    shared_rate_limit("https://sei.test", "sesame-open", 10, redis_url).try_acquire()
    assert not [name for name in redis.Redis.from_url(redis_url).scan_iter() if b"sesame" in name]


def test_clients_that_name_a_redis_count_there_and_not_on_their_machine(redis_url: str) -> None:
    reply = {"exportId": "exp_1", "createdAt": "2026-01-01T00:00:00Z", "status": "completed"}
    answer, asked = answering(httpx.Response(200, json=reply))
    settings = SETTINGS | {"requests_per_minute": 3, "api_key": "of-two-clients"}
    clients = [
        SeiClient(**settings, base_url=BASE_URL, rate_limit_url=redis_url, transport=httpx.MockTransport(answer))
        for _ in range(2)
    ]
    for number in range(3):
        clients[number % 2].get_export("productivity", "exp_1")
    assert len(asked) == 3
    assert shared_rate_limit(BASE_URL, "of-two-clients", 3, redis_url).try_acquire() > 0
    assert shared_rate_limit(BASE_URL, "of-two-clients", 3).try_acquire() == 0.0


def test_a_redis_that_was_restarted_and_has_forgotten_its_scripts_counts_on(redis_url: str) -> None:
    limit = limit_in(redis_url, 1000)
    limit.try_acquire()
    redis.Redis.from_url(redis_url).script_flush()
    assert limit.try_acquire() == 0.0


def test_nobody_counts_between_anothers_look_at_the_clock_and_its_counting(place_in_redis: str) -> None:
    mine, theirs = limit_in(place_in_redis, 1), limit_in(place_in_redis, 1)
    assert isinstance(mine, RedisLimit)
    clock = mine._redis.time
    taken: list[float] = []
    other = threading.Thread(target=lambda: taken.append(theirs.try_acquire()))

    def slow_clock() -> object:
        now = clock()
        other.start()
        other.join(0.3)  # all that it needs, if nothing keeps it waiting
        return now

    mine._redis.time = slow_clock  # type: ignore[method-assign, assignment]  # an injected clock
    assert mine.try_acquire() == 0.0
    other.join()
    assert taken[0] > 0, "one request in any window, not two"


def test_a_process_that_died_while_counting_in_redis_holds_nobody_up_for_long(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sei_provider.api.rate_limit._REDIS_SECONDS", 10.0)
    dying = redis.Redis.from_url(redis_url).lock("key:lock", timeout=0.3)
    dying.acquire()
    assert limit_in(redis_url, 1000).try_acquire() == 0.0


@pytest.mark.usefixtures("no_waiting")
def test_while_redis_is_down_nothing_is_sent_and_the_error_says_so(
    client_to: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sei_provider.api.rate_limit._REDIS_SECONDS", 0.2)
    answer, asked = answering(httpx.Response(200, json={}))
    with redis_server() as url:
        gone = url
    client = client_to(answer, rate_limit_url=gone.replace("//", "//user:secret@"))
    with pytest.raises(
        SeiConnectionError, match=r"cannot be counted in redis://127.0.0.1:\d+/0: .*Nothing was sent"
    ) as e:
        client.get_export("productivity", "exp_1")  # type: ignore[attr-defined]
    assert e.value.sent is False
    assert "secret" not in str(e.value)
    assert asked == []


@pytest.mark.parametrize("url", ["localhost:6379", "http://redis.test", "redis://redis.test:port"])
def test_what_is_no_address_of_a_redis_is_refused_at_once_without_showing_it(url: str) -> None:
    with pytest.raises(SeiInputError, match="not a Redis URL; it looks like redis://host:6379/0") as refused:
        shared_rate_limit(BASE_URL, "a", 10, url)
    assert url not in str(refused.value)


def test_without_the_package_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(SeiInputError, match=r"pip install 'airflow-provider-sei\[redis\]'"):
        shared_rate_limit(BASE_URL, "a", 10, "redis://redis.test")


def test_what_cannot_be_counted_on_this_machine_is_not_sent_either(tmp_path: Path) -> None:
    file = tmp_path / "limit.sqlite"
    limit = FileLimit(file, 10)
    limit._bucket.conn.execute("drop table rate_bucket")
    with pytest.raises(SeiConnectionError, match=r"cannot be counted in .*limit.sqlite: no such table.*free the disk"):
        limit.try_acquire()


def test_a_folder_of_somebody_else_is_not_counted_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import tempfile

    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr("os.getuid", lambda: 4711)
    (tmp_path / "sei-provider-4711").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SeiConnectionError, match=r"belongs to another user.*; remove it, or set TMPDIR$"):
        shared_rate_limit(BASE_URL, "a", 10)
