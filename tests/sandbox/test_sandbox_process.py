"""The sandbox as a process of its own, with its command line, and what importing it costs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sei_provider.sandbox.__main__ import main
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.server import serve
from tests.sandbox import raw


@contextmanager
def sandbox_process(*options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A sandbox on a free port, and the line in which it says where."""
    command = [sys.executable, "-m", "sei_provider.sandbox", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().rstrip(), process
        finally:
            process.terminate()


def test_the_command_says_where_it_listens_and_serves_under_a_base_path(api_at, body_of) -> None:
    options = ("--teams", "9", "--seconds", "0", "--key", "sandbox", "--base-path", "/prod1/sei/api")
    with sandbox_process(*options) as (line, process):
        assert line.startswith("sandbox listening on http://127.0.0.1:")
        assert line.endswith("/prod1/sei/api")
        control = SandboxControl(line.rpartition(" ")[2])
        api = api_at(control.base_url)
        export_id = api.create("productivity", body_of("productivity", team="21")).json()["exportId"]
        link = api.status("productivity", export_id).json()["download"]["url"]
        assert link == f"/v2/insights/productivity/exports/{export_id}/download", "relative to the base URL (row 5)"
        assert api.http.get(link).status_code == 200
        assert api.create("productivity", body_of("productivity", team="22")).status_code == 404, "there are 9 teams"
        assert control.summary()["exports"] == 1
        assert control.bytes(export_id).startswith(b"Granularity,")
        process.terminate()
        rest = process.communicate(timeout=10)[0]
    assert rest == "", "nothing is logged, least of all a developer's name"


def test_the_command_takes_the_most_requests_per_minute(api_at) -> None:
    with sandbox_process("--requests-per-minute", "1") as (line, _):
        api = api_at(line.rpartition(" ")[2])
        assert [api.list("sprint").status_code for _ in range(2)] == [200, 429]


def test_the_command_takes_the_limits_of_size_and_the_speed_of_the_clock(api_at, body_of) -> None:
    limits = ("--timeout-teams", "9", "--timeout-days", "31")
    # A day and more of the sandbox's clock, a ten-thousandth of a second of the machine's.
    with sandbox_process("--teams", "9", "--seconds", "100000", "--clock-speed", "1e9", *limits) as (line, _):
        api = api_at(line.rpartition(" ")[2])
        ids = [
            api.create("sprint", body_of("sprint", team=team, end=end)).json()["exportId"]
            for team, end in (("1", "2026-01-31"), ("11", "2026-02-01"))
        ]
        errors = [api.status("sprint", export_id).json()["error"]["message"] for export_id in ids]
    assert [error.partition(": ")[2].split(",")[0] for error in errors] == [
        "its scope holds 12 teams",
        "its date range has 32 days",
    ]


def test_a_process_cuts_responses_without_a_word_and_has_the_same_faults_with_the_same_seed() -> None:
    with sandbox_process("--teams", "9", "--seconds", "0", "--fault-rate", "1", "--seed", "7") as (line, process):
        sandbox = SandboxControl(line.rpartition(" ")[2])
        first = [raw.ask(sandbox, *raw.request("list")).bytes[:12] for _ in range(5)]
        assert all(request["fault"] for request in sandbox.requests())
        process.terminate()
        assert process.communicate(timeout=10)[0] == ""
    with serve(teams=9, seconds=0, fault_rate=1, seed=7) as same:
        assert [raw.ask(same, *raw.request("list")).bytes[:12] for _ in range(5)] == first


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--teams", "0", "argument --teams: must be at least 1, not 0"),
        ("--timeout-teams", "0", "argument --timeout-teams: must be at least 1, not 0"),
        ("--timeout-days", "-1", "argument --timeout-days: must be at least 1, not -1"),
        ("--requests-per-minute", "0", "argument --requests-per-minute: must be at least 1, not 0"),
        ("--fault-rate", "0", "argument --fault-rate: must be above 0 and at most 1, not 0"),
        ("--fault-rate", "2", "argument --fault-rate: must be above 0 and at most 1, not 2"),
        ("--clock-speed", "0", "argument --clock-speed: must be above 0, not 0"),
    ],
)
def test_the_command_refuses_a_value_that_makes_no_sense(
    option: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["sandbox", f"{option}={value}"])
    with pytest.raises(SystemExit):
        main()
    assert message in capsys.readouterr().err


def test_nothing_is_found_beside_the_base_path(api_at, body_of) -> None:
    with serve(seconds=0, base_path="/prod1/sei/api") as sandbox:
        host = sandbox.base_url.removesuffix("/prod1/sei/api")
        assert api_at(host).create("sprint", body_of("sprint")).status_code == 404
        assert api_at(sandbox.base_url).create("sprint", body_of("sprint")).status_code == 202


def test_another_key_can_be_set(api_at, body_of) -> None:
    with serve(seconds=0, key="other") as sandbox:
        api = api_at(sandbox.base_url)
        assert api.create("sprint", body_of("sprint")).status_code == 401
        api.http.headers["authorization"] = f"ApiKey {sandbox.key}"
        assert api.create("sprint", body_of("sprint")).status_code == 202


def test_the_sandbox_needs_neither_airflow_nor_the_lakes_nor_the_clients_libraries() -> None:
    heavy = "{'airflow', 'pyarrow', 'pandas', 'httpx'}"
    code = f"import sys, sei_provider.sandbox.__main__; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert found.stdout.strip() == "[]"
