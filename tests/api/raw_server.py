"""A server on a real socket that answers with the very bytes a test gives it, however wrong, slow or cut they are."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Answer = Callable[[socket.socket, threading.Event], None]
"""Sends one answer over a connection, which is closed afterwards; the event says that the test is over."""


@dataclass(slots=True)
class RawServer:
    """Address at which it listens, and each request that came: its head as text, in order."""

    base_url: str
    requests: list[str] = field(default_factory=list)


@contextmanager
def raw_server(*answers: Answer) -> Iterator[RawServer]:
    """Gives these answers in turn, the last for ever, one for each connection."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = RawServer(f"http://127.0.0.1:{listening.getsockname()[1]}/prod1/sei/api")
        in_turn = itertools.chain(answers, itertools.repeat(answers[-1]))

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    threading.Thread(target=answer, args=(connection, next(in_turn))).start()

        def answer(connection: socket.socket, give: Answer) -> None:
            with connection, contextlib.suppress(OSError):
                server.requests.append(_read_request(connection))
                give(connection, over)

        threading.Thread(target=serve).start()
        try:
            yield server
        finally:
            over.set()
            listening.shutdown(socket.SHUT_RDWR)


def _read_request(connection: socket.socket) -> str:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    missing = int(lengths[0]) - len(body) if lengths else 0
    while missing > 0:
        missing -= len(connection.recv(65536))
    return head.decode("latin-1")


def http(body: bytes, *, status: str = "200 OK", length: int | None = None, headers: str = "") -> bytes:
    """An answer's bytes; `length` is the Content-Length it claims, where that is not the body's own."""
    length = len(body) if length is None else length
    # Said, since a client that keeps the connection might use it in the moment before it sees that it is closed.
    return f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n".encode() + body


def said(answer: object, *, status: str = "200 OK", headers: str = "") -> Answer:
    """A whole answer: JSON, or bytes as they are."""
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return sent(http(body, status=status, headers=headers))


def sent(content: bytes) -> Answer:
    """These bytes, and then an orderly end."""

    def give(connection: socket.socket, _over: threading.Event) -> None:
        connection.sendall(content)

    return give


def reset(content: bytes = b"") -> Answer:
    """These bytes, and then a reset."""

    def give(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(content)
        if content:
            over.wait(0.05)  # a reset overtakes what has not been read yet
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return give


def trickle(head: bytes, piece: bytes, *, every: float) -> Answer:
    """These bytes, and then one piece after another for as long as anybody listens."""

    def give(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(head)
        while not over.wait(every):
            connection.sendall(piece)

    return give
