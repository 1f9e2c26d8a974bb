"""The plugin: light to import, closed to those who are not logged in, and closed if Airflow lacks what guards it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.core_api.security import get_user
from fastapi import FastAPI
from fastapi.testclient import TestClient

from sei_provider.plugin import HEADERS
from sei_provider.plugin.coverage_plugin import LazyApplication, SeiPlugin

PROJECT = Path(__file__).resolve().parents[2]
ROUTES = [
    "/coverage",
    "/table?table=sprint_team_monthly",
    "/cell?table=sprint_team_monthly&scope=team:1&month=2026-01",
    "/fill?table=sprint_team_monthly&month=2026-01",
    "/style.css",
    "/page.js",
]


def test_the_entry_point_names_the_plugin():
    with (PROJECT / "pyproject.toml").open("rb") as file:
        points = tomllib.load(file)["project"]["entry-points"]["airflow.plugins"]
    module, _, name = points["sei"].partition(":")
    assert getattr(import_module(module), name) is SeiPlugin


def test_importing_the_plugin_loads_no_web_framework_of_ours_and_no_arrow():
    script = "import sys; import airflow.plugins_manager; before = set(sys.modules); "
    script += "import sei_provider.plugin.coverage_plugin; print(*sorted(set(sys.modules) - before))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert set(run.stdout.split()) - {"sei_provider"} == {"sei_provider.plugin", "sei_provider.plugin.coverage_plugin"}


def test_the_view_is_listed_under_browse_and_leads_to_a_page_of_its_own():
    [view] = SeiPlugin.external_views
    assert (view["category"], view["href"], "url_route" in view) == ("browse", "sei/coverage", False)


@pytest.mark.parametrize("route", ROUTES, ids=[route.partition("?")[0] for route in ROUTES])
def test_nobody_who_is_not_logged_in_sees_anything(application: FastAPI, lake: Path, route: str):
    with TestClient(application) as client:
        reply = client.get(route)
    assert reply.status_code == 401
    assert "Not logged in" in reply.text
    assert "sprint" not in reply.text


def test_every_route_stands_behind_the_login(application: FastAPI):
    tried = {route.partition("?")[0] for route in ROUTES}
    assert {getattr(route, "path", None) for route in application.routes} == tried


def test_a_user_without_the_right_is_told_so(application: FastAPI, lake: Path):
    application.dependency_overrides[get_user] = lambda: SimpleAuthManagerUser(username="nobody", role=None)
    with TestClient(application) as client:
        reply = client.get("/coverage")
    assert reply.status_code == 403
    assert "needs Airflow's right to see plugins" in reply.text


@pytest.mark.parametrize("name", ["requires_access_view", "AccessView"])
def test_without_what_guards_it_the_page_is_closed(monkeypatch: pytest.MonkeyPatch, name: str, lake: Path):
    monkeypatch.delitem(sys.modules, "sei_provider.plugin.application", raising=False)
    module = "core_api.security" if name == "requires_access_view" else "auth.managers.models.resource_details"
    monkeypatch.delattr(f"airflow.api_fastapi.{module}.{name}")
    client = TestClient(LazyApplication())
    for route in ROUTES:
        reply = client.get(route)
        assert reply.status_code == 503
        assert reply.text == "The coverage page is closed: see the log of the API server.\n"
        assert {name: reply.headers.get(name) for name in HEADERS} == HEADERS


def test_pages_allow_nothing_from_elsewhere_and_no_inline_script(page: TestClient, lake: Path):
    policy = page.get("/coverage").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert page.get("/style.css").headers["content-type"].startswith("text/css")
    assert page.get("/page.js").headers["content-type"].startswith("text/javascript")
