"""Two towers trained on pairs of clips and captions, so that what belongs together meets.

The towers and their loss are those of `towers`; on standardised clips all heads train at once, in
`tower_stack`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from earmark.benchmark.probe.heads import Training
from earmark.benchmark.probe.search import every_epoch
from earmark.benchmark.probe.splits import Split
from earmark.benchmark.probe.tower_stack import train_stack
from earmark.benchmark.probe.towers import (
    WIDTH,
    Captions,
    Pairs,
    TowerResult,
    kind_of_towers,
    mean_recall,
)


def train_towers(
    embeddings: NDArray[np.float32],
    captions: Captions,
    split: Split,
    seeds: Sequence[int],
    training: Training,
    on_progress: Callable[[int, int], None] | None = None,
    *,
    unit_length: bool = True,
    width: int = WIDTH,
) -> TowerResult:
    """Train two towers a seed on a split's (clip, caption) pairs; embeddings: (N, D).

    The epoch with the best recall@1 on the validation clips, mean of both directions, is tested;
    on standardised clips the best learning rate and epoch, see `Search`. on_progress(done, total):
    called after every epoch. unit_length: as in `towers`. width: W.
    """
    if training.standardised:
        return train_stack(
            embeddings, captions, split, seeds, training, on_progress,
            unit_length=unit_length, width=width,
        )  # fmt: skip
    losses, validation = np.zeros((2, training.epochs, len(seeds)))
    best_epochs = np.zeros(len(seeds), np.int64)
    similarities = []
    for column, seed in enumerate(seeds):
        kind = kind_of_towers(unit_length)
        towers = kind(embeddings.shape[1], captions.vocabulary, seed, width).to(training.device)
        optimiser = torch.optim.Adam(towers.parameters(), betas=(0.9, 0.999))
        data = Pairs(embeddings, captions, training.device)
        rng = np.random.default_rng([seed, 1])
        best = -1.0
        for epoch in range(training.epochs):
            for group in optimiser.param_groups:
                group["lr"] = training.rate(epoch)
            pairs = towers.order(captions, split.train, rng)
            batches = [
                pairs[i : i + training.batch_size]
                for i in range(0, len(pairs), training.batch_size)
            ]
            for batch in batches:
                optimiser.zero_grad()
                loss = towers.loss(data, batch)
                loss.backward()
                optimiser.step()
                losses[epoch, column] += loss.item() / len(batches)
            reached = mean_recall(towers.similarity(data, split.valid), captions, split.valid, 1)
            validation[epoch, column] = reached
            if reached > best:
                best, best_epochs[column] = reached, epoch
                tested = towers.similarity(data, split.test)
            if on_progress is not None:
                on_progress(column * training.epochs + epoch + 1, len(seeds) * training.epochs)
        similarities.append(tested)
    return TowerResult(
        **vars(every_epoch(training, best_epochs, losses, validation)), similarities=similarities
    )
