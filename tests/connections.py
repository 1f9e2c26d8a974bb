"""Connections of type `sei` for tests that run in this process, given as users would give them: by environment."""

from __future__ import annotations

import json
from typing import Any

import pytest


def connect(monkeypatch: pytest.MonkeyPatch, host: str, *, password: str = "sandbox", **extra: Any) -> None:
    """Make `sei_default` a connection to `host`; an extra of None is left out."""
    extras = {"org_identifier": "acme", "project_identifier": "web", "requests_per_minute": 20_000} | extra
    connection = {
        "conn_type": "sei",
        "host": host,
        "password": password,
        "extra": {name: value for name, value in extras.items() if value is not None},
    }
    monkeypatch.setenv("AIRFLOW_CONN_SEI_DEFAULT", json.dumps(connection))
