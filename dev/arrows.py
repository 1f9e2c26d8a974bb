"""`make arrows`: which part of the project imports which, and every import that breaks a rule.

The rules stand in `FLOORS`, `STRANGERS` and `LENDS`; `tests/test_package.py` holds that nothing breaks them.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
ROOTS = ("sei_provider", "dev", "bench", "tests")

Imports = Mapping[str, frozenset[str]]
"""Names that each module of the project imports: modules, or names in them; not those for types alone."""

FLOORS: Mapping[str, Sequence[Sequence[str]]] = {
    "sei_provider": (
        ("metrics", "plural", "printable"),
        ("api", "lake"),
        ("lineage_facets",),
        ("lineage",),
        ("sandbox", "hooks"),
        ("links", "triggers"),
        ("operators", "cli", "plugin"),
        ("sensors", "testing"),
    ),
    "sei_provider.api": (
        ("bounds",),
        ("errors", "redaction", "report"),
        ("reports", "validation", "periods"),
        ("link", "options"),
        ("request", "export", "teams"),
        ("planner", "call"),
        ("pagination",),
        ("endpoints",),
        ("list_filters",),
        ("polling",),
        ("response", "retry", "rate_limit"),
        ("exchange",),
        ("base_client",),
        ("async_client", "client"),
    ),
    "sei_provider.lake": (
        ("errors", "model", "periods", "columns", "column_metadata"),
        ("storage",),
        ("staging",),
        ("tables",),
    ),
}
"""From below: no module imports anything of a floor above its own."""

STRANGERS: Mapping[str, Sequence[str]] = {
    "sei_provider.api": ("pandas", "pyarrow", "sei_provider.lake", "sei_provider.lineage", "sei_provider.metrics"),
    "sei_provider.lake": ("httpx", "sei_provider.api", "sei_provider.lineage", "sei_provider.metrics"),
    "sei_provider.sandbox": ("httpx", "pandas", "pyarrow", "sei_provider"),
    "sei_provider.triggers": ("sei_provider.operators", "sei_provider.sensors"),
    "sei_provider": ("dev", "bench", "tests"),
    "dev": ("bench", "tests"),
    "bench": ("tests",),
}
"""Packages and libraries that the modules of a package do not import."""

LENDS: Mapping[str, Sequence[str]] = {
    "sei_provider.sandbox": ("sei_provider.api.reports", "sei_provider.plural", "sei_provider.sandbox"),
}
"""Exceptions: modules of a stranger that a package does import."""

AIRFLOWS_SIDE = (
    "cli",
    "hooks",
    "lineage",
    "links",
    "metrics",
    "operators",
    "plugin",
    "sensors",
    "testing",
    "triggers",
)
"""The only parts of the provider that import Airflow."""


def main() -> int:
    """Print what each part imports, then what is wrong; 1 if anything is."""
    imports = read_imports(PROJECT, ROOTS)
    for part, others in sorted(between_parts(imports).items()):
        print(f"{part:26} → {', '.join(sorted(others)) or 'nothing'}")
    wrong = [*broken_rules(imports), *cycles(imports)]
    for line in wrong:
        print(f"WRONG: {line}")
    print(f"{len(imports)} modules, {sum(map(len, modules_only(imports).values()))} imports, {len(wrong)} wrong")
    return 1 if wrong else 0


def read_imports(folder: Path, roots: Sequence[str]) -> Imports:
    """Read the imports of every module below these packages, by its name."""
    found: dict[str, frozenset[str]] = {}
    for root in roots:
        for file in sorted((folder / root).rglob("*.py")):
            name = ".".join(file.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")
            tree = ast.parse(file.read_text(encoding="utf-8"))
            found[name] = frozenset(_names(tree)) - {name}
    return found


def modules_only(imports: Imports) -> dict[str, set[str]]:
    """Return the graph of the project's own modules; a name in a module counts as the module."""
    return {name: {found for each in names if (found := _module(each, imports))} for name, names in imports.items()}


def between_parts(imports: Imports) -> dict[str, set[str]]:
    """Return the graph of the parts: packages of the provider, and `dev`, `bench`, `tests`."""
    parts: dict[str, set[str]] = {}
    for name, others in modules_only(imports).items():
        parts.setdefault(_part(name), set()).update(_part(other) for other in others)
    return {part: others - {part} for part, others in parts.items()}


def broken_rules(imports: Imports) -> Iterator[str]:
    """Return a line for each import that a rule forbids."""
    for name, names in imports.items():
        for package, strangers in STRANGERS.items():
            lent = LENDS.get(package, ())
            for other in names if _is_in(name, package) else ():
                if any(_is_in(other, each) for each in strangers) and not any(_is_in(other, each) for each in lent):
                    yield f"{name} imports {other}, and {package} imports nothing of it"
        if name.startswith("sei_provider.") and name.split(".")[1] not in AIRFLOWS_SIDE:
            for other in names:
                if _is_in(other, "airflow"):
                    yield f"{name} imports {other}, and only {', '.join(AIRFLOWS_SIDE)} import Airflow"
    for package, floors in FLOORS.items():
        height = {f"{package}.{part}": number for number, floor in enumerate(floors) for part in floor}
        for name, others in modules_only(imports).items():
            for other in others:
                own, above = (_floor(each, height) for each in (name, other))
                if own is not None and above is not None and above > own:
                    yield f"{name} imports {other}, which stands above it in {package}"


def cycles(imports: Imports) -> Iterator[str]:
    """Return a line for a circle of modules and one for a circle of packages, if there is one."""
    # What a package's face imports for its users is no arrow of the modules that stand in it.
    modules = {
        name: {other for other in others if not name.startswith(f"{other}.")}
        for name, others in modules_only(imports).items()
    }
    for kind, graph in (("modules", modules), ("packages", between_parts(imports))):
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            yield f"{kind} in a circle: {' ← '.join(error.args[1])}"


def _names(tree: ast.AST) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from _names(node)


def _module(name: str, imports: Imports) -> str | None:
    """Return the module of the project that a name is or stands in."""
    while name not in imports:
        name, dot, _ = name.rpartition(".")
        if not dot:
            return None
    return name


def _part(module: str) -> str:
    return ".".join(module.split(".")[: 2 if module.startswith("sei_provider.") else 1])


def _is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def _floor(module: str, height: Mapping[str, int]) -> int | None:
    return next((number for part, number in height.items() if _is_in(module, part)), None)


if __name__ == "__main__":
    sys.exit(main())
