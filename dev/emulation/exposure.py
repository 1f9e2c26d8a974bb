"""Search running processes for secrets, because users read commands in `ps`, and an engine shows environments.

Knows neither Airflow nor the compose file: which secret which process may have is the caller's.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress

import psutil

from dev.processes import BackgroundProcess


def exposed(
    processes: Iterable[BackgroundProcess], secrets: Mapping[str, str], allowed: Mapping[str, str]
) -> list[str]:
    """Return a line for each process whose command or environment, or a descendant's, holds a secret; without values.

    `secrets` is name to value, `allowed` a process's name to the one secret that its environment may hold.
    """
    found = set()
    for process in processes:
        for member in process.members():
            with suppress(psutil.NoSuchProcess):  # it ended since it was listed
                places = {"command": member.cmdline(), "environment": member.environ().values()}
                found |= {
                    f"the {place} of {process.name} holds {name}"
                    for place, words in places.items()
                    for name, secret in secrets.items()
                    if any(secret in word for word in words)
                    and (place == "command" or allowed.get(process.name) != name)
                }
    return sorted(found)
