"""The page of `report` in a browser: headless Chromium, one for all tests."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reconstruction_files
from numbers_by_hand import by_hand
from paired_cells import class_predictions, write_cell
from result_files import make_result
from webpage_files import EVIL, fill, write, write_codec, write_large, write_pair

from earmark import compare, report
from earmark.benchmark.protocol import PROTOCOLS, STRICT
from earmark.benchmark.reconstruction import result as codec_result
from earmark.benchmark.result.files import write_result
from earmark.benchmark.result.schema import ResultError
from earmark.benchmark.shots import ShotScore

selenium = pytest.importorskip("selenium", reason="no browser tests: selenium is not installed")

from selenium import webdriver  # noqa: E402
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
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


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    made = Browser()
    yield made
    made.driver.quit()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    chromium.driver.get_log("browser")
    yield chromium
    assert [entry["message"] for entry in chromium.driver.get_log("browser")] == []


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """40 encoders on 22 tasks under two protocols, with curves and confusion matrices."""
    folder = tmp_path_factory.mktemp("large")
    assert write_large(folder / "results") == 40 * 22 * 2
    rng = np.random.default_rng(0)

    def predictions(result: Any) -> Any:
        if result.task.metric != "accuracy" or not result.scores:
            raise ResultError("none")
        found = class_predictions(np.ones((500, 2), bool), range(500))
        classes = result.task.classes
        found.labels = rng.integers(0, classes, 500)
        wrong = rng.random((500, 2)) < 0.4
        found.linear = np.where(wrong, rng.integers(0, classes, (500, 2)), found.labels[:, None])
        found.knn = found.linear[:, 0]
        return found

    with pytest.MonkeyPatch.context() as patch:
        # 1760 files would take longer to write than all of these tests
        patch.setattr("earmark.benchmark.webpage.confusion.read_predictions", predictions)
        made = report(folder / "results", folder / "page.html", cache=folder)
    yield made.paths[0]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three encoders on three tasks: one best by far, one failed, one not run; and a codec."""
    folder = tmp_path_factory.mktemp("small")
    rng = np.random.default_rng(0)
    for task, values in {"esc50": (0.75, 0.25, 0.5), "fsc": (0.6, 0.625, None)}.items():
        for encoder, value in zip(("alpha", "beta", "gamma"), values, strict=True):
            if value is None:
                continue
            right = np.zeros((80, 1), bool)
            right[: round(80 * value)] = True
            result = make_result(
                task, value, value, encoder=encoder, fingerprint=f"{encoder}-print", interval=[
                    value - 0.1, value + 0.1,
                ], domain="sound" if task == "esc50" else "speech",
                protocol=STRICT.facts(), title={"esc50": "ESC-50", "fsc": "Fluent"}[task],
            )  # fmt: skip
            fill(result, 5, 4, "accuracy", rng)
            path = write(folder, result)
            predictions = class_predictions(right, range(80), knn=right[:, 0])
            write_result(path, result, predictions)
    write(folder, make_result("fsc", error="out of memory", encoder="gamma",
                              fingerprint="gamma-print", title="Fluent"))  # fmt: skip
    codec_result.write_result(folder, reconstruction_files.make_result("mulaw"), "key,crop\na,0\n")
    return report(folder, folder / "page.html", cache=folder).paths[0]


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


def bold_cells(browser: Browser) -> Any:
    return browser.run(
        "return [...document.querySelectorAll('.cell')].filter("
        "(e) => getComputedStyle(e).fontWeight >= 700).map((e) => e.innerText.trim())"
    )


