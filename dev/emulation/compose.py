"""Read docker-compose.yaml as a container engine does, because there is none to read it.

Supports the part of the format that the file uses. Starts nothing: `cluster` does.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?::(?P<how>[-?])(?P<rest>[^}]*))?\})")


class ComposeError(ValueError):
    """The file uses something that is not supported; the message names it."""


@dataclass(frozen=True, slots=True)
class Volume:
    """One mount: `source` is a volume's name, or a path that begins with a dot; `target` is a path in the container."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Service:
    """One service, with every variable replaced by its value."""

    name: str
    image: str
    command: Sequence[str]
    """Empty if the image's own command is to run."""
    environment: Mapping[str, str]
    healthcheck: Sequence[str]
    """An argument list; empty without a health check."""
    waits_for: Mapping[str, str]
    """Service to condition, as in `{"postgres": "service_healthy"}`."""
    files: Mapping[str, str]
    """Its secrets and configs: path in the container to content."""
    volumes: Sequence[Volume]
    ports: Sequence[int]
    """The ports that it listens on in its container."""
    replicas: int
    ends: bool
    """True if it does its work and ends, False if it serves until it is stopped."""


def read(file: Path, variables: Mapping[str, str]) -> dict[str, Service]:
    """Return the services of a compose file that `COMPOSE_PROFILES` asks for, by name, in the file's order.

    Raises:
        ComposeError: a variable that the file requires, anywhere in it, is missing or empty, or that of a secret is
            missing; names it.
    """
    document = interpolate(yaml.safe_load(file.read_text(encoding="utf-8")), variables)
    profiles = set(filter(None, variables.get("COMPOSE_PROFILES", "").split(",")))
    asked = {
        name: described
        for name, described in document["services"].items()
        if not described.get("profiles") or profiles & set(described["profiles"])
    }
    secrets = {name: _secret(name, how["environment"], variables) for name, how in document.get("secrets", {}).items()}
    configs = {name: how["content"] for name, how in document.get("configs", {}).items()}
    return {
        name: _service(name, described, secrets=secrets, configs=configs, present=asked.keys())
        for name, described in asked.items()
    }


def interpolate(value: Any, variables: Mapping[str, str]) -> Any:
    """Return the value with `${NAME}`, `${NAME:-default}`, `${NAME:?message}` and `$$` replaced in all its strings."""
    if isinstance(value, dict):
        return {key: interpolate(each, variables) for key, each in value.items()}
    if isinstance(value, list):
        return [interpolate(each, variables) for each in value]
    return _VARIABLE.sub(lambda found: _replaced(found, variables), value) if isinstance(value, str) else value


def _replaced(found: re.Match[str], variables: Mapping[str, str]) -> str:
    if found["dollar"]:
        return "$"
    value = variables.get(found["name"], "")
    if value or found["how"] is None:
        return value
    if found["how"] == "?":
        msg = f"the compose file requires the variable {found['name']}, which is not set: {found['rest']}"
        raise ComposeError(msg)
    return found["rest"]


def _secret(name: str, variable: str, variables: Mapping[str, str]) -> str:
    if variable not in variables:
        msg = f"the secret {name} is the variable {variable}, which is not set"
        raise ComposeError(msg)
    return variables[variable]


def _service(
    name: str,
    described: Mapping[str, Any],
    *,
    secrets: Mapping[str, str],
    configs: Mapping[str, str],
    present: Collection[str],
) -> Service:
    return Service(
        name=name,
        image=described["image"],
        command=described.get("command", []),
        environment={key: str(value) for key, value in described.get("environment", {}).items()},
        healthcheck=_check(described.get("healthcheck", {}).get("test", ["NONE"])),
        waits_for={
            other: how["condition"] for other, how in described.get("depends_on", {}).items() if other in present
        },
        files={f"/run/secrets/{secret}": secrets[secret] for secret in described.get("secrets", [])}
        | {config["target"]: configs[config["source"]] for config in described.get("configs", [])},
        volumes=[Volume(*mount.split(":")[:2]) for mount in described.get("volumes", [])],
        ports=[
            int(str(port).rpartition(":")[2]) for port in (*described.get("expose", []), *described.get("ports", []))
        ],
        replicas=described.get("deploy", {}).get("replicas", 1),
        ends=described.get("restart") == "no",
    )


def _check(test: Sequence[str]) -> list[str]:
    kind, *rest = test
    if kind == "CMD-SHELL":
        return ["/bin/sh", "-c", *rest]
    return rest if kind == "CMD" else []
