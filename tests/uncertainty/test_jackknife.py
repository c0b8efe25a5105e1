"""The jackknife's intervals: left out literally, by scipy, and by how often they hold the truth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from simulated_sources import (
    Simulation,
    accuracies,
    accuracy_interval,
    coverage,
    f1,
    precisions,
    recall,
    words,
)
from sklearn.metrics import average_precision_score

from earmark.benchmark.uncertainty.interval import (
    additive_interval,
    mean_average_precision_interval,
)
from earmark.benchmark.uncertainty.leave_out import (
    average_precision_without_each,
    mean_average_precision_without_each,
)

OPTIONS: Any = {"method": "jackknife", "resamples": 1000, "confidence": 0.95}


def by_the_book(value: float, left: Any, sizes: Any, confidence: float = 0.95) -> Any:
    """Korn and Graubard's interval of a score, given what it is without each source."""
    left, sizes, tail = np.asarray(left), np.asarray(sizes), (1 - confidence) / 2
    count = len(left)
    variance = (count - 1) / count * ((left - value) ** 2).sum()
    freedom = sizes.sum() ** 2 / (sizes**2).sum() - 1
    items = value * (1 - value) / variance
    items *= (stats.norm.ppf(tail) / stats.t.ppf(tail, freedom)) ** 2
    hits = items * np.clip(count * value - (count - 1) * left.mean(), 0, 1)
    low = stats.beta.ppf(tail, hits, items - hits + 1) if hits > 0 else 0.0
    high = stats.beta.ppf(1 - tail, hits + 1, items - hits) if hits < items else 1.0
    return pytest.approx((min(low, value), max(high, value)))


# ------------------------------------------------------------------------------ literally


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_accuracy_is_that_of_sources_left_out_by_hand(confidence: float) -> None:
    rng = np.random.default_rng(3)
    sources = np.repeat([4, 2, 11, 7, 30, 9], [3, 1, 6, 2, 4, 5])
    correct = rng.choice([0, 0.2, 1.0], len(sources))
    interval = accuracy_interval(correct, sources, **OPTIONS | {"confidence": confidence})
    names, sizes = np.unique(sources, return_counts=True)
    left = [correct[sources != name].mean() for name in names]
    assert interval == by_the_book(correct.mean(), left, sizes, confidence)


def test_of_independent_items_it_is_clopper_and_pearsons() -> None:
    """Each item its own source: the variance is p (1 - p) / (n - 1), the rest is scipy's."""
    correct = (np.arange(400) % 5 > 0).astype(float)
    low, high = accuracy_interval(correct, np.arange(400), **OPTIONS) or (0, 0)
    by_scipy = stats.binomtest(320, 400).proportion_ci(0.95, method="exact")
    assert low == pytest.approx(by_scipy.low, abs=0.001)
    assert high == pytest.approx(by_scipy.high, abs=0.001)


def test_map_over_folds_is_that_of_sources_left_out_by_hand() -> None:
    """Folds keep their own scores; a source may have items in several of them."""
    rng = np.random.default_rng(2)
    sizes = [30, 45]
    sources = rng.integers(0, 12, sum(sizes))
    parts = []
    for size in sizes:
        labels = rng.random((size, 2)) < 0.5
        scores = (labels + rng.standard_normal((3, size, 2))).round(1)  # with ties
        parts.append((labels, scores.astype(np.float32)))

    def value(kept: Any) -> float:
        rounds = []
        for (labels, scores), own in zip(parts, np.split(kept, [sizes[0]]), strict=True):
            rounds += [average_precision_score(labels[own], one[own]) for one in scores]
        return float(np.mean(rounds))

    left = [value(sources != name) for name in range(12)]
    whole = value(np.ones(sum(sizes), bool))
    interval = mean_average_precision_interval(parts, sources, **OPTIONS)
    assert interval == by_the_book(whole, left, np.bincount(sources))


some_items = st.lists(
    st.tuples(st.booleans(), st.integers(0, 4), st.integers(0, 5)), min_size=1, max_size=40
)


