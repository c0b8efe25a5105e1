"""Scores of clips with classes: the linear probe and kNN; accuracy or mAP."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from earmark.benchmark.io.progress import ProgressFactory, no_progress
from earmark.benchmark.metric import accuracy, average_precision, mean_average_precision
from earmark.benchmark.probe import ProbeResult, ProbeTraining, train_heads
from earmark.benchmark.probe.items import Items
from earmark.benchmark.probe.knn import knn_votes
from earmark.benchmark.probe.linear import clip_means, first_of_clips, fit_linear
from earmark.benchmark.probe.splits import Split
from earmark.benchmark.protocol import Protocol
from earmark.benchmark.result.schema import Score
from earmark.benchmark.score.scored import (
    Scored,
    best_epochs,
    predictions_of,
    score_of,
    tested_items,
)
from earmark.benchmark.uncertainty.interval import (
    accuracy_interval,
    additive_interval,
    mean_average_precision_interval,
)
from earmark.tasks import TaskSpec


class _Trained(NamedTuple):
    """What a linear probe predicts, and what its score says of how it came about.

    scores: of each split (S, tested, C), S seeds, or one where there are none.
    """

    scores: list[NDArray[np.float32]]
    facts: dict[str, Any]


def score_clips(
    items: Items,
    splits: list[Split],
    spec: TaskSpec,
    protocol: Protocol,
    device: str,
    track: ProgressFactory,
) -> Scored:
    """Train and test the probes of a task with classes."""
    judged = judged_by_clip(items, splits, protocol)
    fitted = protocol.linear_probe == "logistic regression"
    trained = (_fitted if fitted else _by_adam)(items, splits, spec, protocol, device, track)
    tested = tested_items(judged)
    scores: dict[str, Score] = {}
    linear: NDArray[np.int64] | NDArray[np.float32]
    if spec.metric == "accuracy":
        linear = predicted = np.concatenate([part.argmax(axis=2).T for part in trained.scores])
        scores["linear"] = _accuracy_score(items, judged, predicted, protocol)
    else:
        linear = np.concatenate(trained.scores, axis=1)
        scores["linear"] = _map_score(items, judged, trained.scores, protocol, track)
    scores["linear"] = replace(scores["linear"], **trained.facts)
    knn: NDArray[np.int64] | None = None
    if spec.knn:
        knn = np.concatenate(
            [_neighbours(items, split, spec, protocol, device) for split in splits]
        )
        scores["knn"] = _accuracy_score(items, judged, knn[:, None], protocol)
    predictions = predictions_of(items, judged, labels=items.labels[tested], linear=linear, knn=knn)
    return Scored(scores, predictions)


def judged_by_clip(items: Items, splits: list[Split], protocol: Protocol) -> list[Split]:
    """Splits whose test items are those that count: of each clip the first, or all."""
    if protocol.tested != "clips":
        return splits
    clips = items.clips
    # the first item of a clip stands for it: its key, its labels, its source
    return [replace(split, test=split.test[first_of_clips(clips[split.test])]) for split in splits]


def score_of_clips(
    items: Items,
    judged: list[Split],
    scores: list[NDArray[np.float32]],
    spec: TaskSpec,
    protocol: Protocol,
) -> Score:
    """The score of one probe a split. scores: of each split (tested, C), see `judged_by_clip`."""
    if spec.metric == "accuracy":
        predicted = np.concatenate([part.argmax(axis=1) for part in scores])
        return _accuracy_score(items, judged, predicted[:, None], protocol)
    return _map_score(items, judged, [part[None] for part in scores], protocol, no_progress)


def _fitted(
    items: Items,
    splits: list[Split],
    spec: TaskSpec,
    protocol: Protocol,
    device: str,
    track: ProgressFactory,
) -> _Trained:
    """Logistic regression, split after split."""
    clips = items.clips if protocol.tested == "clips" else np.arange(len(items))
    scores, fits = [], {}
    with track("training probes", len(splits), "fits") as bar:
        for split in splits:
            held_out = len(split.train) < len(split.given_train)
            model, fits[split.name] = fit_linear(
                items.embeddings, items.taught_labels, train=split.train, valid=split.valid,
                every=split.given_train if held_out else None, classes=spec.num_classes,
                clips=clips, device=device,
            )  # fmt: skip
            found = model.scores(items.embeddings[split.test])
            scores.append(clip_means(found, clips[split.test])[None])
            bar.to(len(scores), len(splits))
    return _Trained(scores, {"fits": fits})


def _by_adam(
    items: Items,
    splits: list[Split],
    spec: TaskSpec,
    protocol: Protocol,
    device: str,
    track: ProgressFactory,
) -> _Trained:
    """Heads of all splits and seeds, trained together for the task's epochs."""
    training = ProbeTraining(
        epochs=spec.probe.epochs,
        batch_size=spec.probe.batch_size,
        learning_rate=spec.probe.learning_rate,
        learning_rate_floor=protocol.learning_rate_floor,
        loss="bce" if spec.label.kind == "multilabel" else "cross_entropy",
        num_classes=spec.num_classes,
        absent_classes=protocol.absent_classes,
        device=device,
    )
    seeds = range(protocol.seeds)
    with track("training probes", training.epochs, "epochs") as bar:
        probed = train_heads(items.embeddings, items.taught_labels, splits, seeds, training, bar.to)
    epochs = [
        probed.best_epochs[[key.split == number for key in probed.keys]]
        for number in range(len(splits))
    ]
    stacked = [np.stack(part) for part in _by_split(probed)]
    if protocol.tested == "clips":
        clips = items.clips
        several = training.loss == "bce"
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


