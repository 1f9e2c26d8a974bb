"""The coverage page in a real browser, over three nights of which the second has gaps; makes pictures of the docs.

Its name puts it after the other pages, whose pictures show the first night alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import quote

import httpx
import pytest
from selenium.webdriver import Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from dev.processes import free_ports, stop_all, wait_until
from dev.stack import START_SECONDS, Stack
from sei_provider.sandbox.control import SandboxControl
from tests.browser.conftest import BACKFILL, NIGHTLY, Night
from tests.browser.pages import Pages

TABLE, TEAM, PATH = "productivity_team_monthly", "14", "Engineering/Platform/Payments, Refunds and Disputes"
WITH_GAPS, WHOLE = datetime(2026, 5, 18, 2, 30, tzinfo=UTC), datetime(2026, 7, 18, 2, 30, tzinfo=UTC)
MONTHS = f"table={TABLE}&by=scope&first=2026-02&last=2026-07"
COMPLETE, PARTLY, MISSING = "●", "◔", "○"


@pytest.fixture(scope="module")
def nights(night: Night) -> Stack:
    """The Airflow of the first night, after a second one that a team's export failed in, and a third one."""
    stack = night.stack
    sandbox = SandboxControl(stack.sandbox_url, key=stack.sandbox_key)
    sandbox.fault("fail", team=TEAM, report="productivity")
    gaps = stack.airflow.trigger(NIGHTLY, run_after=WITH_GAPS)
    assert stack.airflow.wait(NIGHTLY, gaps, timeout=600) == "failed"
    sandbox.clear_faults()
    whole = stack.airflow.trigger(NIGHTLY, run_after=WHOLE)
    assert stack.airflow.wait(NIGHTLY, whole, timeout=600) == "success"
    return stack


