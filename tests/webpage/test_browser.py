"""The page of `report` in a browser: headless Chromium, one for all tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import reconstruction_files
from browser import ActionChains, Browser, needs_browser
from result_files import make_result
from webpage_files import EVIL, fill, write

from earmark import report
from earmark.benchmark.reconstruction import result as codec_result

pytestmark = needs_browser


def test_forty_encoders_load_quickly_and_are_small(large: Path, browser: Browser) -> None:
    assert large.stat().st_size < 5_000_000
    browser.cdp("Performance.enable")
    browser.open(large)
    # processor time of the page's thread: that of the clock is of whatever else runs here
    metrics = {
        one["name"]: one["value"] for one in browser.cdp("Performance.getMetrics")["metrics"]
    }
    assert metrics["ThreadTime"] < 2
    assert browser.run("return document.querySelectorAll('#grid .cell').length") == 40 * 22
    browser.draw("#dumbbells [data-domain=sound]")


def test_forty_encoders_are_sorted_filtered_and_switched(large: Path, browser: Browser) -> None:
    browser.open(large)
    browser.one('[data-key^="row:"]').click()  # the first task sorts the encoders
    (first, *_) = browser.scores().values()
    assert [float(text) for text in first] == sorted(map(float, first), reverse=True)
    browser.one('[data-column="3"]').click()  # an encoder sorts the tasks of each domain
    place = browser.texts("#grid thead th").index("encoder-with-a-name-03▼") - 1
    values = [float(cells[place]) for cells in list(browser.scores().values())[:11]]
    assert values == sorted(values, reverse=True)
    browser.one('[data-column="3"]').click()
    values = [float(cells[place]) for cells in list(browser.scores().values())[:11]]
    assert values == sorted(values)
    browser.type("#tasks", "esc, speech")
    browser.type("#encoders", "name-0")
    assert {len(cells) for cells in browser.scores().values()} == {10}
    assert len(browser.scores()) == 12  # ESC-50 and all of the domain of that name
    browser.one("#clear").click()
    before = browser.scores()
    browser.choose("#results", "1")
    assert browser.scores() != before
    assert "xares" in browser.one("#caption").text
    browser.run("document.querySelector('[value=knn]').click()")
    assert len(browser.scores()) == 16
    assert "kNN" in browser.one("#caption").text


@pytest.mark.parametrize("width", [380, 1920])
def test_nothing_is_wider_than_the_screen(
    large: Path, small: Path, browser: Browser, width: int
) -> None:
    for page in (large, small):
        browser.open(page, width)
        browser.draw("#dumbbells [data-domain=sound]")
        browser.run("document.querySelector('.cell').click()")
        assert browser.run("return document.documentElement.scrollWidth") <= width
        box = browser.one("#details").rect
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        browser.one("#details .close").click()
    frame = browser.run("return document.querySelector('#frame').scrollWidth")
    assert frame > 0


def test_text_of_files_runs_nowhere(tmp_path: Path, browser: Browser) -> None:
    rng = np.random.default_rng(0)
    odd = make_result("esc50", 0.5, 0.25, encoder=EVIL, title=EVIL, interval=[0.4, 0.6])
    fill(odd, 4, 4, "accuracy", rng)
    odd.command = odd.versions["python"] = EVIL
    odd.data.failed_clips, odd.data.failures = 1, [
        {"shard": EVIL, "key": EVIL, "reason": EVIL}
    ]  # fmt: skip
    odd.protocol |= {"name": EVIL, "revision": 1}
    write(tmp_path, odd)
    write(tmp_path, make_result("fsc", error=EVIL, protocol=odd.protocol["name"]))
    codec = reconstruction_files.make_result(EVIL, data=EVIL, place=EVIL)
    codec.command = EVIL
    codec_result.write_result(tmp_path, codec, "key,crop\n")
    (page,) = report(tmp_path, tmp_path / "page.html").paths
    browser.open(page)
    assert EVIL in browser.texts("#grid thead button")
    for cell in browser.driver.find_elements("css selector", ".cell.done, .cell.failed"):
        browser.run("arguments[0].focus(); arguments[0].click()", cell)
        assert EVIL in browser.run("return document.querySelector('#details').innerText")
        browser.one("#details .close").click()
    browser.draw("#dumbbells > div")
    browser.draw("#costChart")
    point = browser.one("#costChart svg .mark-symbol path")
    ActionChains(browser.driver).move_to_element(point).perform()
    browser.wait(lambda: EVIL[:20] in browser.run(
        "return document.querySelector('#vg-tooltip-element')?.innerText ?? ''"
    ))  # fmt: skip
    browser.run("document.querySelector('#codecTables button.sort').click()")
    browser.run("document.querySelector('#codecTables tbody button').click()")
    assert EVIL in browser.one("#details").text
    assert browser.run("return window.hit") is None
    assert browser.run("return document.querySelectorAll('main img, main script').length") == 0
