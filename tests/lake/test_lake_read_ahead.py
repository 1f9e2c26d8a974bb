"""Reading ahead: one piece at most, errors in their place, and nothing left open or running."""

from __future__ import annotations

import errno
import threading

import pyarrow as pa
import pytest
from lake_bench import team_row

from sei_provider.lake import StoreError
from sei_provider.lake.read_ahead import read_ahead
from sei_provider.lake.staging import staged_file
from sei_provider.lake.tables.month_rows import MonthRows

PIECES = [pa.table({"n": [number]}) for number in range(4)]


class Source:
    """Generator of pieces that tells what was asked of it."""

    def __init__(self, error: Exception | None = None, pieces: int = len(PIECES)) -> None:
        self.asked = 0
        self.is_open = False
        self.next_asked = threading.Condition()
        self._error = error
        self._pieces = PIECES[:pieces]

    def read(self):
        self.is_open = True
        try:
            for piece in self._pieces:
                self._note()
                yield piece
            self._note()
            if self._error:
                raise self._error
        finally:
            self.is_open = False

    def is_asked_for(self, piece: int) -> bool:
        with self.next_asked:
            return self.next_asked.wait_for(lambda: self.asked >= piece, timeout=30)

    def _note(self) -> None:
        with self.next_asked:
            self.asked += 1
            self.next_asked.notify_all()


def readers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("sei-lake-read")]


def test_a_piece_is_read_while_the_caller_works_on_the_one_before_and_no_further_one():
    source = Source()
    for number, piece in enumerate(read_ahead(source.read()), start=1):
        assert piece is PIECES[number - 1]
        assert source.is_asked_for(number + 1), "the caller has not asked for the next piece, and it is read"
        assert source.asked == number + 1
    assert number == len(PIECES)
    assert (source.is_open, readers()) == (False, [])


@pytest.mark.parametrize("good", [0, 1, 3], ids=["at once", "after one piece", "after three pieces"])
def test_an_error_of_reading_is_raised_where_its_piece_would_come_and_the_thread_ends(good):
    source = Source(OSError("the disk fails"), good)
    ahead = read_ahead(source.read())
    assert [next(ahead) for _ in range(good)] == PIECES[:good]
    with pytest.raises(OSError, match="the disk fails"):
        next(ahead)
    assert (source.is_open, readers()) == (False, [])


def test_a_caller_that_stops_early_leaves_no_file_open_and_no_thread():
    source = Source()
    pieces = source.read()  # held here, so that nothing but `read_ahead` closes it
    ahead = read_ahead(pieces)
    next(ahead)
    assert source.is_open
    assert readers()
    ahead.close()
    assert (source.is_open, readers()) == (False, [])


def test_a_publish_that_fails_while_rows_are_read_ahead_leaves_no_thread_and_the_next_one_lands(bench, monkeypatch):
    monkeypatch.setattr(staged_file, "_SMALL_BYTES", 0)
    manifest = bench.stage("team:1", [team_row("Eng/A", "2026-01-01")], age=1)

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(MonthRows, "add", fail)
        with pytest.raises(StoreError, match="No space left") as caught:
            bench.publish(manifest)
    assert caught.value.__cause__ is not None, "its traceback keeps the frames that read"
    assert readers() == []
    assert bench.publish(manifest)[0]["rows"] == 1
