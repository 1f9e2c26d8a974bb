"""A real Airflow with one finished night, and Debian's Chromium to look at it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver

from dev.emulation.debian import command_from_package, font_from_package
from dev.stack import PROJECT, Stack
from sei_provider.sandbox.data.organisation import Organisation
from tests.browser.pages import Pages

TEAMS = 12
NIGHTLY, SCORECARD, BACKFILL = "sei_nightly", "sei_scorecard", "sei_backfill"
MONTHS = 2
"""Months that a night publishes: the month to date and the one before."""
RUN_AFTER = datetime(2026, 3, 18, 2, 30, tzinfo=UTC)

# Without these Chromium looks for updates and its maker's hosts at every start, which a closed network answers slowly.
QUIET = (
    "--headless=new",
    "--no-sandbox",  # Chromium refuses to run as root otherwise, as CI does
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pictures", type=Path, help="folder that gets the pictures; a temporary one if not given")


@dataclass(frozen=True, kw_only=True)
class Night:
    """An Airflow in which `sei_nightly` has run once, with its result."""

    stack: Stack
    run_id: str
    lake: Path

    def scorecards(self) -> list[dict[str, Any]]:
        """The runs of the scorecard that the night's two months have started."""
        deadline = time.monotonic() + 60
        while len(runs := self.stack.airflow.dag_runs(SCORECARD)) < MONTHS:
            assert time.monotonic() < deadline, f"{len(runs)} runs of {SCORECARD}, not {MONTHS}"
            time.sleep(0.5)
        return runs


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    folder = tmp_path_factory.mktemp("browser")
    lake = folder / "lake"
    with Stack(
        folder / "airflow",
        dags=PROJECT / "dags",
        lake=lake.as_uri(),
        teams=[team.id for team in Organisation(TEAMS).leaves],
        sandbox_teams=TEAMS,
        sandbox_seconds=2.0,
        # The form's button Test is off in Airflow unless somebody allows it.
        environment={"AIRFLOW__CORE__TEST_CONNECTION": "Enabled"},
    ) as stack:
        stack.wait_for_dags(NIGHTLY, SCORECARD, BACKFILL)
        stack.airflow.unpause(SCORECARD)
        run_id = stack.airflow.trigger_only(NIGHTLY, run_after=RUN_AFTER)
        assert stack.airflow.wait(NIGHTLY, run_id, timeout=300) == "success"
        yield Night(stack=stack, run_id=run_id, lake=lake)


@pytest.fixture(scope="session")
def pictures(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = request.config.getoption("--pictures") or tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def pages(night: Night, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    font_from_package("ja", "fonts-ipafont-gothic")  # a team of the sandbox has such a name
    options = webdriver.ChromeOptions()
    options.binary_location = command_from_package("chromium", "chromium")
    for argument in (*QUIET, "--window-size=1400,1000", f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(argument)
    driver = webdriver.Chrome(
        options=options, service=webdriver.ChromeService(command_from_package("chromedriver", "chromium-driver"))
    )
    try:
        yield Pages(driver, night.stack.airflow.base_url, pictures)
    finally:
        driver.quit()
