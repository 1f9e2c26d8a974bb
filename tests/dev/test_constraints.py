"""The constraints: they pin what is installed for the tests, and say nothing of where packages come from."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parents[2]
PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;]+)( ; .*)?$")
NOT_INSTALLED = {"gcs", "azure"}
"""Extras that no test installs."""
FILES = {
    "3.3.2": PROJECT / "constraints.txt",
    **{file.stem.removeprefix("airflow-"): file for file in PROJECT.glob("constraints/airflow-*.txt")},
}


def _pins(file: Path) -> dict[str, str]:
    lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    pins = [PIN.match(line) for line in lines]
    assert all(pins), f"{file.name} has a line that is no pin"
    return {canonicalize_name(pin[1]): pin[2] for pin in pins if pin}


def _asked(metadata: dict[str, Any]) -> list[str]:
    groups = metadata["dependency-groups"]
    return [
        *metadata["build-system"]["requires"],
        *metadata["project"]["dependencies"],
        *(
            line
            for extra, lines in metadata["project"]["optional-dependencies"].items()
            if extra not in NOT_INSTALLED
            for line in lines
        ),
        *groups["build"],
        *(line for line in groups["dev"] if isinstance(line, str)),
    ]


@pytest.mark.parametrize("airflow", FILES)
def test_every_requirement_is_pinned_to_a_version_that_it_allows(airflow: str) -> None:
    pins = _pins(FILES[airflow])
    for requirement in map(Requirement, _asked(tomllib.loads((PROJECT / "pyproject.toml").read_text()))):
        name = canonicalize_name(requirement.name)
        assert name in pins, f"{name} is not in {FILES[airflow].name}: run `make constraints`"
        assert requirement.specifier.contains(pins[name]), f"{requirement} against {pins[name]}"
    assert pins["apache-airflow"] == airflow


def test_there_is_a_file_for_every_version_of_the_makefile() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    versions = re.findall(r"^(?:NEWEST|OLDER) := (.*)$", makefile, re.MULTILINE)
    assert sorted(" ".join(versions).split()) == sorted(FILES)


@pytest.mark.parametrize("airflow", FILES)
def test_pip_is_pinned_and_the_project_itself_is_not_listed(airflow: str) -> None:
    pins = _pins(FILES[airflow])
    assert "pip" in pins
    assert "airflow-provider-sei" not in pins
