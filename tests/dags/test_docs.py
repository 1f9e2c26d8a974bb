"""The code in README and docs: the DAG of the README is part of `dags/`, other DAGs load, and imported names exist."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Callable
from importlib import import_module
from inspect import signature
from pathlib import Path
from textwrap import indent
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from sei_provider import lake as sei_lake

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
                module = import_module(str(node.module))
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


def test_the_consumer_of_the_page_waits_for_the_asset_that_the_nightly_dag_publishes(
    load: Callable[[str], ModuleType], capsys: pytest.CaptureFixture[str]
) -> None:
    consumers = [block for block in _blocks(PROJECT / "docs" / "operators.md") if 'DAG("sprint_report"' in block]
    by_partition = {"PartitionedAssetTimetable" in block: block for block in consumers}
    assert len(consumers) == 2
    block = by_partition[hasattr(import_module("airflow.sdk"), "PartitionedAtRuntime")]  # 3.3
    names: dict[str, Any] = {}
    exec(compile(block.replace("):\n", ") as dag:\n", 1), "operators.md", "exec"), names)  # noqa: S102 - our own page
    awaited = names["dag"].timetable.asset_condition
    published = load("sei_nightly").dag.get_task("publish_sprint").outlets
    assert [asset.name for asset in getattr(awaited, "objects", [awaited])] == [asset.name for asset in published]
    given = {
        "partition_key": "2026-02",
        "triggering_asset_events": {"a": [SimpleNamespace(extra={"published": [{"month": "2026-02"}]})]},
    }
    consume = names["report"].function
    consume(**{name: given[name] for name in signature(consume).parameters})
    assert capsys.readouterr().out == "published: 2026-02\n"


def test_as_long_as_nothing_is_released_the_readme_installs_from_a_checkout_or_a_built_wheel() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wheel = f"{project['name'].replace('-', '_')}-{project['version']}-py3-none-any.whl"
    installs = [
        word.split("[")[0].strip("'")
        for page in PAGES
        for line in re.findall(r"^ {4}.*\bpip install .*$", page.read_text(encoding="utf-8"), re.MULTILINE)
        for word in line.partition("pip install ")[2].split()
        if page == README
    ]
    assert installs == [".", f"dist/{wheel}"]
    assert f"## {project['version']} (unreleased)" in (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^package:", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_page_on_upgrading_tells_how_to_roll_back_and_how_to_uninstall() -> None:
    text = (PROJECT / "docs" / "upgrading.md").read_text(encoding="utf-8")
    _, back, gone, *_ = re.split(r"^## ", text, flags=re.MULTILINE)
    assert back.startswith("Rolling back")
    assert [name for name in re.findall(r"`(\w+Error)`", back) if not hasattr(sei_lake, name)] == []
    assert "NewerFormatError" in back
    assert gone.startswith("Uninstalling")
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"    pip uninstall {project['name']}\n" in gone


def test_pages_that_name_what_reads_the_lake_name_pyarrow_alike() -> None:
    """Beside pandas stands pyarrow wherever a page says what takes its columns from the first month."""
    said = re.compile(r"\b(pandas|pyarrow) and (pandas|pyarrow) (?:take|takes) the columns from")
    found = {page.stem: set(names) for page in PAGES for names in said.findall(page.read_text(encoding="utf-8"))}
    assert found == {"lake": {"pandas", "pyarrow"}, "reading": {"pandas", "pyarrow"}}
