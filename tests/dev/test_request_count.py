"""Cost and saving of the growing pause between status reads, as the page on tuning has it."""

from __future__ import annotations

import textwrap
from pathlib import Path

from bench.request_count import growth

PAGE = Path(__file__).parents[2] / "docs" / "tuning.md"


def test_issue_17_the_page_on_tuning_says_what_an_export_without_a_list_costs_by_how_long_it_takes() -> None:
    table = growth()
    assert textwrap.indent(table, "    ") in PAGE.read_text(encoding="utf-8")
    first, *_, last = [line.split() for line in table.splitlines()[1:]]
    assert first[:2] == ["5", "3"], "create, one status, download"
    assert int(last[1]) < 2 + 1800 / 10, "without growth it would be read every ten seconds"
