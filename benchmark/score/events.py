"""Scores of events and notes: segment F1, and note F1 beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.benchmark.metric import note_scores, notes_of_frames
from earmark.benchmark.metric.registry import METRICS
from earmark.benchmark.probe.events import EventObjective
from earmark.benchmark.probe.events_xares import XaresEventObjective
from earmark.benchmark.probe.frames import FrameResult, train_on_frames
from earmark.benchmark.probe.splits import Split
from earmark.benchmark.result.schema import Score
from earmark.benchmark.score.scored import (
    Scored,
    ScoreInputs,
    counted_score,
    predictions_of,
    tell_training,
    training_of,
)

_Predicted = tuple[int, list[NDArray[np.uint8]]]


def score_events(inputs: ScoreInputs) -> Scored:
    """Train and test a linear head on the frames of every split."""
    return _scored(inputs, *_trained(inputs))


def train_on_events(inputs: ScoreInputs) -> list[FrameResult]:
    """What is tested of each split."""
    return _trained(inputs)[1]


def score_of_frames(inputs: ScoreInputs, trained: list[FrameResult]) -> Score:
    """The score of what was trained, one result a split, perhaps on other frames of the clips."""
    return _scored(inputs, _objective(inputs), trained).scores["linear"]


def score_notes(inputs: ScoreInputs) -> Scored:
    """As `score_events`, with note F1 beside segment F1."""
    objective, trained = _trained(inputs)
    scored = _scored(inputs, objective, trained)
    scored.scores["linear"].also = _note_scores(objective, _by_clip(inputs.splits, trained))
    return scored


def _objective(inputs: ScoreInputs) -> EventObjective:
    """What heads learn and are judged by."""
    items, spec, protocol = inputs.items, inputs.spec, inputs.protocol
    assert spec.segment_seconds is not None  # the task file's reader sees to it
    data = (items.annotations, [len(frames) for frames in items.frames], items.seconds)
    facts: dict[str, Any] = {
        "frame_rate": inputs.frame_rate,
        "segment_s": spec.segment_seconds,
        "classes": spec.num_classes,
        "average": METRICS[spec.metric].average,
        "positive_weight": spec.probe.positive_weight,
        "absent_classes": protocol.absent_classes,
    }
    if protocol.frame_targets == "ceil":
        parts = [part for split in inputs.splits for part in (split.valid, split.test)]
        size = spec.probe.batch_size
        return XaresEventObjective(*data, parts=parts, batch_size=size, **facts)
    return EventObjective(*data, **facts)


def _trained(inputs: ScoreInputs) -> tuple[EventObjective, list[FrameResult]]:
    """The heads that are tested, of each split, and what judges them."""
    items, protocol, objective = inputs.items, inputs.protocol, _objective(inputs)
    training = training_of(inputs.spec, protocol, inputs.device)
    trained = []
    for split in inputs.splits:
        with inputs.track(_what(split, inputs.splits), training.epochs, "steps") as bar:
            seeds = range(protocol.seeds)
            trained.append(train_on_frames(items.frames, split, seeds, training, objective, bar.to))
    return objective, trained


def _by_clip(splits: list[Split], trained: list[FrameResult]) -> list[_Predicted]:
    """Each tested clip, by its number, and what each seed's head says of its frames."""
    return [
        (clip, frames)
        for split, result in zip(splits, trained, strict=True)
        for clip, frames in zip(split.test.tolist(), result.predicted, strict=True)
    ]


def _scored(inputs: ScoreInputs, objective: EventObjective, trained: list[FrameResult]) -> Scored:
    predicted = _by_clip(inputs.splits, trained)
    segments = [np.packbits(objective.segments(clip), axis=1) for clip, _ in predicted]
    found = [
        np.stack([np.packbits(objective.predicted_segments(one, clip), axis=1) for one in frames])
        for clip, frames in predicted
    ]
    predictions = predictions_of(
        inputs.items,
        inputs.splits,
        segments=np.array([len(own) for own in segments]),
        labels=np.concatenate(segments),
        linear=np.concatenate(found, axis=1),
    )
    score = counted_score(predictions, "linear", inputs)
    training = training_of(inputs.spec, inputs.protocol, inputs.device)
    tell_training(score, inputs.splits, trained, training)
    return Scored({"linear": score}, predictions)


def _what(split: Split, splits: list[Split]) -> str:
    return "training probes" if len(splits) == 1 else f"training probes, fold {split.name}"


def _note_scores(objective: EventObjective, predicted: list[_Predicted]) -> dict[str, float]:
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