def test_too_few_sources_are_told_and_nothing_is_bold(tmp_path: Path, browser: Browser) -> None:
    """Not the best of the scores, and not a difference of 0.6 either."""
    for encoder, count in (("alpha", 48), ("beta", 12)):
        predictions = class_predictions(np.arange(60) < count, np.arange(60) % 5)
        write_cell(tmp_path, predictions, encoder, "esc50", protocol=STRICT.facts())
    browser.open(report(tmp_path, tmp_path / "page.html", cache=tmp_path).paths[0])
    told = browser.one('.cell[aria-label^="Task esc50 · alpha"]').get_attribute("aria-label")
    assert "accuracy 0.800, too few sources for an interval" in told
    assert browser.texts(".cell .note") == ["too few sources"] * 2
    assert bold_cells(browser) == []
    browser.choose("#base", "1")
    told = browser.one('.cell[aria-label^="Task esc50 · alpha"]').get_attribute("aria-label")
    assert "+0.600 to beta, too few sources for an interval" in told
    assert bold_cells(browser) == []


def test_scores_failures_and_differences_are_shown(small: Path, browser: Browser) -> None:
    browser.open(small)
    assert browser.texts("#grid thead th")[1:] == ["alpha", "beta", "gamma"]
    assert browser.scores()["ESC-50"] == ["0.750", "0.250", "0.500"]
    assert browser.scores()["Fluent"] == ["0.600", "0.625", "✕ failed"]
    assert browser.scores()["GTZAN Genre"] == ["not run"] * 3
    assert bold_cells(browser) == ["0.750"]  # of Fluent neither is told from the other
    assert browser.one("#bold").text == "best of its row, or not told from it"
    browser.choose("#base", "1")
    assert bold_cells(browser) == ["+0.500", "+0.250"]  # what differs, and no best of scores
    assert browser.one("#bold").text == "differs from beta"
    assert browser.scores()["ESC-50"] == ["+0.500", "base", "+0.250"]
    assert browser.scores()["Fluent"] == ["−0.025", "base", "✕ failed"]
    (paired,) = [
        task.difference
        for found in compare("alpha", "beta", small.parent, cache=small.parent)
        if found.probe == "linear"
        for task in found.tasks
        if task.task == "esc50"
    ]
    told = browser.one('.cell[aria-label^="ESC-50 · alpha"]').get_attribute("aria-label")
    assert f"+0.500 to beta, 95 % interval +{paired.low:.3f} to +{paired.high:.3f}" in told
    # the other way round
    browser.choose("#base", "0")
    told = browser.one('.cell[aria-label^="ESC-50 · beta"]').get_attribute("aria-label")
    assert f"−0.500 to alpha, 95 % interval −{paired.high:.3f} to −{paired.low:.3f}" in told
    assert "(paired): differs" in told
    assert bold_cells(browser) == ["−0.500", "−0.250"]
    # of means: over the tasks that both have, ESC-50 and Fluent
    mean = "−0.238"  # (0.75 - 0.25 - (0.625 - 0.6)) / 2 = 0.2375, a tie, to the even digit
    shown = [text.split("\n") for text in browser.texts("#grid tr.mean td")[:2]]
    assert shown == [["base"], [mean, "2 of 22"]]


def test_the_majority_stands_at_the_right_of_scores(tmp_path: Path, browser: Browser) -> None:
    for task, floor in (("esc50", 0.125), ("fsc", 0.25)):
        for encoder in "AB":
            result = make_result(task, 0.5, encoder=encoder, title=task)
            result.scores["linear"].majority = floor
            write(tmp_path, result)
    (page,) = report(tmp_path, tmp_path / "page.html", cache=tmp_path).paths
    browser.open(page)
    assert browser.texts("#grid thead th")[1:] == ["A", "B", "majority"]
    assert set(browser.texts("#grid td.floor")) >= {"0.125", "0.250", "0.188\n2 of 22"}
    browser.choose("#base", "1")
    assert browser.texts("#grid thead th")[1:] == ["A", "B"]
    assert browser.texts("#grid td.floor") == []
    assert "majority" not in " ".join(browser.texts("#base option"))


