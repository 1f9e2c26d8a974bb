"""Runs the sandbox on a real socket: in a thread for tests, or until it is stopped for everyone else."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import uvicorn

from sei_provider.sandbox.app import create_app
from sei_provider.sandbox.connection import CuttableProtocol, SandboxServer
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.organisation import Organisation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.applications import Starlette


@contextmanager
def serve(
    *,
    teams: int = 40,
    seconds: float = 0.2,
    clock: Callable[[], float] | None = None,
    clock_speed: float = 1.0,
    key: str = "sandbox",
    base_path: str = "/",
    timeout_teams: int | None = None,
    timeout_days: int | None = None,
    requests_per_minute: int | None = None,
    weather: float | None = None,
    seed: int | None = None,
) -> Iterator[SandboxControl]:
    """A sandbox on a free port of localhost for the time of a `with` block; it is stopped when the block ends.

    `teams` leaf teams, exports that take `seconds`; all else as in `create_app`.
    """
    app = create_app(
        Organisation(teams),
        seconds=seconds,
        clock=clock,
        clock_speed=clock_speed,
        key=key,
        base_path=base_path,
        timeout_teams=timeout_teams,
        timeout_days=timeout_days,
        requests_per_minute=requests_per_minute,
        weather=weather,
        seed=seed,
    )
    with listen("127.0.0.1", 0) as listening:
        server = _server(app)
        thread = threading.Thread(target=server.run, args=([listening],), name="sei-sandbox")
        thread.start()
        try:
            yield SandboxControl(address(listening, base_path), key=key)
        finally:
            server.should_exit = True
            thread.join()


def run(app: Starlette, listening: socket.socket) -> None:
    """Serve an app on a listening socket until the process is told to stop."""
    # uvicorn closes all connections at Ctrl-C and then raises it again: an ordinary end for this process.
    with suppress(KeyboardInterrupt):
        _server(app).run([listening])


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections from now on, before anyone serves them; port 0 is a free one."""
    return socket.create_server((host, port), backlog=1024)


def address(listening: socket.socket, base_path: str = "/") -> str:
    """The base URL under which the sandbox on this socket is reached, with no slash at its end."""
    host, port = listening.getsockname()[:2]
    return f"http://{host}:{port}{base_path.rstrip('/')}"


def _server(app: Starlette) -> SandboxServer:
    config = uvicorn.Config(
        app,
        # The one whose sockets are closed when they are told to: an outage begins at once.
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
    server = SandboxServer(config)
    app.state.refuse_connections = server.refuse_connections
    return server
