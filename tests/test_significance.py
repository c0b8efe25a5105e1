"""Intervals, p-values and Holm: against scipy, statsmodels, and the share of false alarms."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from benchmark.paired.resample import Draws
from benchmark.paired.significance import Difference, difference_of, holm, mean_difference


def shares(right: Any, items: Any, resamples: int = 4000, seed: int = 0) -> Any:
    """Bootstrap values of an accuracy, given each source's right answers and items."""
    weights = drawn(len(items), resamples, seed)
    return (weights @ np.asarray(right, float)) / (weights @ np.asarray(items, float))


@cache
def drawn(sources: int, resamples: int, seed: int) -> Any:
    """Weights of the sample itself, then of the resamples."""
    draws = Draws(sources, seed, resamples)
    return np.concatenate([np.ones((1, sources)), *draws.blocks()])


def difference(first: Any, second: Any, items: Any, **options: Any) -> Difference:
    return difference_of(
        shares(first, items, **options), shares(second, items, **options), len(items), 0.95
    )


# ------------------------------------------------------------------------------ independent values


def sources(count: int, gap: float, seed: int) -> tuple[Any, Any, Any]:
    """Right answers of two encoders and items of each source; sources differ in difficulty."""
    rng = np.random.default_rng(seed)
    items = rng.integers(3, 9, count)
    skill = rng.normal(0.6, 0.15, count)
    first, second = (
        rng.binomial(items, np.clip(skill + own + rng.normal(0, 0.1, count), 0, 1))
        for own in (gap, 0.0)
    )
    return first, second, items


@pytest.mark.parametrize("gap", [0.0, 0.05, -0.12])
def test_with_many_sources_it_is_scipys_paired_bootstrap_and_permutation_test(gap: float) -> None:
    first, second, items = sources(150, gap, seed=4)
    found = difference(first, second, items, resamples=10_000)

    def gap_of(one: Any, other: Any, count: Any, axis: int = -1) -> Any:
        return (one.sum(axis=axis) - other.sum(axis=axis)) / count.sum(axis=axis)

    by_scipy = stats.bootstrap(
        (first, second, items), gap_of, paired=True, vectorized=True, n_resamples=10_000,
        method="percentile", random_state=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    width = by_scipy.high - by_scipy.low
    assert found.value == pytest.approx(gap_of(first, second, items))
    assert found.low == pytest.approx(by_scipy.low, abs=0.04 * width)
    assert found.high == pytest.approx(by_scipy.high, abs=0.04 * width)
    # under the null a source's answers may change places
    permuted = stats.permutation_test(
        (first, second), lambda one, other, axis: (one - other).sum(axis=axis),
        permutation_type="samples", vectorized=True, n_resamples=10_000,
        random_state=np.random.default_rng(2),
    ).pvalue  # fmt: skip
    assert found.p == pytest.approx(permuted, abs=0.02)


@pytest.mark.parametrize("count", [5, 8, 20])
def test_with_few_sources_it_is_students_test(count: int) -> None:
    """Sources of one size with normal differences: what the t-test is exact for."""
    rng = np.random.default_rng(count)
    for shift in (0.2, 0.5, 1.0):
        first, second = rng.normal(shift, 1, count) * 0.1, rng.normal(0, 1, count) * 0.1
        found = difference(first, second, np.ones(count), resamples=10_000)
        student = stats.ttest_rel(first, second)
        interval = student.confidence_interval(0.95)
        width = interval.high - interval.low
        assert found.low == pytest.approx(interval.low, abs=0.15 * width)
        assert found.high == pytest.approx(interval.high, abs=0.15 * width)
        assert found.p == pytest.approx(student.pvalue, abs=0.05)


@pytest.mark.parametrize("count", [6, 12])
def test_with_few_sources_intervals_are_as_wide_as_students(count: int) -> None:
    """On average; without sqrt(n / (n - 1)) they were 9 % and 4 % narrower."""
    rng = np.random.default_rng(count)
    widths = []
    for gaps in rng.normal(0, 0.1, (200, count)):
        found = difference(gaps, np.zeros(count), np.ones(count))
        student = stats.ttest_1samp(gaps, 0).confidence_interval(0.95)
        assert found.low is not None
        assert found.high is not None
        widths.append((found.high - found.low) / (student.high - student.low))
    assert 0.975 < np.mean(widths) < 1.02


def false_alarms(count: int, runs: int, plain: bool = False) -> float:
    """How often encoders of equal skill are told apart at 5 %."""
    found = 0
    for run in range(runs):
        first, second, items = sources(count, 0.0, seed=run)
        values = [shares(right, items, resamples=1000) for right in (first, second)]
        if plain:
            low, high = np.percentile((values[0] - values[1])[1:], [2.5, 97.5])
            found += low > 0 or high < 0
        else:
            p = difference_of(values[0], values[1], count, 0.95).p
            assert p is not None
            found += p < 0.05
    return found / runs


@pytest.mark.parametrize("count", [5, 12, 60])
def test_equal_encoders_are_told_apart_one_time_in_twenty(count: int) -> None:
    # 0.05 within three standard errors of 500 runs, and a little for few sources
    assert 0.02 < false_alarms(count, 500) < 0.085


def test_plain_percentiles_would_cry_wolf_with_few_sources() -> None:
    assert false_alarms(5, 500, plain=True) > 0.1


def test_an_encoder_that_is_better_is_found() -> None:
    p_values = [difference(*sources(60, 0.12, seed=run)).p for run in range(100)]
    assert sum(p is not None and p < 0.05 for p in p_values) > 80


# ------------------------------------------------------------------------------ what must hold


few_sources = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(6, 12)), min_size=2, max_size=12
)


