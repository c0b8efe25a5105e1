"""The towers of many seeds and learning rates at once, on standardised clips.

They are the towers of `towers` without the LayerNorm, begun as those are; what each would do alone
(loss, gradient, Adam) is one batched product a layer here. All heads learn the same captions in the
same order; seeds differ in the first weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import gelu, normalize

from earmark.benchmark.probe.heads import Adam, Training, threads_worth
from earmark.benchmark.probe.search import Search
from earmark.benchmark.probe.splits import Split
from earmark.benchmark.probe.standard import Standard
from earmark.benchmark.probe.towers import (
    Captions,
    Pairs,
    TowerResult,
    Towers,
    kind_of_towers,
    mean_recall,
)

Losses = NDArray[np.float64]
Cosines = NDArray[np.float32]


class TowerStack(Adam):
    """Towers of a kind, H of them; a row of parameters holds those of one.

    first: the towers that they begin as, one each; none has a LayerNorm that is used.
    """

    def __init__(self, first: Sequence[Towers], device: str) -> None:
        self.kind = type(first[0])
        states = [one.state_dict() for one in first]
        self.names = [name for name in states[0] if not name.startswith("clip_norm")]
        self.shapes = [states[0][name].shape for name in self.names]
        rows = [torch.cat([state[name].reshape(-1) for name in self.names]) for state in states]
        super().__init__(torch.stack(rows).to(device))

    def views(self, rows: torch.Tensor) -> dict[str, torch.Tensor]:
        """The parameters in rows (H, P) by their names, (H, ...) each."""
        parts = rows.split([shape.numel() for shape in self.shapes], dim=1)
        return {
            name: part.unflatten(1, shape) if shape else part[:, 0]
            for name, part, shape in zip(self.names, parts, self.shapes, strict=True)
        }

    def step(self, data: Pairs, batch: NDArray[np.int64], rates: NDArray[np.float64]) -> Losses:
        """One step of Adam on a batch of captions with their clips; the losses before it, (H,)."""
        leaves = {
            name: view.detach().requires_grad_()
            for name, view in self.views(self.parameters).items()
        }
        owners = data.captions.clips[batch]
        with threads_worth(len(batch) * self.parameters.numel()):
            clips = project_clips(leaves, data.clips(owners))
            texts = project_captions(leaves, *data.bags(batch))
            losses = self.kind.loss_of(clips, texts, leaves["scale"], owners)
            slopes = torch.autograd.grad(losses.sum(), list(leaves.values()))
            into = self.views(self.gradient)
            for name, slope in zip(leaves, slopes, strict=True):
                into[name].copy_(slope)
            self.update(len(rates), rates)
        found: Losses = losses.detach().double().cpu().numpy()
        return found

    @torch.no_grad()
    def similarity(self, rows: torch.Tensor, data: Pairs, items: NDArray[np.int64]) -> Cosines:
        """Cosine of each clip with each caption of them, by the towers in rows: (H, N, M)."""
        own = self.views(rows)
        clips = normalize(project_clips(own, data.clips(items)), dim=-1)
        texts = normalize(project_captions(own, *data.bags(data.captions.of(items))), dim=-1)
        found: Cosines = torch.bmm(clips, texts.mT).cpu().numpy()
        return found


def project_clips(own: dict[str, torch.Tensor], embeddings: torch.Tensor) -> torch.Tensor:
    """(N, D) -> (H, N, W)."""
    every = embeddings.expand(len(own["scale"]), -1, -1)
    return _linear(own, "clip_out", gelu(_linear(own, "clip_in", every)))


def project_captions(
    own: dict[str, torch.Tensor], tokens: torch.Tensor, shares: torch.Tensor
) -> torch.Tensor:
    """Tokens (U,) with their shares (M, U) -> (H, M, W)."""
    hidden = gelu(_linear(own, "text_in", own["token.weight"][:, tokens]))
    # the last layer is linear, so the mean may be taken before it
    return _linear(own, "text_out", torch.matmul(shares, hidden))


def _linear(own: dict[str, torch.Tensor], layer: str, values: torch.Tensor) -> torch.Tensor:
    weight, bias = own[f"{layer}.weight"], own[f"{layer}.bias"]
    return torch.baddbmm(bias[:, None], values, weight.mT)


def train_stack(
    embeddings: NDArray[np.float32],
    captions: Captions,
    split: Split,
    seeds: Sequence[int],
    training: Training,
    on_progress: Callable[[int, int], None] | None,
    *,
    unit_length: bool,
    width: int,
) -> TowerResult:
    """As `train_towers`, for a training on standardised clips: all heads at once."""
    kind = kind_of_towers(unit_length)
    standard = Standard.over([embeddings[split.train]])
    data = Pairs(standard.of(torch.from_numpy(embeddings)).numpy(), captions, training.device)
    rng = np.random.default_rng([1])
    batches = -(-len(captions.of(split.train)) // training.batch_size)
    search = Search(len(seeds), training, batches)
    first = [kind(embeddings.shape[1], captions.vocabulary, seed, width) for seed in seeds]
    stack = TowerStack([one for one in first for _ in search.rates], training.device)
    best = stack.parameters[:: len(search.rates)].clone()
    for epoch in range(search.epochs):
        pairs = kind.order(captions, split.train, rng)
        rates = search.learning_rates(epoch)
        losses = np.zeros(len(rates))
        for start in range(0, len(pairs), training.batch_size):
            losses += stack.step(data, pairs[start : start + training.batch_size], rates)
        if on_progress is not None:
            on_progress(epoch + 1, search.epochs)
        if not search.is_checkpoint(epoch):
            continue
        reached = [
            mean_recall(one, captions, split.valid, 1)
            for one in stack.similarity(stack.parameters, data, split.valid)
        ]
        better, kept = search.judge(epoch, reached, losses / batches)
        for place, seed in better:
            best[seed] = stack.parameters[place]
        if not kept:
            break
        if len(kept) < len(rates):
            stack.keep(kept)
    tested = list(stack.similarity(best, data, split.test))
    return TowerResult(**vars(search.chosen()), similarities=tested)
