"""A metric of all items, and again without each source: what the jackknife is made of."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

_CELLS = 1 << 17  # thresholds x sources at once; what fits a core's cache


def sums_without_each(
    counts: NDArray[np.float64],
    sources: NDArray[np.int64],
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> NDArray[np.float64]:
    """A statistic of sums: of all items, then without each source, (1 + g,).

    counts: (N, ...) what each item adds. sources: (N,) from 0 to g - 1. statistic: sums (R, ...)
    -> (R,); NaN where it cannot be computed.
    """
    by_source = np.zeros((int(sources.max()) + 1, *counts.shape[1:]))
    np.add.at(by_source, sources, counts)
    whole = by_source.sum(axis=0)[None]
    return np.concatenate([statistic(whole), statistic(whole - by_source)])


def mean_average_precision_without_each(
    folds: Sequence[tuple[NDArray[np.bool_], NDArray[np.float32]]],
    sources: NDArray[np.int64],
    *,
    absent_classes: str = "left out",
    on_round: Callable[[int, int], None] | None = None,
) -> NDArray[np.float64]:
    """mAP, mean over folds and seeds: of all items, then without each source, (1 + g,).

    folds: for each test fold its labels (N_f, C) and scores (S, N_f, C). sources: (N,) of all
    folds' items, from 0 to g - 1. A class without a positive item that is left is left out of its
    fold's mean, or counts as `zero` (absent_classes); a fold without any is left out of the mean
    over the folds. on_round(done, total) is called after each fold and seed.
    """
    count = int(sources.max()) + 1
    ends = np.cumsum([len(labels) for labels, _ in folds])
    rounds: list[NDArray[np.float64]] = []
    total = sum(len(scores) for _, scores in folds)
    for (labels, scores), end in zip(folds, ends, strict=True):
        own = sources[end - len(labels) : end]
        for one in scores:
            rounds.append(_mean_over_classes(labels, one, own, count, absent_classes))
            if on_round is not None:
                on_round(len(rounds), total)
    return _mean_of_known(rounds, None, count)


def _mean_over_classes(
    labels: NDArray[np.bool_],
    scores: NDArray[np.float32],
    sources: NDArray[np.int64],
    count: int,
    absent_classes: str,
) -> NDArray[np.float64]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # numpy lets go of the interpreter's lock
        by_class = list(
            pool.map(
                lambda c: average_precision_without_each(
                    labels[:, c], scores[:, c], sources, count
                ),
                np.flatnonzero(labels.any(axis=0)),
            )
        )
    classes = labels.shape[1] if absent_classes == "zero" else None
    return _mean_of_known(by_class, classes, count)


def average_precision_without_each(
    labels: NDArray[np.bool_], scores: NDArray[np.float32], sources: NDArray[np.int64], count: int
) -> NDArray[np.float64]:
    """Average precision of one class: of all items, then without each of `count` sources.

    (N,), (N,), (N,) -> (1 + count,). Equal scores share one threshold. NaN where no positive item
    is left.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    hits = np.flatnonzero(labels[order])
    # precision is read at the last item of each run of equal scores that has a positive item
    thresholds, of_hit = np.unique(ends[np.searchsorted(ends, hits)], return_inverse=True)
    above = order[: thresholds[-1] + 1] if len(hits) else order[:0]
    of_item = np.searchsorted(thresholds, np.arange(len(above)))
    size = max(1, _CELLS // max(1, len(thresholds)))
    whole = np.full(len(above), -1)
    parts = [_precisions(whole, of_item, whole[: len(hits)], of_hit, 1)]
    own, own_of_hit = sources[above], sources[order[hits]]
    for start in range(0, count, size):
        some = min(size, count - start)
        parts.append(_precisions(own - start, of_item, own_of_hit - start, of_hit, some))
    return np.concatenate(parts)


def _precisions(
    of_items: NDArray[np.int64],
    item_at: NDArray[np.int64],
    of_hits: NDArray[np.int64],
    hit_at: NDArray[np.int64],
    count: int,
) -> NDArray[np.float64]:
    """Average precision without each of the sources 0 to count - 1: (count,).

    of_items, of_hits: sources of items and of positive items; item_at, hit_at: at which threshold
    each comes in.
    """
    heights = int(hit_at.max(initial=-1)) + 1
    every, positive = np.bincount(item_at, minlength=heights), np.bincount(hit_at)

    def left(
        sources: NDArray[np.int64], at: NDArray[np.int64], of: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        mine = (sources >= 0) & (sources < count)
        cells = np.bincount(at[mine] * count + sources[mine], minlength=heights * count)
        kept: NDArray[np.int64] = of[:, None] - cells.reshape(heights, count)
        return kept

    own = left(of_hits, hit_at, positive)
    drawn = np.cumsum(left(of_items, item_at, every), axis=0)
    found = np.cumsum(own, axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(drawn > 0, found / drawn, 0.0)
        result: NDArray[np.float64] = (precision * own).sum(axis=0) / own.sum(axis=0)
    return result


def _mean_of_known(
    rows: Sequence[NDArray[np.float64]], count: int | None, sources: int
) -> NDArray[np.float64]:
    """Mean of what is known of each column, over `count` where that is given."""
    values = np.stack(rows) if rows else np.full((1, 1 + sources), np.nan)
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        mean: NDArray[np.float64] = np.where(known, values, 0).sum(axis=0) / (
            known.sum(axis=0) if count is None else count
        )
    return mean
