"""Every metric as one object: what it is counted from, what it gives, and who names it."""

from __future__ import annotations

import doctest
from typing import Any

import numpy as np
import pytest
from paired_cells import CLASSES, by_the_book, random_predictions

from earmark.benchmark.metric import (
    classification,
    retrieval,
    sound_events,
    speech_recognition,
    transcription,
)
from earmark.benchmark.metric.folds import by_fold, mean_of_known
from earmark.benchmark.metric.registry import METRICS, CountMetric
from earmark.benchmark.score.run import SCORERS
from earmark.benchmark.shards.labels import READERS
from earmark.tasks import LABEL_KINDS

COUNTED = [name for name, metric in METRICS.items() if isinstance(metric, CountMetric)]


def test_kinds_of_label_and_metrics_name_each_other() -> None:
    assert {name for kind in LABEL_KINDS.values() for name in kind.metrics} == set(METRICS)
    assert set(READERS) == set(SCORERS) == set(LABEL_KINDS)
    assert all(name == metric.name for name, metric in METRICS.items())


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_has_one_guess(name: str) -> None:
    metric = METRICS[name]
    constant = metric.constant if isinstance(metric, CountMetric) else None
    assert (constant is None) != (metric.chance is None)


@pytest.mark.parametrize("name", COUNTED)
@pytest.mark.parametrize("some", [False, True])
def test_sums_of_counts_give_the_metric(name: str, some: bool) -> None:
    """The mean over the seeds by the book; of every item, and of every third one, some twice."""
    metric, predictions = METRICS[name], random_predictions(name, 3)
    assert isinstance(metric, CountMetric)
    items = np.append(np.arange(0, 24, 3), [0, 3]) if some else np.arange(24)
    for probe in ("linear", "knn") if name == "accuracy" else ("linear",):
        counts = metric.counts(predictions, probe, CLASSES)
        assert counts.shape[:2] == (24, 1 if probe == "knn" else 2)
        value = metric.value(counts[items].sum(axis=0), "left out")
        expected = by_the_book(predictions, probe, name, items)
        assert value.mean() == pytest.approx(expected)
        assert 0.1 < expected < 0.99


def test_of_a_linear_metric_the_mean_counts_of_the_seeds_have_their_mean() -> None:
    linear = [
        name
        for name in COUNTED
        if isinstance(metric := METRICS[name], CountMetric) and metric.linear
    ]
    assert linear == ["accuracy"]
    predictions = random_predictions("accuracy", 1)
    metric = METRICS["accuracy"]
    assert isinstance(metric, CountMetric)
    counts = metric.counts(predictions, "linear", CLASSES)
    mean = metric.value(counts.mean(axis=1).sum(axis=0), "left out")
    assert mean == pytest.approx(metric.value(counts.sum(axis=0), "left out").mean())


def test_counts_by_fold_keep_to_their_fold() -> None:
    counts: Any = np.arange(1.0, 9.0).reshape(4, 1, 2)
    splits = np.array(["b", "a", "b", "c"])
    apart = by_fold(counts, splits, apart=True)
    assert apart.shape == (4, 3, 1, 2)
    expected = [counts[splits == fold].sum(axis=0).tolist() for fold in ("b", "a", "c")]
    assert apart.sum(axis=0).tolist() == expected
    np.testing.assert_array_equal(by_fold(counts, splits, apart=False), counts[:, None])


@pytest.mark.filterwarnings("error")
def test_what_is_not_known_is_left_out_of_a_mean() -> None:
    values = np.array([[1.0, np.nan], [2.0, np.nan], [np.nan, np.nan]])
    found = mean_of_known(values, axis=0)
    assert found[0] == 1.5
    assert np.isnan(found[1])


@pytest.mark.parametrize(
    "module", [classification, retrieval, sound_events, speech_recognition, transcription]
)
def test_examples_in_docstrings_hold(module: Any) -> None:
    failed, tried = doctest.testmod(module)
    assert failed == 0 < tried
