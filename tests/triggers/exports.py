"""Exports that the tests of the trigger have made for it to follow."""

from __future__ import annotations

from sei_provider.api import ExportRequest, Scope, SeiClient
from sei_provider.sandbox.control import SandboxControl


def made(sandbox: SandboxControl, *teams: str) -> list[str]:
    """Make a sprint export of each team; gives their ids."""
    with SeiClient(
        base_url=sandbox.base_url, api_key="sandbox", org_identifier="acme", project_identifier="web"
    ) as client:
        requests = [
            ExportRequest(report="sprint", scope=Scope(team_id=team), start="2026-01-01", end="2026-01-31")  # type: ignore[arg-type]
            for team in teams
        ]
        return [client.create_export(request).id for request in requests]
