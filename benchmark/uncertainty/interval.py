"""Confidence intervals over sources, of scores: by the jackknife, or by percentiles.

`jackknife` is Earmark's own, and what `compare` rests on too; see `uncertainty/jackknife.py`.

`percentiles` are those of a bootstrap: whole sources are drawn with replacement and the metric is
computed on what was drawn (Efron and Tibshirani 1993, chapter 13); of mAP they are mirrored at the
estimate (the basic interval, Davison and Hinkley 1997, section 5.2). They cover too little for few
sources, and are kept for the protocol whose intervals they are. Seeded: the same items give the
same interval.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from earmark.benchmark.uncertainty.jackknife import FEWEST_SOURCES, share_interval
from earmark.benchmark.uncertainty.leave_out import (
    mean_average_precision_without_each,
    sums_without_each,
)

JACKKNIFE, PERCENTILES = "jackknife", "percentiles"
_SEED = 20250523
_CHUNK = 100  # resamples at once; bounds memory to _CHUNK x N


def source_weights(
    sources: NDArray[np.int64], resamples: int, seed: int = _SEED
) -> NDArray[np.float32]:
    """How often each source is drawn.

    Args:
        sources: (N,) any integers that tell the items' sources apart.
        resamples: how often all are drawn anew.
        seed: the same gives the same.

    Returns:
        (resamples, number of sources), each row summing to this number.
    """
    count = len(np.unique(sources))
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), resamples)
    return draws.astype(np.float32)


def additive_interval(
    counts: NDArray[np.float64],
    sources: NDArray[np.int64],
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    method: str,
    resamples: int,
    confidence: float,
) -> tuple[float, float] | None:
    """Interval of a statistic of sums: of right answers over items, errors over words, F1.

    Args:
        counts: (N, ...) what each item adds.
        sources: (N,) any integers that tell the items' sources apart.
        statistic: sums (R, ...) -> (R,), by the jackknife shares in 0..1.
        method: `jackknife` or `percentiles`.
        resamples: of percentiles, how many.
        confidence: above 0, below 1.

    Returns:
        Low and high. None where nothing can be said: with too few sources, which of percentiles is
        one; where the statistic of the sample itself, or by the jackknife of the sample without one
        source, cannot be computed.

    Example:
        >>> counts = np.stack([right, np.ones_like(right)], axis=1)
        >>> additive_interval(counts, speakers, share, method="jackknife", resamples=0,
        ...                   confidence=0.95)
    """
    _, numbers, sizes = np.unique(sources, return_inverse=True, return_counts=True)
    numbers = numbers.reshape(-1)
    if method == JACKKNIFE:
        if len(sizes) < FEWEST_SOURCES:
            return None
        return share_interval(sums_without_each(counts, numbers, statistic), sizes, confidence)
    weights = source_weights(sources, resamples).astype(np.float64)
    if weights.shape[1] < 2 or not np.isfinite(statistic(counts.sum(axis=0)[None])).all():
        return None
    by_source = np.zeros((weights.shape[1], *counts.shape[1:]))
    np.add.at(by_source, numbers, counts)
    return _percentiles(statistic(np.tensordot(weights, by_source, axes=1)), confidence)


def mean_average_precision_interval(
    folds: Sequence[tuple[NDArray[np.bool_], NDArray[np.float32]]],
    sources: NDArray[np.int64],
    *,
    method: str,
    resamples: int,
    confidence: float,
    absent_classes: str = "left out",
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[float, float] | None:
    """Interval of mAP, averaged over folds and seeds within each resample; within 0..1.

    Args:
        folds: for each test fold its labels (N_f, C) and scores (S, N_f, C) for S seeds.
        sources: (N,) of all folds' items, in their order.
        method: `jackknife` or `percentiles`.
        resamples: of percentiles, how many.
        confidence: above 0, below 1.
        absent_classes: a class without a positive item in a resample is `left out` of that
            resample's mean, or counts as `zero`.
        on_progress: called with (done, resamples) now and then, with the share that is done.

    Returns:
        Low and high. None as for `additive_interval`; also where a fold has no positive item at
        all, so that mAP itself cannot be computed, and by the jackknife where one source has all
        positive items.
    """
    _, numbers, sizes = np.unique(sources, return_inverse=True, return_counts=True)
    if not all(labels.any() for labels, _ in folds):
        return None
    if method == JACKKNIFE:
        if len(sizes) < FEWEST_SOURCES:
            return None
        told = on_progress or (lambda done, total: None)
        left = mean_average_precision_without_each(
            folds,
            numbers,
            absent_classes=absent_classes,
            on_round=lambda done, total: told(resamples * done // total, resamples),
        )
        return share_interval(left, sizes, confidence)
    if len(sizes) < 2:
        return None
    values = _resampled(
        folds, numbers, source_weights(sources, resamples), absent_classes, on_progress
    )
    low, high = _percentiles(values[1:], confidence)
    twice = 2 * float(values[0])
    return max(0.0, twice - high), min(1.0, twice - low)


def _resampled(
    folds: Sequence[tuple[NDArray[np.bool_], NDArray[np.float32]]],
    numbers: NDArray[np.int64],
    weights: NDArray[np.float32],
    absent_classes: str,
    on_progress: Callable[[int, int], None] | None,
) -> NDArray[np.float64]:
    """mAP of the sample, then of each resample: (1 + resamples,).

    numbers: (N,) each item's source. weights: (resamples, g) how often a source is drawn.
    """
    resamples = len(weights)
    weights = np.concatenate([np.ones_like(weights[:1]), weights])
    values = np.empty(len(weights))
    ends = np.cumsum([len(labels) for labels, _ in folds])
    for start in range(0, len(weights), _CHUNK):
        items = np.ascontiguousarray(weights[start : start + _CHUNK].T)[numbers].T
        rounds = [
            weighted_mean_average_precision(
                labels, one, items[:, end - len(labels) : end], absent_classes
            )
            for (labels, scores), end in zip(folds, ends, strict=True)
            for one in scores
        ]
        values[start : start + _CHUNK] = np.mean(rounds, axis=0)
        if on_progress is not None:
            on_progress(min(start + _CHUNK, resamples), resamples)
    return values


def weighted_mean_average_precision(
    labels: NDArray[np.bool_],
    scores: NDArray[np.float32],
    weights: NDArray[np.float32],
    absent_classes: str = "left out",
) -> NDArray[np.float64]:
    """mAP for each row of item weights.

    Args:
        labels: (N, C).
        scores: (N, C).
        weights: (R, N), how often an item counts.
        absent_classes: a class without a positive item that has weight is `left out` of that row's
            mean, or counts as `zero`.

    Returns:
        (R,) shares in 0..1.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # numpy lets go of the interpreter's lock
        values = np.stack(
            list(
                pool.map(
                    lambda c: weighted_average_precision(labels[:, c], scores[:, c], weights),
                    np.flatnonzero(labels.any(axis=0)),
                )
            )
        )
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        classes = labels.shape[1] if absent_classes == "zero" else known.sum(axis=0)
        mean: NDArray[np.float64] = np.where(known, values, 0).sum(axis=0) / classes
    return mean


