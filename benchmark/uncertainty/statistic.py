"""From per-item predictions to a metric, and what it is without each source.

Every metric is put together here as `benchmark/score` does it: from sums of what the items add
(right answers, hits and misses of segments, edits and words), or, for mAP, from ranks; the mean
over the seeds is taken each time.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from earmark.benchmark.metric import (
    f1_of_counts,
    mean_recall,
    recall_counts,
    share_right,
    word_edits,
)
from earmark.benchmark.result.schema import Predictions, RunResult
from earmark.benchmark.uncertainty.leave_out import (
    mean_average_precision_without_each,
    sums_without_each,
)
from earmark.benchmark.uncertainty.pairing import UnpairedError

_Metric = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def without_each_source(
    result: RunResult,
    probe: str,
    predictions: Predictions,
    rows: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """The metric of a result's probe, then without each source, sorted by name: (1 + g,).

    rows: the items that count; all where None. Raises UnpairedError for a metric or predictions
    that this version does not know how to put together.
    """
    chosen = np.arange(len(predictions.keys)) if rows is None else rows
    _, numbers = np.unique(predictions.sources[chosen], return_inverse=True)
    metric = result.scores[probe].metric
    splits = predictions.splits[chosen]
    try:
        if metric == "mAP":
            return _ranked(predictions, chosen, numbers, _absent(result))
        counts, share = _counts(result, probe, predictions)
    except (IndexError, TypeError, ValueError, AssertionError) as error:
        if isinstance(error, UnpairedError):
            raise
        raise UnpairedError(f"its predictions are not those of {metric} ({error})") from error
    names = list(dict.fromkeys(splits.tolist()))
    if result.protocol.get("fold_score") != "folds" or len(names) == 1:
        return sums_without_each(counts[chosen], numbers, share)
    folds = np.array([names.index(name) for name in splits.tolist()])
    apart = np.zeros((len(chosen), len(names), *counts.shape[1:]))
    apart[np.arange(len(chosen)), folds] = counts[chosen]
    return sums_without_each(apart, numbers, lambda sums: _mean_of_folds(sums, share))


def _mean_of_folds(sums: NDArray[np.float64], share: _Metric) -> NDArray[np.float64]:
    """Mean over the folds (R, F, ...), those left out of which no item is left."""
    with np.errstate(invalid="ignore"):
        by_fold = np.stack([share(sums[:, fold]) for fold in range(sums.shape[1])])
        known = np.isfinite(by_fold)
        mean: NDArray[np.float64] = np.where(known, by_fold, 0).sum(axis=0) / known.sum(axis=0)
    return mean


def _absent(result: RunResult) -> str:
    return str(result.protocol.get("absent_classes", "left out"))


def _counts(
    result: RunResult, probe: str, predictions: Predictions
) -> tuple[NDArray[np.float64], _Metric]:
    """What each item adds (N, ...), and the metric of sums (R, ...) -> (R,)."""
    labels, metric = predictions.labels, result.scores[probe].metric
    if metric == "accuracy":
        found = predictions.linear if probe == "linear" else predictions.knn
        assert found is not None, f"nothing of {probe}"
        right = (found.reshape(len(labels), -1) == labels[:, None]).mean(axis=1)
        return np.stack([right, np.ones_like(right)], axis=1), _first_over_second
    if metric in ("segment_f1_macro", "segment_f1_micro"):
        average, absent = metric.removeprefix("segment_f1_"), _absent(result)
        counts = _segment_counts(predictions, result.task.get("classes"))
        if average == "micro":  # of the classes' sums; these are fewer to resample
            counts = counts.sum(axis=2, keepdims=True)
        return counts, lambda sums: f1_of_counts(sums, average, absent).mean(axis=1)
    if metric == "recall@1":
        assert predictions.caption_ranks is not None, "no ranks of captions"
        hits = recall_counts(predictions.linear == 0, predictions.caption_ranks == 0, labels)
        return hits, lambda sums: mean_recall(sums).mean(axis=1)
    if metric == "WER_inv":
        edits = [
            [word_edits(wanted.lower(), text.lower()) for text in found]
            for wanted, found in zip(labels.tolist(), predictions.linear.tolist(), strict=True)
        ]
        return np.array(edits, np.float64), lambda sums: share_right(sums).mean(axis=1)
    raise UnpairedError(f"this version does not know the metric {metric!r}")


def _first_over_second(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):
        shares: NDArray[np.float64] = sums[..., 0] / sums[..., 1]
    return shares


def _segment_counts(predictions: Predictions, classes: int | None) -> NDArray[np.float64]:
    """Hits, false alarms and misses of packed segments: (N, S, C, 3).

    classes: C; where it is not known, what packing filled up counts as classes that do not occur.
    """
    assert predictions.segments is not None, "no segments"
    wanted = np.unpackbits(predictions.labels, axis=1, count=classes)
    items = np.flatnonzero(predictions.segments)  # an item may have none; it adds nothing
    starts = (np.cumsum(predictions.segments) - predictions.segments)[items]
    counts = np.zeros((len(predictions.segments), len(predictions.linear), wanted.shape[1], 3))
    for seed, packed in enumerate(predictions.linear):
        found = np.unpackbits(packed, axis=1, count=classes)
        for kind, cells in enumerate((wanted & found, found & ~wanted, wanted & ~found)):
            counts[items, seed, :, kind] = np.add.reduceat(cells & 1, starts, dtype=np.int64)
    return counts


def _ranked(
    predictions: Predictions,
    rows: NDArray[np.int64],
    numbers: NDArray[np.int64],
    absent_classes: str,
) -> NDArray[np.float64]:
    """mAP: mean over the classes that have a positive item, over seeds, and over folds."""
    splits = predictions.splits[rows]
    by_fold = [np.flatnonzero(splits == split) for split in dict.fromkeys(splits.tolist())]
    folds = [
        (np.asarray(predictions.labels[rows[own]], np.bool_), predictions.linear[:, rows[own]])
        for own in by_fold
    ]
    return mean_average_precision_without_each(
        folds, numbers[np.concatenate(by_fold)], absent_classes=absent_classes
    )