def test_differences_of_means_are_over_the_tasks_of_both(tmp_path: Path, browser: Browser) -> None:
    """Each mean by hand: weighted, of a domain, of all; with tasks that one of the two lacks."""
    kept = {
        "A": {"esc50": 0.75, "fsc": 0.5, "gtzan": 0.25},
        "B": {"esc50": 0.5, "fsc": 0.875, "crema_d": 0.125},
        "C": {"gtzan": 0.75, "crema_d": 0.5},
    }
    facts = {
        "esc50": {"domain": "sound", "weight": 3.0}, "fsc": {"domain": "speech", "weight": 1.0},
        "gtzan": {"domain": "music"}, "crema_d": {"domain": "speech"},
    }  # fmt: skip
    for encoder, scores in kept.items():
        for task, value in scores.items():
            write(tmp_path, make_result(task, value, encoder=encoder, **facts[task]))
    (page,) = report(tmp_path, tmp_path / "page.html", cache=tmp_path).paths
    browser.open(page)
    browser.choose("#base", "0")
    rows = browser.run(
        "return [...document.querySelectorAll('#grid tr.mean, #grid tr.domain')].map((row) => "
        "[...row.children].map((cell) => cell.innerText.trim().split('\\n').join(' ')))"
    )
    found = {row[0].lower().partition(" ")[0]: row[1:] for row in rows}
    assert found == {
        "mean": ["base", "+0.062 2 of 22", "+0.500 1 of 22"],  # (0.375 - 0.25) / 2
        "weighted": ["base", "−0.094 2 of 22", "+0.500 1 of 22"],  # (0.375 - 3 * 0.25) / 4
        "speech": ["base", "+0.375 1 of 11", "no task of both"],
        "sound": ["base", "−0.250 1 of 7", "–"],
        "music": ["base", "–", "+0.500 1 of 4"],
    }


def test_numbers_are_rounded_as_the_tables_of_the_terminal(
    tmp_path: Path, browser: Browser
) -> None:
    """Once, in decimal, and ties to even; against rounding by hand."""
    values = {
        "esc50": 0.5625, "fsc": 0.1875, "gtzan": 0.5904985, "ravdess": 0.21750000000000003,
        "crema_d": 0.0625, "asv2015": 0.9995, "nsynth": 1.0, "fma_small": 0.13149999999999998,
        "maestro": 0.1325,
    }  # fmt: skip
    for task, value in values.items():
        write(tmp_path, make_result(task, value, title=task, interval=[value / 2, value]))
    write_codec(tmp_path, "mulaw", ["a"], values={"pesq_wb": 4.49754})
    (page,) = report(tmp_path, tmp_path / "page.html", cache=tmp_path).paths
    browser.open(page)
    shown = browser.scores()
    assert {task: shown[task] for task in values} == {
        task: [by_hand(value)] for task, value in values.items()
    }
    told = browser.one('.cell[aria-label^="esc50"]').get_attribute("aria-label")
    assert f"interval {by_hand(0.28125)} to {by_hand(0.5625)}" in told
    assert browser.texts("#codecTables tbody td")[4].startswith("4.498")
    # what it cost: a whole minute is never 60 s
    durations = {59.94: "59.9 s", 119.7: "2 min 0 s", 3599.8: "1 h 0 min", 4000: "1 h 6 min"}
    for seconds, text in durations.items():
        result = make_result("esc50", 0.5, title="esc50")
        result.run = {"seconds": seconds}
        write(tmp_path, result)
        report(tmp_path, page, cache=tmp_path)
        browser.open(page)
        browser.run("document.querySelector('.cell[aria-label^=\"esc50\"]').click()")
        assert text in browser.one("#details").text