def _accuracy_score(
    items: Items, splits: list[Split], predicted: NDArray[np.int64], protocol: Protocol
) -> Score:
    """Accuracy of predictions (N, S) for the test items of all splits, in order."""
    tested = np.concatenate([split.test for split in splits])
    correct = predicted == items.labels[tested][:, None]
    bounds = np.cumsum([len(split.test) for split in splits])[:-1]
    by_split = np.split(correct, bounds)
    bootstrap: dict[str, Any] = {
        "resamples": protocol.bootstrap_resamples, "confidence": protocol.confidence,
        "method": protocol.interval,
    }  # fmt: skip
    if protocol.fold_score == "folds":
        per_seed = np.mean([part.mean(axis=0) for part in by_split], axis=0).tolist()
        counts = np.zeros((len(tested), len(splits), 2))
        fold = np.repeat(np.arange(len(splits)), [len(part) for part in by_split])
        counts[np.arange(len(tested)), fold, 0] = correct.mean(axis=1)
        counts[np.arange(len(tested)), fold, 1] = 1
        interval = additive_interval(counts, items.sources[tested], _mean_of_folds, **bootstrap)
    else:
        per_seed = [accuracy(items.labels[tested], column) for column in predicted.T]
        interval = accuracy_interval(correct.mean(axis=1), items.sources[tested], **bootstrap)
    return score_of(
        "accuracy", per_seed, interval, items, splits, protocol, [part.mean() for part in by_split]
    )


def _mean_of_folds(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Right answers and items of each fold (R, F, 2) -> mean accuracy of the folds drawn (R,)."""
    with np.errstate(invalid="ignore"):
        share: NDArray[np.float64] = np.nanmean(sums[..., 0] / sums[..., 1], axis=-1)
    return share


def _map_score(
    items: Items,
    splits: list[Split],
    scores: list[NDArray[np.float32]],
    protocol: Protocol,
    track: ProgressFactory,
) -> Score:
    """mAP of logits (S, N, C) for each split."""
    tested = np.concatenate([split.test for split in splits])
    labels = [np.asarray(items.labels[split.test], bool) for split in splits]
    values = np.array(
        [
            [mean_average_precision(wanted, one, protocol.absent_classes) for one in part]
            for wanted, part in zip(labels, scores, strict=True)
        ]
    )
    with track("interval of mAP", protocol.bootstrap_resamples, "resamples") as bar:
        interval = mean_average_precision_interval(
            list(zip(labels, scores, strict=True)),
            items.sources[tested],
            method=protocol.interval,
            resamples=protocol.bootstrap_resamples,
            confidence=protocol.confidence,
            absent_classes=protocol.absent_classes,
            on_resamples=bar.to,
        )
    score = score_of(
        "mAP", values.mean(axis=0).tolist(), interval, items, splits, protocol,
        values.mean(axis=1).tolist(),
    )  # fmt: skip
    if protocol.absent_classes == "left out":
        score.not_computed = sum(
            int(np.isnan(average_precision(wanted, part[0])).sum())
            for wanted, part in zip(labels, scores, strict=True)
        )
    return score
