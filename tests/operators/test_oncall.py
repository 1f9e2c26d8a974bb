"""The page for a person on call says what the red tasks say."""

from __future__ import annotations

from tests.operators.oncall import NIGHTS, PAGE, table


def test_the_page_shows_what_red_tasks_say_and_each_says_what_to_do_in_its_last_line() -> None:
    found = table()
    assert PAGE.read() == PAGE.with_part(found), "run python -m tests.operators.oncall --write"
    checks = [line for line in found.splitlines() if "| `check` |" in line]
    assert len(checks) == len(NIGHTS)
    for line in checks:
        what, _, then = line.rpartition("<br>")
        assert " missing from the lake" in what or "nothing was published" in what
        assert then.startswith("What to do: ")
