"""The linear probe of clips: heads of all splits and seeds trained together, in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from earmark.benchmark.metric import mean_average_precision
from earmark.benchmark.probe.heads import (
    HeadKey,
    Heads,
    Training,
    folded,
    normalised,
    threads_worth,
)
from earmark.benchmark.probe.splits import Split

_LOGITS = 1 << 25  # at once when predicting; bounds memory


@dataclass(frozen=True, kw_only=True)
class ProbeTraining(Training):
    """How heads for clips are trained.

    loss: `cross_entropy` (labels (N,) class indices) or `bce` (labels (N, C) bool).
    absent_classes: see `mean_average_precision`, by which an epoch is chosen.
    """

    loss: str
    num_classes: int
    absent_classes: str = "left out"


@dataclass(frozen=True)
class ProbeResult:
    """What the heads of one task learned; lists and axes are in the order of `keys`.

    validation: (H, epochs) validation metric after each epoch.
    losses: (H, epochs) mean training loss of each epoch's batches.
    best_epochs: (H,) the epoch that was tested, the first of the best, counted from 0.
    scores: per head, (test items of its split, C) float32 logits at that epoch.
    """

    keys: list[HeadKey]
    validation: NDArray[np.float64]
    losses: NDArray[np.float64]
    best_epochs: NDArray[np.int64]
    scores: list[NDArray[np.float32]]


def train_heads(
    embeddings: NDArray[np.float32],
    labels: NDArray[np.int64] | NDArray[np.bool_],
    splits: Sequence[Split],
    seeds: Sequence[int],
    training: ProbeTraining,
    on_progress: Callable[[int, int], None] | None = None,
) -> ProbeResult:
    """Train one head for each split and seed, and score each split's test items.

    embeddings: (N, D); labels: (N,) or (N, C), see `ProbeTraining.loss`. on_progress(done, total):
    called after every epoch. A head depends on its split, its seed and the data, not on which
    heads are trained beside it (beyond rounding).
    """
    # heads with more batches an epoch first: the active ones are then always a prefix
    keys = sorted(
        (HeadKey(s, seed) for s in range(len(splits)) for seed in seeds),
        key=lambda key: (-len(splits[key.split].train), key.split, key.seed),
    )
    step = len(keys) * training.batch_size * training.num_classes * embeddings.shape[1]
    with threads_worth(step):
        return _train(keys, _ProbeData(embeddings, labels, training), splits, on_progress)


def _train(
    keys: list[HeadKey],
    data: _ProbeData,
    splits: Sequence[Split],
    on_progress: Callable[[int, int], None] | None,
) -> ProbeResult:
    training = data.training
    heads = _ClipHeads(keys, data.dimension, training)
    best = heads.parameters.clone()
    validation = np.full((len(keys), training.epochs), np.nan)
    losses = np.zeros((len(keys), training.epochs))
    best_epochs = np.zeros(len(keys), np.int64)
    orders = [np.random.default_rng([key.seed, key.split, 1]) for key in keys]
    for epoch in range(training.epochs):
        shuffled = [
            order.permutation(splits[key.split].train)
            for order, key in zip(orders, keys, strict=True)
        ]
        losses[:, epoch] = heads.train_epoch(data, shuffled, training.rate(epoch))
        for s, split in enumerate(splits):
            mine = [h for h, key in enumerate(keys) if key.split == s]
            validation[mine, epoch] = data.evaluate(heads.parameters[mine], split.valid)
        for h in range(len(keys)):
            so_far = validation[h, best_epochs[h]]
            if epoch == 0 or validation[h, epoch] > so_far or np.isnan(so_far):
                best_epochs[h] = epoch
                best[h] = heads.parameters[h]
        if on_progress is not None:
            on_progress(epoch + 1, training.epochs)
    scores = [
        data.logits(best[h : h + 1], splits[key.split].test)[0].cpu().numpy()
        for h, key in enumerate(keys)
    ]
    natural = sorted(range(len(keys)), key=lambda h: (keys[h].split, keys[h].seed))
    return ProbeResult(
        keys=[keys[h] for h in natural],
        validation=validation[natural],
        losses=losses[natural],
        best_epochs=best_epochs[natural],
        scores=[scores[h] for h in natural],
    )


class _ProbeData:
    """Normalised embeddings and labels on the device."""

    def __init__(
        self,
        embeddings: NDArray[np.float32],
        labels: NDArray[np.int64] | NDArray[np.bool_],
        training: ProbeTraining,
    ) -> None:
        self.training = training
        self.dimension = embeddings.shape[1]
        features = torch.from_numpy(embeddings).to(training.device)
        self.features = normalised(features)
        self.labels = torch.from_numpy(labels).to(training.device)
        self.host_labels = labels

    def logits(self, parameters: torch.Tensor, indices: NDArray[np.int64]) -> torch.Tensor:
        """(H, P) parameters, (M,) items -> (H, M, C)."""
        weight, offset = folded(parameters, self.dimension)
        rows = self.features[torch.from_numpy(indices).to(self.features.device)]
        flat = torch.addmm(offset.reshape(-1), rows, weight.reshape(-1, self.dimension).T)
        return flat.view(len(indices), len(parameters), -1).transpose(0, 1)

    def evaluate(self, parameters: torch.Tensor, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """Validation metric of each head on some items."""
        if self.training.loss == "bce":
            scores = self.logits(parameters, indices).cpu().numpy()
            wanted = self.host_labels[indices]
            absent = self.training.absent_classes
            return np.array([mean_average_precision(wanted, one, absent) for one in scores])
        step = max(1, _LOGITS // (len(parameters) * self.training.num_classes))
        right = np.zeros(len(parameters))
        for start in range(0, len(indices), step):
            part = indices[start : start + step]
            predicted = self.logits(parameters, part).argmax(dim=2).cpu().numpy()
            right += (predicted == self.host_labels[part]).sum(axis=1)
        return right / len(indices)


class _ClipHeads(Heads):
    """Heads of several splits, each of which trains on its own clips in its own order."""

    def __init__(self, keys: Sequence[HeadKey], dimension: int, training: ProbeTraining) -> None:
        super().__init__(keys, dimension, training.num_classes, training.device)
        self.training = training

    def train_epoch(
        self, data: _ProbeData, shuffled: Sequence[NDArray[np.int64]], rate: float
    ) -> NDArray[np.float64]:
        """One pass of every head over its own items in its own order; its batches' mean loss."""
        size = self.training.batch_size
        batches = [-(-len(order) // size) for order in shuffled]
        # the last batch may be short: padded with item 0 at weight 0
        chosen = np.zeros((len(shuffled), max(batches) * size), np.int64)
        weights = np.zeros(chosen.shape, np.float32)
        for h, order in enumerate(shuffled):
            chosen[h, : len(order)] = order
            whole = len(order) // size * size
            weights[h, :whole] = 1 / size
            weights[h, whole : len(order)] = 1 / max(1, len(order) - whole)
        device = self.parameters.device
        items = torch.from_numpy(chosen).to(device)
        item_weights = torch.from_numpy(weights).to(device)
        losses = torch.zeros(len(shuffled), dtype=torch.float64, device=device)
        for step in range(max(batches)):
            active = sum(count > step for count in batches)
            window = slice(step * size, (step + 1) * size)
            losses[:active] += self._backward(
                data, items[:active, window], item_weights[:active, window]
            )
            self.update(active, rate)
        mean: NDArray[np.float64] = losses.cpu().numpy() / batches
        return mean

    def _backward(
        self, data: _ProbeData, items: torch.Tensor, weights: torch.Tensor
    ) -> torch.Tensor:
        """Gradient of the first A heads' weighted mean loss, and the loss (A,).

        items and weights are (A, B).
        """
        active = len(items)
        batch = data.features.index_select(0, items.reshape(-1))
        features = batch.view(active, -1, self.dimension)
        weight, offset = folded(self.parameters[:active], self.dimension)
        logits = torch.baddbmm(offset[:, :, None], weight, features.transpose(1, 2))
        labels = data.labels[items]
        each = self._loss(logits, labels)
        slope = self._slope(logits, labels)
        slope *= weights[:, None, :]
        self.set_gradient(torch.bmm(slope, features), slope.sum(dim=2))
        return (each * weights).sum(dim=1)

    def _loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Each item's loss: logits (A, C, B), labels (A, B) or (A, B, C) -> (A, B)."""
        if self.training.loss == "bce":
            wanted = labels.transpose(1, 2).float()
            return torch.nn.functional.binary_cross_entropy_with_logits(
                logits, wanted, reduction="none"
            ).mean(dim=1)
        return torch.nn.functional.cross_entropy(logits, labels, reduction="none")

    def _slope(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Gradient of each item's loss by its logits: (A, C, B), labels (A, B) or (A, B, C)."""
        if self.training.loss == "bce":
            return (torch.sigmoid(logits) - labels.transpose(1, 2).float()) / logits.shape[1]
        slope = torch.softmax(logits, dim=1)
        target = labels[:, None, :]
        return slope.scatter_(1, target, slope.gather(1, target) - 1)
