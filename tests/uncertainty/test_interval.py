"""Intervals: weighted average precision against repeated items, the bootstrap against a loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from simulated_sources import accuracy_interval
from sklearn.metrics import average_precision_score, f1_score

from earmark.benchmark.uncertainty.interval import (
    additive_interval,
    mean_average_precision_interval,
    source_weights,
    weighted_average_precision,
)


def resample_literally(
    metric: Callable[[Any], float], sources: Any, resamples: int, seed: int
) -> tuple[float, float]:
    """95 % percentile interval of `metric(item indices)`, drawing whole sources one by one."""
    rng = np.random.default_rng(seed)
    known = sorted(set(sources.tolist()))
    members = {source: np.flatnonzero(sources == source) for source in known}
    values = []
    for _ in range(resamples):
        drawn = rng.choice(known, len(known), replace=True)
        values.append(metric(np.concatenate([members[int(source)] for source in drawn])))
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


weighted_items = st.lists(
    st.tuples(st.booleans(), st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=30
)


@settings(max_examples=100, deadline=None)
@given(weighted_items)
def test_weights_are_repetitions(items: list[tuple[bool, int, int]]) -> None:
    """Scores from 0 to 4 make ties, weights of 0 leave items and whole thresholds out."""
    labels, scores, weights = (np.array(column) for column in zip(*items, strict=True))
    value = weighted_average_precision(labels, scores.astype(np.float32), weights[None])
    assert value.shape == (1,)
    if weights[labels].sum() == 0:
        assert np.isnan(value[0])
        return
    by_sklearn = average_precision_score(labels, scores, sample_weight=weights)
    repeated = average_precision_score(np.repeat(labels, weights), np.repeat(scores, weights))
    assert value[0] == pytest.approx(by_sklearn)
    assert value[0] == pytest.approx(repeated)


@settings(max_examples=30, deadline=None)
@given(weighted_items, st.integers(0, 100))
def test_many_weightings_at_once_are_each_alone(
    items: list[tuple[bool, int, int]], seed: int
) -> None:
    labels, scores, _ = (np.array(column) for column in zip(*items, strict=True))
    assume(labels.any())
    weights = np.random.default_rng(seed).integers(0, 4, (5, len(labels)))
    together = weighted_average_precision(labels, scores, weights)
    alone = [weighted_average_precision(labels, scores, row[None])[0] for row in weights]
    np.testing.assert_allclose(together, alone)


def test_source_weights_draw_with_replacement() -> None:
    sources = np.array([5, 5, 9, 70, 70, 70, 1])
    weights = source_weights(sources, 4000)
    assert weights.shape == (4000, 4)
    assert (weights.sum(axis=1) == 4).all()
    assert (weights == weights.round()).all()
    # each source is drawn Binomial(4, 1/4) times: mean 1, variance 3/4, absent in (3/4)^4
    np.testing.assert_allclose(weights.mean(axis=0), 1, atol=0.06)
    np.testing.assert_allclose(weights.var(axis=0), 0.75, atol=0.06)
    np.testing.assert_allclose((weights == 0).mean(axis=0), 0.75**4, atol=0.03)


def test_accuracy_interval_is_that_of_a_literal_loop() -> None:
    rng = np.random.default_rng(0)
    sources = rng.integers(0, 40, 300)
    correct = (rng.random(300) < 0.2 + 0.6 * (sources % 2)).astype(float)
    interval = accuracy_interval(
        correct, sources, method="percentiles", resamples=4000, confidence=0.95
    )
    loop = resample_literally(lambda items: correct[items].mean(), sources, 4000, seed=99)
    assert interval == pytest.approx(loop, abs=0.01)
    assert interval is not None
    assert interval[0] < correct.mean() < interval[1]
    assert interval[1] - interval[0] > 0.1  # so that 0.01 is a small difference


def test_accuracy_interval_of_the_same_draws_exactly() -> None:
    rng = np.random.default_rng(3)
    sources = np.repeat([4, 2, 11, 7, 30], [3, 1, 6, 2, 4])
    correct = rng.choice([0, 0.2, 1.0], len(sources))
    interval = accuracy_interval(
        correct, sources, method="percentiles", resamples=200, confidence=0.9
    )
    names = np.unique(sources)
    values = []
    for counts in source_weights(sources, 200).astype(int):
        drawn = [
            correct[sources == name]
            for name, count in zip(names, counts, strict=True)
            for _ in range(count)
        ]
        values.append(np.concatenate(drawn).mean())
    assert interval == pytest.approx(tuple(np.percentile(values, [5, 95])))


def test_map_interval_is_that_of_a_literal_loop() -> None:
    rng = np.random.default_rng(1)
    count = 120
    sources = rng.integers(0, 30, count)
    labels = rng.random((count, 3)) < 0.3
    scores = (labels + rng.standard_normal((2, count, 3))).astype(np.float32)

    def mean_over_seeds(items: Any) -> float:
        return float(
            np.mean([average_precision_score(labels[items], one[items]) for one in scores])
        )

    interval = mean_average_precision_interval(
        [(labels, scores)], sources, method="percentiles", resamples=1000, confidence=0.95
    )
    loop = resample_literally(mean_over_seeds, sources, 300, seed=7)
    assert interval == pytest.approx(loop, abs=0.03)
    assert interval is not None
    assert interval[0] < mean_over_seeds(np.arange(count)) < interval[1]


def test_map_interval_over_folds_of_the_same_draws_exactly() -> None:
    """Folds keep their own scores; a source may have items in several of them."""
    rng = np.random.default_rng(2)
    sizes, resamples = [30, 45], 110  # more resamples than are held in memory at once
    sources = rng.integers(0, 12, sum(sizes))
    parts = []
    for size in sizes:
        labels = rng.random((size, 2)) < 0.5
        parts.append((labels, (labels + rng.standard_normal((3, size, 2))).astype(np.float32)))
    interval = mean_average_precision_interval(
        parts, sources, method="percentiles", resamples=resamples, confidence=0.95
    )
    names = np.unique(sources)
    values = []
    for counts in source_weights(sources, resamples).astype(int):
        of_item = dict(zip(names.tolist(), counts.tolist(), strict=True))
        rounds, first = [], 0
        for labels, scores in parts:
            mine = [of_item[source] for source in sources[first : first + len(labels)].tolist()]
            first += len(labels)
            for one in scores:
                drawn, ranked = np.repeat(labels, mine, axis=0), np.repeat(one, mine, axis=0)
                rounds.append(average_precision_score(drawn, ranked))
        values.append(np.mean(rounds))
    estimate = np.mean(
        [average_precision_score(labels, one) for labels, scores in parts for one in scores]
    )
    low, high = np.percentile(values, [2.5, 97.5])
    assert interval == pytest.approx((2 * estimate - high, 2 * estimate - low), abs=1e-6)


def test_class_absent_from_a_resample_is_left_out_of_its_mean() -> None:
    """Class 1 has one positive item, in one source; resamples without it still have a value."""
    labels = np.array([[1, 0], [0, 0], [1, 1], [0, 0]], bool)
    scores = np.array([[[3.0, 0], [2, 1], [1, 2], [0, 3]]], np.float32)
    interval = mean_average_precision_interval(
        [(labels, scores)],
        np.array([0, 0, 1, 1]),
        method="percentiles",
        resamples=300,
        confidence=0.95,
    )
    # drawn twice each: source 0 gives (1), source 1 gives (1 + 1/2) / 2, both (5/6 + 1/2) / 2;
    # so resamples lie between 2/3 and 1, and the estimate, 2/3, is their mirror
    assert interval == pytest.approx((2 * 2 / 3 - 1.0, 2 * 2 / 3 - 2 / 3))


def test_coverage_is_about_what_is_promised() -> None:
    """Sources differ in how hard they are: the interval must hold the true mean about 95 times
    in 100; drawing items instead of sources would fall far short."""
    rng = np.random.default_rng(5)
    inside, inside_by_item, rounds = 0, 0, 400
    for _ in range(rounds):
        hardness = rng.beta(1, 1, 60)
        sources = np.repeat(np.arange(60), rng.integers(1, 12, 60))
        correct = (rng.random(len(sources)) < hardness[sources]).astype(float)
        options: Any = {"method": "percentiles", "resamples": 300, "confidence": 0.95}
        low, high = accuracy_interval(correct, sources, **options) or (1, 0)
        inside += low <= 0.5 <= high
        low, high = accuracy_interval(correct, np.arange(len(sources)), **options) or (1, 0)
        inside_by_item += low <= 0.5 <= high
    assert 0.90 <= inside / rounds <= 0.98
    assert inside_by_item / rounds < 0.85


def test_map_interval_covers_where_percentiles_would_not() -> None:
    """Five classes with about 24 positives each; the truth from a sample 1000 times as large."""
    rng = np.random.default_rng(9)

    def draw(count: int) -> tuple[Any, Any]:
        labels = rng.random((count, 5)) < 0.08
        return labels, (rng.standard_normal((count, 5)) + 1.2 * labels).astype(np.float32)

    labels, scores = draw(300_000)
    truth = average_precision_score(labels, scores)
    inside, inside_percentiles, rounds = 0, 0, 150
    for _ in range(rounds):
        labels, scores = draw(300)
        interval = mean_average_precision_interval(
            [(labels, scores[None])],
            np.arange(300),
            method="percentiles",
            resamples=200,
            confidence=0.95,
        )
        assert interval is not None
        inside += interval[0] <= truth <= interval[1]
        twice = 2 * average_precision_score(labels, scores)
        inside_percentiles += twice - interval[1] <= truth <= twice - interval[0]
    # average precision of a small sample is itself too high, which no interval mends in full
    assert inside / rounds > 0.85
    assert inside_percentiles / rounds < inside / rounds - 0.05


def test_few_sources_mean_a_wider_interval() -> None:
    rng = np.random.default_rng(6)
    correct = np.repeat(rng.random(20) < 0.5, 15).astype(float)
    widths = []
    for sources in (np.repeat(np.arange(20), 15), np.arange(300)):
        low, high = accuracy_interval(
            correct, sources, method="percentiles", resamples=1000, confidence=0.95
        ) or (0, 0)
        widths.append(high - low)
    # items of a source are alike here: 20 observations, not 300
    assert widths[0] / widths[1] == pytest.approx(np.sqrt(15), rel=0.15)


def test_more_confidence_is_wider() -> None:
    correct = (np.arange(100) % 3 == 0).astype(float)
    widths = []
    for confidence in (0.5, 0.8, 0.95, 0.99):
        low, high = accuracy_interval(
            correct, np.arange(100), method="percentiles", resamples=2000, confidence=confidence
        ) or (0, 0)
        widths.append(high - low)
    assert widths == sorted(widths)
    # of a mean of 100: +-1.96 standard errors of sqrt(p (1 - p) / 100)
    assert widths[2] == pytest.approx(2 * 1.96 * np.sqrt(0.34 * 0.66 / 100), rel=0.1)


def test_one_source_says_nothing() -> None:
    options: Any = {"method": "percentiles", "resamples": 50, "confidence": 0.95}
    assert accuracy_interval(np.array([1.0, 0.0]), np.array([4, 4]), **options) is None
    labels = np.array([[1], [0]], bool)
    scores = np.array([[[1.0], [0.0]]], np.float32)
    assert mean_average_precision_interval([(labels, scores)], np.array([4, 4]), **options) is None


@pytest.mark.filterwarnings("error")
def test_fold_without_a_positive_item_has_no_interval() -> None:
    """mAP is NaN then; an interval of 0 to 1, say, would be made up."""
    scores = np.array([[[1.0], [0.0]]], np.float32)
    parts = [(np.array([[1], [0]], bool), scores), (np.zeros((2, 1), bool), scores)]
    sources = np.arange(4)
    options: Any = {"method": "percentiles", "resamples": 50, "confidence": 0.95}
    assert mean_average_precision_interval(parts, sources, **options) is None
    assert mean_average_precision_interval(parts[:1], sources[:2], **options) is not None


def test_same_items_give_the_same_interval() -> None:
    rng = np.random.default_rng(8)
    sources, correct = rng.integers(0, 30, 200), rng.integers(0, 2, 200).astype(float)
    options: Any = {"method": "percentiles", "resamples": 500, "confidence": 0.95}
    one = accuracy_interval(correct, sources, **options)
    assert one == accuracy_interval(correct, sources, **options)
    assert one == accuracy_interval(correct, sources * 7 + 3, **options)  # only who is who counts
    labels = rng.random((200, 2)) < 0.5
    scores = rng.standard_normal((1, 200, 2)).astype(np.float32)
    two, three = (
        mean_average_precision_interval([(labels, scores)], sources, **options) for _ in range(2)
    )
    assert two == three


# ------------------------------------------------------------------------------ statistics of sums


def drawn_items(sources: Any, resamples: int) -> list[Any]:
    """Indices of the items of each resample, those of a source drawn twice twice."""
    names = np.unique(sources)
    return [
        np.concatenate(
            [
                np.flatnonzero(sources == name)
                for name, count in zip(names, counts, strict=True)
                for _ in range(count)
            ]
        )
        for counts in source_weights(sources, resamples).astype(int)
    ]


def test_interval_of_errors_over_words_of_the_same_draws_exactly() -> None:
    """Files differ in words, so it matters that sums are divided, not ratios averaged."""
    rng = np.random.default_rng(11)
    sources = np.repeat([8, 1, 5, 30], [3, 2, 6, 4])
    words = rng.integers(1, 40, len(sources))
    errors = rng.binomial(words, 0.3)
    interval = additive_interval(
        np.stack([errors, words], axis=1).astype(float),
        sources,
        lambda sums: np.maximum(0, 1 - sums[:, 0] / sums[:, 1]),
        method="percentiles",
        resamples=150,
        confidence=0.95,
    )
    values = [
        max(0, 1 - errors[drawn].sum() / words[drawn].sum()) for drawn in drawn_items(sources, 150)
    ]
    assert interval == pytest.approx(tuple(np.percentile(values, [2.5, 97.5])))


def test_interval_of_f1_of_the_same_draws_exactly() -> None:
    """Counts of two seeds and three classes; F1 of each seed by scikit-learn, then their mean."""
    rng = np.random.default_rng(12)
    sources = rng.integers(0, 6, 20)
    reference = rng.random((20, 8, 3)) < 0.4  # item, segment, class
    predicted = reference[None] ^ (rng.random((2, 20, 8, 3)) < 0.2)
    hits = (reference & predicted).sum(axis=2)
    wrong = (~reference & predicted).sum(axis=2)
    missed = (reference & ~predicted).sum(axis=2)
    counts = np.stack([hits, wrong, missed], axis=-1).transpose(1, 0, 2, 3).astype(float)

    def mean_f1(sums: Any) -> Any:
        f1 = 2 * sums[..., 0] / (2 * sums[..., 0] + sums[..., 1] + sums[..., 2])
        return f1.mean(axis=(1, 2))

    interval = additive_interval(
        counts, sources, mean_f1, method="percentiles", resamples=60, confidence=0.8
    )
    values = [
        np.mean(
            [
                f1_score(
                    reference[drawn].reshape(-1, 3), one[drawn].reshape(-1, 3), average="macro"
                )
                for one in predicted
            ]
        )
        for drawn in drawn_items(sources, 60)
    ]
    assert interval == pytest.approx(tuple(np.percentile(values, [10, 90])))


@pytest.mark.filterwarnings("error")
def test_sums_that_say_nothing_have_no_interval() -> None:
    def ratio(sums: Any) -> Any:
        with np.errstate(invalid="ignore"):
            return sums[:, 0] / sums[:, 1]

    options: Any = {"method": "percentiles", "resamples": 50, "confidence": 0.95}
    two, one = np.array([4, 9]), np.array([4, 4])
    assert additive_interval(np.array([[1.0, 2], [1, 2]]), one, ratio, **options) is None
    assert additive_interval(np.zeros((2, 2)), two, ratio, **options) is None
    # resamples of the second source alone cannot be computed; the others are 1/2, and say so
    assert additive_interval(np.array([[1.0, 2], [0, 0]]), two, ratio, **options) == (0.5, 0.5)