def weighted_average_precision(
    labels: NDArray[np.bool_], scores: NDArray[np.float32], weights: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Average precision of one class under many weightings. Equal scores share one threshold.

    Args:
        labels: (N,).
        scores: (N,).
        weights: (R, N), how often an item counts.

    Returns:
        (R,) shares in 0..1; NaN where no positive item has weight.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    # the last item of every run of equal scores: only there may precision be read
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    positives = np.flatnonzero(labels[order])
    if len(positives) == 0:
        return np.full(len(weights), np.nan)
    end_of = ends[np.searchsorted(ends, positives)]
    last_positive = np.searchsorted(positives, end_of, side="right") - 1
    by_item = weights.T  # items in rows: whole rows are gathered and added
    own = by_item[order[positives]].astype(np.float64)
    # what is drawn between one threshold and the next is added in one go: with few positives
    # among many items that is most of the work
    thresholds, of_positive = np.unique(end_of, return_inverse=True)
    ranks = thresholds[-1] + 1
    between = csr_array(
        (np.ones(ranks, weights.dtype), order[:ranks], np.append(0, thresholds + 1)),
        shape=(len(thresholds), len(scores)),
    )
    drawn = np.cumsum(between @ by_item, axis=0)[of_positive]
    hits = np.cumsum(own, axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(drawn > 0, hits[last_positive] / drawn, 0.0)
        result: NDArray[np.float64] = (precision * own).sum(axis=0) / hits[-1]
    return result


def _percentiles(values: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    tail = (1 - confidence) / 2 * 100
    low, high = np.nanpercentile(values, [tail, 100 - tail])
    return float(low), float(high)
