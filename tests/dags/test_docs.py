"""The code in README and docs: the DAG of the README is part of `dags/`, other DAGs load, and imported names exist."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

PROJECT = Path(__file__).parents[2]
README = PROJECT / "README.md"
PAGES = [README, *sorted((PROJECT / "docs").glob("*.md"))]


def _blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def test_the_dag_of_the_readme_is_part_of_the_examples() -> None:
    lines = (PROJECT / "dags" / "sei_common.py").read_text(encoding="utf-8").splitlines()
    part = "\n".join(line for line in lines if "--8<--" not in line)
    [block] = [block for block in _blocks(README) if "SeiExportOperator" in block]
    assert indent(block, " " * 8) in part


def test_the_dag_of_the_page_on_operators_loads() -> None:
    [block] = [block for block in _blocks(PROJECT / "docs" / "operators.md") if 'DAG("sprints"' in block]
    names: dict[str, Any] = {}
    exec(compile(block, "operators.md", "exec"), names)  # noqa: S102 - this project's own page
    assert sorted(names["publish"].dag.task_ids) == ["check", "export", "publish"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_imports_from_the_provider_exists(page: Path) -> None:
    for block in _blocks(page):
        if "--8<--" in block:
            continue
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("sei_provider"):
                module = importlib.import_module(str(node.module))
                assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


def test_the_links_of_the_readme_lead_to_files() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (PROJECT / link).exists()] == []
    listed = {Path(link).name for link in links if link.startswith("docs/")}
    assert {page.name for page in PAGES[1:]} - listed == set()


def test_a_page_has_a_heading_about_what_a_link_to_it_says() -> None:
    wrong = []
    for page in PAGES:
        for words, address in re.findall(r"(?<!!)\[([^\]]+)\]\(([^)#]+\.md)", page.read_text(encoding="utf-8")):
            target = page.parent / address
            if "://" in address or target.parent.name != "docs":
                continue
            headings = " ".join(
                re.findall(r"^(?:#+|:::) (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            ).casefold()
            stems = [word.removesuffix("s") for word in re.findall(r"[a-z]{3,}", words.casefold())]
            if not any(stem in headings for stem in stems if stem not in {"the", "own", "your", "what", "all"}):
                wrong.append(f"{page.name}: [{words}]({address})")
    assert wrong == []
