"""Rules of the whole package: what is public, which part imports which, and what importing costs."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import sei_provider
from dev.arrows import PROJECT, ROOTS, broken_rules, cycles, read_imports
from sei_provider.plural import plural
from tests.public_surface import PINNED, lines

PACKAGE = Path(sei_provider.__file__).parent
HEAVY = {"httpx", "openlineage", "pandas", "pyarrow", "pyrate_limiter", "stamina"}


def test_what_is_public_is_what_is_pinned() -> None:
    assert [*lines()] == PINNED.read_text(encoding="utf-8").splitlines()


def test_no_part_imports_what_its_rules_forbid() -> None:
    imports = read_imports(PROJECT, ROOTS)
    assert len(imports) > 200
    assert [*broken_rules(imports)] == []


def test_neither_modules_nor_packages_import_each_other_in_a_circle() -> None:
    assert [*cycles(read_imports(PROJECT, ROOTS))] == []


@pytest.mark.parametrize(
    ("module", "text", "told"),
    [
        ("api/client", "from sei_provider.lake import stage", "sei_provider.api imports nothing of it"),
        ("api/client", "def late():\n    import airflow", "import Airflow"),
        ("lake/model", "from sei_provider.lake.tables import table", "stands above it in sei_provider.lake"),
        ("triggers/export", "import sei_provider.operators.export", "sei_provider.triggers imports nothing of it"),
        ("sandbox/app", "from sei_provider.api import errors", "sei_provider.sandbox imports nothing of it"),
        ("hooks/sei", "import tests.conftest", "sei_provider imports nothing of it"),
        ("provider_info", "import airflow", "import Airflow"),
    ],
)
def test_an_import_that_is_forbidden_is_told(module: str, text: str, told: str, tmp_path: Path) -> None:
    for name in (module, "lake/tables/table"):
        (tmp_path / "sei_provider" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "sei_provider" / f"{name}.py").touch()
    (tmp_path / "sei_provider" / f"{module}.py").write_text(text)
    [line] = {*broken_rules(read_imports(tmp_path, ROOTS))}
    assert line.startswith(f"sei_provider.{module.replace('/', '.')} imports ")
    assert told in line


def test_a_circle_is_told_but_not_one_of_types_alone(tmp_path: Path) -> None:
    folder = tmp_path / "dev"
    folder.mkdir()
    (folder / "one.py").write_text("from dev.two import a")
    (folder / "two.py").write_text("if TYPE_CHECKING:\n    from dev.one import B")
    assert [*cycles(read_imports(tmp_path, ["dev"]))] == []
    (folder / "two.py").write_text("def late():\n    import dev.one")
    assert [line.partition(":")[0] for line in cycles(read_imports(tmp_path, ["dev"]))] == ["modules in a circle"]


@pytest.mark.xdist_group("modules_after")  # whose answers one worker keeps
@pytest.mark.parametrize("dag", ["sei_nightly", "sei_history", "sei_scorecard"])
def test_reading_an_example_dag_loads_nothing_heavy(dag: str) -> None:
    bare = modules_after("from airflow.sdk import DAG, BaseHook, BaseOperator, task")  # brings httpx itself
    ours = modules_after(f"sys.path.insert(0, {str(PACKAGE.parent / 'dags')!r}); import {dag}")
    assert f"sei_provider.operators.{'export' if dag != 'sei_scorecard' else 'check'}" in ours
    assert not HEAVY & (ours - bare)
    assert "sei_provider.api.client" not in ours


@cache
def modules_after(script: str) -> set[str]:
    command = [sys.executable, "-c", f"import sys; {script}; print(*sys.modules)"]
    return set(subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.split())


def test_one_thing_is_told_as_one() -> None:
    assert [plural(number, "scope") for number in (0, 1, 2, 1000)] == [
        "0 scopes",
        "1 scope",
        "2 scopes",
        "1,000 scopes",
    ]
    assert [plural(number, "entry", "entries") for number in (1, 2)] == ["1 entry", "2 entries"]


@pytest.mark.parametrize("folder", ["sei_provider", "dags", "dev"])
def test_no_message_counts_things_without_that(folder: str) -> None:
    things = (
        "bytes|columns|entries|exports|figures|files|gaps|links|months|pages|requests|rows|scopes|slices|tasks|teams"
    )
    counted = re.compile(rf"(?:%d|\{{len\([^{{}}]*\)\}}|\{{\w*count\w*\}}) (?:\w+ )?(?:{things})\b")
    found = [
        f"{file.relative_to(PROJECT)}: {line.strip()}"
        for file in sorted((PROJECT / folder).rglob("*.py"))
        for line in file.read_text(encoding="utf-8").splitlines()
        if counted.search(line)
    ]
    assert found == []
