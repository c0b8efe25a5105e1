"""The best of a grid of hidden layers and readouts, in each fold the one that validation prefers.

Every layer was probed on every readout before; their validation losses are of the same items and
labels, so they may be compared as those of strengths are, and no test item takes part. What is
chosen is fitted once more for its test scores. A sweep over blocks and poolings together, chosen on
validation: DINOv2's linear evaluation (arXiv 2304.07193).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from earmark.benchmark.io.progress import ProgressFactory, no_progress
from earmark.benchmark.probe.items import Items
from earmark.benchmark.probe.splits import make_splits
from earmark.benchmark.protocol import Protocol
from earmark.benchmark.readouts import BEST, MEAN
from earmark.benchmark.result.scores import Score
from earmark.benchmark.score.clips import judged_by_clip, scored_clips
from earmark.benchmark.score.majority import majority_score
from earmark.benchmark.score.presence import class_presence
from earmark.benchmark.score.readouts import Tried, features_of, fit_readout, scored_readout
from earmark.benchmark.score.scored import Scored, ScoreInputs
from earmark.benchmark.shards.dataset import DataError
from earmark.tasks import TaskSpec


class Candidate(NamedTuple):
    """One field of the grid."""

    layer: str
    readout: str

    def __str__(self) -> str:
        return f"{self.layer} {self.readout}"


def chosen_by_fold(
    scores: Mapping[str, Score], *, mean_alone: bool = False
) -> dict[str, Candidate]:
    """By fold, the layer and readout with the least validation loss; of equal ones the first.

    scores: by layer, of the linear probe, with the readouts that were asked for. mean_alone: among
    the layers by their mean. Where a fold has no validation items, the last layer's mean.
    """
    least: dict[str, tuple[float, Candidate]] = {}
    for layer, score in scores.items():
        for one in score.readouts or ():
            if one.readout == BEST or (mean_alone and one.readout != MEAN):
                continue
            for fold, loss in one.losses.items():
                if fold not in least or loss < least[fold][0]:
                    least[fold] = (loss, Candidate(layer, one.readout))
    default = Candidate(list(scores)[-1], MEAN)
    folds = dict.fromkeys(fold for score in scores.values() for fold in score.per_split)
    return {fold: least[fold][1] if fold in least else default for fold in folds}


def score_grid(
    scores: Mapping[str, Score],
    items_of: Callable[[str], Items],
    spec: TaskSpec,
    protocol: Protocol,
    *,
    device: str = "cpu",
    track: ProgressFactory = no_progress,
) -> Scored:
    """The best layer by the mean as the score of a linear probe, and the best of the grid.

    The latter is the readout `best` of that score.

    scores: by layer, as in `chosen_by_fold`. items_of: gives a layer's items, with a spread; asked
    for those that are chosen.
    Raises DataError where layers have lost different clips.
    """
    by_mean, by_all = chosen_by_fold(scores, mean_alone=True), chosen_by_fold(scores)
    fits = _Fits(items_of, spec, protocol, device, track)
    layers = [fits.tried(by_mean), fits.tried(by_all)]
    first = fits.inputs(next(iter(by_mean.values())).layer)
    judged = judged_by_clip(first)
    scored = scored_clips([one.scores for one in layers[0]], judged)
    mean, best = (
        replace(
            scored_readout(readout, tried, judged),
            chosen={fold: str(candidate) for fold, candidate in chosen.items()},
        )
        for readout, tried, chosen in zip((MEAN, BEST), layers, (by_mean, by_all), strict=True)
    )
    items, splits = first.items, first.splits
    score = replace(
        scored.scores["linear"],
        fits={split.name: one.fit for split, one in zip(splits, layers[0], strict=True)},
        readouts=[mean, best],
        majority=majority_score(items, splits, scored.predictions, spec, protocol),
    )
    return Scored(
        {"linear": score}, scored.predictions,
        parts={split.name: split.sizes for split in splits},
        classes=class_presence(items, splits, spec),
    )  # fmt: skip


class _Fits:
    """Fits of what was chosen, each once; items of the layers as they are asked for."""

    def __init__(
        self,
        items_of: Callable[[str], Items],
        spec: TaskSpec,
        protocol: Protocol,
        device: str,
        track: ProgressFactory,
    ) -> None:
        self.items_of, self.spec, self.protocol = items_of, spec, protocol
        self.device, self.track = device, track
        self._inputs: dict[str, ScoreInputs] = {}
        self._tried: dict[tuple[str, Candidate], Tried] = {}

    def inputs(self, layer: str) -> ScoreInputs:
        if layer not in self._inputs:
            items = self.items_of(layer)
            for other, known in self._inputs.items():
                _check_alike(layer, items, other, known.items)
            splits = make_splits(items, self.spec, self.protocol)
            self._inputs[layer] = ScoreInputs(
                items, splits, self.spec, self.protocol, 0.0, self.device, self.track
            )
        return self._inputs[layer]

    def tried(self, chosen: Mapping[str, Candidate]) -> list[Tried]:
        """One a fold."""
        found = []
        with self.track("best layers", len(chosen), "fits") as bar:
            for fold, candidate in chosen.items():
                if (fold, candidate) not in self._tried:
                    inputs = self.inputs(candidate.layer)
                    (split,) = (split for split in inputs.splits if split.name == fold)
                    self._tried[fold, candidate] = fit_readout(
                        features_of(inputs.items, candidate.readout), split, inputs,
                        quick=candidate.readout != MEAN,
                    )  # fmt: skip
                found.append(self._tried[fold, candidate])
                bar.advance(1)
        return found


def _check_alike(layer: str, items: Items, other: str, known: Items) -> None:
    same = all(
        np.array_equal(getattr(items, name), getattr(known, name))
        for name in ("keys", "crops", "splits")
    )
    if not same:
        raise DataError(
            f"{layer} and {other} have lost different clips, so the best layer cannot be chosen; "
            "see their failures"
        )
