"""Airflow's command line, imported once: starting it takes far longer than any command of ours.

The process that imports this module is forked for each command. Nothing else may import it, because Airflow reads its
configuration meanwhile.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

from airflow import __main__ as airflow
from airflow.cli import cli_parser

import sei_provider.cli.commands  # noqa: F401 - loaded by the first command otherwise

cli_parser.get_parser()


def run(
    arguments: list[str], environment: dict[str, str], folder: Path, stdout: Path, stderr: Path, stdin: str = ""
) -> None:
    """Run `airflow <arguments>` in this process, as if started in `folder` with this environment, and end with it."""
    for stream, path in ((sys.stdout, stdout), (sys.stderr, stderr)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream.fileno())
    sys.stdin = io.StringIO(stdin)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["airflow", *arguments]
    airflow.main()
