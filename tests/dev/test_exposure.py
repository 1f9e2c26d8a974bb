"""Secrets in commands and environments of running processes, named without their values."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.emulation.exposure import exposed
from dev.processes import BackgroundProcess, wait_until

SECRETS = {"KEY": "a-hidden-key", "PASSWORD": "a-hidden-password"}
WAIT = "import sys, time; open(sys.argv[1], 'w').close(); time.sleep(60)"
# Puts the password together, so that its own command does not hold it.
PARENT = (
    "import subprocess, sys; "
    "subprocess.run([sys.executable, *sys.argv[1:]], env={'URL': 'x://:a-hidden-' + 'password@y'})"
)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[list[BackgroundProcess]]:
    ready = [tmp_path / name for name in ("quiet", "loud", "parent")]
    started = [
        BackgroundProcess(name, [sys.executable, "-c", *words], environment=environment, log=tmp_path / f"{name}.log")
        for name, words, environment in (
            ("quiet", [WAIT, str(ready[0])], {"KEY_FILE": "/run/secrets/key"}),
            ("loud", [WAIT, str(ready[1]), "--key=a-hidden-key"], {"KEY": "a-hidden-key"}),
            ("parent", [PARENT, "-c", WAIT, str(ready[2])], {}),
        )
    ]
    try:
        wait_until(lambda: all(file.exists() for file in ready), what="all wait", seconds=60, processes=started)
        yield started
    finally:
        for process in started:
            process.kill_session()


def test_a_secret_in_a_command_or_in_the_environment_of_a_descendant_is_named_without_its_value(
    processes: list[BackgroundProcess],
) -> None:
    assert exposed(processes, SECRETS, allowed={}) == [
        "the command of loud holds KEY",
        "the environment of loud holds KEY",
        "the environment of parent holds PASSWORD",
    ]


def test_what_a_process_may_have_in_its_environment_is_still_named_in_its_command(
    processes: list[BackgroundProcess],
) -> None:
    found = exposed(processes, SECRETS, allowed={"loud": "KEY", "parent": "KEY"})
    assert found == ["the command of loud holds KEY", "the environment of parent holds PASSWORD"]
