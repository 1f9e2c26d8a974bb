"""A full or read-only disk, a forbidden or unreachable bucket: the error says so, and nothing is lost."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from lake_bench import team_row
from upath import UPath

from sei_provider import lake
from sei_provider.lake import StoreError

MOUNTED = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"']
POWERLESS = ["setpriv", "--bounding-set=-all"] if os.geteuid() == 0 else []
"""Drops the capability by which root ignores permissions."""


def may_mount() -> bool:
    """Whether this machine lets its users mount small file systems of their own; many containers do not."""
    with tempfile.TemporaryDirectory() as folder:
        tried = subprocess.run([*MOUNTED, folder, "true"], check=False, capture_output=True)
    return tried.returncode == 0


HOWS = {"limit": "File too large", "forbidden": "Permission denied"}
"""Cases that need no mount: a limit to the size of files, and folders without write permission."""
MOUNTS = {"full": "No space left on device", "read-only": "Read-only file system"} if may_mount() else {}


@pytest.mark.parametrize("what", ["lake", "scratch"])
@pytest.mark.parametrize(("how", "words"), [*HOWS.items(), *MOUNTS.items()])
def test_a_full_or_read_only_disk_is_an_error_that_says_so_and_the_old_rows_stay(tmp_path, how, words, what):
    disk = tmp_path / "disk"
    disk.mkdir()
    prefix = [*MOUNTED, str(disk)] if how in MOUNTS else POWERLESS if how == "forbidden" else []
    script = Path(__file__).with_name("full_disk.py")
    command = [*prefix, sys.executable, str(script), how, str(tmp_path), str(disk), what]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for step in ("stage", "publish"):
        assert words in found[step], found[step]
        assert str(disk if how != "limit" else tmp_path) in found[step]
        assert any(
            advice in found[step] for advice in ("free some space", "free space on that disk", "write access")
        ), found[step]
    assert found["unchanged"]
    assert (found["rows"], found["staged"], found["scratch"]) == (1, 1, [])
    assert found["afterwards"] == 300


class Bucket(BaseHTTPRequestHandler):
    """Answer every request with one error, as S3 does."""

    protocol_version = "HTTP/1.1"  # uploads wait for "100 Continue"
    status, code = 403, "AccessDenied"

    def answer(self):
        body = f"<Error><Code>{self.code}</Code><Message>{self.code} says the store</Message></Error>".encode()
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(self.status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_DELETE = do_HEAD = answer  # noqa: N815  the server looks for these names

    def log_message(self, *_args):
        pass


@pytest.fixture
def refusing(monkeypatch):
    """Return the URL of a bucket that answers with this status and code."""
    servers = []

    def start(status, code):
        handler = type("Handler", (Bucket,), {"status": status, "code": code})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def s3(address):
    options = {"endpoint_url": address}
    return UPath(
        "s3://sei/lake",
        key="sandbox",
        secret="sandbox",
        client_kwargs=options,
        config_kwargs={"retries": {"max_attempts": 0}, "connect_timeout": 2},
        skip_instance_cache=True,
    )


@pytest.mark.parametrize(
    ("status", "code", "advice"),
    [(403, "AccessDenied", "write access"), (404, "NoSuchBucket", "check the store"), (500, "InternalError", "run")],
)
def test_what_s3_refuses_is_an_error_that_says_what_and_what_to_do(bench, refusing, status, code, advice):
    staged = bench.stage("team:1", [team_row("Eng/A", "2026-01-01")], age=1)
    bench.root = s3(refusing(status, code))
    staged["path"] = f"{bench.lake}/_staging/task/f00d-exp_1.parquet"
    with pytest.raises(StoreError, match=rf"cannot write s3://sei/lake/_staging/task/.*{advice}"):
        bench.stage("team:1", [team_row("Eng/A", "2026-01-01")], age=2)
    if code != "NoSuchBucket":  # to S3 a folder that is not there is one without objects
        with pytest.raises(StoreError, match=rf"cannot (read|list) s3://sei/lake.*{advice}"):
            bench.publish(staged)
        with pytest.raises(StoreError, match=r"cannot list s3://sei/lake/_staging"):
            lake.staged(bench.staging)


def test_an_unreachable_store_is_an_error_that_names_it(bench):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    bench.root = s3(address)
    with pytest.raises(StoreError, match=rf"cannot write s3://sei/lake/.*{address}.*its address"):
        bench.stage("team:1", [], age=1)
    with pytest.raises(StoreError, match=r"cannot list s3://sei/lake/_staging"):
        lake.staged(bench.staging)
