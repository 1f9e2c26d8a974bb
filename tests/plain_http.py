"""Servers without TLS on this machine: what a test's own client needs for one, and the address where there is none."""

from __future__ import annotations

import socket
import ssl

NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts no certificate. httpx would read some 140 authorities for each client, which takes longer than most tests."""


def closed_endpoint() -> str:
    """Return the address of a server that is not there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
