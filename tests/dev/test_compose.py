"""docker-compose.yaml, checked as far as that goes without a container engine."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sei_provider.sandbox.organisation import Organisation

PROJECT = Path(__file__).resolve().parents[2]
BUILT_HERE = "airflow-provider-sei:"
SECRET = re.compile(r"password|secret|key|token|conn_|://[^/]*:[^/]*@", re.IGNORECASE)
REQUIRED_VARIABLE = re.compile(r"\$\{(\w+):\?[^}]*\}")
ANY_VARIABLE = re.compile(r"(?<!\$)\$\{?(\w+)")
PINNED = re.compile(r"^[\w./-]+:[\w.-]*\d+\.\d+[\w.-]*$")

# Reads argument lists from stdin and gives those that Airflow's own command line refuses.
ASK_AIRFLOW = """
import json, sys
from airflow.cli.cli_parser import get_parser
refused = []
for arguments in json.load(sys.stdin):
    try:
        get_parser().parse_args(arguments)
    except SystemExit:
        refused.append(arguments)
json.dump(refused, sys.stdout)
"""


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((PROJECT / "docker-compose.yaml").read_text())


def test_every_service_a_service_waits_for_exists_and_can_reach_the_awaited_condition(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in services, f"{name} waits for {other}"
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[other], f"{name} waits for {other} to be healthy, which nobody checks"


def test_every_service_that_keeps_running_has_a_healthcheck(compose: dict[str, Any]) -> None:
    lasting = {name for name, service in compose["services"].items() if service["restart"] != "no"}
    assert lasting == {"postgres", "sandbox", "api-server", "scheduler", "dag-processor", "triggerer"}
    assert [name for name in lasting if "healthcheck" not in compose["services"][name]] == []


def test_every_named_volume_is_declared_and_every_mounted_folder_exists(compose: dict[str, Any]) -> None:
    used = set()
    for service in compose["services"].values():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            if source.startswith("."):
                assert (PROJECT / source).is_dir(), source
            else:
                used.add(source)
    assert used == set(compose["volumes"])


def test_every_image_is_built_here_or_pinned_to_a_version(compose: dict[str, Any]) -> None:
    images = {service["image"] for service in compose["services"].values() if "build" not in service}
    images |= set(re.findall(r"^FROM (\S+)", (PROJECT / "Dockerfile").read_text(), re.MULTILINE))
    assert images
    assert [image for image in images if not PINNED.match(image)] == []
    assert all(
        service["image"].startswith(BUILT_HERE) for service in compose["services"].values() if "build" in service
    )


def test_no_secret_is_written_down_or_has_a_default(compose: dict[str, Any]) -> None:
    secrets = {
        f"{service}: {name}": value
        for service, description in compose["services"].items()
        for name, value in description.get("environment", {}).items()
        if SECRET.search(name) or SECRET.search(str(value))
    }
    assert {"postgres: POSTGRES_PASSWORD", "scheduler: AIRFLOW__CORE__FERNET_KEY"} <= secrets.keys()
    assert [name for name, value in secrets.items() if not REQUIRED_VARIABLE.search(value)] == []


def test_the_env_file_names_every_variable_that_is_used_and_gives_none_a_value() -> None:
    text = (PROJECT / "docker-compose.yaml").read_text()
    example = (PROJECT / ".env.example").read_text()
    assert set(ANY_VARIABLE.findall(text.replace("$$", ""))) - {"HOSTNAME"} == set(REQUIRED_VARIABLE.findall(text))
    assert set(re.findall(r"^(\w+)=$", example, re.MULTILINE)) == set(REQUIRED_VARIABLE.findall(text))
    assert re.findall(r"^\w+=.+$", example, re.MULTILINE) == []


def test_airflow_knows_every_command_that_is_run(compose: dict[str, Any], tmp_path: Path) -> None:
    commands = [arguments[1:] for arguments in _commands(compose) if arguments[0] == "airflow"]
    assert {command[0] for command in commands} >= {"api-server", "scheduler", "dag-processor", "triggerer", "db"}
    done = subprocess.run(
        [sys.executable, "-c", ASK_AIRFLOW],
        input=json.dumps([*commands, ["no-such-command"]]),
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [["no-such-command"]]


def test_the_connection_and_the_teams_are_json_and_fit_the_sandbox(compose: dict[str, Any]) -> None:
    environment = compose["services"]["scheduler"]["environment"]
    connection = json.loads(REQUIRED_VARIABLE.sub("a-key", environment["AIRFLOW_CONN_SEI_DEFAULT"]))
    assert connection["conn_type"] == "sei"
    assert connection["host"] == "http://sandbox:8765"
    sandbox = compose["services"]["sandbox"]["command"]
    assert "--port=8765" in sandbox
    assert "--teams=40" in sandbox
    assert json.loads(environment["AIRFLOW_VAR_SEI_TEAMS"]) == [team.id for team in Organisation(40).leaves]


def _commands(compose: dict[str, Any]) -> Iterator[list[str]]:
    """Give each command of each service and healthcheck, those inside a shell's `a && b` too."""
    for service in compose["services"].values():
        lines = [service.get("command", []), service.get("healthcheck", {}).get("test", ["CMD"])[1:]]
        for line in lines:
            if line[:1] == ["bash"] or len(line) == 1:
                yield from (shlex.split(part) for part in line[-1].split("&&"))
            elif line:
                yield line
