"""Host names, ports and paths of a compose file on one machine, because without containers they would collide.

The one mapping between docker-compose.yaml and plain processes: commands and environment stay as they stand there.
"""

import os
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dev.emulation.compose import Service, Volume
from dev.processes import free_ports
from dev.stack import INHERITED, PROJECT

_PORT = re.compile(r"(?:^|(?<=[:=\s]))\d+(?=$|[/\"\s])")


@dataclass(frozen=True, slots=True)
class Instance:
    """One process in a container's place; a service with two replicas has two."""

    name: str
    service: Service
    command: list[str]
    environment: dict[str, str]
    healthcheck: list[str]
    files: dict[Path, str]
    """Its secrets and configs: path on this machine, below `home`, to content."""
    home: Path
    """A folder of its own."""


class OneMachine:
    """Gives every service a free port for each of its own, and every volume a folder below `folder`."""

    def __init__(self, services: Iterable[Service], folder: Path) -> None:
        self._services = list(services)
        self._folder = folder
        own = {(service.name, port) for service in self._services for port in service.ports}
        self._ports = dict(zip((port for _, port in sorted(own)), free_ports(*[0] * len(own)), strict=True))
        if len(self._ports) < len(own):
            msg = f"two services of the compose file listen on the same port: {sorted(own)}"
            raise ValueError(msg)
        names = "|".join(re.escape(service.name) for service in self._services)
        self._host = re.compile(rf"(?<=[/@])(?:{names})(?=:\d)|(?<![\w.-])(?:localhost|0\.0\.0\.0)(?![\w.-])")

    def port(self, service: Service) -> int:
        """Return the port of this machine that stands for the service's first."""
        return self._ports[service.ports[0]]

    def path(self, volume: Volume) -> Path:
        """Return the folder that stands for a mount: the project's own, or a new one shared by its name."""
        return PROJECT / volume.source if volume.source.startswith(".") else self._folder / "volumes" / volume.source

    def instances(self, service: Service) -> list[Instance]:
        """Return the processes to start for a service."""
        return [self._instance(service, f"{service.name}-{number}") for number in range(1, service.replicas + 1)]

    def _instance(self, service: Service, name: str) -> Instance:
        home = self._folder / "machines" / name
        given = {key: self._here(value, service, home) for key, value in service.environment.items()}
        return Instance(
            name=name,
            service=service,
            command=[self._here(word, service, home) for word in service.command],
            environment=_outside(name, home) | given,
            healthcheck=[self._here(word, service, home) for word in service.healthcheck],
            files={_below(home, path): self._here(content, service, home) for path, content in service.files.items()},
            home=home,
        )

    def _here(self, text: str, service: Service, home: Path) -> str:
        text = self._host.sub("127.0.0.1", text)
        text = _PORT.sub(lambda found: str(self._ports.get(int(found[0]), found[0])), text)
        places = {volume.target: self.path(volume) for volume in service.volumes}
        places |= {path: _below(home, path) for path in service.files}
        for target, place in places.items():
            text = re.sub(rf"{re.escape(target)}(?![\w.-])", str(place), text)
        return text


def _below(home: Path, path: str) -> Path:
    return home / path.removeprefix("/")


def _outside(name: str, home: Path) -> dict[str, str]:
    """Return the environment that an image and an engine give to a process, without the caller's own Airflow."""
    environment = {key: os.environ[key] for key in INHERITED if key in os.environ}
    return environment | {
        "HOSTNAME": name,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', os.defpath)}",
        "PYTHONPATH": str(PROJECT),
        "PYTHONUNBUFFERED": "1",
        # Each is a machine of its own: what the provider keeps per machine must not hold them together.
        "TMPDIR": str(home / "tmp"),
    }
