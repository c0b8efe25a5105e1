"""Scores of clips with classes: the linear probe and kNN."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from earmark.benchmark.metric import average_precision, mean_average_precision
from earmark.benchmark.metric.registry import METRICS, CountMetric
from earmark.benchmark.probe import ProbeResult, ProbeTraining, train_heads
from earmark.benchmark.probe.items import Items
from earmark.benchmark.probe.knn import knn_votes
from earmark.benchmark.probe.linear import clip_means, first_of_clips, fit_linear
from earmark.benchmark.probe.splits import Split
from earmark.benchmark.protocol import Protocol
from earmark.benchmark.result.schema import Predictions, Score
from earmark.benchmark.score.scored import (
    Scored,
    ScoreInputs,
    best_epochs,
    counted_score,
    predictions_of,
    score_of,
    tested_items,
)
from earmark.benchmark.uncertainty.interval import mean_average_precision_interval
from earmark.tasks import TaskSpec


class _Trained(NamedTuple):
    """What a linear probe predicts, and what its score says of how it came about.

    scores: of each split (S, tested, C), S seeds, or one where there are none.
    """

    scores: list[NDArray[np.float32]]
    facts: dict[str, Any]


def score_clips(inputs: ScoreInputs) -> Scored:
    """Train and test the probes of a task with classes."""
    items, splits, protocol = inputs.items, inputs.splits, inputs.protocol
    judged = judged_by_clip(inputs)
    fitted = protocol.linear_probe == "logistic regression"
    trained = (_fitted if fitted else _by_adam)(inputs)
    linear: NDArray[np.int64] | NDArray[np.float32]
    if inputs.spec.kind.several:
        linear = np.concatenate(trained.scores, axis=1)
    else:
        linear = np.concatenate([part.argmax(axis=2).T for part in trained.scores])
    knn: NDArray[np.int64] | None = None
    if inputs.spec.knn:
        found = [_neighbours(items, one, inputs.spec, protocol, inputs.device) for one in splits]
        knn = np.concatenate(found)
    labels = items.labels[tested_items(judged.splits)]
    predictions = predictions_of(items, judged.splits, labels=labels, linear=linear, knn=knn)
    score = _linear_score(predictions, trained.scores, judged)
    scores = {"linear": replace(score, **trained.facts)}
    if knn is not None:
        scores["knn"] = counted_score(predictions, "knn", judged)
    return Scored(scores, predictions)


def judged_by_clip(inputs: ScoreInputs) -> ScoreInputs:
    """The same with the test items that count: of each clip the first, or all (`tested`)."""
    if inputs.protocol.tested != "clips":
        return inputs
    clips = inputs.items.clips
    # the first item of a clip stands for it: its key, its labels, its source
    firsts = [split.test[first_of_clips(clips[split.test])] for split in inputs.splits]
    tests = zip(inputs.splits, firsts, strict=True)
    return replace(inputs, splits=[replace(split, test=test) for split, test in tests])


def score_of_clips(scores: list[NDArray[np.float32]], judged: ScoreInputs) -> Score:
    """The score of one probe a split. scores: of each split (tested, C), see `judged_by_clip`."""
    return scored_clips(scores, judged).scores["linear"]


def scored_clips(scores: list[NDArray[np.float32]], judged: ScoreInputs) -> Scored:
    """The same with what was predicted."""
    items, splits = judged.items, judged.splits
    several = judged.spec.kind.several
    linear = [part[None] if several else part.argmax(axis=1)[:, None] for part in scores]
    predictions = predictions_of(
        items, splits, labels=items.labels[tested_items(splits)],
        linear=np.concatenate(linear, axis=1 if several else 0),
    )  # fmt: skip
    score = _linear_score(predictions, [part[None] for part in scores], judged)
    return Scored({"linear": score}, predictions)


def _linear_score(
    predictions: Predictions, scores: list[NDArray[np.float32]], judged: ScoreInputs
) -> Score:
    """scores: of each split (S, tested, C)."""
    if isinstance(METRICS[judged.spec.metric], CountMetric):
        return counted_score(predictions, "linear", judged)
    return _ranked_score(scores, judged)


def _fitted(inputs: ScoreInputs) -> _Trained:
    """Logistic regression, split after split."""
    items, splits = inputs.items, inputs.splits
    clips = items.clips if inputs.protocol.tested == "clips" else np.arange(len(items))
    scores, fits = [], {}
    with inputs.track("training probes", len(splits), "fits") as bar:
        for split in splits:
            held_out = len(split.train) < len(split.given_train)
            model, fits[split.name] = fit_linear(
                items.embeddings, items.taught_labels, train=split.train, valid=split.valid,
                every=split.given_train if held_out else None, classes=inputs.spec.num_classes,
                clips=clips, device=inputs.device,
            )  # fmt: skip
            found = model.scores(items.embeddings[split.test])
            scores.append(clip_means(found, clips[split.test])[None])
            bar.to(len(scores), len(splits))
    return _Trained(scores, {"fits": fits})


def _by_adam(inputs: ScoreInputs) -> _Trained:
    """Heads of all splits and seeds, trained together for the task's epochs."""
    items, splits = inputs.items, inputs.splits
    spec, protocol = inputs.spec, inputs.protocol
    several = spec.kind.several
    training = ProbeTraining(
        epochs=spec.probe.epochs,
        batch_size=spec.probe.batch_size,
        learning_rate=spec.probe.learning_rate,
        learning_rate_floor=protocol.learning_rate_floor,
        loss="bce" if several else "cross_entropy",
        num_classes=spec.num_classes,
        absent_classes=protocol.absent_classes,
        device=inputs.device,
    )
    seeds = range(protocol.seeds)
    with inputs.track("training probes", training.epochs, "epochs") as bar:
        probed = train_heads(items.embeddings, items.taught_labels, splits, seeds, training, bar.to)
    epochs = [
        probed.best_epochs[[key.split == number for key in probed.keys]]
        for number in range(len(splits))
    ]
    stacked = [np.stack(part) for part in _by_split(probed)]
    if protocol.tested == "clips":
        clips = items.clips
        stacked = [
            np.stack(
                [
                    clip_means(one if several else log_softmax(one, axis=1), clips[split.test])
                    for one in part
                ]
            )
            for split, part in zip(splits, stacked, strict=True)
        ]
    facts = {
        "best_epochs": best_epochs(splits, epochs),
        "training_loss": probed.losses.mean(axis=0).tolist(),
        "validation": probed.validation.mean(axis=0).tolist(),
    }
    return _Trained(stacked, facts)


