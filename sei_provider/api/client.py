"""The synchronous client: sends calls within the key's rate limit and retries them. Knows no report.

It differs from `async_client` only in how it waits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import IO, Any, Self, TypeVar, Unpack

import httpx
import stamina

from sei_provider.api import bounds, endpoints
from sei_provider.api.async_client import AsyncSeiClient as AsyncSeiClient  # noqa: PLC0414 - both are found here
from sei_provider.api.base_client import BaseClient
from sei_provider.api.call import Call, Flow, Reply
from sei_provider.api.errors import (
    SeiConnectionError,
    SeiError,
    SeiHTTPError,
    SeiRateLimitError,
    SeiReplyError,
    detached,
)
from sei_provider.api.exchange import ExchangeLimits, limit_reads
from sei_provider.api.export import Export
from sei_provider.api.list_filters import ExportFilters, paginate_exports
from sei_provider.api.pagination import Paginator
from sei_provider.api.polling import MAX_WORKERS, ExportPoller
from sei_provider.api.redaction import redacting
from sei_provider.api.request import ExportRequest
from sei_provider.api.response import error_from_response, transport_error
from sei_provider.api.retry import RetryState
from sei_provider.api.teams import OrgTree, Team

T = TypeVar("T")


class SeiClient(BaseClient):
    """Synchronous client of the SEI export API: a context manager, safe to share between threads.

    Takes the arguments of `BaseClient`, and `transport` (of httpx, for tests). Calls wait for the key's rate limit, are
    retried with backoff after transient errors, and raise the errors of `sei_provider.api.errors`.
    """

    def __init__(self, *, transport: httpx.BaseTransport | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self._http = httpx.Client(
            transport=transport, event_hooks={"response": [_drop_location]}, **self._http_settings
        )
        self._turn = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def create_export(self, request: ExportRequest) -> Export:
        """Create an export, or get the existing one of an identical request (`Export.reused`).

        If the answer is lost, the request is sent again, at most twice: an identical request within 30 minutes gives
        the same export (CONTRACT, "Reuse").
        """
        return self.run(endpoints.create_export(request, request.body(**self._names), self._create_paths))

    def get_export(self, report: str, export_id: str) -> Export:
        """Read the status of an export. Raises `SeiNotFoundError` if SEI does not know it (any more)."""
        return self._send(endpoints.get_export(report, export_id))

    def download_export(self, export: Export, file: IO[bytes], *, max_bytes: int = bounds.DOWNLOAD_BYTES) -> int:
        """Write a completed export's bytes, as SEI stored them, to `file` (seekable) and return their number.

        The number is checked against Content-Length and `sizeBytes`. A reader of the file must check that a gzip
        stream is complete. If the export was read from `Export.to_reply`, and its link had a query, its status is read
        once more to learn that. Raises `SeiDownloadError` for an empty, cut or longer body, `SeiTooLargeError` for more
        than `max_bytes`, of which no more are read, and `SeiAuthError` for an HTML page.
        """
        if export.has_link_query and not export.link_query:
            export = self.get_export(export.report, export.id)
        call = endpoints.download_export(export, self.base_url)
        return self._fetch(call, file, lambda: ExchangeLimits.for_download(call, export, max_bytes))

    def run_report(self, request: ExportRequest, file: IO[bytes], *, max_bytes: int = bounds.DOWNLOAD_BYTES) -> int:
        """Run a legacy report, write its CSV to `file` (seekable) and return the number of bytes.

        The call takes as long as SEI needs, which may be minutes. 0 bytes mean no rows (CONTRACT row 21).
        Raises `SeiInputError` for a report that has exports, `SeiTooLargeError` for more than `max_bytes`, of which no
        more are read, and `SeiAuthError` for an HTML page.
        """
        call = endpoints.run_report(request, request.body(**self._names))
        return self._fetch(call, file, lambda: ExchangeLimits.for_report(call, max_bytes))

    def download_developers(self, file: IO[bytes], *, max_bytes: int = bounds.DOWNLOAD_BYTES) -> int:
        """Write the list of all developers, as CSV, to `file` (seekable) and return the number of bytes.

        It holds names and e-mail addresses. Raises `SeiTooLargeError` for more than `max_bytes`, and `SeiAuthError` for
        an HTML page.
        """
        call = endpoints.download_developers()
        return self._fetch(call, file, lambda: ExchangeLimits.for_report(call, max_bytes))

    def list_exports(self, report: str, **filters: Unpack[ExportFilters]) -> Iterator[Export]:
        """Iterate over the exports of productivity or sprint, newest first; pages are read as needed.

        Each export comes once, even if new ones are created meanwhile. `filters` are `ExportFilters`; in another order,
        or with a filter by status, an export that changes meanwhile may be missed. Raises `SeiInputError` at once for
        an invalid filter or a report without a list, and `SeiReplyError` for a list that does not end.
        """
        return self._read_pages(paginate_exports(report, **filters))

    def list_org_trees(self) -> list[OrgTree]:
        """Read all org trees that the key may read. Raises `SeiInputError` without `account_identifier`."""
        return self.run(endpoints.list_org_trees(self._account()))

    def list_teams(self, tree: OrgTree | int | str) -> Team:
        """Read the root team of an org tree with all teams below it; the tree is given by id, by name, or as listed.

        Raises `SeiInputError` without `account_identifier` or for a name that no tree or more than one has,
        `SeiNotFoundError` for an unknown id, `SeiAuthError` for a tree that the key may not read, and
        `SeiReplyError` if the reply is not a tree.
        """
        return self.run(endpoints.list_teams(tree, self._account()))

    def poll(self, poller: ExportPoller) -> None:
        """Ask once about each export that `poller` follows, with as few requests as possible.

        Raises only an error that affects all scopes, such as a refused key; `poller` records the others.
        """
        poll_round = poller.poll_round()
        with suppress(StopIteration), ThreadPoolExecutor(MAX_WORKERS, thread_name_prefix="sei") as pool:
            calls = next(poll_round)
            while True:
                calls = poll_round.send(list(pool.map(self._answer, calls)))

    def seconds_until(self, requests: int) -> float:
        """Return the seconds until the key's limit lets so many requests be sent if nobody else sends any."""
        return self._limit.seconds_until(requests)

    def run(self, flow: Flow[T]) -> T:
        """Send the calls of a flow, such as one of `endpoints`, one after another, and return its result."""
        try:
            call = next(flow)
            while True:
                try:
                    result = self._send(call)
                except SeiError as error:
                    call = flow.throw(error)
                else:
                    call = flow.send(result)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]

    def _answer(self, call: Call[T]) -> T | SeiError:
        try:
            return self._send(call)
        except SeiError as error:
            return error

    def _read_pages(self, paginator: Paginator[T]) -> Iterator[T]:
        while paginator.next_call:
            yield from paginator.record(self._send(paginator.next_call))

    def _fetch(self, call: Call[None], file: IO[bytes], new_limits: Callable[[], ExchangeLimits]) -> int:
        def once() -> int:
            file.seek(0)
            file.truncate()
            limits = new_limits()
            with self._open(call, limits) as response:
                for piece in _pieces(response):
                    file.write(limits.feed(piece, response.headers))
                return limits.finish(response.headers)

        return self._attempt(call, once)

    def _send(self, call: Call[T]) -> T:
        def once() -> T:
            limits = ExchangeLimits.for_reply(call, self._deadline)
            with self._open(call, limits) as response:
                content = b"".join(limits.feed(piece, response.headers) for piece in _pieces(response))
                reply = Reply(
                    description=call.description, status=response.status_code, headers=response.headers, content=content
                )
                return call.parse(reply)  # within the block, so that its errors are redacted

        return self._attempt(call, once)

    def _attempt(self, call: Call[Any], once: Callable[[], T]) -> T:
        """Make the attempts that the retry policy allows; an error has no causes and no frames from in here."""
        retry = RetryState(call, self._deadline)
        try:
            return stamina.RetryingCaller(**retry.backoff)(retry.should_retry, once)
        except SeiError as error:
            failure = error
        raise detached(failure)

    @contextmanager
    def _open(self, call: Call[Any], limits: ExchangeLimits) -> Iterator[httpx.Response]:
        self._wait_for_turn(call)
        with redacting(self._key), limits.reading():
            try:
                self._observe("requests", 1)
                response = self._http.send(self._request(self._http, call, limit_reads), stream=True)
                try:
                    if not response.is_success:
                        raise self._error(call, response)
                    limits.start_body(response.headers)
                    yield response
                except SeiRateLimitError as error:
                    self._observe("rate_limited", 1)
                    self._limit.penalize()
                    self._check_patience(call, error.retry_after or 0.0)
                    raise
                finally:
                    response.close()
            except httpx.RequestError as error:
                raise transport_error(call, error) from error

    def _wait_for_turn(self, call: Call[Any]) -> None:
        """Wait for the key's limit. One thread at a time, so that threads do not crowd the limit's file lock."""
        end = self._turn_end()
        left = threading.TIMEOUT_MAX if end is None else min(end - time.time(), threading.TIMEOUT_MAX)
        if not self._turn.acquire(timeout=left):
            raise self._no_turn(call, left)
        try:
            while wait := self._limit.try_acquire():
                if end is not None and time.time() + wait > end:
                    raise self._no_turn(call, wait)
                self._check_patience(call, wait)
                time.sleep(wait)
                self._observe("rate_limit_wait", wait)
        finally:
            self._turn.release()

    @staticmethod
    def _error(call: Call[Any], response: httpx.Response) -> SeiHTTPError:
        limits, body = ExchangeLimits.for_error(call), b""
        # The status is enough, however the body ends.
        with limits.reading(), suppress(httpx.RequestError, SeiReplyError, SeiConnectionError):
            for piece in _pieces(response):
                body += limits.feed_error(piece, response.headers)
        return error_from_response(call.description, response.status_code, response.headers, body)


def _pieces(response: httpx.Response) -> Iterator[bytes]:
    """Iterate over the body as it comes, so that a trickle is noticed; a transport for tests may have read it."""
    return response.iter_bytes() if response.is_stream_consumed else response.iter_raw()


def _drop_location(response: httpx.Response) -> None:
    """Hide the Location of a redirect: httpx would read it, and take one that is no address for a lost answer."""
    response.headers.pop("location", None)
