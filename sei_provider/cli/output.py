"""Output of the commands: rows in the format that was asked for, and nothing that steers a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.cli.simple_table import AirflowConsole

from sei_provider.printable import printable

_KEEPS_VALUES = ("json", "yaml")
"""Formats for programs, which escape by their own rules, so that a reader gets the very names."""


def print_rows(rows: Sequence[Mapping[str, Any]], output: str) -> None:
    """Print rows as `table`, `plain`, `json` or `yaml`. Names are neither markup nor emoji codes."""

    def shown(value: Any) -> Any:
        if value is None:
            return ""
        if not isinstance(value, str):
            return value
        # The one control character that JSON leaves as it is.
        return value.replace("\x7f", r"\x7f") if output in _KEEPS_VALUES else printable(value)

    def row(found: Mapping[str, Any]) -> dict[str, Any]:
        return {str(shown(name)): shown(value) for name, value in found.items()}

    AirflowConsole(markup=False, emoji=False).print_as(data=rows, output=output, mapper=row)


def print_line(text: object) -> None:
    """Print one line."""
    print(printable(text))  # noqa: T201 - the command's output
