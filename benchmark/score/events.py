"""Scores of events and notes: segment F1, and note F1 beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.benchmark.io.progress import ProgressFactory
from earmark.benchmark.metric import note_scores, notes_of_frames
from earmark.benchmark.probe.events import EventObjective
from earmark.benchmark.probe.events_xares import XaresEventObjective
from earmark.benchmark.probe.frames import train_on_frames
from earmark.benchmark.probe.items import Items
from earmark.benchmark.probe.splits import Split
from earmark.benchmark.protocol import Protocol
from earmark.benchmark.score.scored import (
    Scored,
    predictions_of,
    score_of,
    tell_training,
    training_of,
)
from earmark.benchmark.uncertainty.interval import additive_interval
from earmark.tasks import TaskSpec


def score_timed(
    items: Items,
    splits: list[Split],
    spec: TaskSpec,
    protocol: Protocol,
    frame_rate: float,
    device: str,
    track: ProgressFactory,
) -> Scored:
    """Train and test a linear head on the frames of every split."""
    assert spec.segment_seconds is not None  # the task file's reader sees to it
    average = spec.metric.removeprefix("segment_f1_")
    data = (items.annotations, [len(frames) for frames in items.frames], items.seconds)
    facts: dict[str, Any] = {
        "frame_rate": frame_rate,
        "segment_s": spec.segment_seconds,
        "classes": spec.num_classes,
        "average": average,
        "positive_weight": spec.probe.positive_weight,
        "absent_classes": protocol.absent_classes,
    }
    if protocol.frame_targets == "ceil":
        parts = [part for split in splits for part in (split.valid, split.test)]
        size = spec.probe.batch_size
        objective: EventObjective = XaresEventObjective(
            *data, parts=parts, batch_size=size, **facts
        )
    else:
        objective = EventObjective(*data, **facts)
    training = training_of(spec, protocol, device)
    trained = []
    for split in splits:
        with track(_what(split, splits), training.epochs, "steps") as bar:
            seeds = range(protocol.seeds)
            trained.append(train_on_frames(items.frames, split, seeds, training, objective, bar.to))
    predicted = [
        (clip, frames)
        for split, result in zip(splits, trained, strict=True)
        for clip, frames in zip(split.test.tolist(), result.predicted, strict=True)
    ]
    counts = np.stack([objective.counts(frames, clip) for clip, frames in predicted])
    bounds = np.cumsum([len(split.test) for split in splits])[:-1]
    apart = _apart(counts, bounds) if protocol.fold_score == "folds" else counts[:, None]
    score = score_of(
        spec.metric, _mean_f1(objective, apart.sum(axis=0)).tolist(),
        _interval(apart, items, splits, objective, protocol), items, splits, protocol,
        [objective.f1(part.sum(axis=0)).mean() for part in np.split(counts, bounds)],
    )  # fmt: skip
    occurring = counts[:, 0, :, [0, 2]].sum(axis=(0, 1)) > 0
    if average == "macro" and protocol.absent_classes == "left out":
        score.not_computed = int((~occurring).sum())
    tell_training(score, splits, trained, training)
    if spec.label.kind == "notes":
        score.also = _note_scores(objective, predicted)
    segments = [np.packbits(objective.segments(clip), axis=1) for clip, _ in predicted]
    found = [
        np.stack([np.packbits(objective.predicted_segments(one, clip), axis=1) for one in frames])
        for clip, frames in predicted
    ]
    predictions = predictions_of(
        items,
        splits,
        segments=np.array([len(own) for own in segments]),
        labels=np.concatenate(segments),
        linear=np.concatenate(found, axis=1),
    )
    return Scored({"linear": score}, predictions)


def _what(split: Split, splits: list[Split]) -> str:
    return "training probes" if len(splits) == 1 else f"training probes, fold {split.name}"


def _apart(counts: NDArray[np.int64], bounds: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N, S, C, 3) with an axis for the folds, (N, folds, S, C, 3); 0 in all but a clip's own."""
    fold = np.searchsorted(bounds, np.arange(len(counts)), side="right")
    found = np.zeros((len(counts), len(bounds) + 1, *counts.shape[1:]), counts.dtype)
    found[np.arange(len(counts)), fold] = counts
    return found


def _mean_f1(objective: EventObjective, sums: NDArray[Any]) -> NDArray[np.float64]:
    """F1 of summed counts (..., folds, S, C, 3), its mean over the folds: (..., S)."""
    mean: NDArray[np.float64] = objective.f1(sums).mean(axis=-2)
    return mean


def _interval(
    counts: NDArray[np.int64],
    items: Items,
    splits: list[Split],
    objective: EventObjective,
    protocol: Protocol,
) -> tuple[float, float] | None:
    tested = np.concatenate([split.test for split in splits])
    return additive_interval(
        counts.astype(np.float64),
        items.sources[tested],
        lambda sums: _mean_f1(objective, sums).mean(axis=-1),
        method=protocol.interval,
        resamples=protocol.bootstrap_resamples,
        confidence=protocol.confidence,
    )


def _note_scores(
    objective: EventObjective, predicted: list[tuple[int, list[NDArray[np.uint8]]]]
) -> dict[str, float]:
    """Means over recordings and seeds."""
    scores = np.array(
        [
            note_scores(
                objective.events[clip],
                notes_of_frames(objective.active(one), objective.frame_rate),
            )
            for clip, frames in predicted
            for one in frames
        ]
    )
    known = scores[~np.isnan(scores).any(axis=1)]
    means = known.mean(axis=0) if len(known) else np.full(3, np.nan)
    names = ("note_precision", "note_recall", "note_f1")
    return {name: float(mean) for name, mean in zip(names, means, strict=True)}
