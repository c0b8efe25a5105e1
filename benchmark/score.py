"""From heads and neighbours to scores: metric, spread over seeds, interval over sources."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.interval import accuracy_interval, mean_average_precision_interval
from benchmark.items import Items
from benchmark.knn import knn_predict
from benchmark.metric import accuracy, average_precision, mean_average_precision
from benchmark.probe import ProbeResult, ProbeTraining, train_heads
from benchmark.progress import Track, silent
from benchmark.protocol import Protocol
from benchmark.result import Predictions, Score
from benchmark.splits import Split, make_splits
from tasks import TaskSpec


@dataclass(frozen=True)
class Scored:
    """All scores of a task, and what was predicted for each tested item."""

    scores: dict[str, Score]
    predictions: Predictions


def score_items(
    items: Items,
    spec: TaskSpec,
    protocol: Protocol,
    *,
    device: str = "cpu",
    track: Track = silent,
) -> Scored:
    """Train and test every probe of a task on its items. track: what shows the progress."""
    splits = make_splits(items, spec, protocol)
    training = ProbeTraining(
        epochs=spec.probe.epochs,
        batch_size=spec.probe.batch_size,
        learning_rate=spec.probe.learning_rate,
        learning_rate_floor=protocol.learning_rate_floor,
        loss="bce" if spec.label.kind == "multilabel" else "cross_entropy",
        num_classes=spec.num_classes,
        device=device,
    )
    seeds = range(protocol.seeds)
    with track("training probes", training.epochs, "epochs") as bar:
        probed = train_heads(items.embeddings, items.labels, splits, seeds, training, bar.to)
    tested = np.concatenate([split.test for split in splits])
    scores: dict[str, Score] = {}
    linear: NDArray[np.int64] | NDArray[np.float32]
    if spec.metric == "accuracy":
        predicted = np.concatenate(
            [np.stack([s.argmax(axis=1) for s in part], axis=1) for part in _by_split(probed)]
        )
        linear = predicted
        scores["linear"] = _accuracy_score(items, splits, predicted, protocol)
    else:
        stacked = [np.stack(part) for part in _by_split(probed)]
        linear = np.concatenate(stacked, axis=1)
        scores["linear"] = _map_score(items, splits, stacked, protocol, track)
    scores["linear"].best_epochs = {
        split.name: [
            int(epoch) + 1
            for key, epoch in zip(probed.keys, probed.best_epochs, strict=True)
            if key.split == number
        ]
        for number, split in enumerate(splits)
    }
    knn: NDArray[np.int64] | None = None
    if spec.knn:
        knn = np.concatenate(
            [_neighbours(items, split, spec, protocol, device) for split in splits]
        )
        scores["knn"] = _accuracy_score(items, splits, knn[:, None], protocol)
    predictions = Predictions(
        keys=items.keys[tested],
        crops=items.crops[tested],
        sources=np.array([items.source_names[i] for i in items.sources[tested]]),
        splits=np.concatenate([np.repeat(split.name, len(split.test)) for split in splits]),
        labels=items.labels[tested],
        linear=linear,
        knn=knn,
    )
    return Scored(scores, predictions)


def _by_split(probed: ProbeResult) -> list[list[NDArray[np.float32]]]:
    """The heads' test scores, (M, C) each, grouped by split; seeds in order."""
    grouped: dict[int, list[NDArray[np.float32]]] = {}
    for key, scores in zip(probed.keys, probed.scores, strict=True):
        grouped.setdefault(key.split, []).append(scores)
    return [grouped[split] for split in sorted(grouped)]


def _neighbours(
    items: Items, split: Split, spec: TaskSpec, protocol: Protocol, device: str
) -> NDArray[np.int64]:
    labels = np.asarray(items.labels, np.int64)
    return knn_predict(
        items.embeddings[split.given_train],
        labels[split.given_train],
        items.embeddings[split.test],
        num_classes=spec.num_classes,
        neighbours=protocol.knn_neighbours,
        temperature=protocol.knn_temperature,
        device=device,
    )


def _accuracy_score(
    items: Items, splits: list[Split], predicted: NDArray[np.int64], protocol: Protocol
) -> Score:
    """Accuracy of predictions (N, S) for the test items of all splits, in order."""
    tested = np.concatenate([split.test for split in splits])
    correct = predicted == items.labels[tested][:, None]
    bounds = np.cumsum([len(split.test) for split in splits])[:-1]
    interval = accuracy_interval(
        correct.mean(axis=1), items.sources[tested],
        resamples=protocol.bootstrap_resamples, confidence=protocol.confidence,
    )  # fmt: skip
    return _score(
        "accuracy",
        [accuracy(items.labels[tested], column) for column in predicted.T],
        interval, items, splits, protocol,
        [part.mean() for part in np.split(correct, bounds)],
    )  # fmt: skip


def _map_score(
    items: Items,
    splits: list[Split],
    scores: list[NDArray[np.float32]],
    protocol: Protocol,
    track: Track,
) -> Score:
    """mAP of logits (S, N, C) for each split."""
    tested = np.concatenate([split.test for split in splits])
    labels = [np.asarray(items.labels[split.test], bool) for split in splits]
    values = np.array(
        [
            [mean_average_precision(wanted, one) for one in part]
            for wanted, part in zip(labels, scores, strict=True)
        ]
    )
    with track("interval of mAP", protocol.bootstrap_resamples, "resamples") as bar:
        interval = mean_average_precision_interval(
            list(zip(labels, scores, strict=True)),
            items.sources[tested],
            resamples=protocol.bootstrap_resamples,
            confidence=protocol.confidence,
            on_resamples=bar.to,
        )
    score = _score(
        "mAP", values.mean(axis=0).tolist(), interval, items, splits, protocol,
        values.mean(axis=1).tolist(),
    )  # fmt: skip
    score.not_computed = sum(
        int(np.isnan(average_precision(wanted, part[0])).sum())
        for wanted, part in zip(labels, scores, strict=True)
    )
    return score


def _score(
    metric: str,
    per_seed: list[float],
    interval: tuple[float, float] | None,
    items: Items,
    splits: list[Split],
    protocol: Protocol,
    per_split: list[float],
) -> Score:
    tested = np.concatenate([split.test for split in splits])
    return Score(
        metric=metric,
        value=float(np.mean(per_seed)),
        per_seed=[float(value) for value in per_seed],
        spread=float(np.std(per_seed, ddof=1)) if len(per_seed) > 1 else None,
        interval=None if interval is None else list(interval),
        confidence=protocol.confidence,
        items=len(tested),
        sources=len(np.unique(items.sources[tested])),
        per_split={
            split.name: float(value) for split, value in zip(splits, per_split, strict=True)
        },
    )
