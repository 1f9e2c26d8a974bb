"""The client for asyncio: sends calls as `client` does, without blocking the event loop. Knows no report."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import IO, Any, Self, TypeVar, Unpack

import httpx
import stamina

from sei_provider.api import bounds, endpoints
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
from sei_provider.api.exchange import ExchangeLimits, limit_async_reads
from sei_provider.api.export import Export
from sei_provider.api.list_filters import ExportFilters, paginate_exports
from sei_provider.api.pagination import Paginator
from sei_provider.api.polling import ExportPoller
from sei_provider.api.redaction import redacting
from sei_provider.api.request import ExportRequest
from sei_provider.api.response import error_from_response, transport_error
from sei_provider.api.retry import RetryState
from sei_provider.api.teams import OrgTree, Team

T = TypeVar("T")


class AsyncSeiClient(BaseClient):
    """Client of the SEI export API for asyncio: an async context manager with the methods of `SeiClient`.

    Nothing in it blocks the event loop: the rate limit's file lock and file writes run in threads.
    """

    def __init__(self, *, transport: httpx.AsyncBaseTransport | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self._http = httpx.AsyncClient(
            transport=transport, event_hooks={"response": [_drop_location]}, **self._http_settings
        )
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def create_export(self, request: ExportRequest) -> Export:
        """As `SeiClient.create_export`."""
        return await self._run(endpoints.create_export(request, request.body(**self._names), self._create_paths))

    async def get_export(self, report: str, export_id: str) -> Export:
        """As `SeiClient.get_export`."""
        return await self._send(endpoints.get_export(report, export_id))

    async def download_export(self, export: Export, file: IO[bytes], *, max_bytes: int = bounds.DOWNLOAD_BYTES) -> int:
        """As `SeiClient.download_export`."""
        if export.has_link_query and not export.link_query:
            export = await self.get_export(export.report, export.id)
        call = endpoints.download_export(export, self.base_url)
        return await self._fetch(call, file, lambda: ExchangeLimits.for_download(call, export, max_bytes))

    async def run_report(
        self, request: ExportRequest, file: IO[bytes], *, max_bytes: int = bounds.DOWNLOAD_BYTES
    ) -> int:
        """As `SeiClient.run_report`."""
        call = endpoints.run_report(request, request.body(**self._names))
        return await self._fetch(call, file, lambda: ExchangeLimits.for_report(call, max_bytes))

    def list_exports(self, report: str, **filters: Unpack[ExportFilters]) -> AsyncIterator[Export]:
        """As `SeiClient.list_exports`, for `async for`."""
        return self._read_pages(paginate_exports(report, **filters))

    async def list_org_trees(self) -> list[OrgTree]:
        """As `SeiClient.list_org_trees`."""
        return await self._run(endpoints.list_org_trees(self._account()))

    async def list_teams(self, tree: OrgTree | int | str) -> Team:
        """As `SeiClient.list_teams`."""
        return await self._run(endpoints.list_teams(tree, self._account()))

    async def download_developers(self, file: IO[bytes], *, max_bytes: int = bounds.DOWNLOAD_BYTES) -> int:
        """As `SeiClient.download_developers`."""
        call = endpoints.download_developers()
        return await self._fetch(call, file, lambda: ExchangeLimits.for_report(call, max_bytes))

    async def poll(self, poller: ExportPoller) -> None:
        """As `SeiClient.poll`."""
        poll_round = poller.poll_round()
        with suppress(StopIteration):
            calls = next(poll_round)
            while True:
                calls = poll_round.send(await asyncio.gather(*map(self._answer, calls)))

    async def seconds_until(self, requests: int) -> float:
        """As `SeiClient.seconds_until`."""
        return await asyncio.to_thread(self._limit.seconds_until, requests)

    async def _answer(self, call: Call[T]) -> T | SeiError:
        try:
            return await self._send(call)
        except SeiError as error:
            return error

    async def _read_pages(self, paginator: Paginator[T]) -> AsyncIterator[T]:
        while paginator.next_call:
            for item in paginator.record(await self._send(paginator.next_call)):
                yield item

    async def _fetch(self, call: Call[None], file: IO[bytes], new_limits: Callable[[], ExchangeLimits]) -> int:
        async def once() -> int:
            file.seek(0)
            file.truncate()
            limits = new_limits()
            async with self._open(call, limits) as response:
                async for piece in _pieces(response):
                    await asyncio.to_thread(file.write, limits.feed(piece, response.headers))
                return limits.finish(response.headers)

        return await self._attempt(call, once)

    async def _run(self, flow: Flow[T]) -> T:
        try:
            call = next(flow)
            while True:
                try:
                    result = await self._send(call)
                except SeiError as error:
                    call = flow.throw(error)
                else:
                    call = flow.send(result)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]

    async def _send(self, call: Call[T]) -> T:
        async def once() -> T:
            limits = ExchangeLimits.for_reply(call, self._deadline)
            async with self._open(call, limits) as response:
                content = b"".join([limits.feed(piece, response.headers) async for piece in _pieces(response)])
                reply = Reply(
                    description=call.description, status=response.status_code, headers=response.headers, content=content
                )
                # Within the block, so that its errors are redacted.
                if len(content) > bounds.THREAD_BYTES:
                    return await asyncio.to_thread(call.parse, reply)
                return call.parse(reply)

        return await self._attempt(call, once)

    async def _attempt(self, call: Call[Any], once: Callable[[], Awaitable[T]]) -> T:
        """As `SeiClient._attempt`."""
        retry = RetryState(call, self._deadline)
        try:
            return await stamina.AsyncRetryingCaller(**retry.backoff)(retry.should_retry, once)
        except SeiError as error:
            failure = error
        raise detached(failure)

    @asynccontextmanager
    async def _open(self, call: Call[Any], limits: ExchangeLimits) -> AsyncIterator[httpx.Response]:
        await self._wait_for_turn(call)
        with redacting(self._key), limits.reading():
            try:
                self._observe("requests", 1)
                response = await self._http.send(self._request(self._http, call, limit_async_reads), stream=True)
                try:
                    if not response.is_success:
                        raise await self._error(call, response)
                    limits.start_body(response.headers)
                    yield response
                except SeiRateLimitError as error:
                    self._observe("rate_limited", 1)
                    await asyncio.to_thread(self._limit.penalize)
                    self._check_patience(call, error.retry_after or 0.0)
                    raise
                finally:
                    await response.aclose()
            except httpx.RequestError as error:
                raise transport_error(call, error) from error

    async def _wait_for_turn(self, call: Call[Any]) -> None:
        """As `SeiClient._wait_for_turn`."""
        end = self._turn_end()
        left = None if end is None else end - time.time()
        try:
            async with asyncio.timeout(left), self._turn:
                while wait := await asyncio.to_thread(self._limit.try_acquire):
                    if end is not None and time.time() + wait > end:
                        raise self._no_turn(call, wait)
                    self._check_patience(call, wait)
                    await asyncio.sleep(wait)
                    self._observe("rate_limit_wait", wait)
        except TimeoutError:
            raise self._no_turn(call, left or 0.0) from None

    @staticmethod
    async def _error(call: Call[Any], response: httpx.Response) -> SeiHTTPError:
        limits, body = ExchangeLimits.for_error(call), b""
        with limits.reading(), suppress(httpx.RequestError, SeiReplyError, SeiConnectionError):
            async for piece in _pieces(response):
                body += limits.feed_error(piece, response.headers)
        return error_from_response(call.description, response.status_code, response.headers, body)


def _pieces(response: httpx.Response) -> AsyncIterator[bytes]:
    """As in `client`."""
    return response.aiter_bytes() if response.is_stream_consumed else response.aiter_raw()


async def _drop_location(response: httpx.Response) -> None:
    """As in `client`."""
    response.headers.pop("location", None)
