"""What a guess scores that has not heard the audio: the floor that a score is held against.

It is worked out from the labels of the training and test items alone, and is scored as the task is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from earmark.benchmark.metric.folds import by_fold
from earmark.benchmark.metric.registry import METRICS, CountMetric
from earmark.benchmark.metric.sound_events import segments_of_events
from earmark.benchmark.probe.items import Items
from earmark.benchmark.probe.splits import Split
from earmark.benchmark.protocol import Protocol
from earmark.benchmark.result.schema import Predictions
from earmark.tasks import TaskSpec


def majority_score(
    items: Items, splits: list[Split], tested: Predictions, spec: TaskSpec, protocol: Protocol
) -> float:
    """The guess's score: of what the metric says always to predict, or its chance.

    One class: always the class that is most common in training (of equals the lowest index).
    Several classes: every item with the same scores, whose average precision is the share of
    positives among the test items. Events, notes: each class always or never, see `constant_guess`.
    Captions: a random order, where each clip and each caption finds its own first in one of so many
    cases as there are clips, on average. Transcripts: nothing, which is all words wrong: 0.

    Args:
        items: all of the task, for the labels of training.
        splits: which of them train.
        tested: what was tested, by its labels and folds; what was predicted is not looked at.
        spec: names the metric.
        protocol: how folds and absent classes count.

    Returns:
        A share in 0..1; NaN where the metric cannot be computed.
    """
    metric = METRICS[spec.metric]
    if metric.chance is not None:
        return metric.chance(tested, protocol.absent_classes)
    assert isinstance(metric, CountMetric) and metric.constant is not None
    guesses = [metric.constant(*_occurrences(items, split, spec)) for split in splits]
    guessed = _always(guesses, splits, tested)
    counts = metric.counts(guessed, "linear", spec.num_classes)
    apart = by_fold(counts, tested.splits, apart=protocol.fold_score == "folds")
    return float(metric.value(apart.sum(axis=0), protocol.absent_classes).mean())


def _always(
    guesses: Sequence[NDArray[np.bool_]], splits: list[Split], tested: Predictions
) -> Predictions:
    """Predictions of the same classes (C,) for everything tested in a fold."""
    of_item = np.zeros(len(tested.keys), np.int64)
    for number, split in enumerate(splits):
        of_item[tested.splits == split.name] = number
    table = np.stack(guesses)
    if tested.segments is None:
        return replace(tested, linear=table.argmax(axis=1)[of_item, None])
    packed = np.packbits(table, axis=1)[np.repeat(of_item, tested.segments)]
    return replace(tested, linear=packed[None])


def _occurrences(items: Items, split: Split, spec: TaskSpec) -> tuple[NDArray[np.int64], int]:
    """In how many of a split's training items, or of their segments, each class is (C,); of how
    many. Segments are cut in seconds, whatever the protocol."""
    train, classes = split.given_train, spec.num_classes
    if spec.segment_seconds is None:
        return np.bincount(np.asarray(items.labels, np.int64)[train], minlength=classes), len(train)
    active, total = np.zeros(classes, np.int64), 0
    for i in train.tolist():
        given = segments_of_events(
            items.annotations[i], float(items.seconds[i]), spec.segment_seconds, classes
        )
        active += given.sum(axis=0)
        total += len(given)
    return active, total
