"""Shapes of replies about exports: spelling, links, errors, in fixed words, without any value. Sends nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

from sei_provider.api.call import Call, Flow, Reply, parse_json
from sei_provider.api.errors import SeiError
from sei_provider.api.export import ExportStatus

T = TypeVar("T")


@dataclass(slots=True)
class ReplyFacts:
    """Shapes of the replies about one report's exports, in words of this module only."""

    create: set[str] = field(default_factory=set)
    statuses: set[str] = field(default_factory=set)
    links: set[str] = field(default_factory=set)
    errors: set[str] = field(default_factory=set)
    repeated: str | None = None
    """Answer to an identical request."""
    oldest: str | None = None
    longest_days: int | None = None

    def note_create(self, reply: Reply, where: str) -> None:
        """Note the answer to a create call, of which `where` says which."""
        said = parse_json(reply)
        status = said.get("status") if isinstance(said, Mapping) else None
        spelling = "no status" if status is None else f"status in {_spelling(status)}"
        self.create.add(f"{where}: HTTP {reply.status}, {spelling}")

    def note_status(self, reply: Reply, base_url: str) -> None:
        """Note the answer to a status call."""
        said = parse_json(reply)
        if not isinstance(said, Mapping):
            return
        self.statuses.add(_spelling(said.get("status")))
        if said.get("error"):
            self.errors.add("{code, message}" if isinstance(said["error"], Mapping) else "text")
        if str(said.get("status")).lower() == ExportStatus.COMPLETED:
            download = said.get("download")
            nested = download.get("url") if isinstance(download, Mapping) else None
            places = {"download.url": nested, "downloadUrl": said.get("downloadUrl")}
            found = [f"{place}, {_link_form(link, base_url)}" for place, link in places.items() if link]
            self.links |= set(found or ["none"])


def _spelling(status: object) -> str:
    if not isinstance(status, str) or status.strip().lower() not in set(ExportStatus):
        return "a word that no document has"
    return "capitals" if status.isupper() else "lower case" if status.islower() else "mixed case"


def _link_form(link: object, base_url: str) -> str:
    text = str(link)
    address, has_query, _ = text.partition("?")
    if "://" in address:
        base, own = urlsplit(base_url), urlsplit(address)
        form = "absolute, " + ("of the same host" if own.netloc == base.netloc else "of another host")
    else:
        form = "relative, /v2/…" if address.startswith("/v2/") else "relative, another path"
    return f"{form}, with a query" if has_query else form


def single(call: Call[T]) -> Flow[T]:
    """Return a call as a flow."""
    return (yield call)  # type: ignore[no-any-return]


def observed(flow: Flow[T], note: Callable[[Reply], None]) -> Flow[T]:
    """Return a flow that shows each reply to `note` before it is parsed."""

    def noting(call: Call[Any]) -> Call[Any]:
        def parse(reply: Reply) -> Any:
            note(reply)
            return call.parse(reply)

        return replace(call, parse=parse)

    try:
        call = next(flow)
        while True:
            try:
                answer = yield noting(call)
            except SeiError as error:
                call = flow.throw(error)
            else:
                call = flow.send(answer)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