@settings(max_examples=60, deadline=None)
@given(few_sources, st.sampled_from([0.8, 0.95, 0.99]))
def test_the_p_value_and_the_interval_agree_and_turn_with_the_encoders(
    table: list[tuple[int, int, int]], confidence: float
) -> None:
    first, second, items = (np.array(column) for column in zip(*table, strict=True))
    one, other = (shares(right, items, resamples=500) for right in (first, second))
    found = difference_of(one, other, len(items), confidence)
    assert found.p is not None
    assert found.low is not None
    assert found.high is not None
    assert 2 / 501 <= found.p <= 1
    assert -1 <= found.low <= found.value <= found.high <= 1 or found.p > 0.5
    outside = found.low > 1e-9 or found.high < -1e-9
    inside = found.low < -1e-9 < 1e-9 < found.high
    if outside or inside:
        assert outside is (found.p < 1 - confidence + 1e-6)
    turned = difference_of(other, one, len(items), confidence)
    assert turned.value == pytest.approx(-found.value)
    assert (turned.low, turned.high) == (pytest.approx(-found.high), pytest.approx(-found.low))
    assert turned.p == pytest.approx(found.p, rel=1e-3)


@settings(max_examples=30, deadline=None)
@given(few_sources)
def test_an_encoder_does_not_differ_from_itself(table: list[tuple[int, int, int]]) -> None:
    first, _, items = (np.array(column) for column in zip(*table, strict=True))
    assert difference(first, first, items, resamples=200) == Difference(0.0, 0.0, 0.0, 1.0)


def test_equal_scores_of_differing_answers_are_not_told_apart_by_rounding() -> None:
    """One source's tenth is another's ten hundredths: sums that differ in the last bit only."""
    first = np.array([0.1 + 0.2, 0.3, 0.6])
    second = np.array([0.3, 0.1 + 0.2, 0.2 + 0.4])
    assert difference(first, second, np.ones(3)).p == 1.0


def test_of_one_source_nothing_is_said() -> None:
    assert difference([3], [1], [4]) == Difference(0.5)


