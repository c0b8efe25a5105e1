"""Chromium, one for all tests, and two pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import reconstruction_files
from paired_cells import class_predictions
from result_files import make_result
from webpage_files import fill, write, write_large

from earmark import report
from earmark.benchmark.protocol import STRICT
from earmark.benchmark.reconstruction import result as codec_result
from earmark.benchmark.result.files import write_result
from earmark.benchmark.result.schema import ResultError

if TYPE_CHECKING:
    from browser import Browser


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    from browser import Browser  # where selenium is not installed, the page's other tests run

    made = Browser()
    yield made
    made.driver.quit()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    chromium.driver.get_log("browser")
    yield chromium
    assert [entry["message"] for entry in chromium.driver.get_log("browser")] == []


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
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
