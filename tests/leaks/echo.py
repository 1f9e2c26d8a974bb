"""A server between the provider and a sandbox that repeats key, signature and address wherever an answer has room."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.api.hostile_answers import ADDRESS, KEY, SECRETS, SIGNATURE

ECHO = " | ".join([f"key {KEY}", f"by {ADDRESS}", f"/x?X-Amz-Signature={SIGNATURE}", *SECRETS])


class Echo:
    """Number of calls of each kind."""

    def __init__(self, sandbox_url: str, key_in_link_of: str, refused: str) -> None:
        self.sandbox = urlsplit(sandbox_url)
        self.key_in_link_of = key_in_link_of
        """The team whose export's link holds the key."""
        self.refused = refused
        """The team whose export is refused, in words that are all secrets."""
        self.calls: Counter[str] = Counter()
        self.teams: dict[str, str] = {}
        """Export id → team."""
        self.url = ""

    def changed(self, reply: Any, team: str = "") -> Any:
        """Return a JSON reply with secrets in every place that nobody needs, and in the link."""
        if isinstance(reply, list):
            return [self.changed(each, team) for each in reply]
        if not isinstance(reply, dict):
            return reply
        team = self.teams.get(str(reply.get("exportId")), team)
        found = {name: self._value(name, value, team) for name, value in reply.items()}
        return found | {"createdBy": {"name": ECHO, "email": ADDRESS}, "note": ECHO, ECHO[:300]: KEY}

    def _value(self, name: str, value: Any, team: str) -> Any:
        if isinstance(value, str) and "/" in value and "download" in value.lower():
            more = f"X-Amz-Signature={SIGNATURE}" + (f"&key={KEY}" if team == self.key_in_link_of else "")
            return f"{value}{'&' if '?' in value else '?'}{more}"
        if isinstance(value, str) and name.lower() in {"error", "errormessage", "message", "reason", "failurereason"}:
            return ECHO
        return self.changed(value, team)


@contextmanager
def echo_server(sandbox_url: str, *, key_in_link_of: str, refused: str) -> Iterator[Echo]:
    """Serve until the block ends."""
    echo = Echo(sandbox_url, key_in_link_of, refused)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer("download" if "/download" in self.path else "read")

        def do_POST(self) -> None:
            self._answer("create")

        def _answer(self, kind: str) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            echo.calls[kind] += 1
            if echo.calls[kind] == 1:  # a first answer of each kind that is an error
                self._send(503 if kind != "create" else 500, "text/plain", ECHO.encode())
                return
            if kind == "create" and json.loads(body)["scope"]["teamId"] == echo.refused:
                self._send(400, "application/json", json.dumps({"status": "ERROR", "message": ECHO}).encode())
                return
            path = (
                self.path.partition("?")[0]
                + "?"
                + "&".join(
                    part for part in self.path.partition("?")[2].split("&") if not part.startswith(("X-Amz", "key="))
                )
            )
            connection = http.client.HTTPConnection(str(echo.sandbox.hostname), int(echo.sandbox.port or 0))
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            connection.request(self.command, path, body or None, headers)
            answer = connection.getresponse()
            content, media = answer.read(), answer.getheader("Content-Type", "")
            connection.close()
            if "json" in media:
                reply = json.loads(content)
                if kind == "create" and answer.status < 300:
                    echo.teams[reply["exportId"]] = json.loads(body)["scope"]["teamId"]
                content = json.dumps(echo.changed(reply)).encode()
            self._send(answer.status, media, content)

        def _send(self, status: int, media: str, content: bytes) -> None:
            self.send_response(status, f"OK {KEY} {ADDRESS}")
            for name, value in {
                "Content-Type": media, "Content-Length": str(len(content)), "X-Echo": KEY, "X-By": ADDRESS,
                "Set-Cookie": f"session={KEY}; sig={SIGNATURE}", "ETag": f'"{KEY}"',
            }.items():  # fmt: skip
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_words: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    echo.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield echo
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
