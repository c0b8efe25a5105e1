"""What every kind of score is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.benchmark.io.progress import ProgressFactory
from earmark.benchmark.metric.folds import by_fold, mean_of_known
from earmark.benchmark.metric.registry import METRICS, CountMetric
from earmark.benchmark.probe import Training
from earmark.benchmark.probe.items import Items
from earmark.benchmark.probe.search import Chosen
from earmark.benchmark.probe.splits import Split
from earmark.benchmark.protocol import Protocol
from earmark.benchmark.result.schema import Predictions, Score
from earmark.benchmark.uncertainty.interval import additive_interval
from earmark.tasks import TaskSpec


@dataclass(frozen=True)
class Scored:
    """All scores of a task, and what was predicted for each tested item.

    Attributes:
        scores: by probe, `linear` and `knn`.
        predictions: of the test items.
        parts: items that trained, validated and tested, by test fold (or `test`).
        classes: see `class_presence`.
    """

    scores: dict[str, Score]
    predictions: Predictions
    parts: dict[str, dict[str, int]] = field(default_factory=dict)
    classes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ScoreInputs:
    """What a task is scored from: its items, and which of them train and test.

    Attributes:
        items: all of the task.
        splits: which of them train, validate and test, by fold.
        spec: what is measured.
        protocol: how.
        frame_rate: of the encoder, in Hz; where the task is scored by frames.
        device: `cpu` or `cuda`.
        track: what shows the progress.
    """

    items: Items
    splits: list[Split]
    spec: TaskSpec
    protocol: Protocol
    frame_rate: float
    device: str
    track: ProgressFactory


def training_of(spec: TaskSpec, protocol: Protocol, device: str) -> Training:
    """How a task's probe is trained under a protocol."""
    return Training(
        epochs=spec.probe.epochs,
        batch_size=spec.probe.batch_size,
        learning_rate=spec.probe.learning_rate,
        learning_rate_floor=protocol.learning_rate_floor,
        device=device,
        rates=protocol.learning_rates,
        least_updates=protocol.least_updates,
        checkpoints=protocol.checkpoints,
        patience=protocol.patience,
        standardised=protocol.frame_features == "standardised",
    )


def tested_items(splits: list[Split]) -> NDArray[np.int64]:
    """Test items of all splits, in order."""
    return np.concatenate([split.test for split in splits])


def counted_score(predictions: Predictions, probe: str, inputs: ScoreInputs) -> Score:
    """The score that a probe's predictions give by the task's metric, a function of sums.

    The mean over the seeds; of all test items together, or the mean over the folds (protocol:
    `fold_score`). A resample that lacks a fold has the mean of the others where the metric is
    linear; else it does not count.
    """
    spec, protocol, absent = inputs.spec, inputs.protocol, inputs.protocol.absent_classes
    metric = METRICS[spec.metric]
    assert isinstance(metric, CountMetric)
    counts = metric.counts(predictions, probe, spec.num_classes)
    apart = by_fold(counts, predictions.splits, apart=protocol.fold_score == "folds")
    per_seed = metric.value(apart.sum(axis=0), absent).mean(axis=0)
    over_folds = mean_of_known if metric.linear else np.mean
    interval = additive_interval(
        apart.mean(axis=2, keepdims=True) if metric.linear else apart,
        inputs.items.sources[tested_items(inputs.splits)],
        lambda sums: over_folds(metric.value(sums, absent), axis=-2).mean(axis=-1),
        method=protocol.interval,
        resamples=protocol.bootstrap_resamples,
        confidence=protocol.confidence,
    )
    per_split = []
    for split in inputs.splits:
        sums = counts[predictions.splits == split.name].sum(axis=0)
        seeds = sums.sum(axis=0, keepdims=True) if metric.linear else sums
        per_split.append(metric.value(seeds, absent).mean())
    score = score_of(per_seed.tolist(), interval, inputs, per_split)
    if metric.average == "macro" and absent == "left out":
        score.not_computed = spec.num_classes - _occurring(predictions, spec.num_classes)
    return score


def _occurring(predictions: Predictions, classes: int) -> int:
    """How many classes any tested item, or segment, is of."""
    labels = predictions.labels
    if labels.ndim == 1:
        return len(np.unique(labels))
    packed = predictions.segments is not None
    hot = np.unpackbits(labels, axis=1, count=classes) if packed else labels
    return int(hot.any(axis=0).sum())


def score_of(
    per_seed: Sequence[float],
    interval: tuple[float, float] | None,
    inputs: ScoreInputs,
    per_split: Sequence[float],
) -> Score:
    """A Score of the test items of all splits. per_split: mean over the seeds of each."""
    tested = tested_items(inputs.splits)
    return Score(
        metric=inputs.spec.metric,
        value=float(np.mean(per_seed)),
        per_seed=[float(value) for value in per_seed],
        spread=float(np.std(per_seed, ddof=1)) if len(per_seed) > 1 else None,
        interval=None if interval is None else list(interval),
        confidence=inputs.protocol.confidence,
        items=len(tested),
        sources=len(np.unique(inputs.items.sources[tested])),
        per_split={
            split.name: float(value) for split, value in zip(inputs.splits, per_split, strict=True)
        },
    )


def best_epochs(splits: list[Split], by_split: Sequence[NDArray[np.int64]]) -> dict[str, list[int]]:
    """Each split's tested epoch of each seed, counted from 1; by_split: counted from 0."""
    return {
        split.name: [int(epoch) + 1 for epoch in epochs]
        for split, epochs in zip(splits, by_split, strict=True)
    }


def tell_training(
    score: Score, splits: list[Split], trained: Sequence[Chosen], training: Training
) -> None:
    """Have a Score say what was chosen in each split, and how it was learned."""
    score.best_epochs = best_epochs(splits, [one.best_epochs for one in trained])
    score.training_loss = _mean_curve([one.losses for one in trained])
    score.validation = _mean_curve([one.validation for one in trained])
    marks = [[epoch + 1 for epoch in one.checkpoints.tolist()] for one in trained]
    if any(own != list(range(1, len(own) + 1)) for own in marks):
        length = len(score.validation)
        score.checkpoints = {
            split.name: own[:length] for split, own in zip(splits, marks, strict=True)
        }
    if training.rates:
        score.learning_rates = _by_split(splits, [one.learning_rates for one in trained])
        score.still_learning = _by_split(splits, [one.still_learning for one in trained])


def _mean_curve(curves: list[NDArray[np.float64]]) -> list[float]:
    """(K, S) of each split -> mean over all heads that still trained, as long as any did."""
    longest = max(map(len, curves))
    every = np.concatenate(
        [
            np.pad(one, ((0, longest - len(one)), (0, 0)), constant_values=np.nan)
            for one in curves
        ],
        axis=1,
    )  # fmt: skip
    return [float(np.nanmean(row)) for row in every if not np.isnan(row).all()]


def _by_split(splits: list[Split], values: Sequence[NDArray[Any]]) -> dict[str, list[Any]]:
    """Each split's values, one a seed."""
    return {split.name: own.tolist() for split, own in zip(splits, values, strict=True)}


def predictions_of(items: Items, splits: list[Split], **arrays: Any) -> Predictions:
    """Predictions of the test items of all splits; arrays: the fields that hold them."""
    tested = tested_items(splits)
    return Predictions(
        keys=items.keys[tested],
        crops=items.crops[tested],
        sources=np.array([items.source_names[i] for i in items.sources[tested]]),
        splits=np.concatenate([np.repeat(split.name, len(split.test)) for split in splits]),
        **arrays,
    )
