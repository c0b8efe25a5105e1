"""Pictures, curves and codecs of the page in a browser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from browser import Browser, needs_browser
from paired_cells import class_predictions
from result_files import make_result
from webpage_files import fill, write, write_codec, write_pair

from earmark import report
from earmark.benchmark.protocol import PROTOCOLS, STRICT
from earmark.benchmark.result.files import write_result
from earmark.benchmark.shots import ShotScore

pytestmark = needs_browser


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
