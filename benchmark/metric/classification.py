"""Metrics of clips with classes: accuracy and average precision.

Every value is a share in 0..1, higher is better. What cannot be computed is NaN, never 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score

from earmark.benchmark.result.schema import Predictions


def accuracy(labels: ArrayLike, predictions: ArrayLike) -> float:
    """Share of items whose predicted class is right.

    Args:
        labels: (N,) classes.
        predictions: (N,) classes.

    Returns:
        A share in 0..1; NaN where N is 0.

    Example:
        >>> accuracy([0, 1, 1, 2], [0, 1, 2, 2])
        0.75
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    return float(np.mean(labels == predictions)) if len(labels) else float("nan")


def average_precision(labels: ArrayLike, scores: ArrayLike) -> NDArray[np.float64]:
    """Average precision of each class, without interpolation (as scikit-learn defines it).

    Args:
        labels: (N, C) bool.
        scores: (N, C), higher means more likely.

    Returns:
        (C,) shares in 0..1; NaN for a class without a positive item.

    Example:
        >>> scores = [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]]
        >>> average_precision([[1, 0], [0, 0], [1, 0]], scores).round(3)
        array([0.833,   nan])
    """
    labels, scores = np.asarray(labels, bool), np.asarray(scores)
    values = np.full(labels.shape[1], np.nan)
    for c in np.flatnonzero(labels.any(axis=0)):
        values[c] = average_precision_score(labels[:, c], scores[:, c])
    return values


def mean_average_precision(
    labels: ArrayLike, scores: ArrayLike, absent_classes: str = "left out"
) -> float:
    """mAP: macro mean of `average_precision`.

    Args:
        labels: (N, C) bool.
        scores: (N, C), higher means more likely.
        absent_classes: those without a positive item are `left out`, or count as `zero` (as they do
            in scikit-learn's own macro mean).

    Returns:
        A share in 0..1; NaN where no class has a positive item.
    """
    values = average_precision(labels, scores)
    if not np.isfinite(values).any():
        return float("nan")
    return float(
        np.nansum(values) / len(values) if absent_classes == "zero" else np.nanmean(values)
    )


def correct_counts(predictions: Predictions, probe: str, _: int | None) -> NDArray[np.float64]:
    """Whether each item's class is right, and 1: (N, S, 2), S seeds."""
    found = predictions.linear if probe == "linear" else predictions.knn
    assert found is not None, f"nothing of {probe}"
    right = found.reshape(len(predictions.labels), -1) == predictions.labels[:, None]
    return np.stack([right, np.ones_like(right)], axis=-1).astype(np.float64)


def share(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """First over second: (..., 2) -> (...); NaN where the second is 0."""
    with np.errstate(invalid="ignore"):
        shares: NDArray[np.float64] = sums[..., 0] / sums[..., 1]
    return shares


def most_common(active: NDArray[np.int64], _: int) -> NDArray[np.bool_]:
    """The class that most training items have, of equals the first: counts (C,) -> (C,)."""
    common: NDArray[np.bool_] = np.arange(len(active)) == active.argmax()
    return common


def prevalence(tested: Predictions, absent_classes: str) -> float:
    """mAP of the same scores for every item: each class's share of positives; mean over folds.

    Args:
        tested: of several labels an item; what was predicted is not looked at.
        absent_classes: see `mean_average_precision`.

    Returns:
        A share in 0..1; NaN where a fold has no positive item.
    """
    names = dict.fromkeys(tested.splits.tolist())
    folds = [_mean_share(tested.labels[tested.splits == name], absent_classes) for name in names]
    return float(np.mean(folds))


def _mean_share(labels: NDArray[np.bool_], absent_classes: str) -> float:
    """Mean share of positives (N, C) over the classes that have any; or over all."""
    shares = labels.mean(axis=0)
    if not (shares > 0).any():
        return float("nan")
    return float(shares.mean() if absent_classes == "zero" else shares[shares > 0].mean())
