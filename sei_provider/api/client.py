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

from sei_provider.api import endpoints
from sei_provider.api.async_client import AsyncSeiClient as AsyncSeiClient  # noqa: PLC0414 - both are found here
from sei_provider.api.base_client import BaseClient
from sei_provider.api.call import Call, Flow, Reply
from sei_provider.api.errors import SeiError, SeiHTTPError, SeiRateLimitError, SeiReplyError, redacting
from sei_provider.api.export import Export
from sei_provider.api.list_filters import ExportFilters, paginate_exports
from sei_provider.api.pagination import Paginator
from sei_provider.api.polling import MAX_WORKERS, ExportPoller
from sei_provider.api.request import ExportRequest
from sei_provider.api.response import BodyLimits, check_encoding, error_from_response, transport_error
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
        self._http = httpx.Client(transport=transport, **self._http_settings)
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
        return self._run(endpoints.create_export(request, request.body(**self._names), self._create_paths))

    def get_export(self, report: str, export_id: str) -> Export:
        """Read the status of an export. Raises `SeiNotFoundError` if SEI does not know it (any more)."""
        return self._send(endpoints.get_export(report, export_id))

    def download_export(self, export: Export, file: IO[bytes]) -> int:
        """Write a completed export's bytes, as SEI stored them, to `file` (seekable) and return their number.

        The number is checked against Content-Length and `sizeBytes`. A reader of the file must check that a gzip
        stream is complete. Raises `SeiDownloadError` for an empty or cut body, `SeiAuthError` for an HTML page.
        """
        call = endpoints.download_export(export, self.base_url)
        return self._fetch(call, file, lambda: BodyLimits.for_download(call, export))

    def run_report(self, request: ExportRequest, file: IO[bytes]) -> int:
        """Run a legacy report, write its CSV to `file` (seekable) and return the number of bytes.

        The call takes as long as SEI needs, which may be minutes. 0 bytes mean no rows (CONTRACT row 21).
        Raises `SeiInputError` for a report that has exports, `SeiAuthError` for an HTML page.
        """
        call = endpoints.run_report(request, request.body(**self._names))
        return self._fetch(call, file, lambda: BodyLimits.for_report(call))

    def list_exports(self, report: str, **filters: Unpack[ExportFilters]) -> Iterator[Export]:
        """Iterate over the exports of productivity or sprint, newest first; pages are read as needed.

        Each export comes once, even if new ones are created meanwhile. `filters` are `ExportFilters`; in another order,
        or with a filter by status, an export that changes meanwhile may be missed. Raises `SeiInputError` at once for
        an invalid filter or a report without a list, and `SeiReplyError` for a list that does not end.
        """
        return self._read_pages(paginate_exports(report, **filters))

    def list_org_trees(self) -> list[OrgTree]:
        """Read all org trees that the key may read. Raises `SeiInputError` without `account_identifier`."""
        return self._run(endpoints.list_org_trees(self._account()))

    def list_teams(self, tree: OrgTree | int | str) -> Team:
        """Read the root team of an org tree with all teams below it; the tree is given by id, by name, or as listed.

        Raises `SeiInputError` without `account_identifier` or for a name that no tree or more than one has,
        `SeiNotFoundError` for an unknown id, `SeiAuthError` for a tree that the key may not read, and
        `SeiReplyError` if the reply is not a tree.
        """
        return self._run(endpoints.list_teams(tree, self._account()))

    def poll(self, poller: ExportPoller) -> None:
        """Ask once about each export that `poller` follows, with as few requests as possible.

        Raises only an error that affects all scopes, such as a refused key; `poller` records the others.
        """
        poll_round = poller.poll_round()
        with suppress(StopIteration), ThreadPoolExecutor(MAX_WORKERS, thread_name_prefix="sei") as pool:
            calls = next(poll_round)
            while True:
                calls = poll_round.send(list(pool.map(self._answer, calls)))

    def _answer(self, call: Call[T]) -> T | SeiError:
        try:
            return self._send(call)
        except SeiError as error:
            return error

    def _read_pages(self, paginator: Paginator[T]) -> Iterator[T]:
        while paginator.next_call:
            yield from paginator.record(self._send(paginator.next_call))

    def _fetch(self, call: Call[None], file: IO[bytes], new_limits: Callable[[], BodyLimits]) -> int:
        def once() -> int:
            file.seek(0)
            file.truncate()
            limits = new_limits()
            with self._open(call) as response:
                for piece in response.iter_raw():  # as it comes, so that a trickle is noticed
                    file.write(limits.feed(piece, response.headers))
                return limits.finish(response.headers)

        retry = RetryState(call, self._deadline)
        return stamina.RetryingCaller(**retry.backoff)(retry.should_retry, once)

    def _run(self, flow: Flow[T]) -> T:
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

    def _send(self, call: Call[T]) -> T:
        retry = RetryState(call, self._deadline)
        return stamina.RetryingCaller(**retry.backoff)(retry.should_retry, self._send_once, call)

    def _send_once(self, call: Call[T]) -> T:
        limits = BodyLimits.for_reply(call)
        with self._open(call) as response:
            check_encoding(call, response.headers)
            content = b"".join(limits.feed(piece, response.headers) for piece in response.iter_bytes())
            reply = Reply(
                description=call.description, status=response.status_code, headers=response.headers, content=content
            )
            return call.parse(reply)  # within the block, so that its errors are redacted

    @contextmanager
    def _open(self, call: Call[Any]) -> Iterator[httpx.Response]:
        with self._turn:  # one thread at a time, so that threads do not crowd the limit's file lock
            while wait := self._limit.try_acquire():
                time.sleep(wait)
        with redacting(self._key):
            try:
                response = self._http.send(self._request(self._http, call), stream=True)
                try:
                    if not response.is_success:
                        raise self._error(call, response)
                    yield response
                except SeiRateLimitError:
                    self._limit.penalize()
                    raise
                finally:
                    response.close()
            except httpx.RequestError as error:
                raise transport_error(call, error) from error

    @staticmethod
    def _error(call: Call[Any], response: httpx.Response) -> SeiHTTPError:
        limits, body = BodyLimits.for_error(call), b""
        with suppress(httpx.RequestError, SeiReplyError):  # the status is enough, however the body ends
            check_encoding(call, response.headers)
            for piece in response.iter_bytes():
                body += piece
                if not limits.wants_more(piece):
                    break
        return error_from_response(call.description, response.status_code, response.headers, body)
