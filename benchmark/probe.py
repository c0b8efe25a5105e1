"""The linear probe: many heads trained together on embeddings held in memory.

A head is `LayerNorm(D) -> Linear(D, C)` for one split and one seed. LayerNorm without its scale
and shift is the same for every head, so it is applied to the embeddings once; what is left of all
heads is one batched matrix product a step. Gradients are written out: they are four products, and
automatic differentiation would cost more than they do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark.metric import mean_average_precision
from benchmark.splits import Split

_LAYER_NORM_EPS = 1e-5  # as torch.nn.LayerNorm
_BETA1, _BETA2, _ADAM_EPS = 0.9, 0.999, 1e-8
_LOGITS = 1 << 25  # at once when predicting; bounds memory
# Below so many multiplications a step, threads cost more than they save; on a busy machine, where
# they wait for each other, 50 times more.
_SMALL_STEP = 1 << 25


@dataclass(frozen=True)
class HeadKey:
    """Which head: index of its split, and its seed."""

    split: int
    seed: int


@dataclass(frozen=True)
class ProbeTraining:
    """How heads are trained; see `ProbeSettings` and `Protocol`.

    loss: `cross_entropy` (labels (N,) class indices) or `bce` (labels (N, C) bool).
    """

    epochs: int
    batch_size: int
    learning_rate: float
    learning_rate_floor: float
    loss: str
    num_classes: int
    device: str = "cpu"

    def rate(self, epoch: int) -> float:
        """Adam's rate in an epoch: a cosine from the rate towards its floor, set once an epoch."""
        low = self.learning_rate * self.learning_rate_floor
        cosine = (1 + np.cos(np.pi * epoch / self.epochs)) / 2
        return float(low + (self.learning_rate - low) * cosine)


@dataclass(frozen=True)
class ProbeResult:
    """What the heads of one task learned; lists and axes are in the order of `keys`.

    validation: (H, epochs) validation metric after each epoch.
    best_epochs: (H,) the epoch that was tested, the first of the best, counted from 0.
    scores: per head, (test items of its split, C) float32 logits at that epoch.
    """

    keys: list[HeadKey]
    validation: NDArray[np.float64]
    best_epochs: NDArray[np.int64]
    scores: list[NDArray[np.float32]]


def train_heads(
    embeddings: NDArray[np.float32],
    labels: NDArray[np.int64] | NDArray[np.bool_],
    splits: Sequence[Split],
    seeds: Sequence[int],
    training: ProbeTraining,
    on_epoch: Callable[[int, int], None] | None = None,
) -> ProbeResult:
    """Train one head for each split and seed, and score each split's test items.

    embeddings: (N, D); labels: (N,) or (N, C), see `ProbeTraining.loss`. on_epoch(done, total) is
    called after every epoch. A head depends on its split, its seed and the data, not on which
    heads are trained beside it (beyond rounding).
    """
    # heads with more batches an epoch first: the active ones are then always a prefix
    keys = sorted(
        (HeadKey(s, seed) for s in range(len(splits)) for seed in seeds),
        key=lambda key: (-len(splits[key.split].train), key.split, key.seed),
    )
    step = len(keys) * training.batch_size * training.num_classes * embeddings.shape[1]
    with _threads_worth(step):
        return _train(keys, _ProbeData(embeddings, labels, training), splits, on_epoch)


