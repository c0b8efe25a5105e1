"""Retrieval: how high the relevant ranks. Of equally similar candidates the first come first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from earmark.benchmark.result.schema import Predictions


def first_rank(similarity: NDArray[np.float32], relevant: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Rank, from 0, of the first relevant candidate of each query.

    Args:
        similarity: (Q, C) of Q queries and C candidates.
        relevant: (Q, C), of which each query has one at least.

    Returns:
        (Q,) ranks.

    Example:
        >>> first_rank(np.array([[0.1, 0.9, 0.5]]), np.array([[False, False, True]]))
        array([1])
    """
    return np.asarray(_first(similarity, relevant, relevant.shape[1]).argmax(axis=1), np.int64)


def recall_at(
    similarity: NDArray[np.float32], relevant: NDArray[np.bool_], k: int
) -> NDArray[np.bool_]:
    """Whether anything relevant is among the first k.

    Where several are relevant (five captions of a clip) one is enough.

    Args:
        similarity: (Q, C) of Q queries and C candidates.
        relevant: (Q, C).
        k: 1 or more.

    Returns:
        (Q,); its mean is the recall at k.
    """
    return np.asarray(_first(similarity, relevant, k).any(axis=1), np.bool_)


def average_precision_at(
    similarity: NDArray[np.float32], relevant: NDArray[np.bool_], k: int
) -> NDArray[np.float64]:
    """Average precision of the first k.

    The sum of the precision at each relevant rank up to k, divided by the number of relevant
    candidates or k, whichever is smaller (Manning et al. 2008, section 8.4, cut at k).

    Args:
        similarity: (Q, C) of Q queries and C candidates.
        relevant: (Q, C).
        k: 1 or more.

    Returns:
        (Q,) shares in 0..1; NaN for a query without a relevant candidate.
    """
    hits = _first(similarity, relevant, k)
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    wanted = np.minimum(relevant.sum(axis=1), k)
    with np.errstate(invalid="ignore"):
        result: NDArray[np.float64] = (precision * hits).sum(axis=1) / wanted
    return result


def recall_counts(
    clip_hits: NDArray[np.bool_], text_hits: NDArray[np.bool_], owners: NDArray[np.int64]
) -> NDArray[np.float64]:
    """What each clip adds to recall.

    Args:
        clip_hits: (N, S) of N clips and S seeds: whether one of its captions ranks high enough.
        text_hits: (M, S) of M captions: whether its clip does.
        owners: (M,) number of each caption's clip.

    Returns:
        (N, S, 2 ways, hits and queries).
    """
    counts = np.zeros((*clip_hits.shape, 2, 2))
    counts[:, :, 0, 0] = clip_hits
    counts[:, :, 0, 1] = 1
    np.add.at(counts[:, :, 1, 0], owners, text_hits)
    np.add.at(counts[:, :, 1, 1], owners, 1)
    return counts


def top_rank_counts(predictions: Predictions, _: str, __: int | None) -> NDArray[np.float64]:
    """`recall_counts` of what ranks first."""
    assert predictions.caption_ranks is not None, "no ranks of captions"
    ranks = predictions.linear, predictions.caption_ranks
    return recall_counts(ranks[0] == 0, ranks[1] == 0, predictions.labels)


def random_recall(tested: Predictions) -> float:
    """Mean recall at 1 of a random order: a caption's clip is the first of all N once in N times.

    The same holds of a clip's captions, on average.
    """
    return 1 / len(tested.keys)


def mean_recall(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over both ways of hits / queries: (..., 2, 2) -> (...)."""
    shares: NDArray[np.float64] = (sums[..., 0] / sums[..., 1]).mean(axis=-1)
    return shares


def _first(
    similarity: NDArray[np.float32], relevant: NDArray[np.bool_], k: int
) -> NDArray[np.bool_]:
    """Whether each of the k candidates that rank first is relevant, in their order: (Q, k)."""
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(relevant, order, axis=1)
