"""Metrics: values worked out by hand, what cannot be computed, and a count written out here."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, average_precision_score

from earmark.benchmark.metric import accuracy, average_precision, mean_average_precision


def precision_by_counting(labels: Any, scores: Any) -> float:
    """Sum over thresholds of precision times the gain in recall; equal scores are one threshold."""
    positives = sum(labels)
    total, reached = 0.0, 0
    for threshold in sorted(set(scores), reverse=True):
        taken = [label for label, score in zip(labels, scores, strict=True) if score >= threshold]
        total += (sum(taken) - reached) / positives * (sum(taken) / len(taken))
        reached = sum(taken)
    return total


@pytest.mark.parametrize(
    ("labels", "predictions", "value"),
    [
        ([0, 1, 2, 2], [0, 1, 2, 1], 0.75),
        ([3, 3, 3], [3, 3, 3], 1.0),
        ([0, 1], [1, 0], 0.0),
        ([7], [7], 1.0),
    ],
)
def test_accuracy_by_hand(labels: list[int], predictions: list[int], value: float) -> None:
    assert accuracy(labels, predictions) == value
    assert accuracy(np.array(labels), np.array(predictions)) == value


def test_accuracy_of_nothing_is_nan() -> None:
    assert math.isnan(accuracy([], []))


def test_accuracy_as_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, 6, (2, 500))
    assert accuracy(labels, predictions) == pytest.approx(accuracy_score(labels, predictions))


@pytest.mark.parametrize(
    ("labels", "scores", "value"),
    [
        # positives at ranks 1 and 3: (1/1 + 2/3) / 2
        ([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.1], 5 / 6),
        # positives at ranks 2 and 4: (1/2 + 2/4) / 2
        ([0, 1, 0, 1], [0.9, 0.8, 0.7, 0.6], 0.5),
        # the only positive last of five
        ([0, 0, 0, 0, 1], [5, 4, 3, 2, 1], 0.2),
        # all scores alike: one threshold, precision 2/5
        ([1, 0, 0, 1, 0], [0, 0, 0, 0, 0], 0.4),
        # a positive and a negative tied at the top: precision 1/2 for the first, 2/3 for the other
        ([1, 0, 1], [2, 2, 1], (1 / 2 + 2 / 3) / 2),
        ([1, 1], [-3, -4], 1.0),
    ],
)
def test_average_precision_by_hand(labels: list[int], scores: list[float], value: float) -> None:
    result = average_precision(np.array(labels)[:, None], np.array(scores)[:, None])
    assert result.shape == (1,)
    assert result[0] == pytest.approx(value)
    assert precision_by_counting(labels, scores) == pytest.approx(value)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=25))
def test_average_precision_by_counting(items: list[tuple[bool, int]]) -> None:
    labels, scores = zip(*items, strict=True)
    value = average_precision(np.array(labels)[:, None], np.array(scores)[:, None])[0]
    if not any(labels):
        assert math.isnan(value)
    else:
        assert value == pytest.approx(precision_by_counting(labels, scores))


def test_class_without_positives_is_nan_and_left_out_of_the_mean() -> None:
    labels = np.array([[1, 0, 0], [0, 0, 1], [1, 0, 0], [0, 0, 0]], bool)
    scores = np.array([[0.9, 5, 0.3], [0.8, 6, 0.2], [0.7, 7, 0.1], [0.1, 8, 0.0]])
    values = average_precision(labels, scores)
    assert values[0] == pytest.approx(5 / 6)
    assert math.isnan(values[1])
    assert values[2] == pytest.approx(1 / 2)  # at rank 2
    assert mean_average_precision(labels, scores) == pytest.approx((5 / 6 + 1 / 2) / 2)


def test_no_positives_at_all_is_nan_not_zero() -> None:
    assert math.isnan(mean_average_precision(np.zeros((4, 3), bool), np.ones((4, 3))))


def test_mean_average_precision_as_scikit_learn_macro() -> None:
    rng = np.random.default_rng(1)
    scores = rng.standard_normal((200, 7)).astype(np.float32)
    labels = rng.random((200, 7)) < 0.2
    expected = average_precision_score(labels, scores, average="macro")
    assert mean_average_precision(labels, scores) == pytest.approx(expected)
    assert mean_average_precision(labels, scores) != pytest.approx(
        average_precision_score(labels, scores, average="micro"), abs=1e-3
    )


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_only_the_order_of_scores_counts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels, scores = rng.random((30, 2)) < 0.4, rng.standard_normal((30, 2))
    squashed = 1 / (1 + np.exp(-scores))
    np.testing.assert_allclose(
        average_precision(labels, scores), average_precision(labels, squashed)
    )
