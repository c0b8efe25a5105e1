"""k nearest neighbours by cosine similarity, votes weighted by softmax(similarity / temperature).

The weighting of Wu et al. 2018 (arXiv 1805.01978), as used by DINO's evaluation.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

_SIMILARITIES = 1 << 25  # at once; bounds memory whatever the number of training items
_ROWS = 1 << 12  # at once in float64


def knn_predict(
    train: NDArray[np.float32],
    train_labels: NDArray[np.int64],
    test: NDArray[np.float32],
    **options: Any,
) -> NDArray[np.int64]:
    """Predicted class of each test item (M,); see `knn_votes`. Of equal votes the lower wins."""
    predicted: NDArray[np.int64] = knn_votes(train, train_labels, test, **options).argmax(axis=1)
    return predicted


def knn_votes(
    train: NDArray[np.float32],
    train_labels: NDArray[np.int64],
    test: NDArray[np.float32],
    *,
    num_classes: int,
    neighbours: int,
    temperature: float,
    normalisation: str = "items",
    centre: str = "training mean",
    device: str = "cpu",
) -> NDArray[np.float64]:
    """Votes for each class: train (N, D), labels (N,), test (M, D) -> (M, C), rows summing to 1.

    normalisation: `items`: every item is scaled to unit length, so that similarity is the cosine.
    `columns`: the test items are, but of the training matrix every feature is, over all training
    items; similarity is then no cosine, and what it means hangs on the spread of the features.
    X-ARES 0.1.3 does this, and published kNN scores are made so.

    centre: what the cosine is about: the `training mean`, or the `origin`. A constant added to
    every embedding says nothing and no linear probe sees it, but about the origin it moves every
    cosine towards 1.

    Of equally similar items the first come first. Fewer than `neighbours` training items: all vote.
    """
    unit = {"items": 1, "columns": 0}[normalisation]
    if centre == "training mean":
        mean = train.mean(axis=0, dtype=np.float64)
        train, test = _about(mean, train), _about(mean, test)
        # and their size: what is tiny must not vanish in the least length that is divided by
        size = float(np.abs(train).max()) or 1.0
        train, test = train / size, test / size
    reference = torch.nn.functional.normalize(torch.from_numpy(train).to(device), dim=unit)
    classes = torch.from_numpy(train_labels).to(device)
    k = min(neighbours, len(train))
    chunk = max(1, _SIMILARITIES // len(train))
    found = []
    for start in range(0, len(test), chunk):
        queries = torch.from_numpy(test[start : start + chunk]).to(device)
        similarity = torch.nn.functional.normalize(queries, dim=1) @ reference.T
        values, indices = _nearest(similarity, k)
        weights = torch.softmax(values.double() / temperature, dim=1)
        votes = torch.zeros(len(queries), num_classes, dtype=torch.float64, device=device)
        rows = torch.arange(len(queries), device=device)
        for rank in range(k):  # one neighbour at a time: sums in a fixed order, on a GPU too
            votes[rows, classes[indices[:, rank]]] += weights[:, rank]
        found.append(votes.cpu())
    result: NDArray[np.float64] = torch.cat(found).numpy()
    return result


def _about(centre: NDArray[np.float64], items: NDArray[np.float32]) -> NDArray[np.float32]:
    """Items less a centre, some at a time in float64."""
    moved = np.empty_like(items)
    for first in range(0, len(items), _ROWS):
        moved[first : first + _ROWS] = items[first : first + _ROWS] - centre
    return moved


def _nearest(similarity: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Values and indices (M, k) of each row's largest; among equals the lowest indices.

    topk leaves open which of several equal items it takes, and devices differ in it.
    """
    values, indices = similarity.topk(k, dim=1)
    tied = ((similarity >= values[:, -1:]).sum(dim=1) > k).nonzero()[:, 0]
    if len(tied):
        ranked = similarity[tied].sort(dim=1, descending=True, stable=True)
        values[tied], indices[tied] = ranked.values[:, :k], ranked.indices[:, :k]
    return values, indices
