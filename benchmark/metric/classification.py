"""Metrics of clips with classes: accuracy and average precision.

Every value is a share in 0..1, higher is better. What cannot be computed is NaN, never 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score


def accuracy(labels: ArrayLike, predictions: ArrayLike) -> float:
    """Share of items whose predicted class is right. Both (N,); NaN where N is 0."""
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    return float(np.mean(labels == predictions)) if len(labels) else float("nan")


def average_precision(labels: ArrayLike, scores: ArrayLike) -> NDArray[np.float64]:
    """Average precision of each class, without interpolation (as scikit-learn defines it).

    labels: (N, C) bool; scores: (N, C), higher means more likely. Returns (C,); NaN for a class
    without a positive item.
    """
    labels, scores = np.asarray(labels, bool), np.asarray(scores)
    values = np.full(labels.shape[1], np.nan)
    for c in np.flatnonzero(labels.any(axis=0)):
        values[c] = average_precision_score(labels[:, c], scores[:, c])
    return values


def mean_average_precision(
    labels: ArrayLike, scores: ArrayLike, absent_classes: str = "left out"
) -> float:
    """mAP: macro mean of `average_precision`. NaN where no class has a positive item.

    absent_classes: those without a positive item are `left out`, or count as `zero` (as they do in
    scikit-learn's own macro mean).
    """
    values = average_precision(labels, scores)
    if not np.isfinite(values).any():
        return float("nan")
    return float(
        np.nansum(values) / len(values) if absent_classes == "zero" else np.nanmean(values)
    )
