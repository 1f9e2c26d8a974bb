"""HTTP calls and replies as values (sans-IO), which both clients send and parse. Sends nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sei_provider.api import bounds
from sei_provider.api.errors import SeiConnectionError, SeiReplyError
from sei_provider.api.redaction import sanitize
from sei_provider.plural import plural

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A reply with a status of success: what was asked, status, headers (found in any case) and body."""

    description: str
    status: int
    content: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Call(Generic[T]):
    """One HTTP call and how its reply is parsed.

    - `description` names the call in errors and logs, as in "create the sprint export of team:456".
    - `params` are sent besides the identifiers that every V2 call carries.
    - `idempotent` means that sending the call again, any number of times, creates nothing more.
    - `retry_on_404` means that a 404 may come too early and pass.
    - `legacy` calls carry the key in both headers and no identifiers in the query. They have a longer timeout because
      SEI works before it answers (CONTRACT, "Every V2 call", and row 32).
    - `max_bytes` is the limit on a JSON reply.
    - `accept` is the media type to ask for, where SEI has several.
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
    max_bytes: int = bounds.REPLY_BYTES
    accept: str | None = None

    def __repr__(self) -> str:
        """Show the description only: `params` may hold a link's signature, and stamina logs what it calls again."""
        return f"{type(self).__name__}({self.description!r})"


Flow = Generator[Call[Any], Any, T]
"""Calls that depend on each other: it yields a call, is sent the parsed reply (or thrown the error), and returns the
result."""


def parse_json(reply: Reply, *, max_values: int = bounds.REPLY_VALUES) -> Any:
    """Return the JSON of a reply.

    Raises `SeiConnectionError` for JSON that was cut short, which is transient, and `SeiReplyError` for anything that
    is not JSON, is nested too deeply, or has more than `max_values` values, which are counted before it is parsed.
    """
    content, size = reply.content, plural(len(reply.content), "byte")
    # At least as many as there are: a comma within a text counts too.
    values = 1 + content.count(b",") + content.count(b"[") + content.count(b"{")
    if values > max_values:
        msg = f"Asked to {reply.description}, SEI sent more than {max_values} JSON values ({size})"
        raise SeiReplyError(msg)
    try:
        return json.loads(content, parse_constant=_refuse_constant)
    except RecursionError:
        msg = f"Asked to {reply.description}, SEI sent JSON that is nested too deeply ({size})"
        raise SeiReplyError(msg) from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        start = sanitize(content[:200].decode("utf-8", "replace"))
        if content.lstrip()[:1] in {b"", b"{", b"["}:
            msg = f"Asked to {reply.description}, SEI sent JSON that is not whole ({size}, starting {start!r})"
            raise SeiConnectionError(msg) from None
        msg = (
            f"Asked to {reply.description}, SEI sent something that is not JSON ({size}, starting {start!r}): check "
            "that the connection's host is the cluster's base URL with its path"
        )
        raise SeiReplyError(msg) from None
    except ValueError:  # Python reads no number of more than 4,300 digits
        msg = f"Asked to {reply.description}, SEI sent JSON with a number that is invalid or too long ({size})"
        raise SeiReplyError(msg) from None


def _refuse_constant(name: str) -> None:
    """Refuse `NaN` and `Infinity`, which are not JSON although Python reads them."""
    raise ValueError(name)