@settings(max_examples=150, deadline=None)
@given(some_items)
def test_average_precision_without_a_source_is_sklearns(items: list[tuple[bool, int, int]]) -> None:
    """Scores from 0 to 4 make ties."""
    labels, scores, sources = (np.array(column) for column in zip(*items, strict=True))
    found = average_precision_without_each(labels, scores.astype(np.float32), sources, 6)
    assert found.shape == (7,)
    for value, left in zip(found, [-1, *range(6)], strict=True):
        kept = sources != left
        if labels[kept].any():
            assert value == pytest.approx(average_precision_score(labels[kept], scores[kept]))
        else:
            assert np.isnan(value)


def test_more_sources_than_fit_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    labels, sources = rng.random((300, 2)) < 0.3, rng.permutation(300) % 70
    scores = rng.standard_normal((1, 300, 2)).astype(np.float32)
    whole = mean_average_precision_without_each([(labels, scores)], sources)
    monkeypatch.setattr("earmark.benchmark.uncertainty.leave_out._CELLS", 500)
    np.testing.assert_array_equal(
        whole, mean_average_precision_without_each([(labels, scores)], sources)
    )


# ------------------------------------------------------------------------------ what must hold


shares = st.lists(
    st.tuples(st.sampled_from([0.0, 0.2, 0.8, 1.0]), st.integers(0, 9)), min_size=6, max_size=60
)


@settings(max_examples=200, deadline=None)
@given(shares, st.randoms(use_true_random=False))
def test_it_holds_its_value_within_bounds_whatever_the_order(
    items: list[tuple[float, int]], random: Any
) -> None:
    correct, sources = (np.array(column) for column in zip(*items, strict=True))
    interval = accuracy_interval(correct, sources, **OPTIONS)
    if len(set(sources.tolist())) < 6:
        assert interval is None
        return
    assert interval is not None
    low, high = interval
    assert 0 <= low <= correct.mean() + 1e-12
    assert correct.mean() - 1e-12 <= high <= 1
    assert low < high
    order = list(range(len(correct)))
    random.shuffle(order)
    names = 7 * sources + 3  # only who is who counts
    again = accuracy_interval(correct[order], names[order], **OPTIONS)
    assert again == pytest.approx(interval, abs=1e-9)
    mirrored = accuracy_interval(1 - correct, sources, **OPTIONS)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-9)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_an_all_right_sample_is_not_certain(value: float) -> None:
    """There is no variance between sources then. Items count as independent, with Student's
    quantile for 19 degrees of freedom: down to where all would be right one time in forty."""
    correct, sources = np.full(200, value), np.arange(200) % 20
    low, high = accuracy_interval(correct, sources, **OPTIONS) or (0, 0)
    items = 200 * (1.959964 / 2.093024) ** 2
    bound = 0.025 ** (1 / items)
    assert (low, high) == pytest.approx((bound, 1.0) if value else (0.0, 1 - bound), abs=1e-6)
    assert bound == pytest.approx(0.979, abs=0.0005)
    one_wrong = correct.copy()
    one_wrong[3] = 1 - value
    wider = accuracy_interval(one_wrong, sources, **OPTIONS) or (0, 0)
    assert wider[1] - wider[0] > high - low


def test_sources_that_are_all_alike_are_not_certain() -> None:
    correct = np.tile([1.0, 0.0], 30)
    interval = accuracy_interval(correct, np.repeat(np.arange(6), 10), **OPTIONS)
    items = 60 * (stats.norm.ppf(0.975) / stats.t.ppf(0.975, 5)) ** 2
    low = stats.beta.ppf(0.025, items / 2, items / 2 + 1)
    assert interval == pytest.approx((low, 1 - low))


