"""docs/security.md names tests that there are, and CI runs the one command that there is."""

import re
from pathlib import Path

import yaml

PROJECT = Path(__file__).resolve().parents[2]


def test_every_line_of_the_threat_model_names_tests_that_there_are() -> None:
    page = (PROJECT / "docs" / "security.md").read_text(encoding="utf-8")
    _, table = page.split("| who | can | cannot | held by |\n|---|---|---|---|\n")
    lines = table.split("\n\n", 1)[0].splitlines()
    there = {
        name
        for path in (PROJECT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)\(", path.read_text(encoding="utf-8"))
    }
    named = {line: re.findall(r"`(test_\w+)`", line) for line in lines}
    assert len(lines) >= 6
    assert [line for line, names in named.items() if not names] == []
    assert {name for names in named.values() for name in names} - there == set()


def test_the_public_workflow_runs_what_ci_runs_and_may_only_read() -> None:
    workflow = yaml.safe_load((PROJECT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    (job,) = workflow["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
