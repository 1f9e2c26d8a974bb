"""HTTP calls and replies as values (sans-IO), which both clients send and parse. Sends nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sei_provider.api.errors import SeiConnectionError, SeiReplyError, sanitize

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A reply with a status of success: what was asked, status, headers (found in any case) and body."""

    description: str
    status: int
    content: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """One HTTP call and how its reply is parsed.

    - `description` names the call in errors and logs, as in "create the sprint export of team:456".
    - `params` are sent besides the identifiers that every V2 call carries.
    - `idempotent` means that sending the call again, any number of times, creates nothing more.
    - `retry_on_404` means that a 404 may come too early and pass.
    - `legacy` calls carry the key in both headers and no identifiers in the query. They have a longer timeout because
      SEI works before it answers (CONTRACT, "Every V2 call", and row 32).
    """

    description: str
    method: str
    path: str
    parse: Callable[[Reply], T]
    params: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    idempotent: bool = True
    retry_on_404: bool = False
    legacy: bool = False


Flow = Generator[Call[Any], Any, T]
"""Calls that depend on each other: it yields a call, is sent the parsed reply (or thrown the error), and returns the
result."""


def parse_json(reply: Reply) -> Any:
    """Return the JSON of a reply.

    Raises `SeiConnectionError` for JSON that was cut short, which is transient, and `SeiReplyError` for anything that
    is not JSON or is nested too deeply.
    """
    try:
        return json.loads(reply.content)
    except RecursionError:
        msg = f"Asked to {reply.description}, SEI sent JSON that is nested too deep ({len(reply.content)} bytes)"
        raise SeiReplyError(msg) from None
    except ValueError:
        start = sanitize(reply.content[:200].decode("utf-8", "replace"))
        got = f"({len(reply.content)} bytes, starting {start!r})"
        if reply.content.lstrip()[:1] in {b"", b"{", b"["}:
            msg = f"Asked to {reply.description}, SEI sent JSON that is not whole {got}"
            raise SeiConnectionError(msg) from None
        msg = f"Asked to {reply.description}, SEI sent what is not JSON {got}"
        raise SeiReplyError(msg) from None
