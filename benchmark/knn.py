"""k nearest neighbours by cosine similarity, votes weighted by softmax(similarity / temperature).

The weighting of Wu et al. 2018 (arXiv 1805.01978), as used by DINO's evaluation.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

_SIMILARITIES = 1 << 25  # at once; bounds memory whatever the number of training items


def knn_predict(
    train: NDArray[np.float32],
    train_labels: NDArray[np.int64],
    test: NDArray[np.float32],
    *,
    num_classes: int,
    neighbours: int,
    temperature: float,
    normalisation: str = "items",
    device: str = "cpu",
) -> NDArray[np.int64]:
    """Predicted class of each test item: train (N, D), labels (N,), test (M, D) -> (M,).

    normalisation: `items`: every item is scaled to unit length, so that similarity is the cosine.
    `columns`: the test items are, but of the training matrix every feature is, over all training
    items; similarity is then no cosine, and what it means hangs on the spread of the features.
    X-ARES 0.1.3 does this, and published kNN scores are made so.

    Of equally similar items the first come first. Fewer than `neighbours` training items: all vote.
    Between equal votes the lower class index wins.
    """
    unit = {"items": 1, "columns": 0}[normalisation]
    reference = torch.nn.functional.normalize(torch.from_numpy(train).to(device), dim=unit)
    classes = torch.from_numpy(train_labels).to(device)
    k = min(neighbours, len(train))
    chunk = max(1, _SIMILARITIES // len(train))
    predicted = []
    for start in range(0, len(test), chunk):
        queries = torch.from_numpy(test[start : start + chunk]).to(device)
        similarity = torch.nn.functional.normalize(queries, dim=1) @ reference.T
        values, indices = _nearest(similarity, k)
        weights = torch.softmax(values.double() / temperature, dim=1)
        votes = torch.zeros(len(queries), num_classes, dtype=torch.float64, device=device)
        rows = torch.arange(len(queries), device=device)
        for rank in range(k):  # one neighbour at a time: sums in a fixed order, on a GPU too
            votes[rows, classes[indices[:, rank]]] += weights[:, rank]
        predicted.append(votes.argmax(dim=1).cpu())
    result: NDArray[np.int64] = torch.cat(predicted).numpy()
    return result


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
