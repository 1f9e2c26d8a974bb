"""S3 servers that refuse, forget conditions, or never answer, each on a free port of this machine."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from tests.plain_http import NO_AUTHORITIES

CONDITIONS = {"if-match", "if-none-match"}


class Server(BaseHTTPRequestHandler):
    """Refuses everything with one error, as S3 writes them, and repeats the access key's id as S3 does."""

    protocol_version = "HTTP/1.1"
    status, code = 403, "AccessDenied"

    def reply(self, body: bytes) -> tuple[int, dict[str, str], bytes]:  # noqa: ARG002  it does not matter
        """Return status, headers and body."""
        text = f"<Error><Code>{self.code}</Code><AWSAccessKeyId>sandbox</AWSAccessKeyId></Error>"
        return self.status, {"Content-Type": "application/xml"}, text.encode()

    def answer(self) -> None:
        status, headers, body = self.reply(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", headers.get("Content-Length", str(len(body))))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_DELETE = do_POST = do_HEAD = answer  # noqa: N815  the server looks for these names

    def log_message(self, *_args: object) -> None:
        pass


class Forwarding(Server):
    """Hands requests on to an S3 server: conditions of some methods as they are, left out, or answered by 501."""

    endpoint, conditions = "", "ignored"
    methods = frozenset({"PUT"})
    left_out = CONDITIONS

    def reply(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in {"host", "connection"}}
        if self.command in self.methods and self.conditions == "501" and CONDITIONS & set(map(str.lower, headers)):
            return 501, {"Content-Type": "application/xml"}, b"<Error><Code>NotImplemented</Code></Error>"
        if self.command in self.methods:
            headers = {name: value for name, value in headers.items() if name.lower() not in self.left_out}
        url = f"{self.endpoint}{self.path}"
        got = httpx.request(self.command, url, headers=headers, content=body, verify=NO_AUTHORITIES)
        kept = ("etag", "last-modified", "content-type", "content-range", "location")
        answer = {name: got.headers[name] for name in kept if name in got.headers}
        if self.command == "HEAD":
            answer["Content-Length"] = got.headers.get("content-length", "0")
        return got.status_code, answer, got.content


@contextmanager
def serving(kind: type[Server], **attributes: Any) -> Iterator[str]:
    """Run such a server and yield its endpoint."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (kind,), attributes))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@contextmanager
def silent() -> Iterator[str]:
    """Accept connections and never answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
