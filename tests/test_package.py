"""Rules of the whole package: which room may know which, and what importing costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import sei_provider

PACKAGE = Path(sei_provider.__file__).parent
FORBIDDEN = {
    "api": {"airflow", "pyarrow", "pandas", "sei_provider.lake"},
    "lake": {"airflow", "httpx", "sei_provider.api"},
    "sandbox": {"airflow", "httpx", "pyarrow", "pandas", "sei_provider.lake"},
}
LAKE_FLOORS = ("tables", "staging", "storage")
"""From above; each may import itself, the floors below it, and the modules of plain values at the top of `lake`."""
HEAVY = {"httpx", "pandas", "pyarrow", "pyrate_limiter", "stamina"}


def imports_of(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_room_knows_only_what_it_may(room: str) -> None:
    files = list((PACKAGE / room).rglob("*.py"))
    assert len(files) > 5
    for file in files:
        for name in imports_of(file):
            stranger = {known for known in FORBIDDEN[room] if name == known or name.startswith(f"{known}.")}
            assert not stranger, f"{file.relative_to(PACKAGE)} imports {name}"


def lake_imports() -> dict[str, set[str]]:
    """The modules of the lake, `staging.stage`, with those that each imports anywhere in its code."""
    root = PACKAGE / "lake"
    files = {
        ".".join(file.relative_to(root).with_suffix("").parts): file
        for file in root.rglob("*.py")
        if file.name != "__init__.py"
    }
    return {
        module: files.keys() & {name.removeprefix("sei_provider.lake.") for name in imports_of(file)}
        for module, file in files.items()
    }


def test_no_floor_of_the_lake_imports_one_above_it() -> None:
    imports = lake_imports()
    below = dict(zip(LAKE_FLOORS, range(len(LAKE_FLOORS), 0, -1), strict=True))
    assert {module.partition(".")[0] for module in imports} >= set(LAKE_FLOORS)
    for module, imported in imports.items():
        floor = below.get(module.partition(".")[0], 0)
        up = {name for name in imported if below.get(name.partition(".")[0], 0) > floor}
        assert not up, f"lake/{module} imports {', '.join(sorted(up))}, which stand above it"


def test_the_modules_of_the_lake_import_each_other_in_no_circle() -> None:
    TopologicalSorter(lake_imports()).prepare()


def test_only_airflows_side_imports_airflow() -> None:
    rooms = {"cli", "hooks", "links.py", "operators", "triggers"}
    for file in PACKAGE.rglob("*.py"):
        if any(name.split(".")[0] == "airflow" for name in imports_of(file)):
            assert file.relative_to(PACKAGE).parts[0] in rooms, f"{file.relative_to(PACKAGE)} imports airflow"


@pytest.mark.parametrize("dag", ["sei_nightly", "sei_history", "sei_scorecard"])
def test_reading_an_example_dag_loads_nothing_heavy(dag: str) -> None:
    bare = modules_after("from airflow.sdk import DAG, BaseHook, BaseOperator, task")  # brings httpx itself
    ours = modules_after(f"sys.path.insert(0, {str(PACKAGE.parent / 'dags')!r}); import {dag}")
    assert f"sei_provider.operators.{'export' if dag != 'sei_scorecard' else 'check'}" in ours
    assert not HEAVY & (ours - bare)
    assert "sei_provider.api.client" not in ours


def modules_after(script: str) -> set[str]:
    command = [sys.executable, "-c", f"import sys; {script}; print(*sys.modules)"]
    return set(subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.split())
