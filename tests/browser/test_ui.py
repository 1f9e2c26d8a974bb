"""The provider in Airflow's web UI, in a real browser; makes the pictures of the docs."""

from __future__ import annotations

import json

from selenium.webdriver.common.by import By

from tests.browser.conftest import BACKFILL, NIGHTLY, SCORECARD, Night
from tests.browser.pages import Pages


def test_a_connection_is_filled_in_saved_and_tested_and_its_key_is_not_shown_again(night: Night, pages: Pages) -> None:
    key = night.stack.sandbox_key
    pages.open("/connections")
    pages.button("Add Connection").click()
    pages.fill("connection_id", "sei_form")
    pages.choose("Harness SEI")
    placeholder = pages.field("host").get_attribute("placeholder")
    assert placeholder == "https://app.harness.io/prod1/sei/api"
    pages.fill("host", night.stack.sandbox_url)
    assert pages.field("password").get_attribute("type") == "password"
    pages.fill("password", key)
    pages.button("Extra Fields").click()
    pages.fill("element_org_identifier", "default")
    pages.fill("element_project_identifier", "demo")
    pages.whole_page_picture("connection-form")
    pages.button("Save").click()

    pages.wait_for_text("sei_form")
    # By the API: the button beside a connection sends port 0 for one without a port, which 3.3.2 takes for another.
    saved = {"connection_id": "sei_form", "conn_type": "sei", "host": night.stack.sandbox_url, "password": "***"}
    assert night.stack.airflow.test_connection(saved) == (True, "SEI answered and accepted the API key")

    pages.button("Edit Connection").click()
    assert pages.field("password").get_attribute("value") == "***"
    assert pages.field("host").get_attribute("value") == night.stack.sandbox_url
    assert key not in pages.driver.page_source
    stored = night.stack.command("connections", "get", "sei_form", "--output", "json").stdout
    extra = json.loads(stored)[0]["extra_dejson"]
    assert (extra["org_identifier"], extra["project_identifier"]) == ("default", "demo")


def test_the_nightly_dag_is_a_readable_graph(pages: Pages) -> None:
    pages.open(f"/dags/{NIGHTLY}")
    pages.button("Show Graph (Press g)").click()
    tasks = {"teams", *(f"{step}_{report}" for step in ("publish", "check") for report in REPORTS)}
    pages.wait_for(lambda: all(task in pages.text() for task in tasks) or None, "every task in the graph")
    pages.picture("nightly-graph")


def test_a_finished_mapped_task_names_its_teams_and_links_to_the_first(night: Night, pages: Pages) -> None:
    pages.open_run(NIGHTLY, night.run_id, "/tasks/export_sprint/mapped/0/details")
    pages.wait_for_text("export_sprint [12 scopes, 11 to 24]")
    link = pages.link("SEI export")
    page = f"{night.stack.sandbox_url}/ng/account/sandbox/module/sei/insights/productivity?collectionId=11"
    assert link.get_attribute("href") == page
    assert night.stack.sandbox_key not in pages.driver.page_source
    pages.picture("mapped-task")


def test_the_backfill_asks_for_its_parameters_in_a_form(pages: Pages) -> None:
    pages.open(f"/dags/{BACKFILL}")
    pages.button("Trigger").click()
    for name in ("reports", "from", "to", "dry_run"):
        pages.wait_for(
            lambda name=name: (
                next(iter(pages.driver.find_elements(By.ID, f"element_{name}")), None)
                or next(iter(pages.driver.find_elements(By.NAME, f"element_{name}")), None)
            ),
            f"the parameter {name!r}",
        )
    pages.whole_page_picture("backfill-form")


def test_the_scorecard_page_opens_without_a_network(night: Night, pages: Pages) -> None:
    airflow = night.stack.airflow
    assert {airflow.wait(SCORECARD, run["dag_run_id"], timeout=120) for run in night.scorecards()} == {"success"}
    (page,) = night.lake.glob("scorecard/*.html")
    pages.open(page.as_uri())
    assert pages.driver.find_elements(By.TAG_NAME, "svg")
    outside = pages.driver.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert outside == []
    pages.whole_page_picture("scorecard")


REPORTS = ("productivity", "sprint", "business_alignment")
