"""docker-compose.yaml, checked as far as that goes without a container engine; `make distributed` runs it."""

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
from cryptography.fernet import Fernet
from dotenv import dotenv_values

from dev.emulation import compose as reader
from dev.emulation import images
from dev.emulation.one_machine import OneMachine

PROJECT = Path(__file__).resolve().parents[2]
BUILT_HERE = "airflow-provider-sei:"
REQUIRED_VARIABLE = re.compile(r"\$\{(\w+):\?[^}]*\}")
SETTING = re.compile(r"\$\{(\w+):-[^}]*\}")
ANY_VARIABLE = re.compile(r"(?<!\$)\$\{?(\w+)")
SECRETS = {
    "AIRFLOW_API_SECRET_KEY",
    "AIRFLOW_FERNET_KEY",
    "AIRFLOW_JWT_SECRET",
    "POSTGRES_PASSWORD",
    "REDIS_PASSWORD",
    "S3_ACCESS_KEY",
    "S3_SECRET_KEY",
    "SEI_API_KEY",
}
OF_SECRETS = re.compile(r"^AIRFLOW__SECRETS__|_CMD$")
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

# Prints what Airflow has for each setting and connection that the compose file gives as a file.
READ_SECRETS = """
import json
from airflow.configuration import conf
settings = ["api.secret_key", "api_auth.jwt_secret", "celery.broker_url", "core.fernet_key"]
settings += ["database.sql_alchemy_conn"]
found = {setting: conf.get(*setting.split(".")) for setting in settings}
connections = conf._get_custom_secret_backend(worker_mode=True)
for name in ("lake", "sei_default", "sei_redis"):
    found[name] = connections.get_connection(name).password
print(json.dumps(found))
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


def test_the_file_is_what_the_compose_specification_calls_valid(tmp_path: Path) -> None:
    assert _schema_says((PROJECT / "docker-compose.yaml").read_text(), tmp_path) == 0
    assert _schema_says("services: {worker: {image: a, replicas: 2}}", tmp_path) == 1


def test_every_service_that_keeps_running_has_a_healthcheck(compose: dict[str, Any]) -> None:
    lasting = {name for name, service in compose["services"].items() if service["restart"] != "no"}
    assert lasting == {
        *("postgres", "redis", "s3", "sandbox"),
        *("api-server", "dag-processor", "scheduler", "triggerer", "worker"),
    }
    assert [name for name in lasting if "healthcheck" not in compose["services"][name]] == []


def test_there_is_a_second_worker_and_a_second_triggerer_to_take_over(compose: dict[str, Any]) -> None:
    several = {
        name for name, service in compose["services"].items() if service.get("deploy", {}).get("replicas", 1) >= 2
    }
    assert several == {"worker", "triggerer"}
    assert compose["services"]["scheduler"]["environment"]["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"


def test_all_of_airflow_has_the_same_environment_but_for_the_files_of_its_secrets(compose: dict[str, Any]) -> None:
    airflow = [service for service in compose["services"].values() if "AIRFLOW__CORE__EXECUTOR" in str(service)]
    assert len(airflow) == 6
    settings = [
        {name: value for name, value in service["environment"].items() if not OF_SECRETS.search(name)}
        for service in airflow
    ]
    assert all(each == settings[0] for each in settings)


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


def test_each_secret_comes_as_a_file_from_its_variable_and_from_nowhere_else(compose: dict[str, Any]) -> None:
    assert {how["environment"] for how in compose["secrets"].values()} == SECRETS
    assert {variable for line in compose["x-required"] for variable in REQUIRED_VARIABLE.findall(line)} == SECRETS
    services = json.dumps(compose["services"])
    assert [secret for secret in SECRETS if f"{{{secret}" in services] == []


def test_no_environment_command_or_healthcheck_of_any_service_shows_a_secret() -> None:
    services = reader.read(PROJECT / "docker-compose.yaml", _filled_in())
    shown = {
        (name, secret)
        for name, service in services.items()
        for words in ([*service.environment.values()], service.command, service.healthcheck)
        for secret in SECRETS
        if f"a-{secret}" in " ".join(words)
    }
    assert shown == set()


@pytest.mark.parametrize("how", ["missing", "empty"])
@pytest.mark.parametrize("secret", sorted(SECRETS))
def test_the_file_is_refused_while_a_secret_is_missing_or_empty(secret: str, how: str) -> None:
    variables = _filled_in()
    del variables[secret]
    with pytest.raises(reader.ComposeError, match=f"{secret}.*not set"):
        reader.read(PROJECT / "docker-compose.yaml", variables | ({secret: ""} if how == "empty" else {}))


def test_each_service_gets_the_secrets_that_it_reads_and_no_others() -> None:
    services = reader.read(PROJECT / "docker-compose.yaml", _filled_in())
    for name, service in services.items():
        words = [*service.environment.values(), *service.command, *service.healthcheck]
        assert set(re.findall(r"/run/secrets/[\w.]+", " ".join(words))) == set(service.files), name
    assert services["postgres"].environment["POSTGRES_PASSWORD_FILE"] in services["postgres"].files
    told = {name: {path.rpartition("/")[2] for path in service.files} for name, service in services.items()}
    assert {name for name, files in told.items() if "jwt_secret" in files} == {"api-server", "scheduler"}
    assert {name for name, files in told.items() if "api_secret_key" in files} == {"api-server"}
    assert {name for name, files in told.items() if "redis_password" in files} == {"redis", "scheduler", "worker"}
    assert told["sandbox"] == {"sei_api_key"}


def test_airflow_reads_its_secrets_and_connections_from_the_files(tmp_path: Path) -> None:
    key = Fernet.generate_key().decode()
    services = reader.read(PROJECT / "docker-compose.yaml", _filled_in() | {"AIRFLOW_FERNET_KEY": key})
    machine = OneMachine(services.values(), tmp_path)
    environment: dict[str, str] = {}
    for name in ("api-server", "scheduler", "worker"):
        instance = images.complete(machine.instances(services[name])[0], machine)
        environment |= instance.environment
    done = subprocess.run(
        [sys.executable, "-c", READ_SECRETS], env=environment, capture_output=True, text=True, check=True
    )
    broker, database = machine.port(services["redis"]), machine.port(services["postgres"])
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "api.secret_key": "a-AIRFLOW_API_SECRET_KEY",
        "api_auth.jwt_secret": "a-AIRFLOW_JWT_SECRET",
        "celery.broker_url": f"redis://:a-REDIS_PASSWORD@127.0.0.1:{broker}/0",
        "core.fernet_key": key,
        "database.sql_alchemy_conn": f"postgresql+psycopg2://airflow:a-POSTGRES_PASSWORD@127.0.0.1:{database}/airflow",
        "lake": "a-S3_SECRET_KEY",
        "sei_default": "a-SEI_API_KEY",
        "sei_redis": "a-REDIS_PASSWORD",
    }


def test_the_store_gets_its_keys_from_the_files_in_its_own_process_alone(tmp_path: Path) -> None:
    services = reader.read(PROJECT / "docker-compose.yaml", _filled_in())
    machine = OneMachine(services.values(), tmp_path)
    (store,) = machine.instances(services["s3"])
    images.complete(store, machine)
    start = tmp_path / "docker-entrypoint.sh"
    start.write_text('#!/bin/sh\necho "$ROOT_ACCESS_KEY_ID $ROOT_SECRET_ACCESS_KEY $*"\n')
    start.chmod(0o700)
    done = subprocess.run(
        ["/bin/sh", "-ec", *store.command],
        env=store.environment | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [
        "a-S3_ACCESS_KEY",
        "a-S3_SECRET_KEY",
        "posix",
        str(machine.path(store.service.volumes[0])),
    ]


def test_the_env_file_names_every_variable_and_gives_no_secret_a_value() -> None:
    text = (PROJECT / "docker-compose.yaml").read_text()
    required, settings = set(REQUIRED_VARIABLE.findall(text)), set(SETTING.findall(text))
    assert set(ANY_VARIABLE.findall(text.replace("$$", ""))) - {"HOSTNAME"} == required | settings
    assert required >= SECRETS
    example = dotenv_values(PROJECT / ".env.example")
    assert {name for name, value in example.items() if not value} == SECRETS
    assert required <= example.keys() <= required | settings | {"COMPOSE_PROFILES"}


def test_airflow_knows_every_command_that_is_run(compose: dict[str, Any], tmp_path: Path) -> None:
    commands = [arguments[1:] for arguments in _commands(compose) if arguments[0] == "airflow"]
    assert {command[0] for command in commands} >= {
        "api-server",
        "celery",
        "dag-processor",
        "db",
        "scheduler",
        "triggerer",
    }
    done = subprocess.run(
        [sys.executable, "-c", ASK_AIRFLOW],
        input=json.dumps([*commands, ["no-such-command"]]),
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [["no-such-command"]]


def test_the_filled_in_file_points_airflow_at_the_services_beside_it() -> None:
    services = reader.read(PROJECT / "docker-compose.yaml", _filled_in())
    environment = services["worker"].environment
    connections = services["worker"].files["/run/secrets/connections.json"]
    sei = json.loads(connections)["sei_default"]
    assert (sei["conn_type"], sei["host"], sei["password"]) == ("sei", "http://sandbox:8765", "a-SEI_API_KEY")
    assert sei["extra"]["allow_http"] is True
    assert sei["extra"]["rate_limit_conn_id"] == "sei_redis"
    assert json.loads(connections)["sei_redis"] == "redis://:a-REDIS_PASSWORD@redis:6379/1"
    assert services["sandbox"].environment == {}
    assert services["sandbox"].files == {"/run/secrets/sei_api_key": sei["password"]}
    assert json.loads(environment["AIRFLOW_VAR_SEI_TEAMS"]) is None
    assert environment["AIRFLOW_VAR_SEI_LAKE"] == "s3://lake@sei/lake"
    store = json.loads(connections)["lake"]
    assert store["extra"] == {"endpoint_url": "http://s3:7070", "region_name": "us-east-1"}
    assert store["password"] == services["s3"].files["/run/secrets/s3_secret_key"] == "a-S3_SECRET_KEY"
    assert json.loads(services["init"].files["/run/secrets/connections.json"]) == {"lake": store}
    known = {f"{name}:{port}" for name, service in services.items() for port in service.ports}
    named = {
        found for value in (*environment.values(), connections) for found in re.findall(r"[/@]([\w-]+:\d+)", value)
    }
    assert named
    assert named <= known


def test_only_what_runs_tasks_and_triggers_has_the_api_key_and_only_they_and_init_the_lakes() -> None:
    services = reader.read(PROJECT / "docker-compose.yaml", _filled_in())
    told = {name: " ".join(service.files.values()) for name, service in services.items()}
    with_key = {"triggerer", "worker", "sandbox"}
    assert {name for name, words in told.items() if "a-SEI_API_KEY" in words} == with_key
    assert {name for name, words in told.items() if "a-S3_SECRET_KEY" in words} == {"triggerer", "worker", "init", "s3"}


def test_no_process_of_any_service_gets_more_rights_than_its_user(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert services.keys() >= {"api-server", "init", "postgres", "redis", "s3", "sandbox", "triggerer", "worker"}
    assert {name for name, each in services.items() if each.get("security_opt") != ["no-new-privileges:true"]} == set()
    assert {name for name, each in services.items() if each.keys() & {"privileged", "cap_add", "devices"}} == set()


def test_an_account_of_ones_own_needs_neither_the_sandbox_nor_the_store() -> None:
    own = {"COMPOSE_PROFILES": "", "SEI_ALLOW_HTTP": "", "SEI_TEAMS": '["11", "12"]'}
    services = reader.read(PROJECT / "docker-compose.yaml", _filled_in() | own)
    assert not services.keys() & {"sandbox", "s3"}
    assert services["init"].waits_for == {"postgres": "service_healthy"}
    environment = services["worker"].environment
    connections = json.loads(services["worker"].files["/run/secrets/connections.json"])
    assert connections["sei_default"]["extra"]["allow_http"] is False
    assert json.loads(environment["AIRFLOW_VAR_SEI_TEAMS"]) == ["11", "12"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a ${SET} b", "a x b"),
        ("${SET:-default} ${EMPTY:-default} ${UNSET:-default}", "x default default"),
        ("${SET:?why} ${UNSET:-}", "x "),
        ("$${SET} costs 5$$", "${SET} costs 5$"),
        (["${SET}", {"k": "${SET}"}], ["x", {"k": "x"}]),
        (5, 5),
    ],
)
def test_variables_are_replaced_as_compose_does(text: Any, value: Any) -> None:
    assert reader.interpolate(text, {"SET": "x", "EMPTY": ""}) == value


def test_a_variable_that_is_required_and_empty_is_an_error_that_names_it() -> None:
    with pytest.raises(reader.ComposeError, match=r"REDIS_PASSWORD.*fill in \.env"):
        reader.interpolate("${REDIS_PASSWORD:?fill in .env}", {"REDIS_PASSWORD": ""})


def _filled_in() -> dict[str, str]:
    return {name: value or f"a-{name}" for name, value in dotenv_values(PROJECT / ".env.example").items()}


def _schema_says(text: str, folder: Path) -> int:
    """The exit status of check-jsonschema, which brings the specification's own schema and asks no network for it."""
    file = folder / "compose.yaml"
    file.write_text(text)
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    return subprocess.run(command, capture_output=True, check=False).returncode


def _commands(compose: dict[str, Any]) -> Iterator[list[str]]:
    """Give each command of each service and healthcheck, those inside a shell's `a && b` too."""
    for service in compose["services"].values():
        lines = [service.get("command", []), service.get("healthcheck", {}).get("test", ["CMD"])[1:]]
        for line in lines:
            if line[:1] == ["bash"] or len(line) == 1:
                yield from (shlex.split(part.removeprefix("exec ")) for part in line[-1].split("&&"))
            elif line:
                yield line
