"""HTTP connections that a response can cut, which ASGI does not have. Knows nothing of requests and responses."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from sei_provider.sandbox.faults.injection import CUT

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

# SO_LINGER, switched on, for 0 seconds: the kernel then closes the connection by a reset (RST), not by an end (FIN).
# Clients tell the two apart: a reset is an error wherever it comes, an end may stand for the end of a body.
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class CuttableProtocol(H11Protocol):
    """uvicorn's own HTTP protocol, which also takes the message `CUT` of `faults.injection`."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._whole_app = self.app
        self.app = self._cuttable_app
        self._lost = asyncio.Event()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        """Called by the event loop when a client has connected."""
        # Responses are written in two pieces, and the second would wait for the first one's receipt (40 ms). asyncio
        # sets this only for sockets that name their protocol, which those of `socket.create_server` do not.
        connection: socket.socket = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop when the connection is closed, by either side."""
        super().connection_lost(exc)
        self._lost.set()

    async def _cuttable_app(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_or_cut(message: Message) -> None:
            if message["type"] == CUT:
                await self._cut(reset=message["reset"])
            else:
                await send(message)

        await self._whole_app(scope, receive, send_or_cut)

    async def _cut(self, *, reset: bool) -> None:
        if reset:
            # What was written so far must be on its way: a reset discards what is not.
            while self.transport.get_write_buffer_size() and not self._lost.is_set():  # noqa: ASYNC110 - a transport does not tell when all is sent
                await asyncio.sleep(0.01)
            connection: socket.socket = self.transport.get_extra_info("socket")
            if not self._lost.is_set():
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                self.transport.abort()
        else:
            self.transport.close()
        # Until uvicorn knows, it would take the response for one that was forgotten, and send another.
        await self._lost.wait()
