"""Stand-ins for the images of docker-compose.yaml, made from Debian and PyPI, because images need an engine.

A service's own command and environment come from the compose file; this adds only what its image would add.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from dev.emulation.debian import command_from_package
from dev.emulation.one_machine import Instance, OneMachine
from dev.processes import StackError, run_command

POSTGRES_USER = "postgres"  # PostgreSQL refuses to run as root; Debian's package makes this user
INITDB_SECONDS = 120.0


def complete(instance: Instance, machine: OneMachine) -> Instance:
    """Return the instance as its image would start it, and do what the image prepares at its first start.

    Raises:
        StackError: no image of that name is known here, preparing failed, or a program is missing and its Debian
            package cannot be installed.
    """
    (instance.home / "tmp").mkdir(parents=True)
    for volume in instance.service.volumes:
        machine.path(volume).mkdir(parents=True, exist_ok=True)
    for path, content in instance.files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(content, encoding="utf-8")
    name = instance.service.image.rpartition(":")[0]
    if name not in _IMAGES:
        msg = f"{instance.name} runs the image {name}, which has no stand-in here; known: {[*_IMAGES]}"
        raise StackError(msg)
    return _IMAGES[name](instance, machine)


def _airflow(instance: Instance, _machine: OneMachine) -> Instance:
    command_from_package("curl", "curl")  # for the health checks
    own = {
        "AIRFLOW_HOME": str(instance.home),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "dev.emulation.hostname.of_container",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    return replace(instance, environment=instance.environment | own)


def _postgres(instance: Instance, machine: OneMachine) -> Instance:
    programs = Path(command_from_package("initdb", "postgresql")).parent
    data = machine.path(instance.service.volumes[0])
    password = instance.environment["POSTGRES_PASSWORD_FILE"]
    user: list[str] = []
    if os.geteuid() == 0:
        user = ["setpriv", f"--reuid={POSTGRES_USER}", f"--regid={POSTGRES_USER}", "--init-groups"]
        shutil.chown(data, POSTGRES_USER, POSTGRES_USER)
        shutil.chown(password, POSTGRES_USER, POSTGRES_USER)
    name = instance.environment["POSTGRES_USER"]
    run_command(
        *user, str(programs / "initdb"), f"--pgdata={data}", f"--username={name}", f"--pwfile={password}",
        "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync",
        folder=Path("/"), seconds=INITDB_SECONDS,
    )  # fmt: skip
    server = [*user, str(programs / "postgres")]
    create = f"CREATE DATABASE {instance.environment['POSTGRES_DB']}"
    run_command(*server, "--single", "-D", str(data), "postgres", text=create, folder=Path("/"), seconds=INITDB_SECONDS)
    port = str(machine.port(instance.service))
    return replace(instance, command=[*server, "-D", str(data), "-h", "127.0.0.1", "-p", port, "-k", ""])


def _redis(instance: Instance, _machine: OneMachine) -> Instance:
    command_from_package("redis-server", "redis-server")
    return instance


def _s3(instance: Instance, machine: OneMachine) -> Instance:
    """moto's server, for want of VersityGW from a package; it honours If-Match, and takes any key."""
    port = str(machine.port(instance.service))
    check = ["curl", "--fail", "--silent", "--output", "/dev/null", f"http://127.0.0.1:{port}/"]
    return replace(instance, command=["moto_server", "--host", "127.0.0.1", "--port", port], healthcheck=check)


_IMAGES: dict[str, Callable[[Instance, OneMachine], Instance]] = {
    "airflow-provider-sei": _airflow,
    "postgres": _postgres,
    "redis": _redis,
    "versity/versitygw": _s3,
}
