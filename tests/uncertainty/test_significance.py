"""Differences, p-values and Holm: against scipy, statsmodels, and the share of false alarms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from earmark.benchmark.uncertainty.cache import Values
from earmark.benchmark.uncertainty.significance import (
    Difference,
    difference_of,
    holm,
    mean_difference,
)


def shares(right: Any, items: Any, drawn: str = "some data") -> Values:
    """Values of an accuracy, given each source's right answers and items."""
    right, items = np.asarray(right, float), np.asarray(items)
    every = np.ones(len(items))
    kept = np.stack([every, *(every - np.eye(len(items)))])
    with np.errstate(invalid="ignore"):  # without the only source nothing is left
        return Values("items", drawn, items, {"linear": (kept @ right) / (kept @ items)})


def difference(first: Any, second: Any, items: Any, confidence: float = 0.95) -> Difference:
    return difference_of(shares(first, items), shares(second, items), "linear", confidence)


# ------------------------------------------------------------------------------ independent values


def sources(count: int, gap: float, seed: int, uneven: bool = False) -> tuple[Any, Any, Any]:
    """Right answers of two encoders and items of each source; sources differ in difficulty."""
    rng = np.random.default_rng(seed)
    items = rng.geometric(0.1, count) if uneven else rng.integers(3, 9, count)
    skill = rng.normal(0.6, 0.15, count)
    first, second = (
        rng.binomial(items, np.clip(skill + own + rng.normal(0, 0.1, count), 0, 1))
        for own in (gap, 0.0)
    )
    return first, second, items


@pytest.mark.parametrize("gap", [0.0, 0.05, -0.12])
def test_with_many_sources_it_is_scipys_paired_bootstrap_and_permutation_test(gap: float) -> None:
    first, second, items = sources(150, gap, seed=4)
    found = difference(first, second, items)

    def gap_of(one: Any, other: Any, count: Any, axis: int = -1) -> Any:
        return (one.sum(axis=axis) - other.sum(axis=axis)) / count.sum(axis=axis)

    by_scipy = stats.bootstrap(
        (first, second, items), gap_of, paired=True, vectorized=True, n_resamples=10_000,
        method="percentile", random_state=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    assert found.low is not None
    assert found.high is not None
    width = by_scipy.high - by_scipy.low
    assert found.value == pytest.approx(gap_of(first, second, items))
    assert found.low == pytest.approx(by_scipy.low, abs=0.06 * width)
    assert found.high == pytest.approx(by_scipy.high, abs=0.06 * width)
    # under the null a source's answers may change places
    permuted = stats.permutation_test(
        (first, second), lambda one, other, axis: (one - other).sum(axis=axis),
        permutation_type="samples", vectorized=True, n_resamples=10_000,
        random_state=np.random.default_rng(2),
    ).pvalue  # fmt: skip
    assert found.p == pytest.approx(permuted, abs=0.02)


@pytest.mark.parametrize("count", [6, 8, 20])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_with_sources_of_one_size_it_is_students_test_exactly(
    count: int, confidence: float
) -> None:
    rng = np.random.default_rng(count)
    for shift in (0.2, 0.5, 1.0):
        first, second = rng.normal(shift, 1, count) * 0.1, rng.normal(0, 1, count) * 0.1
        found = difference(first, second, np.ones(count, int), confidence)
        student = stats.ttest_rel(first, second)
        interval = student.confidence_interval(confidence)
        assert (found.low, found.high) == (
            pytest.approx(interval.low), pytest.approx(interval.high),
        )  # fmt: skip
        assert found.p == pytest.approx(student.pvalue)


def test_sources_of_unequal_size_count_for_fewer() -> None:
    """Two large sources and ten of one item are little more than two: by Kish 1.9 degrees."""
    items = np.array([100, 100] + [1] * 10)
    rng = np.random.default_rng(0)
    first, second = (rng.binomial(items, share) for share in (0.7, 0.4))
    found = difference(first, second, items)
    values = shares(first - second, items).by_probe["linear"]
    error = np.sqrt(11 / 12 * ((values[1:] - values[0]) ** 2).sum())
    freedom = items.sum() ** 2 / (items**2).sum() - 1
    assert 1 < freedom < 1.3
    assert found.p == pytest.approx(2 * stats.t.sf(abs(found.value) / error, freedom))


def false_alarms(count: int, runs: int, uneven: bool = False, plain: bool = False) -> float:
    """How often encoders of equal skill are told apart at 5 %."""
    found = 0
    for run in range(runs):
        first, second, items = sources(count, 0.0, run, uneven)
        if plain:
            rng = np.random.default_rng(run)
            drawn = rng.multinomial(count, np.full(count, 1 / count), 1000)
            low, high = np.percentile(drawn @ (first - second) / (drawn @ items), [2.5, 97.5])
            found += low > 0 or high < 0
        else:
            p = difference(first, second, items).p
            assert p is not None
            found += p < 0.05
    return found / runs


@pytest.mark.parametrize("uneven", [False, True])
@pytest.mark.parametrize("count", [6, 20, 60])
def test_equal_encoders_are_told_apart_one_time_in_twenty(count: int, uneven: bool) -> None:
    """At most 6 %, and two standard errors of 1000 runs; unequal sources make it careful."""
    alarms = false_alarms(count, 1000, uneven)
    assert alarms < 0.06 + 2 * 0.007
    assert alarms > (0.015 if uneven else 0.03)


def test_plain_percentiles_would_cry_wolf_with_few_sources() -> None:
    assert false_alarms(6, 500, plain=True) > 0.1


def test_an_encoder_that_is_better_is_found() -> None:
    p_values = [difference(*sources(60, 0.12, seed=run)).p for run in range(100)]
    assert sum(p is not None and p < 0.05 for p in p_values) > 80


# ------------------------------------------------------------------------------ what must hold


some_sources = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(6, 12)), min_size=6, max_size=14
)


