"""Retrieval: ranks, recall and average precision, by hand and by walking down a sorted list."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from earmark.benchmark.metric import average_precision_at, first_rank, recall_at


def ranked(similarity: Any, relevant: Any) -> list[bool]:
    """One query's candidates, best first; of equals the one that stands first."""
    places = sorted(range(len(similarity)), key=lambda i: (-similarity[i], i))
    return [bool(relevant[i]) for i in places]


def precision_by_walking(hits: list[bool], k: int) -> float:
    """Manning et al.: precision where something relevant is met, over what could be met."""
    total, met = 0.0, 0
    for place, hit in enumerate(hits[:k], start=1):
        if hit:
            met += 1
            total += met / place
    return total / min(sum(hits), k)


# Four candidates, ranked 2, 0, 3, 1 by the first query and 0, 1, 2, 3 by the other (all alike).
SIMILARITY = np.array([[0.5, 0.1, 0.9, 0.2], [0.3, 0.3, 0.3, 0.3]], np.float32)


@pytest.mark.parametrize(
    ("relevant", "ranks", "recalls", "precisions"),
    [
        # one relevant: candidate 0 at rank 1, candidate 2 at rank 2
        ([[1, 0, 0, 0], [0, 0, 1, 0]], [1, 2], {1: [0, 0], 2: [1, 0], 3: [1, 1]}, [1 / 2, 1 / 3]),
        # several: 2 and 3 at ranks 0 and 2: (1/1 + 2/3) / 2; 1 and 3 at 1 and 3: (1/2 + 2/4) / 2
        (
            [[0, 0, 1, 1], [0, 1, 0, 1]],
            [0, 1],
            {1: [1, 0], 2: [1, 1]},
            [(1 + 2 / 3) / 2, (1 / 2 + 2 / 4) / 2],
        ),
        # all of them
        ([[1, 1, 1, 1], [1, 1, 1, 1]], [0, 0], {1: [1, 1]}, [1, 1]),
        # the last of all: 1/4
        ([[0, 1, 0, 0], [0, 0, 0, 1]], [3, 3], {1: [0, 0], 3: [0, 0], 4: [1, 1]}, [1 / 4, 1 / 4]),
    ],
)
def test_by_hand(relevant: Any, ranks: Any, recalls: Any, precisions: Any) -> None:
    relevant = np.array(relevant, bool)
    assert first_rank(SIMILARITY, relevant).tolist() == ranks
    for k, expected in recalls.items():
        assert recall_at(SIMILARITY, relevant, k).tolist() == [bool(hit) for hit in expected]
    np.testing.assert_allclose(average_precision_at(SIMILARITY, relevant, 4), precisions)


def test_average_precision_is_cut_at_k() -> None:
    """Relevant at ranks 1, 2 and 4 of five; with k = 2 two could be met, with k = 10 all three."""
    similarity = np.array([[5, 4, 3, 2, 1]], np.float32)
    relevant = np.array([[1, 1, 0, 1, 0]], bool)
    expected = {
        1: 1.0,
        2: 1.0,
        3: (1 + 1) / 3,  # the third was not met
        4: (1 + 1 + 3 / 4) / 3,
        10: (1 + 1 + 3 / 4) / 3,
    }
    for k, value in expected.items():
        assert average_precision_at(similarity, relevant, k)[0] == pytest.approx(value)


@pytest.mark.filterwarnings("error")
def test_nothing_relevant_is_nan_and_no_hit() -> None:
    relevant = np.zeros((2, 4), bool)
    assert all(math.isnan(value) for value in average_precision_at(SIMILARITY, relevant, 3))
    assert not recall_at(SIMILARITY, relevant, 4).any()


def test_five_captions_a_clip() -> None:
    """Two clips, ten captions: a clip hits where one of its five ranks first, a caption only
    where its own clip does."""
    similarity = np.zeros((2, 10), np.float32)
    similarity[0, [3, 7]] = 0.9, 0.8  # its own caption 3 before the other's 7
    similarity[1, [2, 9]] = 0.9, 0.8  # the other's caption 2 before its own 9
    relevant = np.arange(10)[None] // 5 == np.arange(2)[:, None]
    assert recall_at(similarity, relevant, 1).tolist() == [True, False]
    assert first_rank(similarity, relevant).tolist() == [0, 1]
    # captions: 0, 1, 4 tie at 0 and take clip 0, as do 5, 6, 8; 2 is wrong; 3 and 9 are right
    hits = [True, True, False, True, True, False, False, False, False, True]
    assert recall_at(similarity.T, relevant.T, 1).tolist() == hits


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 4), st.integers(1, 9), st.integers(1, 12), st.integers(0, 10_000))
def test_by_walking_down_the_list(queries: int, candidates: int, k: int, seed: int) -> None:
    """Similarities are of four values: ties are many."""
    rng = np.random.default_rng(seed)
    similarity = rng.integers(-2, 2, (queries, candidates)).astype(np.float32) / 3
    relevant = rng.random((queries, candidates)) < 0.4
    assume(relevant.any(axis=1).all())
    lists = [ranked(one, wanted) for one, wanted in zip(similarity, relevant, strict=True)]
    assert first_rank(similarity, relevant).tolist() == [hits.index(True) for hits in lists]
    assert recall_at(similarity, relevant, k).tolist() == [any(hits[:k]) for hits in lists]
    np.testing.assert_allclose(
        average_precision_at(similarity, relevant, k),
        [precision_by_walking(hits, k) for hits in lists],
    )
