"""Airflow's web pages as a person uses them: opens, clicks, fills in, and takes pictures. Knows nothing of SEI."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

SECONDS = 30.0
"""Seconds that anything may take to appear: a bound, not an estimate."""

Found = TypeVar("Found")


class Pages:
    """One browser window on one Airflow."""

    def __init__(self, driver: Chrome, base_url: str, pictures: Path) -> None:
        self.driver = driver
        self._base_url = base_url
        self._pictures = pictures

    def open(self, path: str) -> None:
        """Open a page of the UI, or any URL."""
        self.driver.get(path if "://" in path else self._base_url + path)

    def open_run(self, dag_id: str, run_id: str, rest: str = "") -> None:
        """Open the page of a run, or of something below it."""
        self.open(f"/dags/{dag_id}/runs/{quote(run_id, safe='')}{rest}")

    def picture(self, name: str) -> None:
        """Keep what the window shows as `<name>.png`."""
        self.driver.save_screenshot(str(self._pictures / f"{name}.png"))

    def whole_page_picture(self, name: str) -> None:
        """Keep the page as `<name>.png` from top to bottom, though the window shows a part of it."""
        size = self.driver.get_window_size()
        height = self.driver.execute_script("return document.documentElement.scrollHeight")
        self.driver.set_window_size(size["width"], height + 200)
        self.picture(name)
        self.driver.set_window_size(size["width"], size["height"])

    def button(self, text: str) -> WebElement:
        """The button whose label is `text`, once it is there."""

        def labelled() -> WebElement | None:
            for button in self.driver.find_elements(By.TAG_NAME, "button"):
                if text in {button.text.strip(), button.get_attribute("aria-label")} and button.is_displayed():
                    return button
            return None

        return self.wait_for(labelled, f"a button {text!r}")

    def link(self, text: str) -> WebElement:
        """The link with this text, once it is there."""
        return self.wait_for(
            lambda: next(iter(self.driver.find_elements(By.LINK_TEXT, text)), None), f"a link {text!r}"
        )

    def field(self, name: str) -> WebElement:
        """The visible input of this name, once it is there."""
        css = f"[name='{name}']"
        return self.wait_for(
            lambda: next((e for e in self.driver.find_elements(By.CSS_SELECTOR, css) if e.is_displayed()), None),
            f"a field {name!r}",
        )

    def fill(self, name: str, text: str) -> None:
        """Type into a field."""
        self.field(name).send_keys(text)

    def choose(self, text: str) -> None:
        """Type into the only choice box of the dialog and take what it offers first."""
        box = self.wait_for(
            lambda: next(iter(self.driver.find_elements(By.CSS_SELECTOR, "[role=dialog] [role=combobox]")), None),
            "a choice box",
        )
        box.send_keys(text)
        self.wait_for(
            lambda: next(iter(self.driver.find_elements(By.CSS_SELECTOR, "[role=option]")), None), f"an option {text!r}"
        )
        box.send_keys(Keys.ENTER)

    def wait_for_text(self, text: str) -> None:
        """Wait until the page shows a text."""
        self.wait_for(lambda: text in self.text() or None, f"the text {text!r}")

    def text(self) -> str:
        """All text that the page shows."""
        return str(self.driver.find_element(By.TAG_NAME, "body").text)

    def wait_for(self, look: Callable[[], Found | None], what: str) -> Found:
        """Look again and again until something is found; fails with the page's text if it does not come."""

        def looked(_driver: Chrome) -> Found | bool:
            return look() or False

        wait = WebDriverWait(
            self.driver, SECONDS, poll_frequency=0.1, ignored_exceptions=[StaleElementReferenceException]
        )
        try:
            return wait.until(looked)  # type: ignore[return-value]  # until() gives what is not False
        except Exception as error:
            message = f"{what} did not appear on {self.driver.current_url}, which shows:\n{self.text()}"
            raise AssertionError(message) from error
