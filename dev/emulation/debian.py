"""Install servers and a browser from Debian's packages if they are missing, because there are no images with them."""

import shutil
import subprocess
from pathlib import Path

# Where Debian puts commands that it keeps off PATH.
_ELSEWHERE = ("/usr/lib/postgresql/*/bin", "/usr/sbin")
_INSTALL_SECONDS = 600.0


def command_from_package(command: str, package: str) -> str:
    """Return the path of a command, after installing its Debian package if it is nowhere.

    Raises:
        RuntimeError: it is missing and apt-get cannot install it, with apt-get's own words.
    """
    if found := _path_of(command):
        return found
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", package]):
        done = subprocess.run(
            ["/usr/bin/apt-get", "--quiet", *arguments],
            # With the run level of a machine that is halted, servers are installed but not started as services.
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_INSTALL_SECONDS,
            check=False,
        )
        if done.returncode:
            msg = f"{command} is missing and `apt-get {' '.join(arguments)}` failed; install {package}:\n{done.stderr}"
            raise RuntimeError(msg)
    if found := _path_of(command):
        return found
    msg = f"the package {package} is installed, but there is no command {command}"
    raise RuntimeError(msg)


def _path_of(command: str) -> str | None:
    if found := shutil.which(command):
        return found
    for folder in _ELSEWHERE:
        for path in sorted(Path("/").glob(f"{folder.lstrip('/')}/{command}"), reverse=True):
            return str(path)
    return None
