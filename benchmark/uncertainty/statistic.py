"""From per-item predictions to a metric, and what it is without each source.

A metric is put together as the score is: from the sums of what the items add, or, where it is no
function of sums (mAP), from ranks; the mean over the seeds is taken each time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from earmark.benchmark.metric.folds import by_fold, mean_of_known
from earmark.benchmark.metric.registry import METRICS, CountMetric
from earmark.benchmark.result.schema import Predictions, RunResult
from earmark.benchmark.uncertainty.leave_out import (
    mean_average_precision_without_each,
    sums_without_each,
)
from earmark.benchmark.uncertainty.pairing import UnpairedError


def without_each_source(
    result: RunResult,
    probe: str,
    predictions: Predictions,
    rows: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """The metric of a result's probe, then without each source, sorted by name: (1 + g,).

    Args:
        result: names the metric, the protocol and how many classes there are.
        probe: `linear` or `knn`.
        predictions: those of the result.
        rows: the items that count; all where None.

    Returns:
        Shares in 0..1; NaN where what is left has no value.

    Raises:
        UnpairedError: for a metric or predictions that this version cannot put together.
    """
    chosen = np.arange(len(predictions.keys)) if rows is None else rows
    _, numbers = np.unique(predictions.sources[chosen], return_inverse=True)
    name, absent = result.scores[probe].metric, result.protocol.get("absent_classes", "left out")
    metric = METRICS.get(name)
    if metric is None:
        raise UnpairedError(f"this version does not know the metric {name!r}")
    try:
        if not isinstance(metric, CountMetric):
            return _ranked(predictions, chosen, numbers, absent)
        counts = metric.counts(predictions, probe, result.task.get("classes"))
    except (IndexError, TypeError, ValueError, AssertionError) as error:
        raise UnpairedError(f"its predictions are not those of {name} ({error})") from error
    if metric.linear:
        counts = counts.mean(axis=1, keepdims=True)
    by_folds = result.protocol.get("fold_score") == "folds"
    apart = by_fold(counts[chosen], predictions.splits[chosen], apart=by_folds)

    def value(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of sums by fold (R, F, S, ...), the mean over the seeds, then over the folds: (R,)."""
        folds = range(sums.shape[1])
        by_fold = [metric.value(sums[:, fold], absent).mean(axis=1) for fold in folds]
        return mean_of_known(np.stack(by_fold), axis=0)

    return sums_without_each(apart, numbers, value)


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
