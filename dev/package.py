"""`make package`: sdist and wheel, checked, and the wheel installed into an empty environment where Airflow finds it.

The environment gets the project's dependencies from constraints.txt and nothing of the checkout.
"""

import json
import os
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

from dev.processes import StackError, run_command

PROJECT = Path(__file__).resolve().parents[1]
DIST = PROJECT / "dist"
NAME = "airflow-provider-sei"
UV = Path(sys.executable).with_name("uv")
INSTALL_SECONDS = 600.0


def main() -> int:
    """Build, check, install, and ask Airflow for the provider; returns the exit status."""
    shutil.rmtree(DIST, ignore_errors=True)
    # What building needs is in .venv, at the versions of constraints.txt.
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(DIST), str(PROJECT))
    files = sorted(map(str, DIST.iterdir()))
    _run(sys.executable, "-m", "twine", "check", "--strict", *files)
    (wheel,) = DIST.glob("*.whl")
    strays = [name for name in zipfile.ZipFile(wheel).namelist() if not name.startswith(("sei_provider", "airflow_"))]
    if strays:
        print(f"{wheel.name} holds what is not the provider's: {strays}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="sei-package-") as folder:
        provider = _installed(wheel, Path(folder))
    for file in files:
        print(f"{Path(file).name}: {Path(file).stat().st_size / 1024:.0f} KiB")
    print(f"airflow providers list: {provider or 'not there'}")
    return 0 if provider else 1


def _installed(wheel: Path, folder: Path) -> dict[str, str] | None:
    """Return what Airflow reports of the provider, in an environment with only the wheel and its dependencies.

    Ends the program if Airflow does not work, or still finds it, when it has been uninstalled.
    """
    python = folder / "venv" / "bin" / "python"
    _run(str(UV), "venv", "--quiet", "--python", sys.executable, str(python.parents[1]))
    _run(
        *(str(UV), "pip", "install", "--quiet", "--python", str(python)),
        *("--constraints", str(PROJECT / "constraints.txt"), str(wheel)),
    )
    environment = {"AIRFLOW_HOME": str(folder / "home")}

    def listed() -> dict[str, str] | None:
        command = (str(python), "-m", "airflow", "providers", "list", "--output", "json")
        answer = _run(*command, cwd=folder, environment=environment)
        # Airflow logs to the same place before it answers.
        providers: list[dict[str, str]] = json.loads(answer[answer.index("[{") :])
        return next((provider for provider in providers if provider["package_name"] == NAME), None)

    provider = listed()
    _run(str(UV), "pip", "uninstall", "--quiet", "--python", str(python), NAME)
    if listed():
        msg = "uninstalled, and Airflow still finds the provider"
        raise SystemExit(msg)
    return provider


def _run(*command: str, cwd: Path = PROJECT, environment: dict[str, str] | None = None) -> str:
    """Run a command to its end and return what it printed; ends the program if it fails."""
    try:
        return run_command(
            *command, folder=cwd, environment={**os.environ, **(environment or {})}, seconds=INSTALL_SECONDS
        ).stdout
    except StackError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