def test_a_cell_tells_its_interval_under_the_pointer_and_the_keys(
    small: Path, browser: Browser
) -> None:
    browser.open(small)
    cell = browser.one('.cell[data-column="1"][aria-label^="ESC-50"]')
    ActionChains(browser.driver).move_to_element(cell).perform()
    tip = browser.one("#tip")
    assert tip.is_displayed()
    assert "0.250, 95 % interval 0.150 to 0.350" in tip.text
    assert "50 items of 10 sources" in tip.text
    tips = tip.rect
    assert tips["x"] >= 0
    assert tips["x"] + tips["width"] <= 1280
    browser.one("#tasks").send_keys("esc")
    start = browser.one('.cell[tabindex="0"]')
    browser.run("arguments[0].focus()", start)
    browser.focused().send_keys(Keys.ARROW_RIGHT)
    assert browser.focused().get_attribute("aria-label").startswith("ESC-50 · beta")
    assert "0.250" in browser.one("#tip").text
    reached = "return document.querySelectorAll('#grid [tabindex=\"0\"]').length"
    assert browser.run(reached) == 1
    # the heads are reached by the same keys, and sort
    browser.focused().send_keys(Keys.CONTROL, Keys.HOME)
    browser.focused().send_keys(Keys.ARROW_RIGHT)
    assert browser.focused().text == "alpha"
    browser.focused().send_keys(Keys.ENTER)
    assert browser.focused().text == "alpha▼"
    assert browser.one("#grid th[aria-sort]").get_attribute("aria-sort") == "descending"
    browser.focused().send_keys(Keys.ARROW_DOWN)
    assert not browser.one("#tip").is_displayed()  # a mean
    assert browser.run(reached) == 1


def test_a_cell_opens_what_reproduces_it_by_keys_alone(small: Path, browser: Browser) -> None:
    browser.open(small)
    browser.run("arguments[0].focus()", browser.one('.cell[aria-label^="ESC-50 · alpha"]'))
    browser.focused().send_keys(Keys.ENTER)
    said = browser.one("#details").text
    for words in (
        "python run_bench.py --encoder alpha --tasks esc50", "alpha-print", "torch", "2.14.1",
        "knn temperature", "0.07", "straddling sources", "A processor", "1 shard with SHA-256",
    ):  # fmt: skip
        assert words in said, words
    assert "ESC-50 · alpha" in said
    browser.focused().send_keys(Keys.ESCAPE)
    assert not browser.one("#details").is_displayed()
    assert browser.focused().get_attribute("aria-label").startswith("ESC-50 · alpha")
    failed = browser.one('.cell[aria-label^="Fluent · gamma"]')
    browser.run("arguments[0].click()", failed)
    assert "Failed: out of memory" in browser.one("#details").text
    browser.one("#details .close").click()


def test_pictures_are_drawn_light_and_dark(small: Path, browser: Browser) -> None:
    browser.open(small)
    browser.draw("#dumbbells [data-domain=sound]")
    browser.draw("#costChart")
    browser.choose("#closerTask", browser.run(
        "return [...closerTask.options].find((o) => o.text === 'ESC-50').value"
    ))  # fmt: skip
    browser.draw("#lossChart")
    browser.draw("#validChart")
    browser.draw("#confusionChart")
    ink = (
        "const text = document.querySelector('#confusionChart svg .role-axis-title text');"
        "return text && getComputedStyle(text).fill"
    )
    light, paper = browser.run(ink), "return getComputedStyle(document.body).backgroundColor"
    white = browser.run(paper)
    browser.scheme("dark")
    browser.wait(lambda: browser.run(paper) != white)
    browser.run("document.querySelector('#confusionChart').scrollIntoView()")
    browser.wait(lambda: browser.run(ink) not in (None, light))
    browser.run("document.querySelector('#confusionChart summary').click()")
    browser.wait(lambda: browser.texts("#confusionChart .plain tbody tr"))
    first = browser.texts("#confusionChart .plain tbody tr")[0].split("\t")
    assert first[:2] == ["0", "0"]
    assert first[3] == "74.1 %"  # every third of 80 is of it, and of the first 60, which are right