@settings(max_examples=100, deadline=None)
@given(some_sources, st.sampled_from([0.8, 0.95, 0.99]))
def test_the_p_value_and_the_interval_agree_and_turn_with_the_encoders(
    table: list[tuple[int, int, int]], confidence: float
) -> None:
    first, second, items = (np.array(column) for column in zip(*table, strict=True))
    found = difference(first, second, items, confidence)
    assert found.p is not None
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.p <= 1
    assert -1 <= found.low <= found.value <= found.high <= 1
    if abs(found.p - (1 - confidence)) > 1e-9 and found.low != found.high:
        assert (found.low > 0 or found.high < 0) is (found.p < 1 - confidence)
    turned = difference(second, first, items, confidence)
    assert turned.value == pytest.approx(-found.value)
    assert (turned.low, turned.high) == (pytest.approx(-found.high), pytest.approx(-found.low))
    assert turned.p == pytest.approx(found.p)


@settings(max_examples=30, deadline=None)
@given(some_sources)
def test_an_encoder_does_not_differ_from_itself(table: list[tuple[int, int, int]]) -> None:
    first, _, items = (np.array(column) for column in zip(*table, strict=True))
    assert difference(first, first, items) == Difference(0.0, 0.0, 0.0, 1.0)


def test_equal_scores_of_differing_answers_are_not_told_apart_by_rounding() -> None:
    """One source's tenth is another's ten hundredths: sums that differ in the last bit only."""
    first = np.array([0.1 + 0.2, 0.3, 0.6] * 2)
    second = np.array([0.3, 0.1 + 0.2, 0.2 + 0.4] * 2)
    assert difference(first, second, np.ones(6, int)).p == 1.0


@pytest.mark.parametrize("count", [6, 9, 80])
def test_where_all_sources_show_the_same_it_is_the_sign_test(count: int) -> None:
    """No variance is no certainty: six tosses come up alike one time in 32."""
    found = difference(np.full(count, 3), np.full(count, 2), np.full(count, 4))
    assert found.value == pytest.approx(0.25)
    wanted = stats.binomtest(count, count).pvalue
    assert found.p == pytest.approx(wanted, rel=1e-3) if count < 50 else found.p < 1e-12
    assert found.low is not None
    assert 0 < found.low < 0.25


