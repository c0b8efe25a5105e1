"""Data sets drawn from sources that differ, for which the true score is known.

A source shifts the log-odds of every answer by a normal deviate of standard deviation 0.8. What is
true is the score over all sources there could be: by quadrature, or of one sample of many
thousands of sources.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit

from earmark.benchmark.metric import f1_of_counts, mean_average_precision, mean_recall, share_right
from earmark.benchmark.metric.classification import share
from earmark.benchmark.uncertainty.interval import (
    additive_interval,
    mean_average_precision_interval,
)

EFFECT = 0.8  # of a source, in log-odds
_MANY = 20_000  # sources in a sample that stands for all there could be

Interval = tuple[float, float] | None
Rng = np.random.Generator


@dataclass(frozen=True)
class Simulation:
    """One kind of score. truth: what it is over all sources. draw(rng, sources) is a data set;
    interval(data set, method) its interval at 95 %, of so many resamples by percentiles."""

    name: str
    truth: Callable[[], float]
    draw: Callable[[Rng, int], Any]
    interval: Callable[[Any, str, int], Interval]


def coverage(
    simulation: Simulation, sources: int, sets: int, methods: tuple[str, ...], resamples: int = 1000
) -> dict[str, float]:
    """By method, the share of data sets of so many sources whose interval holds the truth."""
    rng = np.random.default_rng(sources)
    truth, inside = simulation.truth(), dict.fromkeys(methods, 0)
    for _ in range(sets):
        data = simulation.draw(rng, sources)
        for method in methods:
            interval = simulation.interval(data, method, resamples)
            inside[method] += interval is not None and interval[0] <= truth <= interval[1]
    return {method: count / sets for method, count in inside.items()}


def sizes_of(rng: Rng, sources: int, items: int, uneven: bool) -> Any:
    return rng.geometric(1 / items, sources) if uneven else np.full(sources, items)


# ------------------------------------------------------------------------------ accuracy


def accuracy_interval(correct: Any, sources: Any, **options: Any) -> Interval:
    """Interval of the mean of `correct` (N,), as right answers over items."""
    counts = np.stack([correct, np.ones_like(correct)], axis=1)
    return additive_interval(counts, sources, share, **options)


@cache
def log_odds_of(mean: float) -> float:
    """The log-odds of an average source, where the mean over sources is `mean`."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    return float(brentq(lambda o: weights @ expit(o + EFFECT * nodes) - mean, -9, 9))


def accuracies(mean: float, items: int = 20, uneven: bool = False) -> Simulation:
    def draw(rng: Rng, sources: int) -> Any:
        sizes = sizes_of(rng, sources, items, uneven)
        shares = expit(log_odds_of(mean) + EFFECT * rng.standard_normal(sources))
        numbers = np.repeat(np.arange(sources), sizes)
        return (rng.random(len(numbers)) < shares[numbers]).astype(float), numbers

    def interval(data: Any, method: str, resamples: int) -> Interval:
        return accuracy_interval(*data, method=method, resamples=resamples, confidence=0.95)

    kind = f"{items} a source" if not uneven else f"about {items} a source, uneven"
    return Simulation(f"accuracy {mean:.2f}, {kind}", lambda: mean, draw, interval)


def equal_encoders(rng: Rng, sources: int, uneven: bool) -> tuple[Any, Any, Any]:
    """Answers of two encoders of equal skill, (N,) each, and sources: each has its own luck with a
    source, beside what is hard for both."""
    numbers = np.repeat(np.arange(sources), sizes_of(rng, sources, 10, uneven))
    common, one, other = rng.standard_normal((3, sources))
    first, second = (
        (rng.random(len(numbers)) < expit(0.8 + EFFECT * (common + own / 2))[numbers]).astype(float)
        for own in (one, other)
    )
    return first, second, numbers


# ------------------------------------------------------------------------------ sums of counts


def _of_sums(
    name: str, draw: Callable[[Rng, int], Any], statistic: Callable[[Any], Any]
) -> Simulation:
    @cache
    def truth() -> float:
        counts, _ = draw(np.random.default_rng(0), _MANY)
        return float(statistic(counts.sum(axis=0)[None])[0])

    def interval(data: Any, method: str, resamples: int) -> Interval:
        return additive_interval(
            *data, statistic, method=method, resamples=resamples, confidence=0.95
        )

    return Simulation(name, truth, draw, interval)