def _train(
    keys: list[HeadKey],
    data: _ProbeData,
    splits: Sequence[Split],
    on_epoch: Callable[[int, int], None] | None,
) -> ProbeResult:
    training = data.training
    heads = _Heads(keys, data.dimension, training)
    best = heads.parameters.clone()
    validation = np.full((len(keys), training.epochs), np.nan)
    best_epochs = np.zeros(len(keys), np.int64)
    orders = [np.random.default_rng([key.seed, key.split, 1]) for key in keys]
    for epoch in range(training.epochs):
        shuffled = [
            order.permutation(splits[key.split].train)
            for order, key in zip(orders, keys, strict=True)
        ]
        heads.train_epoch(data, shuffled, training.rate(epoch))
        for s, split in enumerate(splits):
            mine = [h for h, key in enumerate(keys) if key.split == s]
            validation[mine, epoch] = data.evaluate(heads.parameters[mine], split.valid)
        for h in range(len(keys)):
            so_far = validation[h, best_epochs[h]]
            if epoch == 0 or validation[h, epoch] > so_far or np.isnan(so_far):
                best_epochs[h] = epoch
                best[h] = heads.parameters[h]
        if on_epoch is not None:
            on_epoch(epoch + 1, training.epochs)
    scores = [
        data.logits(best[h : h + 1], splits[key.split].test)[0].cpu().numpy()
        for h, key in enumerate(keys)
    ]
    natural = sorted(range(len(keys)), key=lambda h: (keys[h].split, keys[h].seed))
    return ProbeResult(
        keys=[keys[h] for h in natural],
        validation=validation[natural],
        best_epochs=best_epochs[natural],
        scores=[scores[h] for h in natural],
    )


