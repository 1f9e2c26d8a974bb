"""`make down`, with plain processes in the stack's place; `make up` itself starts what the demo starts."""

import json
import os
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


def test_up_names_the_pages_worth_opening_and_a_line_to_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = {"keeper": up._identity(os.getpid()), "airflow": "http://a:1", "sandbox": "http://s:2"}
    (tmp_path / "up.json").write_text(json.dumps(state))
    up.up(tmp_path)
    said = capsys.readouterr().out
    for part in ("http://a:1/dags/sei_nightly", "http://s:2/_sandbox/", "scorecard.html", f". {tmp_path}/environment"):
        assert part in said, part


def test_what_a_shell_sources_has_airflows_settings_and_commands_and_nothing_else(tmp_path: Path) -> None:
    connection = json.dumps({"conn_type": "sei", "password": "a '$HOME' key"})
    file = tmp_path / "environment"
    file.write_text(up._exports({"AIRFLOW_HOME": "/h", "AIRFLOW_CONN_SEI_DEFAULT": connection, "PYTHONPATH": "/p"}))
    command = f'. {file}; printf "%s\\n" "$AIRFLOW_HOME" "$AIRFLOW_CONN_SEI_DEFAULT" "$PYTHONPATH"; command -v airflow'
    shell = ["/bin/sh", "-c", command]
    done = subprocess.run(shell, env={"PATH": os.defpath}, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["/h", connection, "", str(Path(sys.executable).parent / "airflow")]
