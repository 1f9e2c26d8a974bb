"""A real Airflow and the sandbox on this machine, for the demo and the tests: SQLite, LocalExecutor, four processes.

Knows how Airflow is configured and started; not which DAGs there are or what they should do.
"""

import base64
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from dev.airflow_client import AirflowClient
from dev.processes import BackgroundProcess, StackError, free_ports, run_command, stop_all, wait_until
from dev.sampler import TaskSampler

PROJECT = Path(__file__).resolve().parents[1]

AIRFLOW_PROCESSES: Mapping[str, Sequence[str]] = {
    # Their own log servers would want two fixed ports; here everyone reads the same folder.
    "api-server": ("api-server", "--workers", "1"),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}

# They fork a process for each task and each look at a DAG file (see `dev.preloaded`).
PRELOADED = {"scheduler", "dag-processor"}

# All that a child sees of the caller's environment: no AIRFLOW__* of another installation, no proxies, no keys.
INHERITED = ("HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "TMPDIR", "USER")

START_SECONDS = 180.0  # bound, not an estimate: about 15 s on two free cores
COMMAND_SECONDS = 180.0
# That a command waits for its turn to write (see `dev.airflow_command`), where SQLite gives up after 5.
WRITE_SECONDS = 60


def start_sandbox(*arguments: str, environment: Mapping[str, str], log: Path) -> tuple[BackgroundProcess, str]:
    """Start `python -m sei_provider.sandbox` and return it with its base URL, as soon as it listens.

    Raises:
        StackError: it did not start; with the end of its log.
    """
    command = [sys.executable, "-m", "sei_provider.sandbox", *arguments]
    process = BackgroundProcess("sandbox", command, environment=environment, log=log)
    urls: list[str] = []

    def listens() -> bool:
        urls.extend(re.findall(r"sandbox listening on (http://\S+)", log.read_text(encoding="utf-8", errors="replace")))
        return bool(urls)

    try:
        wait_until(listens, what="the sandbox listens", seconds=START_SECONDS, processes=[process])
    except BaseException:
        stop_all([process])
        raise
    return process, urls[0]


class Stack:
    """Context manager: the sandbox, then Airflow, healthy and with every DAG file imported; everything stopped after.

    Args:
        home: folder for AIRFLOW_HOME, process logs and task logs; emptied first.
        dags: folder with DAG files.
        lake: where the lake is to be, a path or URL; Airflow Variable `sei_lake`.
        teams: team ids; Airflow Variable `sei_teams`. None leaves the Variable unset.
        sandbox_teams: leaf teams of the sandbox's organisation.
        sandbox_seconds: seconds that an export takes on the sandbox.
        sandbox_options: more arguments of `python -m sei_provider.sandbox`.
        requests_per_minute: the connection's limit. 400 is what SEI allows a key.
        parallelism: tasks that LocalExecutor runs at once.
        port: of the UI, if it is free; another by default.
        environment: more variables for Airflow's processes, e.g. `AIRFLOW__…`; they win over the ones made here.
    """

    def __init__(
        self,
        home: Path,
        *,
        dags: Path,
        lake: str | Path,
        teams: Sequence[str] | None = None,
        sandbox_teams: int = 40,
        sandbox_seconds: float = 3.0,
        sandbox_options: Sequence[str] = (),
        requests_per_minute: int = 400,
        parallelism: int = 8,
        port: int = 0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home.resolve()
        self.dags = dags.resolve()
        self.lake = str(lake)
        self.started_in = 0.0
        """Seconds from nothing to healthy."""
        self.sandbox_url = ""
        self.airflow: AirflowClient
        self.sampler: TaskSampler
        self.processes: dict[str, BackgroundProcess] = {}
        self._teams = teams
        self.sandbox_key = secrets.token_urlsafe(24)
        """The API key of this sandbox: one that occurs nowhere else, so that it can be searched for."""
        self._sandbox_arguments = (
            *("--port", "0"),
            *("--teams", str(sandbox_teams), "--seconds", str(sandbox_seconds)),
            *sandbox_options,
        )
        self._requests_per_minute = requests_per_minute
        self._parallelism = parallelism
        self._port = port
        self._more_environment = dict(environment or {})
        self.environment: dict[str, str] = {}
        """All that Airflow's processes see."""
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        """Start everything; whatever was started is stopped again if one part does not come up."""
        began = time.monotonic()
        with ExitStack() as undo:
            undo.callback(self._stop)
            shutil.rmtree(self.home, ignore_errors=True)
            self.home.mkdir(parents=True)
            self._start_sandbox()
            self._start_airflow()
            self._closing.enter_context(self.sampler)
            self.started_in = time.monotonic() - began
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything that was started, at once and for good."""
        self._stop()

    @property
    def database(self) -> Path:
        """Return the metadata database, a SQLite file."""
        return self.home / "airflow.db"

    @property
    def task_logs(self) -> Path:
        """Folder with the logs of all tasks and triggers."""
        return self.home / "logs"

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `airflow <arguments>` beside this Airflow's processes, e.g. `("backfill", "create", …)`.

        Raises:
            StackError: it ended with another status than 0.
        """
        return self._run("dev.airflow_command", *arguments)

    def start_process(self, name: str) -> BackgroundProcess:
        """Start one of Airflow's processes (again, if it was killed); does not wait for it."""
        process = BackgroundProcess(
            name,
            [sys.executable, "-m", "dev.preloaded" if name in PRELOADED else "airflow", *AIRFLOW_PROCESSES[name]],
            environment=self.environment,
            log=self._process_log(name),
        )
        self.processes[name] = process
        return process

    def start_another(self, name: str, settings: Mapping[str, str]) -> BackgroundProcess:
        """Start one more of Airflow's processes, whose environment differs; the caller stops it."""
        command = [sys.executable, "-m", "airflow", *AIRFLOW_PROCESSES[name]]
        log = self._process_log(f"{name}-more")
        return BackgroundProcess(name, command, environment={**self.environment, **settings}, log=log)

    def wait_for_dags(self, *dag_ids: str, seconds: float = START_SECONDS) -> None:
        """Wait until these DAGs can be run.

        Raises:
            StackError: a DAG file does not import (with its traceback), or they are not there after `seconds`.
        """

        def parsed() -> bool:
            if broken := self.airflow.import_errors():
                msg = "\n".join(f"{error['filename']} does not import:\n{error['stack_trace']}" for error in broken)
                raise StackError(msg)
            return set(dag_ids) <= self.airflow.dag_ids()

        wait_until(
            parsed, what=f"DAGs {', '.join(dag_ids)} parsed", seconds=seconds, processes=[*self.processes.values()]
        )

    def _start_sandbox(self) -> None:
        self.processes["sandbox"], self.sandbox_url = start_sandbox(
            *self._sandbox_arguments,
            environment={**self._base_environment(), "SEI_SANDBOX_KEY": self.sandbox_key},
            log=self._process_log("sandbox"),
        )

    def _start_airflow(self) -> None:
        [port] = free_ports(self._port)
        self.environment = self._base_environment() | self._airflow_environment(port) | self._more_environment
        # It opens a transaction inside another, so it cannot take the write lock first; nothing else runs yet.
        self._run("airflow", "db", "migrate")
        for name in AIRFLOW_PROCESSES:
            self.start_process(name)
        self.airflow = self._closing.enter_context(AirflowClient(f"http://127.0.0.1:{port}"))
        self.sampler = TaskSampler(self.database)
        wait_until(
            self.airflow.healthy, what="Airflow is healthy", seconds=START_SECONDS, processes=[*self.processes.values()]
        )

    def _run(self, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        database = f"sqlite:///{self.database}?timeout={WRITE_SECONDS}"
        return run_command(
            *(sys.executable, "-m", module, *arguments),
            environment=self.environment | {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database},
            seconds=COMMAND_SECONDS,
        )

    def _stop(self) -> None:
        self._closing.close()
        stop_all(self.processes.values())
        self.processes.clear()

    def _process_log(self, name: str) -> Path:
        return self.home / "processes" / f"{name}.log"

    def _base_environment(self) -> dict[str, str]:
        environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
        commands = Path(sys.executable).parent
        environment["PATH"] = f"{commands}{os.pathsep}{environment.get('PATH', os.defpath)}"
        environment["PYTHONPATH"] = str(PROJECT)
        environment["PYTHONUNBUFFERED"] = "1"
        return environment

    def _airflow_environment(self, port: int) -> dict[str, str]:
        base_url = f"http://127.0.0.1:{port}"
        environment = {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__API__BASE_URL": base_url,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(64),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "5",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{base_url}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": str(self._parallelism),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "10",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.database}",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.task_logs),
            # A task process that ends just after closing its pipes is noticed only after this many seconds (5 by
            # default). A deferred task that resumes sooner is marked failed on 3.3.2: the scheduler takes the first
            # half's end for the second's ("finished with state success, but the task instance's state is queued").
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "AIRFLOW_CONN_SEI_DEFAULT": json.dumps(
                {
                    "conn_type": "sei",
                    "host": self.sandbox_url,
                    "password": self.sandbox_key,
                    "extra": {
                        "org_identifier": "default",
                        "project_identifier": "sandbox",
                        "account_identifier": "sandbox",
                        "requests_per_minute": self._requests_per_minute,
                    },
                }
            ),
            "AIRFLOW_VAR_SEI_LAKE": self.lake,
        }
        if self._teams is not None:
            environment["AIRFLOW_VAR_SEI_TEAMS"] = json.dumps(list(self._teams))
        return environment