def test_what_chose_the_epoch_and_classes_without_clips_are_said(
    tmp_path: Path, browser: Browser
) -> None:
    rng = np.random.default_rng(0)
    for protocol in (STRICT, PROTOCOLS["xares-0.1.3"]):
        result = make_result("esc50", 0.5, title="ESC-50", protocol=protocol.facts())
        fill(result, 5, 3, "accuracy", rng)
        path = write(tmp_path, result)
        predictions = class_predictions(np.ones((4, 1), bool), range(4))
        predictions.labels = np.array([0, 0, 2, 2])
        predictions.linear = np.array([[0], [1], [2], [2]])  # of class 1 there is no clip
        write_result(path, result, predictions)
    (page,) = report(tmp_path, tmp_path / "page.html", cache=tmp_path).paths
    browser.open(page)
    for number, words in enumerate(("best on the validation part.", "best on the test part")):
        browser.choose("#results", str(number))
        assert words in browser.one("#curvesNote").text
    assert browser.texts("#validChart figcaption") == ["ESC-50: test part: accuracy"]
    browser.draw("#confusionChart")
    squares = "#confusionChart .mark-rect.role-mark path"
    assert len(browser.driver.find_elements("css selector", squares)) == 6
    browser.run("document.querySelector('#confusionChart summary').click()")
    browser.wait(lambda: browser.texts("#confusionChart .plain tbody tr"))
    shares = [row.split("\t")[3] for row in browser.texts("#confusionChart .plain tbody tr")]
    assert shares == ["50.0 %", "50.0 %", "0.0 %", *["no clip"] * 3, "0.0 %", "0.0 %", "100.0 %"]


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


def test_codecs_are_sorted_opened_heard_and_seen(tmp_path: Path, browser: Browser) -> None:
    for number, codec in enumerate(("mulaw", "dac")):
        values = {"pesq_wb": 3.0 + number, "mel_distance_16k": 0.5}
        write_codec(tmp_path, codec, ["clip"], values=values)
        write_pair(tmp_path, codec, "clips", "clip", number)
    folders = {"audio": tmp_path / "audio", "plots": tmp_path / "plots"}
    (page,) = report(tmp_path, tmp_path / "page.html", **folders).paths
    browser.open(page)
    head = '#codecTables [data-sort="0:pesq_wb"]'
    for wanted in (["dac", "mulaw"], ["mulaw", "dac"]):
        browser.run(f"document.querySelector('{head}').click()")
        assert browser.texts("#codecTables tbody th") == wanted
    browser.run("document.querySelector('#codecTables tbody button').click()")
    assert "values per second" in browser.one("#details").text
    browser.one("#details .close").click()
    # the reference, once for both, and what each decoded: the first 6 of 8 s
    browser.run("document.querySelectorAll('audio').forEach((one) => { one.preload = 'auto'; })")
    heard = "return [...document.querySelectorAll('audio')].map((one) => one.duration)"
    browser.wait(lambda: browser.run(heard) == [6, 6, 6])
    browser.run("document.querySelector('.spectrogram').scrollIntoView()")
    seen = "return document.querySelector('.spectrogram').naturalWidth"
    browser.wait(lambda: browser.run(seen) == 820)


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


def test_label_efficiency_is_a_curve_with_a_band(tmp_path: Path, browser: Browser) -> None:
    for encoder, value in (("alpha", 0.5), ("beta", 0.6)):
        result = make_result("esc50", 0.8, title="ESC-50", encoder=encoder, fingerprint=encoder * 2)
        result.scores["linear"].shots = [
            ShotScore(8, value, [value - 0.1, value + 0.1], [value], 0.1, 80.0, 8.0),
            ShotScore("all", 0.8, [0.7, 0.9], clips=320.0, per_class=32.0),
        ]
        write(tmp_path, result)
    (page,) = report(tmp_path, tmp_path / "page.html", cache=tmp_path).paths
    browser.open(page)
    browser.draw("#shotsChart")
    for mark, count in (("area", 2), ("line", 2), ("symbol", 4)):
        found = browser.driver.find_elements(
            "css selector", f"#shotsChart .mark-{mark}.role-mark path"
        )
        assert len(found) == count, mark
    assert browser.texts("#shotsChart figcaption") == ["ESC-50: accuracy by clips a class"]
