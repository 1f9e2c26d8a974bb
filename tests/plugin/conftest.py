"""The page's application with a viewer who is logged in, a lake on disk, and no asset events."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow.api_fastapi.app import create_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.core_api.security import get_user
from fastapi import FastAPI
from fastapi.testclient import TestClient

from sei_provider.plugin import pages
from sei_provider.plugin.application import create_application


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lake that the Variable `sei_lake` names."""
    folder = tmp_path / "lake"
    folder.mkdir()
    monkeypatch.setenv("AIRFLOW_VAR_SEI_LAKE", str(folder))
    return folder


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.setattr(pages, "read_events", list)
    create_auth_manager()
    return create_application()


@pytest.fixture
def page(application: FastAPI) -> Iterator[TestClient]:
    """Client of a viewer."""
    application.dependency_overrides[get_user] = lambda: SimpleAuthManagerUser(username="viewer", role="viewer")
    with TestClient(application) as client:
        yield client
