"""How far two ways to score put encoders in the same order: Kendall's tau over means of tasks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

RESAMPLES = 2000
FEWEST_TASKS = 3  # below, a bootstrap over tasks says nothing


class Agreement(NamedTuple):
    """tau: Kendall's tau-b, 1 where the orders are equal, -1 where one is the other backwards.

    low, high: interval over tasks; None with fewer than 3. encoders, tasks: how many it is of.
    """

    tau: float
    low: float | None
    high: float | None
    encoders: int
    tasks: int


def order_agreement(
    first: NDArray[np.float64], second: NDArray[np.float64], confidence: float = 0.95, seed: int = 0
) -> Agreement | None:
    """Agreement of the orders of encoders by the mean over tasks of two kinds of score.

    first, second: (encoders, tasks) scores, the same encoders and tasks in both. The interval is
    that of percentiles of a bootstrap over tasks: other tasks of these kinds might have been taken.
    None with fewer than two encoders, or where all means of one kind are equal.

    Raises ValueError where the two differ in shape.

    Example:
        >>> scores = np.array([[0.9, 0.8, 0.7], [0.5, 0.6, 0.4]])
        >>> order_agreement(scores, scores).tau
        1.0
    """
    if first.shape != second.shape:
        raise ValueError(f"scores of shape {first.shape} and {second.shape}; they must be alike")
    encoders, tasks = first.shape
    tau = _tau(first.mean(axis=1), second.mean(axis=1)) if encoders > 1 and tasks else np.nan
    if np.isnan(tau):
        return None
    if tasks < FEWEST_TASKS:
        return Agreement(float(tau), None, None, encoders, tasks)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, tasks, (RESAMPLES, tasks))
    taus = [_tau(first[:, one].mean(axis=1), second[:, one].mean(axis=1)) for one in drawn]
    tail = 100 * (1 - confidence) / 2
    low, high = np.nanpercentile(taus, [tail, 100 - tail])
    return Agreement(float(tau), float(low), float(high), encoders, tasks)


def _tau(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    return float(kendalltau(first, second).statistic)
