"""Requests over bare sockets, because libraries hide how a response ends."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sei_provider.sandbox.control import SandboxControl

CALLS = ("create", "status", "list", "download", "trees", "report")

LOWER_CASE = {"productivity", "time_in_status"}
"""Reports whose periods are spelled in lower case."""
NEEDED: dict[str, dict[str, Any]] = {
    "efficiency": {"metricGroups": ["lttc", "df", "mttr", "cfr"]},
    "time_in_status": {"issueStatuses": ["In Progress", "In Review", "QA", "Done"]},
}
"""Members of the body that the documents of some reports need beside scope, dates and granularity."""

_PATHS = {  # of create, and of what comes after
    "productivity": ("/v2/insights/productivity/exports", "/v2/insights/productivity/exports"),
    "sprint": ("/v2/insights/sprint/exports", "/v2/insights/sprints/exports"),
    "business_alignment": ("/v2/insights/ba/exports", "/v2/insights/ba/exports"),
    "efficiency": ("/v2/insights/efficiency/exports", "/v2/insights/efficiency/exports"),
    "time_in_status": ("/v2/insights/ticket-data/exports", "/v2/insights/ticket-data/exports"),
}
_DATES = {"dateStart": "2026-01-01", "dateEnd": "2026-01-31"}


@dataclass(frozen=True)
class Heard:
    """Answer on one connection, and its end: by a reset (RST) or in order (FIN)."""

    bytes: bytes
    reset: bool

    @property
    def status(self) -> int:
        return int(self.bytes.split(b" ", 2)[1])

    @property
    def headers(self) -> dict[str, str]:
        head = self.bytes.partition(b"\r\n\r\n")[0].decode("latin-1")
        return dict(line.lower().split(": ", 1) for line in head.splitlines()[1:])

    @property
    def body(self) -> bytes:
        return self.bytes.partition(b"\r\n\r\n")[2]

    @property
    def length(self) -> int:
        return int(self.headers["content-length"])


def connect(sandbox: SandboxControl) -> socket.socket:
    parts = urlsplit(sandbox.base_url)
    return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10)


def sent(sandbox: SandboxControl, method: str, path: str, body: object = None, key: str = "sandbox") -> socket.socket:
    """A connection on which one request was sent, which is the last on it."""
    content = b"" if body is None else json.dumps(body).encode()
    parameters = "?format=csv" if path.endswith("/teams/reports") else "?projectIdentifier=sei&orgIdentifier=acme"
    if "/org-trees" in path:
        parameters += "&accountIdentifier=acc"
    head = (
        f"{method} {path}{parameters} HTTP/1.1\r\nHost: localhost\r\nAuthorization: ApiKey {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    )
    connection = connect(sandbox)
    connection.sendall(head.encode() + content)
    return connection


def heard(connection: socket.socket) -> Heard:
    """All that comes until the connection ends."""
    parts = []
    with connection:
        while True:
            try:
                part = connection.recv(1 << 20)
            except ConnectionResetError:
                return Heard(b"".join(parts), reset=True)
            if not part:
                return Heard(b"".join(parts), reset=False)
            parts.append(part)


def ask(sandbox: SandboxControl, method: str, path: str, body: object = None, key: str = "sandbox") -> Heard:
    return heard(sent(sandbox, method, path, body, key))


def create(sandbox: SandboxControl, report: str = "sprint", team: str = "12") -> str:
    """The id of a new export."""
    id_: str = json.loads(ask(sandbox, *request("create", report, team)).body)["exportId"]
    return id_


def request(call: str, report: str = "sprint", team: str = "12", export_id: str = "") -> tuple[str, str, Any]:
    """Method, path and body of one of `CALLS`; status and download are of the export with an id."""
    if call == "report":
        fields = {"contributor_report": "productivityContributors", "dora_report": "efficiency"}
        own = {fields[report]: {}} if report in fields else {}
        return "POST", "/v2/insights/teams/reports", {"collectionId": team, **_DATES, **own}
    if call == "trees":
        return "GET", "/v2/org-trees/101/teams", None
    to_create, path = _PATHS[report]
    if call == "create":
        granularity = "monthly" if report in LOWER_CASE else "MONTHLY"
        dates = {"start": "2026-01-01", "end": "2026-03-31"}
        return (
            "POST",
            to_create,
            {
                "scope": {"teamId": team},
                "dateRange": dates,
                "options": {"granularity": granularity},
                **NEEDED.get(report, {}),
            },
        )
    return "GET", path + {"list": "", "status": f"/{export_id}", "download": f"/{export_id}/download"}[call], None
