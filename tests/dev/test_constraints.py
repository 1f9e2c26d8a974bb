"""The constraints: they pin what is installed to versions and hashes, and say nothing of where packages come from."""

import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parents[2]
PIN = re.compile(r"([A-Za-z0-9][\w.-]*)==([^\s;\\]+)(?: ; [^\\]*)?((?: --hash=sha256:[0-9a-f]{64})+)")
NOT_INSTALLED = {"gcs", "azure"}
"""Extras that no test installs."""
CONSTRAINTS = PROJECT / "constraints"
FILES = {
    "3.3.2": PROJECT / "constraints.txt",
    **{file.stem.removeprefix("airflow-"): file for file in CONSTRAINTS.glob("airflow-*.txt")},
}
PARTS = {name: CONSTRAINTS / f"{name}.txt" for name in ("build", "image")}
"""Parts of constraints.txt: those that build, and those of the image."""
METADATA = tomllib.loads((PROJECT / "pyproject.toml").read_text())
PIP = re.compile(r"(?:pip|pip .*) (?:install|wheel|download)")


def _pins(file: Path) -> dict[str, tuple[str, frozenset[str]]]:
    """Version and hashes of each pin; every line of the file must belong to one."""
    lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    pins = {}
    for line in re.sub(r" \\\n\s*", " ", "\n".join(lines)).splitlines():
        pin = PIN.fullmatch(line)
        assert pin, f"{file.name} has a line that is no version with hashes: {line[:80]}"
        pins[canonicalize_name(pin[1])] = (pin[2], frozenset(pin[3].split()))
    return pins


def _asked() -> list[str]:
    groups = METADATA["dependency-groups"]
    return [
        *METADATA["build-system"]["requires"],
        *_asked_of_extras(METADATA["project"]["optional-dependencies"].keys() - NOT_INSTALLED),
        *groups["build"],
        *(line for line in groups["dev"] if isinstance(line, str)),
    ]


def _asked_of_extras(extras: set[str]) -> list[str]:
    of_extras: dict[str, Any] = METADATA["project"]["optional-dependencies"]
    return [*METADATA["project"]["dependencies"], *(line for extra in sorted(extras) for line in of_extras[extra])]


def _check(requirements: list[str], file: Path) -> None:
    pins = _pins(file)
    for requirement in map(Requirement, requirements):
        name = canonicalize_name(requirement.name)
        assert name in pins, f"{name} is not in {file.name}: run `make constraints`"
        assert requirement.specifier.contains(pins[name][0]), f"{requirement} against {pins[name][0]}"


@pytest.mark.parametrize("version", FILES)
def test_every_requirement_is_pinned_to_a_version_that_it_allows_with_its_hashes(version: str) -> None:
    _check(_asked(), FILES[version])
    assert _pins(FILES[version])["apache-airflow"][0] == version


def test_what_builds_and_what_the_image_holds_are_of_the_same_versions_and_hashes() -> None:
    (image_extras,) = re.findall(r"^IMAGE_EXTRAS := (.*)$", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    _check([*METADATA["build-system"]["requires"], *METADATA["dependency-groups"]["build"]], PARTS["build"])
    _check(_asked_of_extras(set(image_extras.split(","))), PARTS["image"])
    everything = _pins(FILES["3.3.2"])
    for file in PARTS.values():
        pins = _pins(file)
        assert pins == {name: everything[name] for name in pins}, file.name


def test_there_is_a_file_for_every_version_of_the_makefile() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    versions = re.findall(r"^(?:NEWEST|OLDER) := (.*)$", makefile, re.MULTILINE)
    assert sorted(" ".join(versions).split()) == sorted(FILES)


@pytest.mark.parametrize("version", FILES)
def test_pip_is_pinned_and_the_project_itself_is_not_listed(version: str) -> None:
    pins = _pins(FILES[version])
    assert "pip" in pins
    assert "airflow-provider-sei" not in pins


def _pip_commands() -> list[str]:
    """Each line of the environment's recipe, and of the image's, that has pip download or build something."""
    make = shutil.which("make")
    assert make
    recipe = subprocess.run(
        [make, "--dry-run", "--always-make", ".venv/.ready"], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout
    image = (PROJECT / "Dockerfile").read_text().replace("\\\n", " ").replace("&&", "\n")
    return [line for line in [*recipe.splitlines(), *image.splitlines()] if PIP.search(line)]


def test_whatever_pip_downloads_has_a_hash_and_what_is_built_here_downloads_nothing() -> None:
    commands = _pip_commands()
    assert len(commands) == 7
    for command in commands:
        words = set(shlex.split(command))
        assert "--no-deps" in words, command
        if "--requirement" in words:
            assert "--require-hashes" in words, command
        else:
            ours = [word for word in words if word == "." or word.endswith(("/provider", "/wheels/*.whl"))]
            assert len(ours) == 1, command
            assert ours[0].endswith(".whl") or "--no-build-isolation" in words, command


def test_the_public_workflow_takes_each_action_by_its_commit_and_not_by_a_name_that_may_move() -> None:
    taken = re.findall(r"uses: (\S+)", (PROJECT / ".github" / "workflows" / "ci.yml").read_text())
    assert taken
    assert [action for action in taken if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action)] == []
