"""The linear probe on other readouts than the mean, and on the best of them by validation.

Each readout is probed as the mean is: standardised by the training items, the strength chosen on
the validation items, fitted again to both. One more choice of the same kind is made for `best`: in
each fold the readout with the least validation loss. Losses of readouts may be compared as those of
strengths are: they are of the same items and labels, and no test item takes part.

The mean's own fits are the score's and are not made again; the others are `quick` (`fit_linear`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earmark.benchmark.io.progress import ProgressFactory, no_progress
from earmark.benchmark.probe.items import Items
from earmark.benchmark.probe.linear import clip_means, fit_linear
from earmark.benchmark.probe.splits import Split, make_splits
from earmark.benchmark.protocol import Protocol
from earmark.benchmark.readouts import BEST, MEAN, ReadoutScore
from earmark.benchmark.result.linear_fit import LinearFit
from earmark.benchmark.result.scores import Score
from earmark.benchmark.score.clips import judged_by_clip, score_of_clips
from earmark.benchmark.score.scored import ScoreInputs
from earmark.tasks import TaskSpec

_PARTS = {"mean": 0, "std": 1, "max": 2}


class Tried(NamedTuple):
    """One readout in one fold. scores: (tested, C). loss: None without validation."""

    scores: NDArray[np.float32]
    fit: LinearFit

    @property
    def loss(self) -> float | None:
        return least_loss(self.fit)


def features_of(items: Items, readout: str) -> NDArray[np.float32]:
    """(N, D), (N, 2 D) or (N, 3 D): the readout's statistics side by side."""
    if readout == MEAN:
        return items.embeddings
    if items.spread is None:
        raise ValueError(f"readout {readout}: the items have means alone")
    all_three = (items.embeddings, items.spread[:, 0], items.spread[:, 1])
    return np.concatenate([all_three[_PARTS[part]] for part in readout.split("+")], axis=1)


def add_readouts(
    score: Score,
    items: Items,
    spec: TaskSpec,
    protocol: Protocol,
    asked: tuple[str, ...],
    *,
    device: str = "cpu",
    track: ProgressFactory = no_progress,
) -> None:
    """Compute the readouts asked for and the best of them into a linear probe's score.

    score: as `score_items` has it of the same items. asked: as `checked_readouts` gives them, the
    mean and one more at least; items have a spread.
    """
    splits = make_splits(items, spec, protocol)
    inputs = ScoreInputs(items, splits, spec, protocol, 0.0, device, track)
    tried: dict[str, list[Tried]] = {}
    with track("readouts", (len(asked) - 1) * len(splits), "fits") as bar:
        for readout in asked[1:]:
            features = features_of(items, readout)
            tried[readout] = []
            for split in splits:
                tried[readout].append(fit_readout(features, split, inputs, quick=True))
                bar.advance(1)
    judged = judged_by_clip(inputs)
    mean = _of_the_mean(score)
    chosen = [
        _least({MEAN: mean.losses.get(split.name)} | _losses(tried, number))
        for number, split in enumerate(splits)
    ]
    best = [
        fit_readout(items.embeddings, split, inputs) if readout == MEAN else tried[readout][number]
        for number, (split, readout) in enumerate(zip(splits, chosen, strict=True))
    ]
    names = dict(zip((split.name for split in splits), chosen, strict=True))
    score.readouts = [
        mean,
        *(scored_readout(one, tried[one], judged) for one in asked[1:]),
        replace(scored_readout(BEST, best, judged), chosen=names),
    ]


def least_loss(fit: LinearFit) -> float | None:
    """The least validation loss over the strengths; None where nothing was validated."""
    return min(fit.validation_loss, default=None)


def _of_the_mean(score: Score) -> ReadoutScore:
    assert score.fits is not None
    found = {split: least_loss(fit) for split, fit in score.fits.items()}
    return ReadoutScore(
        MEAN, score.value, score.interval, score.per_split,
        {split: loss for split, loss in found.items() if loss is not None},
        converged=all(fit.converged for fit in score.fits.values()),
    )  # fmt: skip


def fit_readout(
    features: NDArray[np.float32], split: Split, inputs: ScoreInputs, *, quick: bool = False
) -> Tried:
    """One readout in one fold. quick: see `fit_linear`."""
    items = inputs.items
    clips = items.clips if inputs.protocol.tested == "clips" else np.arange(len(items))
    held_out = len(split.train) < len(split.given_train)
    model, fit = fit_linear(
        features, items.taught_labels, train=split.train, valid=split.valid,
        every=split.given_train if held_out else None, classes=inputs.spec.num_classes,
        clips=clips, device=inputs.device, quick=quick,
    )  # fmt: skip
    return Tried(clip_means(model.scores(features[split.test]), clips[split.test]), fit)


def _losses(tried: dict[str, list[Tried]], split: int) -> dict[str, float | None]:
    return {readout: found[split].loss for readout, found in tried.items()}


def _least(losses: dict[str, float | None]) -> str:
    """The readout with the least validation loss; of equal ones the first.

    The mean where nothing was validated.
    """
    known = {readout: loss for readout, loss in losses.items() if loss is not None}
    return min(known, key=lambda readout: known[readout], default=MEAN)


def scored_readout(readout: str, tried: list[Tried], judged: ScoreInputs) -> ReadoutScore:
    """What a result holds of one fit a fold. judged: see `judged_by_clip`."""
    score = score_of_clips([one.scores for one in tried], judged)
    losses = {
        split.name: one.loss
        for split, one in zip(judged.splits, tried, strict=True)
        if one.loss is not None
    }
    return ReadoutScore(
        readout, score.value, score.interval, score.per_split, losses,
        converged=all(one.fit.converged for one in tried),
    )  # fmt: skip
