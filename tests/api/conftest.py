"""Clients for the tests of `sei_provider.api`: against a sandbox over a socket, or against answers made up here."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest

from sei_provider.api import AsyncSeiClient, ExportRequest, Scope, SeiClient
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.server import serve

BASE_URL = "https://sei.test/prod1/sei/api"
SETTINGS: dict[str, Any] = {
    "api_key": "sandbox",
    "org_identifier": "acme",
    "project_identifier": "web",
    "requests_per_minute": 20_000,
    "verify": ssl.create_default_context(),  # once: reading the authorities takes longer than most tests
}
Answer = Callable[[httpx.Request], httpx.Response]
MakeClient = Callable[..., Any]
"""Makes a client of a base URL: see `client_to`."""
DONE = {"exportId": "exp_1", "createdAt": "2026-01-01T00:00:00Z", "status": "completed"}
"""Answer to a status call for an export that is done."""
ROWS = b"Team,Start_Date\nA,2026-01-01\n"
"""A file of one row."""


@pytest.fixture(scope="session")
def sandbox() -> Iterator[SandboxControl]:
    with serve(teams=6, seconds=0, base_path="/prod1/sei/api") as control:
        yield control


@pytest.fixture
def quiet_sandbox(sandbox: SandboxControl) -> Iterator[SandboxControl]:
    """The same sandbox for a test that makes things go wrong in it; nothing goes wrong afterwards."""
    yield sandbox
    sandbox.clear_faults()


class BlockingAsyncClient:
    """An `AsyncSeiClient` spoken to synchronously, so that one test can hold for both clients."""

    def __init__(self, **settings: Any) -> None:
        self._settings = settings

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            async def once() -> Any:
                async with AsyncSeiClient(**self._settings) as client:
                    given = getattr(client, name)(*args, **named)
                    return [item async for item in given] if isinstance(given, AsyncIterator) else await given

            return asyncio.run(once())

        return call


@pytest.fixture(params=["sync", "async"])
def client_to(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Makes a client, sync or async, of a base URL or of a function that answers requests."""

    def make(target: str | Answer, **changed: Any) -> Any:
        settings = SETTINGS | changed
        if isinstance(target, str):
            settings["base_url"] = target
        else:
            settings |= {"base_url": BASE_URL, "transport": httpx.MockTransport(target)}
        return SeiClient(**settings) if request.param == "sync" else BlockingAsyncClient(**settings)

    return make


def export_request(report: str = "productivity", **changed: Any) -> ExportRequest:
    asked: dict[str, Any] = {"report": report, "scope": Scope.parse("1"), "start": "2026-01-01", "end": "2026-02-28"}
    if report.casefold() == "time_in_status":
        asked["options"] = {"issueStatuses": ["In Progress", "In Review", "QA", "Done"]}
    return ExportRequest(**(asked | changed))


def answering(
    *answers: httpx.Response | Exception,
) -> tuple[Callable[[httpx.Request], httpx.Response], list[httpx.Request]]:
    """A transport that gives these answers in turn, the last for ever, and what it was asked."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        given = answers[min(len(asked), len(answers)) - 1]
        if isinstance(given, Exception):
            raise given
        if not given.is_stream_consumed:
            return given
        return httpx.Response(given.status_code, headers=given.headers, stream=httpx.ByteStream(given.content))

    return answer, asked
