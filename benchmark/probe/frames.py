"""A linear head on every frame, for all seeds in one pass over frames that stay on the disk.

The clips' order is the same for every seed, so that a block of frames is read once and multiplied
once with all heads; seeds differ in the heads' first weights. What is learned of the frames is the
objective's: `timed` (events, notes) and `ctc` (transcripts).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark.probe.heads import HeadKey, Heads, Training, folded, normalised, threads_worth
from benchmark.splits import Split

BLOCK = 1 << 14  # frames at once; bounds memory however long a recording is


class Span(NamedTuple):
    """Frames start..stop of a clip, given by its index among the items.

    Frames beyond the clip's own are zero: what a batch is padded with.
    """

    clip: int
    start: int
    stop: int


class Objective(Protocol):
    """What heads learn and how they are judged. S seeds, O outputs a frame."""

    outputs: int

    def batches(
        self, clips: NDArray[np.int64], size: int, rng: np.random.Generator
    ) -> list[NDArray[np.int64]]:
        """An epoch's batches of so many training clips each."""

    def blocks(self, batch: NDArray[np.int64]) -> Iterator[list[Span]]:
        """A batch's frames in pieces that are computed one after the other."""

    def slope(
        self, logits: torch.Tensor, block: list[Span], batch: NDArray[np.int64]
    ) -> tuple[torch.Tensor, NDArray[np.float64]]:
        """Gradient by the logits (n, S, O) of a block's share of its batch's loss; and it, (S,)."""

    def extent(self, clip: int) -> int:
        """How many frames of a validation or test clip are predicted."""

    def decide(self, logits: torch.Tensor) -> NDArray[Any]:
        """What is predicted for each frame: (n, S, O) -> (n, S, ...)."""

    def decode(self, decided: NDArray[Any], clip: int) -> list[Any]:
        """What each seed predicts for a clip, from `decide` of all its frames."""

    def quality(self, predicted: list[list[Any]], clips: NDArray[np.int64]) -> list[Any]:
        """How good each seed's predictions (clip by clip, from `decode`) are; larger is better.

        A number or a tuple of them, the later ones for ties.
        """


@dataclass(frozen=True)
class FrameResult:
    """What the heads of all seeds learned; S seeds.

    losses: (epochs, S) mean training loss of each epoch's batches.
    best_epochs: (S,) the epoch that was tested, the first of the best, counted from 0.
    predicted: for each test clip, each seed's prediction.
    validation: (epochs, S) validation metric after each epoch.
    """

    losses: NDArray[np.float64]
    best_epochs: NDArray[np.int64]
    predicted: list[list[Any]]
    validation: NDArray[np.float64]


def train_on_frames(
    frames: Sequence[NDArray[np.float16]],
    split: Split,
    seeds: Sequence[int],
    training: Training,
    objective: Objective,
    on_step: Callable[[int, int], None] | None = None,
) -> FrameResult:
    """Train one head a seed on the frames of a split's clips, and predict its test clips.

    frames: for each item (F, D), perhaps memory-mapped. on_step(done, total) is called after every
    step. A head depends on its seed and the data, not on which others are trained beside it
    (beyond rounding).
    """
    dimension = frames[int(split.train[0])].shape[1]
    keys = [HeadKey(0, seed) for seed in seeds]
    heads = Heads(keys, dimension, objective.outputs, training.device)
    rng = np.random.default_rng([1])
    best = heads.parameters.clone()
    best_epochs = np.zeros(len(seeds), np.int64)
    best_quality: list[Any] = [None] * len(seeds)
    losses, validation = np.zeros((2, training.epochs, len(seeds)))
    done = 0
    for epoch in range(training.epochs):
        batches = objective.batches(split.train, training.batch_size, rng)
        for batch in batches:
            losses[epoch] += _step(heads, frames, batch, objective, training.rate(epoch))
            done += 1
            if on_step is not None:
                on_step(done, training.epochs * len(batches))
        losses[epoch] /= len(batches)
        predicted = [_predict(heads.parameters, frames[i], i, objective) for i in split.valid]
        for s, quality in enumerate(objective.quality(predicted, split.valid)):
            validation[epoch, s] = quality[0] if isinstance(quality, tuple) else quality
            if best_quality[s] is None or quality > best_quality[s]:
                best_quality[s], best_epochs[s] = quality, epoch
                best[s] = heads.parameters[s]
    tested = [_predict(best, frames[i], i, objective) for i in split.test]
    return FrameResult(losses, best_epochs, tested, validation)


def _step(
    heads: Heads,
    frames: Sequence[NDArray[np.float16]],
    batch: NDArray[np.int64],
    objective: Objective,
    rate: float,
) -> NDArray[np.float64]:
    """One step of Adam; returns each head's loss on the batch before it."""
    parameters, dimension = heads.parameters, heads.dimension
    count, outputs = len(parameters), objective.outputs
    weight, offset = folded(parameters, dimension)
    product = torch.zeros(count * outputs, dimension, device=parameters.device)
    total = torch.zeros(count * outputs, device=parameters.device)
    loss = np.zeros(count)
    for block in objective.blocks(batch):
        features = _features([_rows(frames[s.clip], s) for s in block], parameters.device)
        with threads_worth(len(features) * count * outputs * dimension):
            logits = _logits(features, weight, offset)
            slope, share = objective.slope(logits, block, batch)
            flat = slope.reshape(len(features), -1)
            product.addmm_(flat.T, features)
            total += flat.sum(dim=0)
        loss += share
    heads.set_gradient(product.view(count, outputs, dimension), total.view(count, outputs))
    heads.update(count, rate)
    return loss


def _predict(
    parameters: torch.Tensor, frames: NDArray[np.float16], clip: int, objective: Objective
) -> list[Any]:
    weight, offset = folded(parameters, frames.shape[1])
    decided = []
    total = objective.extent(int(clip))
    for start in range(0, total, BLOCK):
        span = Span(int(clip), start, min(total, start + BLOCK))
        features = _features([_rows(frames, span)], parameters.device)
        with threads_worth(len(features) * weight.numel()):
            decided.append(objective.decide(_logits(features, weight, offset)))
    return objective.decode(np.concatenate(decided), int(clip))


def _rows(frames: NDArray[np.float16], span: Span) -> NDArray[np.float16]:
    """The frames of a span, (n, D)."""
    own = frames[span.start : span.stop]
    beyond = span.stop - span.start - len(own)
    return np.pad(own, ((0, beyond), (0, 0))) if beyond else own


def _features(parts: Sequence[NDArray[np.float16]], device: torch.device) -> torch.Tensor:
    """(n, D) float32, normalised, on the device."""
    values = torch.from_numpy(np.concatenate(parts)).to(device)
    return normalised(values.float())


def _logits(features: torch.Tensor, weight: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
    """(n, D) by heads (S, O, D) and (S, O) -> (n, S, O)."""
    heads, outputs, dimension = weight.shape
    flat = torch.addmm(offset.reshape(-1), features, weight.reshape(-1, dimension).T)
    return flat.view(-1, heads, outputs)