def _by_split(probed: ProbeResult) -> list[list[NDArray[np.float32]]]:
    """The heads' test scores, (M, C) each, grouped by split; seeds in order."""
    grouped: dict[int, list[NDArray[np.float32]]] = {}
    for key, scores in zip(probed.keys, probed.scores, strict=True):
        grouped.setdefault(key.split, []).append(scores)
    return [grouped[split] for split in sorted(grouped)]


def _neighbours(
    items: Items, split: Split, spec: TaskSpec, protocol: Protocol, device: str
) -> NDArray[np.int64]:
    labels = np.asarray(items.taught_labels, np.int64)
    votes = knn_votes(
        items.embeddings[split.given_train],
        labels[split.given_train],
        items.embeddings[split.test],
        num_classes=spec.num_classes,
        neighbours=protocol.knn_neighbours,
        temperature=protocol.knn_temperature,
        normalisation=protocol.knn_normalisation,
        centre=protocol.knn_centre,
        device=device,
    )
    if protocol.tested == "clips":
        votes = clip_means(votes, items.clips[split.test])
    predicted: NDArray[np.int64] = votes.argmax(axis=1)
    return predicted


def _ranked_score(scores: list[NDArray[np.float32]], inputs: ScoreInputs) -> Score:
    """mAP of logits (S, N, C) for each split."""
    items, splits, protocol = inputs.items, inputs.splits, inputs.protocol
    labels = [np.asarray(items.labels[split.test], bool) for split in splits]
    values = np.array(
        [
            [mean_average_precision(wanted, one, protocol.absent_classes) for one in part]
            for wanted, part in zip(labels, scores, strict=True)
        ]
    )
    with inputs.track("interval of mAP", protocol.bootstrap_resamples, "resamples") as bar:
        interval = mean_average_precision_interval(
            list(zip(labels, scores, strict=True)),
            items.sources[tested_items(splits)],
            method=protocol.interval,
            resamples=protocol.bootstrap_resamples,
            confidence=protocol.confidence,
            absent_classes=protocol.absent_classes,
            on_progress=bar.to,
        )
    score = score_of(values.mean(axis=0).tolist(), interval, inputs, values.mean(axis=1).tolist())
    if protocol.absent_classes == "left out":
        score.not_computed = sum(
            int(np.isnan(average_precision(wanted, part[0])).sum())
            for wanted, part in zip(labels, scores, strict=True)
        )
    return score
