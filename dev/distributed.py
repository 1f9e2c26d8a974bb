"""`make distributed`: run docker-compose.yaml as plain processes, and kill a worker and a triggerer.

Tells the story in order, and ends with 1 if the lake in S3 differs from what the sandbox sent.
"""

import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
from cryptography.fernet import Fernet
from dotenv import dotenv_values
from upath import UPath

from dev import lake_files, report
from dev.airflow_client import AirflowClient
from dev.emulation import compose
from dev.emulation.cluster import Cluster
from dev.emulation.exposure import exposed
from dev.emulation.whereabouts import Whereabouts
from dev.expected import TABLES, rows_in, rows_sent
from dev.processes import BackgroundProcess, StackError, exit_on_sigterm
from dev.progress import Progress
from dev.report import say
from dev.stack import PROJECT
from sei_provider.plural import plural
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.data.organisation import Organisation

EXAMPLE = PROJECT / ".env.example"
TEAMS = 200
EXPORT_SECONDS = 20  # long enough for a triggerer to be killed while it waits
EXPORTS_BEFORE_KILL = 100
TO_KILL = {"worker": "in the middle of", "triggerer": "waiting for"}
NIGHTLY = "sei_nightly"
RUN_SECONDS = 900.0  # bound, not an estimate: about 240 s on two free cores
LOOK_SECONDS = 0.5
# What stays in staging until it is swept by age: marks of published slices, and readings of the org trees, which are no
# export's and serve every table's publish.
STAYS = ("published-", "teams-")


