"""Kendall's tau of two orders of encoders: by counting pairs, and by how it varies over tasks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from earmark.benchmark.uncertainty.order import order_agreement


def by_pairs(first: np.ndarray, second: np.ndarray) -> float:
    """Concordant less discordant pairs, of all; without ties."""
    signs = [
        np.sign(first[i] - first[j]) * np.sign(second[i] - second[j])
        for i, j in itertools.combinations(range(len(first)), 2)
    ]
    return float(np.mean(signs))


@pytest.mark.parametrize("seed", range(5))
def test_tau_counts_pairs_of_encoders_by_their_means(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.random((2, 6, 4))
    found = order_agreement(first, second)
    assert found is not None
    assert found.tau == pytest.approx(by_pairs(first.mean(axis=1), second.mean(axis=1)))
    assert found.low is not None and found.high is not None
    assert found.low <= found.tau <= found.high
    assert (found.encoders, found.tasks) == (6, 4)
    assert order_agreement(first, second) == found


def test_where_every_task_agrees_there_is_no_doubt() -> None:
    first = np.arange(5.0)[:, None] + np.linspace(0, 0.5, 8)
    same = order_agreement(first, 2 * first)
    turned = order_agreement(first, -first)
    assert same is not None and turned is not None
    assert (same.tau, same.low, same.high) == pytest.approx((1, 1, 1))
    assert (turned.tau, turned.low, turned.high) == pytest.approx((-1, -1, -1))


def test_two_tasks_have_no_interval_and_one_encoder_no_order() -> None:
    scores = np.array([[0.1, 0.2], [0.3, 0.1]])
    found = order_agreement(scores, scores)
    assert found is not None and (found.tau, found.low, found.high) == (1.0, None, None)
    assert order_agreement(scores[:1], scores[:1]) is None
    assert order_agreement(scores * 0, scores) is None
    with pytest.raises(ValueError, match="must be alike"):
        order_agreement(scores, scores[:1])