@contextlib.contextmanager
def _threads_worth(multiplications: int) -> Iterator[None]:
    """One CPU thread inside, where a step is small; by its size alone, so that bits repeat."""
    threads = torch.get_num_threads()
    if multiplications < _SMALL_STEP:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


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
        self.features = torch.nn.functional.layer_norm(
            features, (self.dimension,), eps=_LAYER_NORM_EPS
        )
        self.labels = torch.from_numpy(labels).to(training.device)
        self.host_labels = labels

    def logits(self, parameters: torch.Tensor, indices: NDArray[np.int64]) -> torch.Tensor:
        """(H, P) parameters, (M,) items -> (H, M, C)."""
        weight, bias, scale, shift = split_parameters(parameters, self.dimension)
        rows = self.features[torch.from_numpy(indices).to(self.features.device)]
        # scale and shift fold into the linear layer, so one product serves all heads
        folded = (weight * scale[:, None, :]).reshape(-1, self.dimension)
        offset = bias + torch.einsum("hcd,hd->hc", weight, shift)
        flat = torch.addmm(offset.reshape(-1), rows, folded.T)
        return flat.view(len(indices), len(parameters), -1).transpose(0, 1)

    def evaluate(self, parameters: torch.Tensor, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """Validation metric of each head on some items."""
        if self.training.loss == "bce":
            scores = self.logits(parameters, indices).cpu().numpy()
            wanted = self.host_labels[indices]
            return np.array([mean_average_precision(wanted, one) for one in scores])
        step = max(1, _LOGITS // (len(parameters) * self.training.num_classes))
        right = np.zeros(len(parameters))
        for start in range(0, len(indices), step):
            part = indices[start : start + step]
            predicted = self.logits(parameters, part).argmax(dim=2).cpu().numpy()
            right += (predicted == self.host_labels[part]).sum(axis=1)
        return right / len(indices)


class _Heads:
    """The heads' parameters, one row each, and Adam's state (Kingma and Ba, arXiv 1412.6980)."""

    def __init__(self, keys: Sequence[HeadKey], dimension: int, training: ProbeTraining) -> None:
        self.training = training
        self.dimension = dimension
        rows = [initial_parameters(key, dimension, training.num_classes) for key in keys]
        self.parameters = torch.from_numpy(np.stack(rows)).to(training.device)
        self.gradient = torch.zeros_like(self.parameters)
        self.first_moment = torch.zeros_like(self.parameters)
        self.second_moment = torch.zeros_like(self.parameters)
        self.steps = np.zeros(len(keys), np.int64)

    def train_epoch(
        self, data: _ProbeData, shuffled: Sequence[NDArray[np.int64]], rate: float
    ) -> None:
        """One pass of every head over its own items in its own order."""
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
        for step in range(max(batches)):
            active = sum(count > step for count in batches)
            window = slice(step * size, (step + 1) * size)
            self._backward(data, items[:active, window], item_weights[:active, window])
            self._update(active, rate)

    def _backward(self, data: _ProbeData, items: torch.Tensor, weights: torch.Tensor) -> None:
        """Gradient of the first A heads' weighted mean loss: items and weights are (A, B)."""
        active = len(items)
        weight, bias, scale, shift = split_parameters(self.parameters[:active], self.dimension)
        into = split_parameters(self.gradient[:active], self.dimension)
        batch = data.features.index_select(0, items.reshape(-1))
        features = batch.view(active, -1, self.dimension)
        # LayerNorm's scale and shift fold into the linear layer, here and in the gradients, so
        # that nothing but the two products runs over batch x dimension
        folded = weight * scale[:, None, :]
        offset = bias + (weight * shift[:, None, :]).sum(dim=2)
        logits = torch.baddbmm(offset[:, :, None], folded, features.transpose(1, 2))
        slope = self._slope(logits, data.labels[items])
        slope *= weights[:, None, :]
        product = torch.bmm(slope, features)
        total = slope.sum(dim=2)
        torch.mul(product, scale[:, None, :], out=into[0])
        into[0].addcmul_(total[:, :, None], shift[:, None, :])
        into[1].copy_(total)
        into[2].copy_(product.mul_(weight).sum(dim=1))
        into[3].copy_(torch.bmm(total[:, None, :], weight)[:, 0])

    def _slope(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Gradient of each item's loss by its logits: (A, C, B), labels (A, B) or (A, B, C)."""
        if self.training.loss == "bce":
            return (torch.sigmoid(logits) - labels.transpose(1, 2).float()) / logits.shape[1]
        slope = torch.softmax(logits, dim=1)
        target = labels[:, None, :]
        return slope.scatter_(1, target, slope.gather(1, target) - 1)

    def _update(self, active: int, rate: float) -> None:
        """One step of Adam for the first heads, each with its own count of steps."""
        self.steps[:active] += 1
        gradient = self.gradient[:active]
        first, second = self.first_moment[:active], self.second_moment[:active]
        first.lerp_(gradient, 1 - _BETA1)
        second.mul_(_BETA2).addcmul_(gradient, gradient, value=1 - _BETA2)
        # both bias corrections as one number a head: rate / c1 * m / (sqrt(v) / c2 + eps)
        # = rate * c2 / c1 * m / (sqrt(v) + eps * c2)
        correction = np.sqrt(1 - _BETA2 ** self.steps[:active])
        size = rate * correction / (1 - _BETA1 ** self.steps[:active])
        root = second.sqrt().add_(self._column(_ADAM_EPS * correction))
        self.parameters[:active].addcdiv_(first * self._column(size), root, value=-1)

    def _column(self, values: NDArray[np.float64]) -> torch.Tensor:
        """One number a head, (A, 1), on the device."""
        return torch.from_numpy(values.astype(np.float32)).to(self.parameters.device)[:, None]


def split_parameters(
    rows: torch.Tensor, dimension: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Views of rows (H, P): weight (H, C, D), bias (H, C), LayerNorm scale and shift (H, D)."""
    classes = (rows.shape[1] - 2 * dimension) // (dimension + 1)
    weight, bias, scale, shift = rows.split(
        [classes * dimension, classes, dimension, dimension], dim=1
    )
    return weight.unflatten(1, (classes, dimension)), bias, scale, shift


def initial_parameters(key: HeadKey, dimension: int, classes: int) -> NDArray[np.float32]:
    """A head's row before training, drawn as torch.nn.Linear and LayerNorm begin.

    Weight and bias uniform in +-1/sqrt(D), scale 1, shift 0; from the head's seed and split.
    """
    bound = 1 / np.sqrt(dimension)
    drawn = np.random.default_rng([key.seed, key.split, 0]).uniform(
        -bound, bound, classes * (dimension + 1)
    )
    rest = [np.ones(dimension), np.zeros(dimension)]
    return np.concatenate([drawn, *rest]).astype(np.float32)
