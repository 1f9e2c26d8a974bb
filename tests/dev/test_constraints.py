"""constraints.txt: it pins what pyproject.toml asks for, and says nothing of where packages come from."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parents[2]
PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)==(\S+)$")


def _pins() -> dict[str, str]:
    lines = [line for line in (PROJECT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if not PIN.match(line)] == []
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


def test_every_requirement_is_pinned_to_a_version_that_it_allows() -> None:
    pins = _pins()
    metadata = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    asked = [
        *metadata["build-system"]["requires"],
        *metadata["project"]["dependencies"],
        *(line for extra in metadata["project"]["optional-dependencies"].values() for line in extra),
        *metadata["dependency-groups"]["dev"],
    ]
    for requirement in map(Requirement, asked):
        name = canonicalize_name(requirement.name)
        assert name in pins, f"{name} is not in constraints.txt: run `make constraints`"
        assert requirement.specifier.contains(pins[name]), f"{requirement} against {pins[name]}"


def test_pip_is_pinned_and_the_project_itself_is_not_listed() -> None:
    pins = _pins()
    assert "pip" in pins
    assert "airflow-provider-sei" not in pins
    assert "setuptools" not in pins
