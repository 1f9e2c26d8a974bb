"""A sandbox on a real socket, and short ways to speak to it; knows nothing of the provider's own client."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.server import serve
from tests.plain_http import NO_AUTHORITIES
from tests.sandbox import raw

PATHS = {  # of create, and of what comes after
    "productivity": ("/v2/insights/productivity/exports", "/v2/insights/productivity/exports"),
    "sprint": ("/v2/insights/sprint/exports", "/v2/insights/sprints/exports"),
    "business_alignment": ("/v2/insights/ba/exports", "/v2/insights/ba/exports"),
    "efficiency": ("/v2/insights/efficiency/exports", "/v2/insights/efficiency/exports"),
    "time_in_status": ("/v2/insights/ticket-data/exports", "/v2/insights/ticket-data/exports"),
}


class Clock:
    """Seconds since 1970 that stand still until a test moves them."""

    def __init__(self) -> None:
        self.now = 1_767_225_600.0

    def __call__(self) -> float:
        return self.now


class Api:
    """The documented calls, as bare as HTTP allows."""

    def __init__(self, base_url: str) -> None:
        self.http = httpx.Client(
            base_url=base_url,
            params={"projectIdentifier": "sei", "orgIdentifier": "acme"},
            headers={"authorization": "ApiKey sandbox", "Content-Type": "application/json"},
            trust_env=False,
            verify=NO_AUTHORITIES,
        )

    def create(self, report: str, body: object) -> httpx.Response:
        return self.http.post(PATHS[report][0], json=body)

    def status(self, report: str, export_id: str) -> httpx.Response:
        return self.http.get(f"{PATHS[report][1]}/{export_id}")

    def list(self, report: str, **parameters: object) -> httpx.Response:
        return self.http.get(PATHS[report][1], params=parameters)

    def trees(self, path: str = "", **parameters: object) -> httpx.Response:
        return self.http.get(f"/v2/org-trees{path}", params={"accountIdentifier": "acc"} | parameters)

    def report(self, body: object, **parameters: object) -> httpx.Response:
        return self.http.post("/v2/insights/teams/reports", params={"format": "csv"} | parameters, json=body)

    def download(self, report: str, export_id: str) -> httpx.Response:
        return self.http.get(f"{PATHS[report][1]}/{export_id}/download")

    def rows(self, report: str, body: object) -> list[dict[str, str]]:
        """The rows of an export that is done at once, read with Python's own csv."""
        created = self.create(report, body)
        assert created.status_code in {200, 202}, created.text
        content = self.download(report, created.json()["exportId"]).content
        text = (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode()
        return list(csv.DictReader(io.StringIO(text), strict=True))


@pytest.fixture(scope="session")
def instant_sandbox() -> Iterator[SandboxControl]:
    """One sandbox for all tests that leave no traces: its exports are done at once, and none is another test's."""
    with serve(teams=40, seconds=0, reuse=False) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def instant(instant_sandbox: SandboxControl) -> Iterator[Api]:
    api = Api(instant_sandbox.base_url)
    with api.http:
        yield api


@pytest.fixture(scope="session")
def _faulty_sandbox() -> Iterator[SandboxControl]:
    with serve(teams=10, seconds=0, reuse=False) as sandbox:
        yield sandbox


@pytest.fixture
def faulty(_faulty_sandbox: SandboxControl) -> Iterator[SandboxControl]:
    """A sandbox whose exports are done at once, none an older one, and whose faults are cleared after the test."""
    yield _faulty_sandbox
    _faulty_sandbox.clear_faults()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sandbox(clock: Clock) -> Iterator[SandboxControl]:
    """A sandbox of its own for one test, whose exports take 30 seconds of `clock`."""
    with serve(teams=10, seconds=30, clock=clock) as sandbox:
        yield sandbox


@pytest.fixture
def api(sandbox: SandboxControl) -> Iterator[Api]:
    api = Api(sandbox.base_url)
    with api.http:
        yield api


@pytest.fixture(scope="session")
def body_of() -> Callable[..., dict[str, Any]]:
    """A body that the report's document allows, for a team and dates."""

    def body(
        report: str, team: str = "12", start: str = "2026-01-01", end: str = "2026-03-31", **options: str
    ) -> dict[str, Any]:
        granularity = "monthly" if report in raw.LOWER_CASE else "MONTHLY"
        return {
            "scope": {"teamId": team},
            "dateRange": {"start": start, "end": end},
            "options": {"granularity": granularity, **options},
            **raw.NEEDED.get(report, {}),
        }

    return body


@pytest.fixture
def api_at() -> Iterator[Callable[[str], Api]]:
    """Gives the calls at some base URL."""
    opened: list[Api] = []

    def at(base_url: str) -> Api:
        opened.append(Api(base_url))
        return opened[-1]

    yield at
    for api in opened:
        api.http.close()
