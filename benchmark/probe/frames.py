"""A linear head on every frame, for all seeds and learning rates in one pass over the frames.

The clips' order is the same for every head, so that a block of frames is read once and multiplied
once with all heads; seeds differ in the heads' first weights. Frames stay on the disk, but for a
few. What is learned of the frames is the
objective's: `timed` (events, notes) and `ctc` (transcripts).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from earmark.benchmark.probe.heads import (
    HeadKey,
    Heads,
    LinearHeads,
    Training,
    normalised,
    threads_worth,
)
from earmark.benchmark.probe.search import Chosen, Search
from earmark.benchmark.probe.splits import Split
from earmark.benchmark.probe.standard import FrameFeatures, Standard

BLOCK = 1 << 14  # frames at once; bounds memory however long a recording is


class Span(NamedTuple):
    """Frames start..stop of a clip, given by its index among the items.

    Frames beyond the clip's own are zero: what a batch is padded with.
    """

    clip: int
    start: int
    stop: int


class Objective(Protocol):
    """What heads learn and how they are judged. S heads, O outputs a frame."""

    outputs: int

    def batches(
        self, clips: NDArray[np.int64], size: int, rng: np.random.Generator
    ) -> list[NDArray[np.int64]]:
        """An epoch's batches of so many training clips each."""

    def blocks(self, batch: NDArray[np.int64]) -> Iterator[list[Span]]:
        """A batch's frames in pieces that are computed one after the other."""

    def slope(
        self,
        logits: torch.Tensor,
        block: list[Span],
        batch: NDArray[np.int64],
        *,
        with_loss: bool = True,
    ) -> tuple[torch.Tensor, NDArray[np.float64]]:
        """Gradient by the logits (n, S, O) of a block's share of its batch's loss; and it, (S,).

        Where the loss is not wanted it may be 0.
        """

    def extent(self, clip: int) -> int:
        """How many frames of a validation or test clip are predicted."""

    def decide(self, logits: torch.Tensor) -> NDArray[Any]:
        """What is predicted for each frame: (n, S, O) -> (n, S, ...)."""

    def decode(self, decided: NDArray[Any], clip: int) -> list[Any]:
        """What each head predicts for a clip, from `decide` of all its frames."""

    def quality(self, predicted: list[list[Any]], clips: NDArray[np.int64]) -> list[Any]:
        """How good each head's predictions (clip by clip, from `decode`) are; larger is better.

        A number or a tuple of them, the later ones for ties.
        """


@dataclass(frozen=True)
class FrameResult(Chosen):
    """What was chosen for each seed. predicted: for each test clip, each seed's prediction."""

    predicted: list[list[Any]]


def train_on_frames(
    frames: Sequence[NDArray[np.float16]],
    split: Split,
    seeds: Sequence[int],
    training: Training,
    objective: Objective,
    on_progress: Callable[[int, int], None] | None = None,
) -> FrameResult:
    """Train heads on the frames of a split's clips, and predict its test clips.

    frames: for each item (F, D), perhaps memory-mapped. Each seed has a head for every learning
    rate, all of them in one product; see `Search` for which is tested. on_progress(done, total) is
    called after every step. A head depends on its seed, its rate and the data, not on which others
    are trained beside it (beyond rounding).
    """
    dimension = frames[int(split.train[0])].shape[1]
    batches = len(objective.batches(split.train, training.batch_size, np.random.default_rng([1])))
    search = Search(len(seeds), training, batches)
    keys = [HeadKey(0, seed) for seed in seeds for _ in search.rates]
    kind = LinearHeads if training.standardised else Heads
    heads = kind(keys, dimension, objective.outputs, training.device)
    features = _features(frames, split, training)
    rng = np.random.default_rng([1])
    best = heads.parameters[:: len(search.rates)].clone()
    for epoch in range(search.epochs):
        rates, judged = search.learning_rates(epoch), search.is_checkpoint(epoch)
        losses = np.zeros(len(search.alive))
        for number, batch in enumerate(objective.batches(split.train, training.batch_size, rng)):
            losses += _step(heads, features, batch, objective, rates, with_loss=judged)
            if on_progress is not None:
                on_progress(epoch * batches + number + 1, search.epochs * batches)
        if not judged:
            continue
        folded = heads.folded(heads.parameters)
        predicted = [_predict(folded, features, clip, objective) for clip in split.valid.tolist()]
        quality = objective.quality(predicted, split.valid)
        better, kept = search.judge(epoch, quality, losses / batches)
        for place, seed in better:
            best[seed] = heads.parameters[place]
        if not kept:
            break
        if len(kept) < len(losses):
            heads.keep(kept)
    folded = heads.folded(best)
    tested = [_predict(folded, features, clip, objective) for clip in split.test.tolist()]
    return FrameResult(**vars(search.chosen()), predicted=tested)


def _features(
    frames: Sequence[NDArray[np.float16]], split: Split, training: Training
) -> FrameFeatures:
    """The frames that heads see, by what is known of those that are trained on."""
    if not training.standardised:
        return FrameFeatures(frames, normalised, training.device, np.zeros(0, np.int64))
    standard = Standard.over((frames[i] for i in split.train.tolist()), training.device)
    again = np.concatenate([split.train, split.valid])
    return FrameFeatures(frames, standard.of, training.device, again)


def _step(
    heads: Heads,
    features: FrameFeatures,
    batch: NDArray[np.int64],
    objective: Objective,
    rates: NDArray[np.float64],
    *,
    with_loss: bool,
) -> NDArray[np.float64]:
    """One step of Adam; returns each head's loss on the batch before it, or 0."""
    parameters, dimension = heads.parameters, heads.dimension
    count, outputs = len(parameters), objective.outputs
    weight, offset = heads.folded(parameters)
    product = torch.zeros(count * outputs, dimension, device=parameters.device)
    total = torch.zeros(count * outputs, device=parameters.device)
    loss = np.zeros(count)
    for block in objective.blocks(batch):
        values = features.rows(block)
        with threads_worth(len(values) * count * outputs * dimension):
            logits = _logits(values, weight, offset)
            slope, share = objective.slope(logits, block, batch, with_loss=with_loss)
            flat = slope.reshape(len(values), -1)
            product.addmm_(flat.T, values)
            total += flat.sum(dim=0)
        loss += share
    heads.set_gradient(product.view(count, outputs, dimension), total.view(count, outputs))
    heads.update(count, rates)
    return loss


def _predict(
    folded: tuple[torch.Tensor, torch.Tensor],
    features: FrameFeatures,
    clip: int,
    objective: Objective,
) -> list[Any]:
    weight, offset = folded
    decided = []
    total = objective.extent(clip)
    for start in range(0, total, BLOCK):
        values = features.rows([Span(clip, start, min(total, start + BLOCK))])
        with threads_worth(len(values) * weight.numel()):
            decided.append(objective.decide(_logits(values, weight, offset)))
    return objective.decode(np.concatenate(decided), clip)


def _logits(features: torch.Tensor, weight: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
    """(n, D) by heads (S, O, D) and (S, O) -> (n, S, O)."""
    heads, outputs, dimension = weight.shape
    flat = torch.addmm(offset.reshape(-1), features, weight.reshape(-1, dimension).T)
    return flat.view(-1, heads, outputs)
