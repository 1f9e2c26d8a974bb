"""Start the services of a compose file as plain processes, because no container engine is needed that way.

Knows no Airflow. Services start in the file's order, where `one_machine` puts them, and all are stopped.
"""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from dev.emulation import images
from dev.emulation.compose import Service
from dev.emulation.one_machine import Instance, OneMachine
from dev.processes import BackgroundProcess, StackError, stop_all, wait_until

START_SECONDS = 180.0  # bound, not an estimate
CHECK_SECONDS = 60.0


class Cluster:
    """Context manager: whatever was started is stopped at its end, at once and for good."""

    def __init__(self, services: Mapping[str, Service], folder: Path) -> None:
        self.processes: dict[str, BackgroundProcess] = {}
        """By name, as in `worker-2`."""
        self._services = services
        self._folder = folder
        self._machine = OneMachine(services.values(), folder)
        self._instances: dict[str, list[Instance]] = {}
        self._reached: set[tuple[str, str]] = set()

    def __enter__(self) -> Self:
        """Nothing runs yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything."""
        stop_all(self.processes.values())

    def start(self, *names: str) -> None:
        """Start services, in the order given, each when what it waits for is as its condition says; then wait for all.

        Raises:
            StackError: a service ended, or did not become healthy; with the end of its log.
        """
        for name in names:
            for other, condition in self._services[name].waits_for.items():
                self._reach(other, condition)
            self._instances[name] = [
                images.complete(instance, self._machine) for instance in self._machine.instances(self._services[name])
            ]
            for instance in self._instances[name]:
                self.processes[instance.name] = BackgroundProcess(
                    instance.name,
                    instance.command,
                    environment=instance.environment,
                    log=self._folder / "logs" / f"{instance.name}.log",
                )
        for name in names:
            self._reach(name, "service_completed_successfully" if self._services[name].ends else "service_healthy")

    def instances(self, service: str) -> list[Instance]:
        """Return the processes of a service."""
        return self._instances[service]

    def url(self, service: str) -> str:
        """Return the URL of a service's first port."""
        return f"http://127.0.0.1:{self._machine.port(self._services[service])}"

    def _reach(self, name: str, condition: str) -> None:
        if (name, condition) in self._reached:
            return
        for instance in self._instances[name]:
            process = self.processes[instance.name]
            if condition == "service_completed_successfully":
                _wait_for_end(process)
            elif condition == "service_healthy":
                wait_until(
                    lambda instance=instance: _healthy(instance),  # type: ignore[misc]
                    what=f"{instance.name} is healthy",
                    seconds=START_SECONDS,
                    processes=[process],
                    poll=0.5,
                )
        self._reached.add((name, condition))


def _wait_for_end(process: BackgroundProcess) -> None:
    wait_until(lambda: process.returncode is not None, what=f"{process.name} ends", seconds=START_SECONDS, processes=[])
    if process.returncode:
        msg = f"{process.name} ended with {process.returncode}.\n{process.tail()}"
        raise StackError(msg)


def _healthy(instance: Instance) -> bool:
    try:
        done = subprocess.run(
            instance.healthcheck,
            env=instance.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=CHECK_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
