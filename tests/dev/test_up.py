"""`make down`, with plain processes in the stack's place; `make up` itself starts what the demo starts."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from dev import up
from dev.processes import BackgroundProcess, wait_until

KEEPER = """
import signal, sys
from pathlib import Path
def stop(*_):
    Path(sys.argv[1]).write_text("was told to stop")
    sys.exit()
signal.signal(signal.SIGTERM, stop)
print("listening", flush=True)
signal.pause()
"""


@pytest.fixture
def held(tmp_path: Path) -> Iterator[BackgroundProcess]:
    """Something that a keeper started, with a child of its own."""
    process = BackgroundProcess("held", ["sh", "-c", "sleep 60 & wait"], environment={}, log=tmp_path / "held.log")
    wait_until(lambda: len(process.members()) == 2, what="both run", seconds=10, processes=[process])
    yield process
    process.kill_session()


def _write(folder: Path, keeper: tuple[int, float], started: tuple[int, float]) -> None:
    state: dict[str, Any] = {"keeper": keeper, "started": [started], "airflow": "", "sandbox": ""}
    (folder / "up.json").write_text(json.dumps(state))


def test_down_asks_the_keeper_to_stop_and_waits_for_it(tmp_path: Path, held: BackgroundProcess) -> None:
    told = tmp_path / "told"
    command = [sys.executable, "-c", KEEPER, str(told)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as keeper:
        assert keeper.stdout
        assert keeper.stdout.readline() == "listening\n"
        _write(tmp_path, up._identity(keeper.pid), up._identity(held.pid))
        up.down(tmp_path)
    assert told.read_text() == "was told to stop"
    assert not (tmp_path / "up.json").exists()


def test_down_ends_what_a_killed_keeper_left(
    tmp_path: Path, held: BackgroundProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as keeper:
        identity = up._identity(keeper.pid)
        keeper.send_signal(signal.SIGKILL)
    _write(tmp_path, identity, up._identity(held.pid))
    up.down(tmp_path)
    assert held.members() == []
    assert "2 processes were left" in capsys.readouterr().out


def test_a_process_that_only_has_the_same_number_is_left_alone(held: BackgroundProcess, tmp_path: Path) -> None:
    another = (held.pid, psutil.Process(held.pid).create_time() - 1000)
    _write(tmp_path, another, another)
    up.down(tmp_path)
    assert len(held.members()) == 2


def test_down_with_nothing_up_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    up.down(tmp_path)
    assert capsys.readouterr().out == "Nothing is up.\n"