def f1(average: str) -> Simulation:
    """Recordings of 20 segments, about 8 a source; four classes, one of them rare."""

    def draw(rng: Rng, sources: int) -> Any:
        numbers = np.repeat(np.arange(sources), rng.geometric(1 / 8, sources))
        effect = EFFECT * rng.standard_normal(sources)[numbers][:, None, None]
        often = np.array([-0.5, -1, -1, -3]) + EFFECT * rng.standard_normal((len(numbers), 1, 4))
        wanted = rng.random((len(numbers), 20, 4)) < expit(often)
        said = np.where(wanted, expit(1.2 + effect), expit(-2.2 - effect))
        found = rng.random(wanted.shape) < said
        cells = (wanted & found, ~wanted & found, wanted & ~found)
        return np.stack([cell.sum(axis=1) for cell in cells], axis=-1).astype(float), numbers

    return _of_sums(f"segment F1, {average}", draw, lambda sums: f1_of_counts(sums, average))


def words(mean: float) -> Simulation:
    """Utterances of 3 to 24 words, about 10 a source; each has its own difficulty too."""

    def draw(rng: Rng, sources: int) -> Any:
        numbers = np.repeat(np.arange(sources), rng.geometric(1 / 10, sources))
        length = rng.integers(3, 25, len(numbers))
        odds = logit(1 - mean) + EFFECT * rng.standard_normal(sources)[numbers]
        errors = rng.binomial(length, expit(odds + 0.5 * rng.standard_normal(len(numbers))))
        return np.stack([errors, length], axis=-1).astype(float), numbers

    return _of_sums(f"WER_inv of about {mean:.2f}", draw, share_right)


def recall() -> Simulation:
    """Clips with five captions, about 10 clips a source: recall@1 both ways."""

    def draw(rng: Rng, sources: int) -> Any:
        numbers = np.repeat(np.arange(sources), rng.geometric(1 / 10, sources))
        odds = -0.5 + EFFECT * rng.standard_normal(sources)[numbers]
        share = expit(odds + 0.5 * rng.standard_normal(len(numbers)))
        hits = rng.random(len(numbers)) < share
        ways = (hits, np.ones(len(numbers)), rng.binomial(5, share), np.full(len(numbers), 5))
        return np.stack(ways, axis=-1).astype(float), numbers

    def both(sums: Any) -> Any:
        return mean_recall(sums.reshape(*sums.shape[:-1], 2, 2)).reshape(-1)

    return _of_sums("recall@1", draw, both)


# ------------------------------------------------------------------------------ mAP


def precisions(classes: int, share: float, skill: float, items: int, folds: int = 1) -> Simulation:
    """Clips of several classes; sources differ in which they have and in how they score."""

    def draw(rng: Rng, sources: int) -> Any:
        sizes = rng.geometric(1 / items, sources)
        numbers = np.repeat(np.arange(sources), sizes)
        often = expit(logit(share) + EFFECT * rng.standard_normal((sources, classes)))
        labels = rng.random((len(numbers), classes)) < often[numbers]
        luck = 0.5 * rng.standard_normal((sources, classes))[numbers]
        scores = rng.standard_normal(labels.shape) + skill * labels + luck
        return list(_folds(labels, scores.astype(np.float32), numbers, folds)), numbers

    @cache
    def truth() -> float:
        ((labels, scores),) = _folds(*_joined(draw(np.random.default_rng(0), _MANY // 4)), 1)
        return mean_average_precision(labels, scores[0])

    def interval(data: Any, method: str, resamples: int) -> Interval:
        parts, numbers = data
        return mean_average_precision_interval(
            parts, numbers, method=method, resamples=resamples, confidence=0.95
        )

    several = f", {folds} folds" if folds > 1 else ""
    name = f"mAP, {classes} classes in {share:g} of items{several}"
    return Simulation(name, truth, draw, interval)


def _folds(labels: Any, scores: Any, numbers: Any, folds: int) -> Iterator[tuple[Any, Any]]:
    """Whole sources in folds, one after another, in the items' order."""
    ends = np.searchsorted(numbers, np.linspace(0, numbers[-1] + 1, folds + 1).round())
    for start, end in pairwise(ends.tolist()):
        yield labels[start:end], scores[None, start:end]


def _joined(data: Any) -> tuple[Any, Any, Any]:
    parts, numbers = data
    labels = np.concatenate([labels for labels, _ in parts])
    return labels, np.concatenate([scores[0] for _, scores in parts]), numbers
