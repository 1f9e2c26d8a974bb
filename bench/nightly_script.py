"""Exports one report of many teams by a plain asyncio script: the measure that `bench.nightly` holds our run against.

    python -m bench.nightly_script URL KEY FOLDER START END TEAM…

It is what one writes in an hour: 50 exports at a time, a status call a second, one Parquet file for each export. No
state, no checks, no tables; a 429 is waited for and sent again.
"""

from __future__ import annotations

import asyncio
import io
import sys
from pathlib import Path
from typing import Any

import httpx
import pyarrow.csv
import pyarrow.parquet

AT_ONCE = 50
POLL_SECONDS = 1.0
PATH = "/v2/insights/productivity/exports"
GROUPS = ["activity", "velocity", "volume", "quality", "collaboration"]


async def call(client: httpx.AsyncClient, method: str, url: str, **arguments: Any) -> httpx.Response:
    """Send one request until it is not refused for the key's limit; raises `httpx.HTTPStatusError` for other errors."""
    while True:
        response = await client.request(method, url, **arguments)
        if response.status_code != httpx.codes.TOO_MANY_REQUESTS:
            return response.raise_for_status()
        await asyncio.sleep(float(response.headers.get("retry-after", "1")))


async def export(client: httpx.AsyncClient, team: str, start: str, end: str, folder: Path) -> int:
    """Create the export of one team, wait for it, and write its rows; returns their number."""
    body = {
        "scope": {"teamId": team},
        "dateRange": {"start": start, "end": end},
        "options": {"aggregation": "mean", "metricLevel": "team", "granularity": "monthly", "format": "csv"},
        "metricGroups": GROUPS,
    }
    path = f"{PATH}/{(await call(client, 'POST', PATH, json=body)).json()['exportId']}"
    status = ""
    while status.lower() != "completed":
        await asyncio.sleep(POLL_SECONDS)
        status = (await call(client, "GET", path)).json()["status"]
    file = await call(client, "GET", f"{path}/download")
    table = pyarrow.csv.read_csv(io.BytesIO(file.content))
    pyarrow.parquet.write_table(table, folder / f"{team}.parquet")
    return int(table.num_rows)


async def main(url: str, key: str, folder: str, start: str, end: str, *teams: str) -> None:
    """Export all teams and print the number of rows."""
    turns = asyncio.Semaphore(AT_ONCE)
    settings: dict[str, Any] = {
        "base_url": url,
        "headers": {"authorization": f"ApiKey {key}", "Content-Type": "application/json"},
        "params": {"orgIdentifier": "default", "projectIdentifier": "sandbox"},
        "timeout": 120,
    }
    async with httpx.AsyncClient(**settings) as client:

        async def one(team: str) -> int:
            async with turns:
                return await export(client, team, start, end, Path(folder))

        print(sum(await asyncio.gather(*map(one, teams))), "rows")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