@pytest.mark.parametrize("count", [1, 2, 5])
def test_of_few_sources_nothing_is_said(count: int) -> None:
    first, second, items = sources(count, 0.3, seed=0)
    gap = (first.sum() - second.sum()) / items.sum()
    assert difference(first, second, items) == Difference(pytest.approx(gap))  # type: ignore[arg-type]


def test_what_cannot_be_computed_without_one_source_has_no_interval() -> None:
    one, other = (shares(right, np.full(9, 4)) for right in (np.arange(9) % 5, np.arange(9) % 3))
    one.by_probe["linear"][4] = np.nan
    found = difference_of(one, other, "linear", 0.95)
    assert (found.low, found.high, found.p) == (None, None, None)
    assert np.isfinite(found.value)


# ------------------------------------------------------------------------------ means over tasks


def test_the_mean_over_one_task_is_that_task() -> None:
    first, second, items = sources(12, 0.1, seed=1)
    pair = shares(first, items), shares(second, items)
    assert mean_difference([pair], "linear", 0.95) == difference(first, second, items)


def test_the_mean_over_independent_tasks_is_welchs_interval() -> None:
    """Of tasks with 7 and 25 sources of one size."""
    rng = np.random.default_rng(3)
    gaps = [rng.normal(0.05, 0.2, 7), rng.normal(-0.01, 0.1, 25)]
    pairs = [
        (shares(gap, items, name), shares(0 * gap, items, name))
        for gap, name in zip(gaps, "ab", strict=True)
        for items in [np.ones(len(gap), int)]
    ]
    found = mean_difference(pairs, "linear", 0.95)
    variances = [gap.var(ddof=1) / len(gap) for gap in gaps]
    freedom = sum(variances) ** 2 / sum(
        variance**2 / (len(gap) - 1) for variance, gap in zip(variances, gaps, strict=True)
    )
    half = stats.t.ppf(0.975, freedom) * np.sqrt(sum(variances)) / 2
    centre = np.mean([gap.mean() for gap in gaps])
    assert found.value == pytest.approx(centre)
    assert (found.low, found.high) == (pytest.approx(centre - half), pytest.approx(centre + half))


def test_tasks_over_the_same_sources_go_up_and_down_together() -> None:
    """The mean of two such is the t-test of the sources' means, not of independent tasks."""
    rng = np.random.default_rng(5)
    common = rng.normal(0.02, 0.1, 12)
    gaps = [common + rng.normal(0, 0.02, 12) for _ in range(2)]
    items = np.ones(12, int)
    pairs = [(shares(gap, items), shares(0 * gap, items)) for gap in gaps]
    found = mean_difference(pairs, "linear", 0.95)
    student = stats.ttest_1samp(np.mean(gaps, axis=0), 0)
    assert found.p == pytest.approx(student.pvalue)
    apart = [(shares(gap, items, name), shares(0 * gap, items, name)) for gap, name in
             zip(gaps, "ab", strict=True)]  # fmt: skip
    narrower = mean_difference(apart, "linear", 0.95)
    assert found.low is not None
    assert narrower.low is not None
    assert found.low < narrower.low


def test_a_task_of_few_sources_leaves_the_mean_without_an_interval() -> None:
    first, second, items = sources(9, 0.1, seed=1)
    few = np.full(5, 2)
    pairs = [
        (shares(first, items), shares(second, items)),
        (shares(few, few, "other"), shares(few / 2, few, "other")),
    ]
    gap = (first.sum() - second.sum()) / items.sum()
    wanted = Difference(pytest.approx((gap + 0.5) / 2))  # type: ignore[arg-type]
    assert mean_difference(pairs, "linear", 0.95) == wanted


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