def test_few_sources_mean_a_wider_interval() -> None:
    rng = np.random.default_rng(6)
    correct = np.repeat(rng.random(20) < 0.5, 15).astype(float)
    widths = []
    for sources in (np.repeat(np.arange(20), 15), np.arange(300)):
        low, high = accuracy_interval(correct, sources, **OPTIONS) or (0, 0)
        widths.append(high - low)
    # items of a source are alike here: 20 observations, not 300
    assert widths[0] / widths[1] == pytest.approx(np.sqrt(15), rel=0.15)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_fewer_sources_than_six_say_nothing(count: int) -> None:
    correct, sources = np.arange(30) % 2 / 1.0, np.arange(30) % count
    labels = np.arange(30)[:, None] % 3 == 0
    scores = np.arange(30, dtype=np.float32)[None, :, None] % 7
    assert accuracy_interval(correct, sources, **OPTIONS) is None
    assert mean_average_precision_interval([(labels, scores)], sources, **OPTIONS) is None
    more = np.arange(30) % 6
    assert accuracy_interval(correct, more, **OPTIONS) is not None
    assert mean_average_precision_interval([(labels, scores)], more, **OPTIONS) is not None


@pytest.mark.filterwarnings("error")
def test_what_one_source_alone_decides_has_no_interval() -> None:
    """Without it nothing can be computed."""
    labels, sources = np.arange(30)[:, None] == 4, np.arange(30) // 4
    scores = np.arange(30, dtype=np.float32)[None, :, None]
    assert mean_average_precision_interval([(labels, scores)], sources, **OPTIONS) is None
    nowhere = np.zeros((30, 1), bool)
    assert mean_average_precision_interval([(nowhere, scores)], sources, **OPTIONS) is None

    def ratio(sums: Any) -> Any:
        with np.errstate(invalid="ignore"):
            return sums[:, 0] / sums[:, 1]

    counts = np.zeros((30, 2))
    counts[5] = 1, 2
    assert additive_interval(counts, sources, ratio, **OPTIONS) is None
    assert additive_interval(0 * counts, sources, ratio, **OPTIONS) is None


def test_resamples_and_the_worst_of_errors_make_no_difference() -> None:
    """WER_inv is cut off at 0; and nothing is drawn, so the number of resamples is nothing."""
    counts = np.array([[9.0, 4.0]] * 12)
    options = OPTIONS | {"resamples": 1}

    def share(sums: Any) -> Any:
        return np.maximum(0, 1 - sums[:, 0] / sums[:, 1])

    found = additive_interval(counts, np.arange(12), share, **options)
    assert found == additive_interval(counts, np.arange(12), share, **OPTIONS)
    assert found is not None
    assert found[0] == 0
    assert 0.1 < found[1] < 0.4


# ------------------------------------------------------------------------------ how often it holds


@pytest.mark.parametrize(
    ("simulation", "sources"),
    [
        (accuracies(0.8), 6), (accuracies(0.8, uneven=True), 6), (accuracies(0.95), 10),
        (f1("macro"), 8), (words(0.8), 8), (recall(), 8), (precisions(5, 0.2, 1.5, 20), 8),
    ],
    ids=lambda one: one.name if isinstance(one, Simulation) else str(one),
)  # fmt: skip
def test_it_holds_the_truth_and_percentiles_do_not(simulation: Simulation, sources: int) -> None:
    """93 to 98 %, less two and a half standard errors of 300 sets: tests/perf/coverage.py has
    more."""
    found = coverage(simulation, sources, 300, ("jackknife", "percentiles"), resamples=200)
    assert found["jackknife"] >= 0.895
    assert found["percentiles"] < 0.895


def test_it_does_not_claim_less_than_it_knows() -> None:
    """With many sources it is as wide as percentiles, which are right then."""
    widths: dict[str, list[float]] = {"jackknife": [], "percentiles": []}
    simulation = accuracies(0.7)
    rng = np.random.default_rng(0)
    for _ in range(30):
        data = simulation.draw(rng, 150)
        for method, own in widths.items():
            low, high = simulation.interval(data, method, 400) or (0, 0)
            own.append(high - low)
    assert np.mean(widths["jackknife"]) == pytest.approx(np.mean(widths["percentiles"]), rel=0.05)
