"""Each line of the tables in docs/lake.md that names a test is backed by that test."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "lake.md"


def test_every_line_on_unusual_csvs_names_tests_that_there_are():
    _, table = PAGE.read_text(encoding="utf-8").split("| the CSV has | outcome | test |\n|---|---|---|\n")
    lines = table.split("\n\n", 1)[0].splitlines()
    there = {name for path in HERE.glob("test_*.py") for name in re.findall(r"def (test_\w+)\(", path.read_text())}
    named = {line: re.findall(r"`(test_\w+)`", line) for line in lines}
    assert [line for line, names in named.items() if not names] == []
    assert {name for names in named.values() for name in names} - there == set()
