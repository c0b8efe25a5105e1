"""A page in headless Chromium, for tests of the page."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

selenium = pytest.importorskip("selenium", reason="no browser tests: selenium is not installed")

from selenium import webdriver  # noqa: E402
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

__all__ = ["ActionChains", "Browser", "Keys", "needs_browser"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="no browser tests: Debian's chromium and chromium-driver are not installed",
)


class Browser:
    """A page in Chromium. Every test ends without a word on its console."""

    def __init__(self) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = str(CHROMIUM)
        for word in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"):
            options.add_argument(f"--{word}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options, webdriver.ChromeService(str(DRIVER)))

    def open(self, page: Path, width: int = 1280, *, dark: bool = False) -> None:
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=900,
                 deviceScaleFactor=1, mobile=width < 600)  # fmt: skip
        self.scheme("dark" if dark else "light")
        self.driver.get(page.as_uri())
        assert self.run("return document.documentElement.dataset.ready") == "yes"

    def scheme(self, name: str) -> None:
        feature = {"name": "prefers-color-scheme", "value": name}
        self.cdp("Emulation.setEmulatedMedia", features=[feature])

    def cdp(self, command: str, **facts: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, facts)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def one(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def texts(self, selector: str) -> list[str]:
        found = self.run(
            "return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText)", selector
        )
        return [text.strip() for text in found]

    def choose(self, selector: str, value: str) -> None:
        self.run(
            "const [select, value] = [document.querySelector(arguments[0]), arguments[1]];"
            "select.value = value; select.dispatchEvent(new Event('change'))",
            selector, value,
        )  # fmt: skip

    def type(self, selector: str, text: str) -> None:
        box = self.one(selector)
        box.clear()
        box.send_keys(text)

    def focused(self) -> Any:
        return self.driver.switch_to.active_element

    def wait(self, holds: Callable[[], Any], seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, "it did not come"
            time.sleep(0.05)

    def draw(self, selector: str) -> None:
        """Bring a picture into view and wait until it is drawn."""
        self.run(f"document.querySelector('{selector}').scrollIntoView({{behavior: 'instant'}})")
        self.wait(lambda: self.run(f"return document.querySelector('{selector} svg')"))

    def scores(self) -> dict[str, list[str]]:
        """The table's rows of tasks as they are seen: name -> texts of its cells."""
        rows = self.run(
            "return [...document.querySelectorAll('#grid tr')].filter((row) => "
            "row.querySelector('.cell')).map((row) => [...row.children].map((cell) => "
            "cell.innerText.split('\\n')[0]))"
        )
        return {row[0]: row[1:] for row in rows}
