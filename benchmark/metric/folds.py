"""Sums by test fold, and means over folds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def by_fold(
    counts: NDArray[np.float64], splits: NDArray[np.str_], *, apart: bool
) -> NDArray[np.float64]:
    """Give counts an axis for the folds: (N, ...) -> (N, F, ...), 0 in all but an item's own.

    Args:
        counts: what each item adds.
        splits: (N,) the items' test folds.
        apart: whether folds are measured one by one; else F is 1.

    Returns:
        The counts, folds in the order in which they first occur.
    """
    names = list(dict.fromkeys(splits.tolist())) if apart else [None]
    fold = np.array([names.index(name) if apart else 0 for name in splits.tolist()], np.int64)
    found = np.zeros((len(counts), len(names), *counts.shape[1:]))
    found[np.arange(len(counts)), fold] = counts
    return found


def mean_of_known(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Mean of what is not NaN along an axis: a fold of which nothing is left counts for nothing."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        mean: NDArray[np.float64] = np.where(known, values, 0).sum(axis=axis) / known.sum(axis=axis)
    return mean
