"""The sandbox as a process of its own, with its command line, and what importing it costs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.server import serve


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
