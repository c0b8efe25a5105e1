"""Scores of the page in a browser: verdicts, rounding, means, intervals, what reproduces a cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from browser import ActionChains, Browser, Keys, needs_browser
from numbers_by_hand import by_hand
from paired_cells import class_predictions, write_cell
from result_files import make_result
from webpage_files import write, write_codec

from earmark import compare, report
from earmark.benchmark.protocol import STRICT
from earmark.benchmark.result.facts import RunFacts

pytestmark = needs_browser


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
        result.run = RunFacts(seconds=seconds)
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