def test_resamples_that_cannot_be_computed_are_left_out() -> None:
    one, other = (shares(right, np.full(9, 4)) for right in (np.arange(9) % 5, np.arange(9) % 3))
    whole = difference_of(one, other, 9, 0.95)
    some = one.copy()
    some[2::4] = np.nan
    found = difference_of(some, other, 9, 0.95)
    assert found.value == whole.value
    assert (found.low, found.high) == (
        pytest.approx(whole.low, abs=0.03), pytest.approx(whole.high, abs=0.03),
    )  # fmt: skip
    some[1:] = np.nan
    assert difference_of(some, other, 9, 0.95) == Difference(whole.value)


# ------------------------------------------------------------------------------ means over tasks


def test_the_mean_over_one_task_is_that_task() -> None:
    first, second, items = sources(12, 0.1, seed=1)
    one, other = shares(first, items), shares(second, items)
    alone, mean = difference_of(one, other, 12, 0.95), mean_difference([one], [other], [12], 0.95)
    assert mean.value == pytest.approx(alone.value)
    assert (mean.low, mean.high, mean.p) == (
        pytest.approx(alone.low), pytest.approx(alone.high), pytest.approx(alone.p),
    )  # fmt: skip


def test_the_mean_over_independent_tasks_is_welchs_interval() -> None:
    """Of tasks with 7 and 25 sources of one size and normal differences."""
    rng = np.random.default_rng(3)
    gaps = [rng.normal(0.05, 0.2, 7), rng.normal(-0.01, 0.1, 25)]
    values = [
        shares(gap, np.ones(len(gap)), resamples=20_000, seed=seed) for seed, gap in enumerate(gaps)
    ]
    nothing = [np.zeros_like(one) for one in values]
    found = mean_difference(values, nothing, [7, 25], 0.95)
    variances = [gap.var(ddof=1) / len(gap) for gap in gaps]
    freedom = sum(variances) ** 2 / sum(
        variance**2 / (len(gap) - 1) for variance, gap in zip(variances, gaps, strict=True)
    )
    half = stats.t.ppf(0.975, freedom) * np.sqrt(sum(variances)) / 2
    centre = np.mean([gap.mean() for gap in gaps])
    assert found.value == pytest.approx(centre)
    assert found.low == pytest.approx(centre - half, abs=0.1 * half)
    assert found.high == pytest.approx(centre + half, abs=0.1 * half)


def test_a_task_of_one_source_leaves_the_mean_without_an_interval() -> None:
    first, second, items = sources(9, 0.1, seed=1)
    pairs = [(shares(first, items), shares(second, items)), (shares([1], [2]), shares([0], [2]))]
    found = mean_difference([one for one, _ in pairs], [other for _, other in pairs], [9, 1], 0.95)
    gap = (first.sum() - second.sum()) / items.sum()
    assert found == Difference(pytest.approx((gap + 0.5) / 2))  # type: ignore[arg-type]


def test_means_of_differing_resamples_use_the_shorter() -> None:
    first, second, items = sources(9, 0.1, seed=1)
    long = [shares(right, items, resamples=900) for right in (first, second)]
    short = [values[:301] for values in long]
    mixed = mean_difference([long[0], short[0]], [long[1], short[1]], [9, 9], 0.95)
    assert mixed == mean_difference([short[0]] * 2, [short[1]] * 2, [9, 9], 0.95)


# ------------------------------------------------------------------------------ Holm


def test_holm_is_statsmodels_holm() -> None:
    rng = np.random.default_rng(0)
    for count in (1, 2, 7, 22):
        p_values = rng.choice([*rng.random(count), *rng.random(count) / 100], count)  # with ties
        missing = rng.random(count) < 0.2
        found = holm([None if no else float(p) for p, no in zip(p_values, missing, strict=True)])
        assert [p is None for p in found] == missing.tolist()
        if not missing.all():
            wanted = multipletests(p_values[~missing], method="holm")[1]
            np.testing.assert_allclose([p for p in found if p is not None], wanted)


def test_holm_by_hand() -> None:
    assert holm([0.01, None, 0.04, 0.03]) == pytest.approx([0.03, None, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []
