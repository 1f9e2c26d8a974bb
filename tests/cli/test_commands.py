"""`airflow sei …`, through Airflow's own command line, against a sandbox."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

from sei_provider.api import ExportRequest, Scope, SeiClient
from sei_provider.lake import coverage, read_table
from sei_provider.lake.tables.ddl import reader_location, table_ddl
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.server import serve
from sei_provider.testing import connect
from tests.operators.conftest import Task, publish

pytestmark = pytest.mark.xdist_group("warm")
"""One worker has all of them, so that Airflow's command line is imported once."""
SETTINGS = {"api_key": "sandbox", "org_identifier": "acme", "project_identifier": "web"}


@dataclass
class Done:
    """A command that has ended."""

    returncode: int | None
    stdout: str
    stderr: str


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> ForkServerContext:
    """Forks processes that have imported Airflow's command line already."""
    context = multiprocessing.get_context("forkserver")
    # pytest too: each process imports the main module of the one that asks for it.
    context.set_forkserver_preload(["pytest", "tests.cli.warm_airflow"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))
        patch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
        forkserver.ensure_running()
    return context


class Terminal:
    """A terminal with Airflow at hand and one connection in its environment."""

    def __init__(self, home: Path, host: str, warm: ForkServerContext, **changed: str) -> None:
        extra = {"org_identifier": "acme", "project_identifier": "web", "account_identifier": "acc"}
        connection = {"conn_type": "sei", "host": host, "password": "sandbox", "extra": extra} | changed
        self.home = home
        self._warm = warm
        self.environment = {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW_CONN_SEI_DEFAULT": json.dumps(connection),
            "PATH": str(Path(sys.executable).parent),
            "TMPDIR": os.environ["TMPDIR"],
        }

    def run(self, *arguments: str, stdin: str = "") -> Done:
        said = [self.home / name for name in ("stdout", "stderr")]
        for file in said:
            file.unlink(missing_ok=True)
        asked = (["sei", *arguments], self.environment, self.home, *said, stdin)
        process = self._warm.Process(target=run_in_warm_airflow, args=asked)
        process.start()
        process.join(120)
        return Done(process.exitcode, *(file.read_text() for file in said))

    def json(self, *arguments: str, stdin: str = "") -> list[dict[str, object]]:
        done = self.run(*arguments, "--output", "json", stdin=stdin)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)


def run_in_warm_airflow(*asked: Any) -> None:
    from tests.cli import warm_airflow

    warm_airflow.run(*asked)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxControl]:
    with serve(teams=3, seconds=0) as control:
        yield control


@pytest.fixture
def terminal(sandbox: SandboxControl, tmp_path: Path, warm: ForkServerContext) -> Terminal:
    return Terminal(tmp_path, sandbox.base_url, warm)


@pytest.fixture(scope="module")
def export_ids(sandbox: SandboxControl) -> list[str]:
    with SeiClient(base_url=sandbox.base_url, **SETTINGS) as client:  # type: ignore[arg-type]
        return [
            client.create_export(
                ExportRequest(report="sprint", scope=Scope(team_id=team), start="2026-01-01", end="2026-01-31")  # type: ignore[arg-type]
            ).id
            for team in ("11", "12", "13")
        ]


def test_exports_are_listed_newest_first_and_filtered(terminal: Terminal, export_ids: list[str]) -> None:
    listed = terminal.json("exports", "list", "sprint")
    assert [export["id"] for export in listed] == export_ids[::-1]
    assert {export["status"] for export in listed} == {"completed"}
    assert [export["id"] for export in terminal.json("exports", "list", "sprint", "--team", "12")] == [export_ids[1]]
    assert len(terminal.json("exports", "list", "sprint", "--at-most", "2")) == 2


def test_one_export_is_shown_as_a_table(terminal: Terminal, export_ids: list[str]) -> None:
    done = terminal.run("exports", "show", "sprint", export_ids[0])
    assert done.returncode == 0, done.stderr
    assert export_ids[0] in done.stdout
    assert "Sandbox User" not in done.stdout


def test_an_export_is_downloaded_whole_and_never_over_another_file(
    terminal: Terminal, sandbox: SandboxControl, export_ids: list[str]
) -> None:
    done = terminal.run("exports", "download", "sprint", export_ids[0])
    assert done.returncode == 0, done.stderr
    (file,) = terminal.home.glob("exp_*")
    assert file.name == f"{export_ids[0]}.csv.gz"
    assert file.read_bytes() == sandbox.bytes(export_ids[0])
    assert gzip.decompress(file.read_bytes()).startswith(b"Granularity,Team")
    again = terminal.run("exports", "download", "sprint", export_ids[0])
    assert again.returncode == 1
    assert "already exists" in again.stderr
    assert not list(terminal.home.glob(".sei-*"))


def test_trees_and_teams_are_listed(terminal: Terminal) -> None:
    trees = terminal.json("teams")
    assert [tree["org_tree"] for tree in trees] == ["Engineering", "Research"]
    teams = terminal.json("teams", "--org-tree", "Engineering")
    assert {"11", "12", "13"} <= {team["id"] for team in teams}
    assert str(teams[1]["name"]).startswith("  "), "a team stands below its parent"


def test_coverage_is_a_grid_of_scopes_and_months_and_ddl_is_sql(
    terminal: Terminal, sandbox: SandboxControl, tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    with pytest.MonkeyPatch.context() as patch:
        connect(patch, sandbox.base_url)
        for scopes, start in ((["11", "12"], "2026-01-01"), (["12"], "2026-02-01")):
            staged = Task(lake, state=None, scopes=scopes, start=start, end=start, task_id=f"export{start}").run()
            publish(lake, staged, scopes)
    grid = terminal.json("coverage", "sprint_team_monthly", "--lake", str(lake))
    assert grid == [
        {"scope": "team:11", "2026-01": "1", "2026-02": "-"},
        {"scope": "team:12", "2026-01": "1", "2026-02": "1"},
    ]
    for dialect in ("duckdb", "spark"):
        done = terminal.run("ddl", "sprint_team_monthly", "--lake", str(lake), "--dialect", dialect)
        expected = table_ddl(lake, "sprint_team_monthly", dialect=dialect, location=reader_location(str(lake), dialect))
        assert (done.returncode, done.stdout) == (0, expected)
    moved = terminal.run("ddl", "sprint_team_monthly", "--lake", str(lake), "--location", "//server/sei")
    assert "read_parquet('//server/sei/sprint_team_monthly/month=*/data.parquet'" in moved.stdout
    done = terminal.run("coverage", "nowhere", "--lake", str(lake))
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "sprint_team_monthly" in done.stderr, "the tables there are"


def test_a_scope_is_retired_from_all_tables(terminal: Terminal, sandbox: SandboxControl, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    with pytest.MonkeyPatch.context() as patch:
        connect(patch, sandbox.base_url)
        staged = Task(lake, state=None, scopes=["11", "12"]).run()
        publish(lake, staged, ["11", "12"])
        publish(lake, Task(lake, state=None, scopes=["12"], task_id="again").run(), ["12"], table="mine")
    retired = terminal.json("retire", "12", "--lake", str(lake))
    assert [(row["table"], row["month"]) for row in retired] == [
        (table, month) for table in ("mine", "sprint_team_monthly") for month in ("2026-01", "2026-02")
    ]
    assert {part["scope"] for part in coverage(lake, "sprint_team_monthly") if part["rows"]} == {"team:11"}


def test_a_column_is_retyped(terminal: Terminal, sandbox: SandboxControl, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    with pytest.MonkeyPatch.context() as patch:
        connect(patch, sandbox.base_url)
        publish(lake, Task(lake, state=None, scopes=["12"]).run(), ["12"])
    found = terminal.json("retype", "sprint_team_monthly", "sprint_commit", "string", "--lake", str(lake))
    assert [(row["month"], row["quarantined"]) for row in found] == [("2026-01", "0"), ("2026-02", "0")]
    done = terminal.run("retype", "sprint_team_monthly", "team", "float64", "--lake", str(lake))
    assert (done.returncode, "is a dimension" in done.stderr) == (1, True)


def test_issue_15_a_person_is_erased_whom_standard_input_tells(
    sandbox: SandboxControl, tmp_path: Path, warm: ForkServerContext
) -> None:
    lake, raw = tmp_path / "lake", tmp_path / "raw"
    extra = {
        "org_identifier": "acme",
        "project_identifier": "web",
        "personal_data_secret": "7f3a" + "c09d1b8e" * 3 + "x",
    }
    asked = ("erase", "--lake", str(lake), "--raw-path", str(raw))
    with pytest.MonkeyPatch.context() as patch:
        connect(patch, sandbox.base_url)
        developers = {"report": "productivity", "level": "developer", "scopes": ["11"], "raw_path": str(raw)}
        publish(lake, Task(lake, state=None, **developers).run(), ["11"])
    table = "productivity_developer_monthly"
    before = read_table(lake, table).to_pylist()
    name, address = before[0]["developer"], before[0]["developer_email"]
    without = Terminal(tmp_path, sandbox.base_url, warm).run(*asked, stdin=name)
    assert (without.returncode, "personal_data_secret" in without.stderr) == (1, True)
    terminal = Terminal(tmp_path, sandbox.base_url, warm, extra=extra)
    found = terminal.json(*asked, stdin=f"{name.upper()}\n\n {address}\n")
    theirs = sum(row["developer"] == name for row in before)
    assert sum(int(each["rows"]) for each in found if each["place"] == "table") == theirs > 0
    assert {each["place"] for each in found} == {"table", "raw"}
    assert {row["developer"] for row in read_table(lake, table).to_pylist()} == {row["developer"] for row in before} - {
        name
    }
    (undone,) = terminal.json(*asked, "--undo", stdin=f"{name}\n{address}\n")
    assert undone["taken_off_the_list"] == "2"
    nobody = terminal.run(*asked, stdin="\n")
    assert (nobody.returncode, "nobody was named" in nobody.stderr) == (1, True)


def test_a_good_connection_is_good_to_a_process_that_starts_from_nothing(terminal: Terminal) -> None:
    command = [sys.executable, "-m", "airflow", "sei", "check", "--output", "json"]
    done = subprocess.run(command, env=terminal.environment, cwd=terminal.home, capture_output=True, check=True)
    (said,) = json.loads(done.stdout)
    assert (said["good"], said["SEI"]) == ("True", "SEI answered and accepted the API key")


def test_issue_17_a_probe_writes_a_file_to_attach_to_an_issue_and_never_over_another(terminal: Terminal) -> None:
    done = terminal.run("probe", "--file", "probe.md", "--timeout", "60")
    assert (done.returncode, done.stdout.strip()) == (0, "probe.md"), done.stderr
    text = (terminal.home / "probe.md").read_text()
    assert text.startswith("# What SEI answers, by `airflow sei probe`")
    assert "at the tree's root (productivity, sprint, business_alignment" in text
    again = terminal.run("probe", "--file", "probe.md")
    assert (again.returncode, "already exists" in again.stderr) == (1, True)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"password": "sesame-open"}, "HTTP 401"),
        ({"extra": {}}, "needs a value for: org_identifier, project_identifier"),
    ],
)
def test_a_bad_connection_ends_with_what_is_wrong_with_it(
    sandbox: SandboxControl, tmp_path: Path, warm: ForkServerContext, changed: dict[str, str], words: str
) -> None:
    done = Terminal(tmp_path, sandbox.base_url, warm, **changed).run("check", "--output", "plain")
    assert done.returncode == 1
    assert words in done.stdout
    assert "sesame" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("exports", "show", "sprint", "exp_nowhere"), "HTTP 404"),
        (("exports", "list", "sprint", "--team", "11,12"), "team_id must be an id, not '11,12'"),
        (("retire", "['11', '12']", "--lake", "/nowhere"), "is not a scope"),
        (("coverage", "sprint_team_monthly", "--lake", ""), "is empty"),
        (("ddl", "nowhere", "--lake", "/nowhere"), "has no table 'nowhere'"),
        (("ddl", "nowhere", "--lake", "/nowhere", "--location", "s3://a:b@c"), "holds a password"),
        (("exports", "list", "velocity"), "unknown report 'velocity'"),
        (("exports", "list", "business_alignment"), "no list of business_alignment"),
        (("exports", "list", "sprint", "--status", "odd"), "unknown status 'odd'"),
        (("teams", "--org-tree", "Nowhere"), "no org tree is called 'Nowhere'"),
        (("check", "--conn-id", "nowhere"), "nowhere"),
    ],
)
def test_what_goes_wrong_is_a_line_and_no_traceback(terminal: Terminal, arguments: tuple[str, ...], words: str) -> None:
    done = terminal.run(*arguments)
    assert done.returncode == 1
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
