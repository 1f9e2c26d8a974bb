"""`make down`, with plain processes in the stack's place; `make up` itself starts what the demo starts."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dev import up

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


def _write(folder: Path, keeper: tuple[int, float]) -> Path:
    file = folder / "up.json"
    file.write_text(json.dumps({"keeper": keeper, "airflow": "", "sandbox": ""}))
    return file


def test_down_asks_the_keeper_to_stop_and_waits_for_it(tmp_path: Path) -> None:
    told = tmp_path / "told"
    command = [sys.executable, "-c", KEEPER, str(told)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as keeper:
        assert keeper.stdout
        assert keeper.stdout.readline() == "listening\n"
        file = _write(tmp_path, up._identity(keeper.pid))
        up.down(tmp_path)
    assert told.read_text() == "was told to stop"
    assert not file.exists()


def test_a_process_that_only_has_the_same_number_as_a_killed_keeper_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as another:
        pid, started = up._identity(another.pid)
        file = _write(tmp_path, (pid, started - 1000))
        up.down(tmp_path)
        assert another.poll() is None
        assert not file.exists()
        another.kill()


def test_down_with_nothing_up_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    up.down(tmp_path)
    assert capsys.readouterr().out == "Nothing is up.\n"
