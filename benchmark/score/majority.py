"""What a guess scores that has not heard the audio: the floor that a score is held against.

It is worked out from the labels of the training and test items alone, and is scored as the task is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from earmark.benchmark.metric import f1_of_counts, segment_counts, segments_of_events
from earmark.benchmark.probe.items import Items
from earmark.benchmark.probe.splits import Split
from earmark.benchmark.protocol import Protocol
from earmark.benchmark.result.schema import Predictions
from earmark.tasks import TIMED_KINDS, TaskSpec


def majority_score(
    items: Items, splits: list[Split], tested: Predictions, spec: TaskSpec, protocol: Protocol
) -> float:
    """The guess's score, a share in 0..1; NaN where the metric cannot be computed.

    tested: what was tested, by its labels and folds; what was predicted is not looked at.

    One class: always the class that is most common in training (of equals the lowest index).
    Several classes: every item with the same scores, whose average precision is the share of
    positives among the test items. Events, notes: each class always or never, see `constant_guess`.
    Captions: a random order, where each clip and each caption finds its own first in one of so many
    cases as there are clips, on average. Transcripts: nothing, which is all words wrong: 0.
    """
    kind = spec.label.kind
    if kind == "transcript":
        return 0.0
    if kind == "captions":
        return 1 / len(tested.keys)
    if kind in TIMED_KINDS:
        return _of_segments(items, splits, tested, spec, protocol)
    parts = [tested.splits == split.name for split in splits]
    labels = [tested.labels[part] for part in parts]
    if kind == "multilabel":
        return float(np.mean([_prevalence(own, protocol.absent_classes) for own in labels]))
    right = []
    for split, own in zip(splits, labels, strict=True):
        counts = np.bincount(np.asarray(items.labels, np.int64)[split.given_train])
        right.append(own == counts.argmax())
    if protocol.fold_score == "folds":
        return float(np.mean([own.mean() for own in right]))
    return float(np.concatenate(right).mean())


def constant_guess(active: NDArray[np.int64], total: int, average: str) -> NDArray[np.bool_]:
    """Which classes to take as always active, for the highest segment F1: (C,).

    active: (C,) in how many of the segments, of which there are `total`, each class is active.
    average: `macro` or `micro`. Macro: a class that is never predicted has an F1 of 0, one that
    always is 2p / (1 + p) where p is its share of the segments: all that occur. Micro: the F1 of
    always predicting k classes is 2 h / (k N + P), where h is how often these are active and P how
    often all are; of k classes the most active are the best, so every k is tried.
    """
    if average == "macro":
        return np.asarray(active > 0)
    order = np.argsort(-active, kind="stable")
    hits = np.cumsum(active[order])
    with np.errstate(invalid="ignore"):
        f1 = 2 * hits / (np.arange(1, len(active) + 1) * total + active.sum())
    guess = np.zeros(len(active), np.bool_)
    if active.any():
        guess[order[: int(f1.argmax()) + 1]] = True
    return guess


def _prevalence(labels: NDArray[np.bool_], absent_classes: str) -> float:
    """Mean share of positives (N, C) over the classes that have any; or over all."""
    shares = labels.mean(axis=0)
    if not (shares > 0).any():
        return float("nan")
    return float(shares.mean() if absent_classes == "zero" else shares[shares > 0].mean())


def _of_segments(
    items: Items, splits: list[Split], tested: Predictions, spec: TaskSpec, protocol: Protocol
) -> float:
    """Training segments are cut in seconds, whatever the protocol; test segments as scored."""
    assert spec.segment_seconds is not None  # the task file's reader sees to it
    assert tested.segments is not None
    classes, average = spec.num_classes, spec.metric.removeprefix("segment_f1_")
    truth = np.unpackbits(tested.labels, axis=1, count=classes).astype(np.bool_)
    counts = []
    for split in splits:
        active, total = np.zeros(classes, np.int64), 0
        for i in split.given_train.tolist():
            given = segments_of_events(
                items.annotations[i], float(items.seconds[i]), spec.segment_seconds, classes
            )
            active += given.sum(axis=0)
            total += len(given)
        guess = constant_guess(active, total, average)
        own = truth[np.repeat(tested.splits == split.name, tested.segments)]
        counts.append(segment_counts(own, np.broadcast_to(guess, own.shape)))
    apart = np.stack(counts)
    if protocol.fold_score != "folds":
        apart = apart.sum(axis=0, keepdims=True)
    return float(f1_of_counts(apart, average, protocol.absent_classes).mean())