def main() -> int:
    """Run it and return the exit status: 0 if every row that was sent is in the lake, once, and nothing else."""
    exit_on_sigterm()
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="sei-distributed-"))
    folder.chmod(0o711)  # PostgreSQL, which is another user, must reach its folder below
    try:
        wrong = _run(folder)
    except (SystemExit, KeyboardInterrupt):
        shutil.rmtree(folder)
        raise
    except (RuntimeError, OSError) as error:
        wrong = [f"it did not get to its end: {error}"]
    for difference in wrong:
        print(f"WRONG: {difference}", file=sys.stderr)
    if wrong:
        print(f"All logs: {folder}", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    report.heading(f"Done in {time.monotonic() - began:.0f} s: the lake holds what the sandbox sent, row for row")
    return 0


class AdminClient(AirflowClient):
    """Logs in as a person does: the compose file does not make everyone an admin."""

    def __init__(self, base_url: str, password: str) -> None:
        super().__init__(base_url)
        self._password = password

    def _bearer(self) -> str:
        if self._token is None:
            login = {"username": "admin", "password": self._password}
            reply = httpx.post(f"{self.base_url}/auth/token", json=login, trust_env=False, timeout=30.0)
            reply.raise_for_status()
            self._token = str(reply.json()["access_token"])
        return self._token


def _variables() -> dict[str, str]:
    """.env.example, filled in: a secret for everything that stands empty there, and more teams than the demo has."""
    example = dotenv_values(EXAMPLE)
    variables = {name: value or Fernet.generate_key().decode() for name, value in example.items()}
    return variables | {
        "SANDBOX_TEAMS": str(TEAMS),
        "SANDBOX_SECONDS": str(EXPORT_SECONDS),
        "SEI_TEAMS": json.dumps([team.id for team in Organisation(TEAMS).leaves]),
    }


def _run(folder: Path) -> list[str]:
    variables = _variables()
    services = compose.read(PROJECT / "docker-compose.yaml", variables)
    with Cluster(services, folder) as cluster:
        wrong = _story(cluster, [*services], variables, folder)
    say("Everything that was started is stopped.")
    return wrong


def _story(cluster: Cluster, names: list[str], variables: dict[str, str], folder: Path) -> list[str]:
    """Run everything from start to comparison; return the errors found."""
    began = time.monotonic()
    say(f"Starting, as docker-compose.yaml says: {', '.join(names)} …")
    # The scheduler starts the night's run at once, so both workers and both triggerers must be there before it.
    cluster.start(*(name for name in names if name != "scheduler"))
    cluster.start("scheduler")
    sandbox = SandboxControl(cluster.url("sandbox"), key=variables["SEI_API_KEY"])
    say(f"{len(cluster.processes)} processes up and healthy after {time.monotonic() - began:.0f} s")
    (api_server,) = cluster.instances("api-server")
    passwords = json.loads((api_server.home / "simple_auth_manager_passwords.json.generated").read_text("utf-8"))
    with AdminClient(cluster.url("api-server"), passwords["admin"]) as airflow:
        seen = Whereabouts()
        wrong = _watch(airflow, cluster, sandbox, seen)
    _show_parts(seen)
    wrong += _too_few(seen)
    secrets = {name: variables[name] for name, value in dotenv_values(EXAMPLE).items() if not value}
    shown = exposed(cluster.processes.values(), secrets, allowed={"sandbox-1": "SEI_API_KEY"})
    say(f"{len(secrets)} secrets; in commands and environments of running processes: {', '.join(shown) or 'none'}")
    wrong += shown
    report.heading("Requests to SEI")
    exports = sandbox.exports()
    report.requests(sandbox.summary(), Counter(export["report"] for export in exports))
    say(f"429s: {sandbox.summary()['by_status'].get('429', 0)}")
    lake = _fetch(variables, cluster.url("s3"), folder / "lake")
    return wrong + _differences(lake, sandbox, exports)


def _watch(airflow: AirflowClient, cluster: Cluster, sandbox: SandboxControl, seen: Whereabouts) -> list[str]:
    """Look on until the night's run has ended, and kill a worker and a triggerer on the way; return what went wrong."""
    report.heading(f"{NIGHTLY}: {TEAMS} teams × {len(TABLES)} reports, {EXPORT_SECONDS} s each")
    killed: set[str] = set()
    began = time.monotonic()
    with Progress(NIGHTLY) as progress:
        while time.monotonic() < began + RUN_SECONDS:
            runs = airflow.dag_runs(NIGHTLY)
            if runs:
                run_id = runs[0]["dag_run_id"]
                seen.look(airflow.task_instances(NIGHTLY, run_id))
                progress(airflow.counts(NIGHTLY, run_id))
                kill_on_the_way(cluster.processes, sandbox.summary()["exports"], seen, killed, time.monotonic() - began)
                if runs[0]["state"] in {"success", "failed"}:
                    report.run(airflow, NIGHTLY, run_id)
                    for task in airflow.tasks_in(NIGHTLY, run_id, "failed"):
                        report.failed_try(airflow, task)
                    green = runs[0]["state"] == "success"
                    return [
                        *([] if green else [f"the run of {NIGHTLY} ended as {runs[0]['state']}"]),
                        *([] if len(killed) == len(TO_KILL) else [f"killed was only {sorted(killed)}"]),
                    ]
            time.sleep(LOOK_SECONDS)
    msg = f"{NIGHTLY} has not ended after {RUN_SECONDS:.0f} s; killed so far: {sorted(killed)}"
    raise StackError(msg)


def kill_on_the_way(
    processes: Mapping[str, BackgroundProcess], exports: int, seen: Whereabouts, killed: set[str], seconds: float
) -> None:
    """Kill the first worker that is found creating exports, and the first triggerer that is found waiting for some."""
    if exports < EXPORTS_BEFORE_KILL:
        return
    for kind, what in TO_KILL.items():
        busy = seen.running if kind == "worker" else seen.waiting
        found = {name: tasks for name, tasks in busy.items() if any(task.startswith("export_") for task in tasks)}
        if not found or any(name.startswith(kind) for name in killed):
            continue
        name = max(found, key=lambda each: len(found[each]))
        processes[name].kill_session()
        killed.add(name)
        say(f"{seconds:4.0f} s: SIGKILL to {name}, {what} {', '.join(found[name])}; {exports} exports made so far")


def _show_parts(seen: Whereabouts) -> None:
    report.heading("Who did what")
    for name, tries in sorted(seen.tasks.items()):
        say(f"{name}: {plural(len(tries), 'task')}")
    for name, tries in sorted(seen.triggers.items()):
        say(f"{name}: {len(tries)} triggers")
    say(f"tried a second time: {', '.join(sorted(seen.retried)) or 'nothing'}")


def _too_few(seen: Whereabouts) -> list[str]:
    parts = {"workers": seen.tasks, "triggerers": seen.triggers}
    return [f"only {[*found]} of the {kind} had work" for kind, found in parts.items() if len(found) <= 1]


def _fetch(variables: dict[str, str], endpoint: str, into: Path) -> Path:
    """Copy the lake to plain files, with no code of the provider."""
    options = {"key": variables["S3_ACCESS_KEY"], "secret": variables["S3_SECRET_KEY"]}
    lake = UPath(f"s3://{variables['S3_BUCKET']}/lake", **options, client_kwargs={"endpoint_url": endpoint})
    lake.fs.get(lake.path, str(into), recursive=True)
    return into


def _differences(lake: Path, sandbox: SandboxControl, exports: list[dict[str, Any]]) -> list[str]:
    """Compare the lake with the rows that the sandbox sent; print the figures and return the differences."""
    report.heading("The lake in S3")
    report.tree(lake_files.files(lake))
    wrong = []
    for name, table in TABLES.items():
        mine = [export for export in exports if export["report"] == name]
        newest = {json.dumps(export["body"]["scope"]): export["id"] for export in mine if export["sent"]}
        sent, landed = rows_sent(sandbox, newest.values()), rows_in(str(lake), table)
        made = plural(len(mine), "export")
        say(f"{table}: {landed.total():,} rows of {sent.total():,} sent, from {made} for {TEAMS} teams")
        if len(newest) != TEAMS:
            wrong.append(f"{len(newest)} of {TEAMS} teams have an export of {name} that was downloaded")
        if len(mine) > TEAMS:
            wrong.append(f"{plural(len(mine), 'export')} of {name} made for {TEAMS} teams")
        if landed != sent or not sent:
            wrong.append(
                f"{table}: {plural((sent - landed).total(), 'row')} missing, {(landed - sent).total()} too many"
            )
    staging = (file.path for file in lake_files.files(lake) if file.path.parts[0] == lake_files.STAGING)
    left = [path for path in staging if not path.name.startswith(STAYS)]
    return wrong + ([f"{plural(len(left), 'file')} left in staging"] if left else [])


if __name__ == "__main__":
    sys.exit(main())