@pytest.fixture(scope="module")
def prefixed(nights: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a second API server of this Airflow: below a path, with logins, one of which may only look."""
    folder = tmp_path_factory.mktemp("prefixed")
    passwords = folder / "passwords.json"
    passwords.write_text(json.dumps({"watcher": "looks-only"}), encoding="utf-8")
    [port] = free_ports(0)
    address = f"http://127.0.0.1:{port}/team-a"
    settings = {
        "AIRFLOW__API__BASE_URL": address,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "watcher:viewer",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
    }
    process = nights.start_another("api-server", settings)

    def answers() -> bool:
        try:
            return httpx.get(f"{address}/api/v2/version", trust_env=False).is_success
        except httpx.TransportError:
            return False

    try:
        wait_until(answers, what="the second API server answers", seconds=START_SECONDS, processes=[process])
        yield address
    finally:
        stop_all([process])


def cell(pages: Pages, name: str, month: str) -> WebElement:
    """The cell of a line and a month, whose title begins with both."""
    found = pages.driver.find_elements(By.CSS_SELECTOR, f".c[title^='{name}, {month}: ']")
    assert len(found) == 1, f"{name}, {month}: {pages.text()}"
    return found[0]


def test_the_page_stands_under_browse_and_shows_three_nights_and_their_gaps(nights: Stack, pages: Pages) -> None:
    pages.open("/")
    pages.button("Browse").click()
    assert pages.link("SEI coverage").get_attribute("href") == f"{nights.airflow.base_url}/sei/coverage"
    pages.open("/sei/coverage")
    pages.link(TABLE).click()
    pages.wait_for_text("Last published")
    pages.open(f"/sei/table?{MONTHS}")
    marks = [cell(pages, PATH, f"2026-0{month}").text for month in range(2, 8)]
    assert marks == [COMPLETE, PARTLY, MISSING, MISSING, COMPLETE, PARTLY]
    marks = [cell(pages, "Engineering/Platform/NA", f"2026-0{month}").text for month in range(2, 8)]
    assert marks == [COMPLETE, PARTLY] * 3
    assert cell(pages, "All", "2026-04").get_attribute("title") == "All, 2026-04: 11 complete, 1 missing. Fill the gaps"
    outside = pages.driver.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert all(address.startswith(nights.airflow.base_url) for address in outside)
    pages.whole_page_picture("coverage-table")
    pages.driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    assert pages.driver.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 31)"
    pages.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_arrow_keys_move_between_the_cells(nights: Stack, pages: Pages) -> None:
    pages.open(f"/sei/table?{MONTHS}")
    first = cell(pages, "Engineering/Platform/NA", "2026-02")
    pages.driver.execute_script("arguments[0].focus()", first)
    for key, month in ((Keys.ARROW_RIGHT, "2026-03"), (Keys.END, "2026-07"), (Keys.HOME, "2026-02")):
        pages.driver.switch_to.active_element.send_keys(key)
        title = pages.driver.switch_to.active_element.get_attribute("title")
        assert (title or "").startswith(f"Engineering/Platform/NA, {month}")
    stops = pages.driver.execute_script("return document.querySelectorAll('table.grid a[tabindex=\"0\"]').length")
    assert stops == 1


def test_from_a_gap_to_the_filled_in_form_its_run_and_the_complete_cell(nights: Stack, pages: Pages) -> None:
    nights.airflow.unpause(BACKFILL)
    pages.open(f"/sei/table?{MONTHS}")
    cell(pages, PATH, "2026-04").click()
    pages.wait_for_text("missing")
    pages.link("Fill this gap").click()
    filled = {name: pages.field(name).get_attribute("value") for name in ("teams", "from", "to", "which")}
    assert filled == {"teams": TEAM, "from": "2026-04-01", "to": "2026-04-30", "which": "missing"}
    checked = pages.driver.find_elements(By.CSS_SELECTOR, "[name=reports]:checked")
    assert [box.get_attribute("value") for box in checked] == ["productivity"]
    pages.whole_page_picture("coverage-form")
    pages.button("Start the run").click()
    pages.wait_for_text("Started run ")
    link = pages.driver.find_element(By.CSS_SELECTOR, "#answer a")
    run_id = link.text
    assert link.get_attribute("href") == f"{nights.airflow.base_url}/dags/{BACKFILL}/runs/{quote(run_id, safe='')}"
    assert nights.airflow.wait(BACKFILL, run_id, timeout=600) == "success"
    pages.open(f"/sei/table?{MONTHS}")
    assert cell(pages, PATH, "2026-04").text == COMPLETE
    cell(pages, PATH, "2026-04").click()
    assert pages.link(run_id).get_attribute("href").endswith(f"/dags/{BACKFILL}/runs/{quote(run_id, safe='')}")
    pages.whole_page_picture("coverage-cell")


def test_below_a_path_there_is_no_page_without_a_login(prefixed: str, pages: Pages) -> None:
    pages.driver.delete_all_cookies()
    for address in ("coverage", f"table?{MONTHS}", "style.css", "page.js"):
        pages.open(f"{prefixed}/sei/{address}")
        pages.wait_for_text("Not logged in")
        assert TABLE not in pages.text()


def test_below_a_path_a_viewer_sees_the_page_and_why_no_run_is_started(prefixed: str, pages: Pages) -> None:
    login = {"username": "watcher", "password": "looks-only"}
    token = httpx.post(f"{prefixed}/auth/token", json=login, trust_env=False, timeout=60).json()["access_token"]
    pages.open(f"{prefixed}/sei/coverage")
    pages.driver.add_cookie({"name": "_token", "value": token, "path": "/team-a"})
    pages.open(f"{prefixed}/sei/coverage")
    pages.link(TABLE).click()
    pages.wait_for_text("Last published")
    assert pages.driver.current_url.startswith(f"{prefixed}/sei/table?")
    pages.open(f"{prefixed}/sei/table?{MONTHS}")
    cell(pages, PATH, "2026-05").click()
    pages.link("Fill this gap").click()
    pages.button("Start the run").click()
    pages.wait_for_text("Airflow has started no run: you lack the right to start a run of sei_backfill.")
    assert pages.driver.current_url.startswith(f"{prefixed}/sei/fill?")
