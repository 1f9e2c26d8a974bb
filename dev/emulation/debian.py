"""Install servers and a browser from Debian's packages if they are missing, because there are no images with them."""

import shutil
from pathlib import Path

from dev.processes import StackError, run_command

# Where Debian puts commands that it keeps off PATH.
_ELSEWHERE = ("/usr/lib/postgresql/*/bin", "/usr/sbin")
_INSTALL_SECONDS = 600.0


def command_from_package(command: str, package: str) -> str:
    """Return the path of a command, after installing its Debian package if it is nowhere.

    Raises:
        StackError: it is missing and apt-get cannot install it, with apt-get's own words.
    """
    if found := _path_of(command):
        return found
    _install(package)
    if found := _path_of(command):
        return found
    msg = f"the package {package} is installed, but there is no command {command}"
    raise StackError(msg)


def font_from_package(language: str, package: str) -> None:
    """Install a Debian package of a font unless a font of this machine has the letters of a language, such as `ja`.

    Raises:
        StackError: as `command_from_package`.
    """
    listed = command_from_package("fc-list", "fontconfig")
    if not run_command(listed, f":lang={language}", environment={}, seconds=_INSTALL_SECONDS).stdout.strip():
        _install(package)


def _install(package: str) -> None:
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", package]):
        run_command(
            *("/usr/bin/apt-get", "--quiet", *arguments),
            # With the run level of a machine that is halted, servers are installed but not started as services.
            environment={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"},
            seconds=_INSTALL_SECONDS,
        )


def _path_of(command: str) -> str | None:
    if found := shutil.which(command):
        return found
    for folder in _ELSEWHERE:
        for path in sorted(Path("/").glob(f"{folder.lstrip('/')}/{command}"), reverse=True):
            return str(path)
    return None
