"""Servers of the sandbox on a real socket: in a thread for tests, or in a process until it is stopped."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import uvicorn

from sei_provider.sandbox.app import create_app
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.http.connection import CuttableProtocol
from sei_provider.sandbox.options import SandboxOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.applications import Starlette


@contextmanager
def serve(**options: Any) -> Iterator[SandboxControl]:
    """Run a sandbox on a free port of localhost for the time of a `with` block.

    `options` are the fields of `SandboxOptions`, such as `teams=10, seconds=0`; `ValueError` for one that makes no
    sense.
    """
    chosen = SandboxOptions(**options)
    with listen("127.0.0.1", 0) as listening:
        server = _server(create_app(chosen))
        thread = threading.Thread(target=server.run, args=([listening],), name="sei-sandbox")
        thread.start()
        try:
            yield SandboxControl(address(listening, chosen.base_path), key=chosen.key)
        finally:
            server.should_exit = True
            thread.join()


def run(app: Starlette, listening: socket.socket) -> None:
    """Serve an app on a listening socket until the process is told to stop."""
    # uvicorn closes all connections at Ctrl-C and then raises it again: an ordinary end for this process.
    with suppress(KeyboardInterrupt):
        _server(app).run([listening])


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that takes connections from now on, before they are served; port 0 is a free one."""
    return socket.create_server((host, port), backlog=1024)


def address(listening: socket.socket, base_path: str = "/") -> str:
    """Return the base URL of the sandbox on this socket, with no slash at its end."""
    host, port = listening.getsockname()[:2]
    return f"http://{host}:{port}{base_path.rstrip('/')}"


def _server(app: Starlette) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        # The same where uvloop is installed: how a connection is cut depends on its transport.
        loop="asyncio",
        http=CuttableProtocol,
        lifespan="off",
        log_level="warning",
        # At hundreds of status calls it would drown everything else; /_sandbox/requests has them all.
        access_log=False,
        # By the machine's clock; the app's is by the sandbox's.
        date_header=False,
        timeout_graceful_shutdown=2,
    )
    return uvicorn.Server(config)
