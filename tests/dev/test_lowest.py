"""The lowest versions that pyproject.toml allows: what `make test-lowest` installs, and none with a known hole."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from dev.lowest import lowest

PROJECT: dict[str, Any] = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
WITHOUT_HOLES = {
    "filelock": "3.20.3",  # CVE-2025-68146, CVE-2026-22701
    "httpcore": "1.0.9",  # takes h11 0.16: CVE-2025-43859
    "pyarrow": "14.0.1",  # CVE-2023-47248
    "starlette": "0.47.2",  # CVE-2025-54121; that of 0.49.1 is in FileResponse, which the sandbox does not use
    "redis": "4.5.5",  # CVE-2023-28858, CVE-2023-28859
    "apache-airflow-providers-amazon": "9.22",  # CVE-2026-25604
}


def test_every_library_is_pinned_to_its_lower_bound_for_the_lowest_run() -> None:
    pins = dict(line.split("==") for line in lowest(PROJECT))
    assert pins["filelock"] == "3.20.3"
    assert pins.keys() >= {"httpx", "httpcore", "pyarrow", "pyrate-limiter", "numpy", "pandas", "obstore", "redis"}
    assert not [name for name in pins if name.startswith("apache-airflow")]


@pytest.mark.parametrize("name", WITHOUT_HOLES)
def test_no_lower_bound_lets_a_version_with_a_known_hole_in(name: str) -> None:
    lines = [*PROJECT["dependencies"], *(line for extra in PROJECT["optional-dependencies"].values() for line in extra)]
    (specifier,) = {each.specifier for each in map(Requirement, lines) if each.name == name}
    floor = next(each.version for each in specifier if each.operator == ">=")
    assert Version(floor) >= Version(WITHOUT_HOLES[name])
