"""Statistics over items: of any subset what the metric is of it, by fold and by class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from paired_cells import METRICS, by_the_book, random_predictions, write_cell

from earmark.benchmark.uncertainty.pairing import UnpairedError
from earmark.benchmark.uncertainty.statistic import without_each_source


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("some", [False, True])
def test_without_a_source_is_without_its_items(metric: str, some: bool, tmp_path: Path) -> None:
    predictions = random_predictions(metric, 0)
    result = write_cell(tmp_path, predictions, metric=metric)
    rows = np.arange(24)
    if some and metric != "recall@1":
        rows = np.flatnonzero(np.arange(24) % 5)
    sources = predictions.sources[rows]
    for probe in result.scores:
        found = without_each_source(result, probe, predictions, rows if some else None)
        wanted = [
            by_the_book(predictions, probe, metric, rows[sources != left])
            for left in ["none", *sorted(set(sources.tolist()))]
        ]
        np.testing.assert_allclose(found, wanted, atol=1e-9)
        assert len(set(np.round(found, 6))) > 4


def test_a_fold_without_an_item_is_left_out_of_the_mean(tmp_path: Path) -> None:
    """One source is all of fold f0, so without it only f1 is there."""
    predictions = random_predictions("accuracy", 0)
    predictions.splits = np.where(predictions.sources == predictions.sources[0], "f0", "f1")
    result = write_cell(tmp_path, predictions)
    result.protocol["fold_score"] = "folds"
    rest = np.flatnonzero(predictions.splits == "f1")
    place = sorted(set(predictions.sources.tolist())).index(predictions.sources[0])
    found = without_each_source(result, "linear", predictions)
    assert found[1 + place] == pytest.approx(by_the_book(predictions, "linear", "accuracy", rest))
    assert np.isfinite(found).all()


def test_mean_over_folds_and_absent_classes_as_the_protocol_has_them(tmp_path: Path) -> None:
    predictions = random_predictions("accuracy", 0)
    predictions.splits = np.array(["f0"] * 5 + ["f1"] * 19)
    result = write_cell(tmp_path, predictions)
    result.protocol["fold_score"] = "folds"
    parts = [by_the_book(predictions, "linear", "accuracy", i) for i in (range(5), range(5, 24))]
    value = without_each_source(result, "linear", predictions)[0]
    assert value == pytest.approx(np.mean(parts))
    assert value != pytest.approx(result.scores["linear"].value)

    predictions = random_predictions("segment_f1_macro", 0)
    result = write_cell(tmp_path, predictions, metric="segment_f1_macro")
    result.protocol["absent_classes"] = "zero"
    value = without_each_source(result, "linear", predictions)[0]
    assert value == pytest.approx(result.scores["linear"].value * 9 / 10)  # class 4 never occurs


def test_a_metric_of_the_future_is_refused(tmp_path: Path) -> None:
    predictions = random_predictions("accuracy", 0)
    result = write_cell(tmp_path, predictions)
    result.scores["linear"].metric = "d_prime"
    with pytest.raises(UnpairedError, match="does not know the metric 'd_prime'"):
        without_each_source(result, "linear", predictions)
    result.scores["linear"].metric = "recall@1"
    with pytest.raises(UnpairedError, match="its predictions are not those of recall@1"):
        without_each_source(result, "linear", predictions)
