"""DAGs of the docs that run: one team without mapping, and alerts by e-mail and webhook."""

from __future__ import annotations

import json
import re
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_string, policy
from pathlib import Path
from typing import Any

import pytest
from airflow import __version__
from airflow.sdk import DAG
from packaging.version import Version

from sei_provider.lake import read_table
from sei_provider.sandbox.control import SandboxControl

pytest_plugins = ["sei_provider.testing"]

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def sei_sandbox_options() -> dict[str, Any]:
    return {"teams": 100, "seconds": 0}


@pytest.fixture
def shown(tmp_path: Path, sei_dag: Callable[..., DAG]) -> Callable[[str, str], Any]:
    """Gives the DAG of this id that a page shows."""

    def shown(page: str, dag_id: str) -> DAG:
        text = (DOCS / page).read_text(encoding="utf-8")
        blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        [block] = [block for block in blocks if f'DAG("{dag_id}"' in block]
        file = tmp_path / "shown.py"
        file.write_text(block, encoding="utf-8")
        return sei_dag(file)

    return shown


@contextmanager
def listening(handler: type[socketserver.BaseRequestHandler]) -> Iterator[tuple[int, list[str]]]:
    """Run a server on a free port; gives the port, and what its handler has received."""
    received: list[str] = []
    with socketserver.TCPServer(("127.0.0.1", 0), handler) as server:
        server.received = received  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1], received
        server.shutdown()
        thread.join()


class Smtp(socketserver.StreamRequestHandler):
    """As much of SMTP as it takes to receive one message."""

    def handle(self) -> None:
        self.wfile.write(b"220 ready\r\n")
        for line in self.rfile:
            command = line.strip().upper()
            self.wfile.write(b"354 go on\r\n" if command == b"DATA" else b"250 done\r\n")
            if command == b"DATA":
                lines = iter(self.rfile.readline, b".\r\n")
                self.server.received.append(b"".join(lines).decode())  # type: ignore[attr-defined]
                self.wfile.write(b"250 done\r\n")
            if command == b"QUIT":
                return


class Webhook(socketserver.StreamRequestHandler):
    """As much of HTTP as it takes to receive one POST."""

    def handle(self) -> None:
        head = b"".join(iter(self.rfile.readline, b"\r\n")).decode()
        length = int(re.search(r"(?i)content-length: (\d+)", head)[1])  # type: ignore[index]
        self.server.received.append(self.rfile.read(length).decode())  # type: ignore[attr-defined]
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


@pytest.mark.usefixtures("sei_sandbox")
def test_one_team_needs_no_mapping(shown: Callable[[str, str], Any], sei_lake: Path) -> None:
    assert shown("operators.md", "one_team").test().state == "success"
    assert set(read_table(sei_lake, "sprint_team_monthly")["_scope"].to_pylist()) == {"team:101"}


@pytest.mark.usefixtures("sei_lake")
def test_the_alerts_of_the_page_name_what_is_missing(
    shown: Callable[[str, str], Any], sei_sandbox: SandboxControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    sei_sandbox.fault("fail", team="12")
    with listening(Smtp) as (smtp, mails), listening(Webhook) as (webhook, posts):
        plain = {"disable_ssl": True, "disable_tls": True}
        connection = {"conn_type": "smtp", "host": "127.0.0.1", "port": smtp, "extra": plain}
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(connection))
        monkeypatch.setenv("AIRFLOW_VAR_SLACK_WEBHOOK_SECRET", f"http://127.0.0.1:{webhook}/services/x")
        assert shown("alerts.md", "sprints_with_alerts").test().state == "failed"
    if Version(__version__) < Version("3.3"):
        return  # There dag.test() gives callbacks no `exception`, as the page says.
    mail = message_from_string(mails[0], policy=policy.default)
    assert mail["Subject"] == "sprints_with_alerts: SEI data is missing"
    assert "team:12" in mail.get_body().get_content()  # type: ignore[union-attr]
    assert "sprints_with_alerts" in json.loads(posts[0])["text"]
    assert "team:12" in json.loads(posts[0])["text"]
    assert (len(mails), len(posts)) == (1, 1)
