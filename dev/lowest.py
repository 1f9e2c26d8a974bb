"""Print the lowest versions that pyproject.toml allows of what the library itself imports, as constraints.

Airflow and its providers are left out, because `make test-oldest` runs on old ones of them, and pydantic and adlfs,
because their versions are what Airflow asks for.
"""

from __future__ import annotations

import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

_LEFT_OUT = ("apache-airflow", "pydantic", "adlfs", "gcsfs")


def lowest(project: dict[str, Any]) -> list[str]:
    """Return `name==version` for each requirement of a project's table that has a lower bound."""
    extras = project["optional-dependencies"].values()
    found = {}
    for requirement in map(Requirement, chain(project["dependencies"], *extras)):
        floor = next((each.version for each in requirement.specifier if each.operator == ">="), None)
        if floor and not requirement.name.startswith(_LEFT_OUT):
            found[requirement.name] = f"{requirement.name}=={floor}"
    return sorted(found.values())


if __name__ == "__main__":
    print("\n".join(lowest(tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"])))
