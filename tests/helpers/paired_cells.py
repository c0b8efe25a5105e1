"""Cells with predictions, made by hand; and every metric by the book, of items named one by one."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
from result_files import make_result
from sklearn.metrics import average_precision_score, f1_score

from earmark.benchmark.result.files import result_path, write_result
from earmark.benchmark.result.schema import Predictions, RunResult

METRICS = ("accuracy", "mAP", "segment_f1_macro", "segment_f1_micro", "recall@1", "WER_inv")
CLASSES = 10  # of events and notes: not a whole number of bytes


def facts_of(count: int, sources: Any, folds: int = 1) -> dict[str, Any]:
    """Keys, crops, sources and folds of so many items."""
    return {
        "keys": np.array([f"k{i:04d}" for i in range(count)]),
        "crops": np.zeros(count, np.int64),
        "sources": np.array([f"s{source}" for source in sources]),
        "splits": np.array([f"f{i * folds // count}" for i in range(count)]),
    }


def class_predictions(right: Any, sources: Any, folds: int = 1, knn: Any = None) -> Predictions:
    """Of one class where right, (N, S) true or false, of another where not."""
    right = np.atleast_2d(np.asarray(right).T).T
    labels = np.arange(len(right)) % 3
    return Predictions(
        **facts_of(len(right), sources, folds), labels=labels,
        linear=np.where(right, labels[:, None], labels[:, None] + 1),
        knn=None if knn is None else np.where(knn, labels, labels + 1),
    )  # fmt: skip


def random_predictions(metric: str, seed: int, skill: float = 1.0, count: int = 24) -> Predictions:
    """Predictions of any metric, on items, sources and labels that are always the same."""
    same, rng = np.random.default_rng(7), np.random.default_rng(1000 + seed)
    facts = facts_of(count, same.integers(0, 9, count), 2 if metric in ("accuracy", "mAP") else 1)
    if metric == "accuracy":
        right = rng.random((count, 2)) < 0.3 + 0.2 * skill
        return class_predictions(right, [s[1:] for s in facts["sources"]], 2, right[:, 0])
    if metric == "mAP":
        labels = same.random((count, 4)) < 0.4
        noise = rng.standard_normal((2, count, 4)).round(1)  # with ties
        return Predictions(**facts, labels=labels, linear=(skill * labels + noise).astype("f4"))
    if metric.startswith("segment_f1"):
        segments = same.integers(1, 6, count)
        bits = same.random((segments.sum(), CLASSES)) < 0.3
        bits[:, 4] = False
        wrong = rng.random((2, *bits.shape)) < 0.3 / skill
        return Predictions(
            **facts, segments=segments, labels=np.packbits(bits, axis=1),
            linear=np.packbits(bits ^ wrong, axis=2),
        )  # fmt: skip
    if metric == "recall@1":
        owners = np.sort(np.append(np.arange(count), same.integers(0, count, count)))
        ranks = rng.integers(0, 3, (count, 2)), rng.integers(0, 3, (len(owners), 2))
        return Predictions(**facts, labels=owners, linear=ranks[0], caption_ranks=ranks[1])
    words = np.array(["one", "two", "three", "four"])
    texts = [" ".join(same.choice(words, same.integers(1, 6))) for _ in range(count)]
    heard = [
        [" ".join(w for w in text.split() if rng.random() < 0.4 + 0.2 * skill) for _ in range(2)]
        for text in texts
    ]
    return Predictions(**facts, labels=np.array(texts), linear=np.array(heard))


def by_the_book(predictions: Predictions, probe: str, metric: str, items: Any) -> float:
    """The metric of some items, any of them as often as it is named; the mean over the seeds."""
    items = np.asarray(items)
    labels, found = predictions.labels, predictions.linear
    if metric == "accuracy":
        found = found if probe == "linear" else np.asarray(predictions.knn)[:, None]
        return float(np.mean(found[items] == labels[items, None]))
    if metric == "mAP":
        folds = [items[predictions.splits[items] == f] for f in np.unique(predictions.splits)]
        return float(np.mean([[_map(labels[f], s[f]) for s in found] for f in folds]))
    if metric.startswith("segment_f1"):
        ends = np.cumsum(predictions.segments)
        starts = ends - predictions.segments
        rows = np.concatenate([np.arange(starts[i], ends[i]) for i in items])
        truth = np.unpackbits(labels[rows], axis=1, count=CLASSES)
        occurring = np.flatnonzero(truth.any(axis=0))
        if not len(occurring):
            return float("nan")
        average = metric.removeprefix("segment_f1_")
        chosen = occurring if average == "macro" else np.arange(CLASSES)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            seeds = [np.unpackbits(one[rows], axis=1, count=CLASSES) for one in found]
            return float(
                np.mean([f1_score(truth[:, chosen], s[:, chosen], average=average) for s in seeds])
            )
    if metric == "recall@1":
        ranks = predictions.caption_ranks
        assert ranks is not None
        theirs = np.concatenate([np.flatnonzero(labels == i) for i in items])
        return float(np.mean([np.mean(found[items] == 0), np.mean(ranks[theirs] == 0)]))
    texts = labels[items].tolist()
    rates = [jiwer.wer(texts, found[items, seed].tolist()) for seed in range(found.shape[1])]
    return float(np.mean([max(0.0, 1 - rate) for rate in rates]))


def _map(labels: Any, scores: Any) -> float:
    known = labels.any(axis=0)
    pairs = zip(labels.T[known], scores.T[known], strict=True)
    return float(np.mean([average_precision_score(wanted, score) for wanted, score in pairs]))


def write_cell(
    folder: Path, predictions: Predictions, encoder: str = "A", task: str = "one",
    metric: str = "accuracy", change: Callable[[RunResult], None] | None = None, **facts: Any,
) -> RunResult:  # fmt: skip
    """A cell on the disk, its scores by the book. change: what is done to it before."""
    every = np.arange(len(predictions.keys))
    scores = {
        probe: by_the_book(predictions, probe, metric, every)
        for probe in ("linear", "knn")
        if probe == "linear" or predictions.knn is not None
    }
    result = make_result(
        task, scores["linear"], scores.get("knn"), encoder=encoder,
        **{"fingerprint": f"{encoder}-fingerprint", **facts},
    )  # fmt: skip
    result.task.metric, result.task.classes = metric, CLASSES
    for score in result.scores.values():
        score.metric = metric
        score.items, score.sources = len(every), len(np.unique(predictions.sources))
    if change is not None:
        change(result)
    path = result_path(
        folder, encoder=encoder, fingerprint=result.encoder.fingerprint,
        protocol=result.protocol["name"], task=task, synthetic=result.synthetic,
        limit=result.data.limit, seeds=result.protocol["seeds"],
    )  # fmt: skip
    write_result(path, result, predictions)
    return result
