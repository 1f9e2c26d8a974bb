"""The key's limit holds over processes, and a 429 slows everyone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sei_provider.api.limit import RateLimit, shared_rate_limit

WORKER = """
import sys, time
from pathlib import Path
from sei_provider.api.limit import RateLimit
limit, end = RateLimit(Path(sys.argv[1]), 20, seconds=2), time.time() + 5
while time.time() < end:
    wait = limit.try_acquire()
    if not wait:
        print(time.time())
    time.sleep(min(wait, max(0, end - time.time())))
"""


def test_three_processes_together_never_exceed_the_limit_in_any_window(tmp_path: Path) -> None:
    file = tmp_path / "limit.sqlite"
    workers = [
        subprocess.Popen([sys.executable, "-c", WORKER, str(file)], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    times = sorted(float(line) for worker in workers for line in worker.communicate(timeout=60)[0].split())
    assert all(worker.returncode == 0 for worker in workers)
    assert len(times) >= 40, "the limit is used, not only kept"
    # A time is printed just after it was taken; the tolerance is for that.
    crowded = [first for first, twentieth in zip(times, times[20:], strict=False) if twentieth - first < 1.8]
    assert crowded == []


def test_a_429_halves_what_is_left_for_every_process(tmp_path: Path) -> None:
    file = tmp_path / "limit.sqlite"
    mine, theirs = RateLimit(file, 10), RateLimit(file, 10)
    mine.slow_down()
    taken = [theirs.try_acquire() == 0.0 for _ in range(10)]
    assert taken == [True] * 5 + [False] * 5
    assert 0 < mine.try_acquire() <= 61


def test_a_429_when_the_limit_is_used_up_does_not_add_to_it(tmp_path: Path) -> None:
    limit = RateLimit(tmp_path / "limit.sqlite", 4)
    assert [limit.try_acquire() for _ in range(4)] == [0.0] * 4
    limit.slow_down()
    assert limit.try_acquire() > 50


def test_the_file_of_a_key_does_not_name_it_and_is_ours_alone() -> None:
    import tempfile

    shared_rate_limit("https://sei.test", "sesame-open", 10)
    folders = list(Path(tempfile.gettempdir()).glob("sei-provider-*"))
    assert [folder.stat().st_mode & 0o777 for folder in folders] == [0o700]
    assert not [file for file in folders[0].iterdir() if "sesame" in file.name]


def test_keys_and_places_are_limited_apart() -> None:
    one = shared_rate_limit("https://sei.test/apart", "a", 1)
    assert one.try_acquire() == 0.0
    assert shared_rate_limit("https://sei.test/apart", "a", 1).try_acquire() > 0
    assert shared_rate_limit("https://sei.test/apart", "b", 1).try_acquire() == 0.0
    assert shared_rate_limit("https://other.test/apart", "a", 1).try_acquire() == 0.0
