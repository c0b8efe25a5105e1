"""What X-ARES does with embeddings: which part validates, neighbours, means over folds and classes.

Each against a calculation written out here, or scikit-learn's.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from clips import TASK_YAML, audio_bytes, clip_members, write_tar
from frame_items import make_items, make_spec, timed_items
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score
from xares_items import QUICK, Tones

from earmark import evaluate
from earmark.benchmark.metric import f1_of_counts, mean_average_precision
from earmark.benchmark.probe.items import Items
from earmark.benchmark.probe.knn import knn_predict
from earmark.benchmark.probe.splits import make_splits
from earmark.benchmark.protocol import XARES
from earmark.benchmark.result.schema import Predictions
from earmark.benchmark.score import score_items
from earmark.benchmark.uncertainty.interval import (
    additive_interval,
    mean_average_precision_interval,
)
from earmark.tasks import LabelRule, ProbeSettings, builtin_tasks

# ---- splits


def clip_items(sizes: dict[str, int], classes: int = 3, dimension: int = 5) -> Items:
    """Embeddings that tell part of their class; every fold has its own difficulty."""
    rng = np.random.default_rng(4)
    count = sum(sizes.values())
    labels = rng.integers(0, classes, count)
    noise = np.repeat(np.linspace(0.5, 2.5, len(sizes)), list(sizes.values()))[:, None]
    centres = 2 * rng.standard_normal((classes, dimension))
    embeddings = centres[labels] + noise * rng.standard_normal((count, dimension)) + 3
    items = make_items(sizes, [], embeddings=embeddings.astype(np.float32))
    return dataclasses.replace(items, labels=labels.astype(np.int64))


def clip_spec(sizes: dict[str, int], **changes: Any) -> Any:
    facts: dict[str, Any] = {"segment_seconds": None, "knn": True} | changes
    spec = make_spec("class", "accuracy", sizes, ProbeSettings(6, 8), segment_seconds=None)
    return dataclasses.replace(spec, label=LabelRule("class", "x"), **facts)


def test_the_test_fold_validates() -> None:
    sizes = {"1": 12, "2": 7, "3": 10}
    items = clip_items(sizes)
    splits = make_splits(items, clip_spec(sizes), XARES)
    for name, split in zip(sizes, splits, strict=True):
        mine = np.flatnonzero(items.splits == name).tolist()
        assert split.test.tolist() == split.valid.tolist() == mine
        assert sorted(split.train) == sorted(set(range(29)) - set(mine))
        assert split.given_train.tolist() == split.train.tolist()


def test_without_a_validation_split_the_test_split_validates_else_its_own() -> None:
    sizes = {"train": 12, "test": 7}
    (split,) = make_splits(clip_items(sizes), clip_spec(sizes), XARES)
    assert split.valid.tolist() == split.test.tolist() == [*range(12, 19)]
    assert split.train.tolist() == [*range(12)]
    sizes = {"train": 12, "valid": 3, "test": 7}
    (split,) = make_splits(clip_items(sizes), clip_spec(sizes), XARES)
    assert split.valid.tolist() == [12, 13, 14]


def test_clothos_splits_change_places_and_nobody_elses() -> None:
    for name, spec in builtin_tasks().items():
        read = XARES.apply_to(spec)
        if name == "clotho":
            assert spec.splits["valid"].startswith("clotho_validation")
            assert read.splits == {
                "train": spec.splits["train"], "valid": spec.splits["test"],
                "test": spec.splits["valid"],
            }  # fmt: skip
        else:
            assert read.splits == spec.splits
        assert (read.source.unit, read.source.by_clip) == ("clip", True)
        assert read.folds == spec.folds and read.probe == spec.probe


# ---- neighbours


def neighbours_by_columns(train: Any, labels: Any, test: Any, classes: int, k: int) -> Any:
    """Votes (M, C), one test item and neighbour at a time, in float64."""
    train, test = np.asarray(train, np.float64), np.asarray(test, np.float64)
    sizes = [math.sqrt(sum(value * value for value in column)) for column in train.T]
    votes = np.zeros((len(test), classes))
    for row, item in enumerate(test):
        length = math.sqrt(sum(item * item)) or 1.0
        similar = [
            sum(x * y / (s or 1.0) for x, y, s in zip(item / length, other, sizes, strict=True))
            for other in train
        ]
        nearest = sorted(range(len(train)), key=lambda i: -similar[i])[:k]
        powers = np.exp(np.array([similar[i] for i in nearest]) / 0.07)
        for i, power in zip(nearest, powers / powers.sum(), strict=True):
            votes[row, labels[i]] += power
    return votes


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 40), st.integers(2, 8))
def test_neighbours_with_scaled_columns(seed: int, count: int, dimension: int) -> None:
    rng = np.random.default_rng(seed)
    # columns of very different size, one of them nothing at all
    spread = 10.0 ** rng.uniform(-2, 2, dimension) * (np.arange(dimension) > 0)
    train, test = (
        (rng.standard_normal((n, dimension)) * spread).astype(np.float32) for n in (count, 9)
    )
    labels = rng.integers(0, 3, count)
    votes = neighbours_by_columns(train, labels, test, 3, 10)
    found = knn_predict(
        train, labels, test, num_classes=3, neighbours=10, temperature=0.07,
        normalisation="columns", centre="origin",
    )  # fmt: skip
    clear = np.diff(np.sort(votes, axis=1)[:, -2:], axis=1)[:, 0] > 1e-3
    assert (found[clear] == votes.argmax(axis=1)[clear]).all()


def test_a_run_takes_neighbours_with_scaled_columns(tmp_path: Path) -> None:
    """Everything from the tar on worked out again: batches of 16, their padding averaged."""
    rng = np.random.default_rng(6)
    parts: dict[str, tuple[list[str], Any, list[int]]] = {}
    for split, count in (("train", 37), ("valid", 3), ("test", 40)):
        keys = [f"{i:02d}" for i in rng.permutation(count)]
        labels = rng.integers(0, 2, count).tolist()
        clips = [
            (0.1 * rng.standard_normal(int(rng.integers(3_000, 9_000)))).astype(np.float32)
            for _ in keys
        ]
        members = [
            member
            for key, clip, label in zip(keys, clips, labels, strict=True)
            for member in clip_members(
                key, audio_bytes(clip, 16_000, subtype="FLOAT"), {"label": ["low", "high"][label]}
            )
        ]
        write_tar(tmp_path / "data" / "toy" / f"{split}-000.tar", members)
        rows: list[Any] = []
        for start in range(0, count, 16):
            batch = clips[start : start + 16]
            longest = max(map(len, batch))
            padded = torch.tensor(np.stack([np.pad(c, (0, longest - len(c))) for c in batch]))
            frames = Tones().encode(padded, torch.full((len(batch),), longest))
            rows += frames.values.double().mean(dim=1).tolist()
        parts[split] = (keys, np.array(rows), labels)
    (tmp_path / "toy.yaml").write_text(TASK_YAML)
    (result,) = evaluate(
        Tones(), str(tmp_path / "toy.yaml"), data=tmp_path / "data", protocol=XARES,
        results=tmp_path / "r", device="cpu",
    )  # fmt: skip
    assert result.error is None
    keys, embeddings, labels = parts["test"]
    votes = neighbours_by_columns(*parts["train"][1:], embeddings, 2, 10)
    said = dict(zip(keys, votes.argmax(axis=1).tolist(), strict=True))
    (file,) = (tmp_path / "r").rglob("*.npz")
    predictions = Predictions.load(file)
    assert predictions.knn is not None
    assert predictions.knn.tolist() == [said[key] for key in predictions.keys.tolist()]
    right = [said[key] == label for key, label in zip(keys, labels, strict=True)]
    assert result.scores["knn"].value == pytest.approx(np.mean(right))
    # with the items scaled in place of the columns it would say something else
    cosine = knn_predict(
        parts["train"][1].astype(np.float32), np.array(parts["train"][2]),
        embeddings.astype(np.float32), num_classes=2, neighbours=10, temperature=0.07,
    )  # fmt: skip
    assert (cosine != votes.argmax(axis=1)).sum() > 3


# ---- folds


def test_the_mean_over_folds_is_the_score() -> None:
    sizes = {"1": 40, "2": 12, "3": 25}
    items, spec = clip_items(sizes), clip_spec(sizes)
    scored = score_items(items, spec, QUICK)
    predictions = scored.predictions
    for probe, said in (("linear", predictions.linear[:, 0]), ("knn", predictions.knn)):
        right = said == predictions.labels
        by_fold = [right[predictions.splits == fold].mean() for fold in sizes]
        score = scored.scores[probe]
        assert score.value == pytest.approx(np.mean(by_fold))
        assert list(score.per_split.values()) == pytest.approx(by_fold)
        assert score.value != pytest.approx(right.mean())  # of all items together
        assert score.interval is not None
        assert score.interval[0] <= score.value <= score.interval[1]
    pooled = score_items(items, spec, dataclasses.replace(QUICK, fold_score="items"))
    right = pooled.predictions.linear[:, 0] == pooled.predictions.labels
    assert pooled.scores["linear"].value == pytest.approx(right.mean())


def test_interval_of_the_mean_over_folds_rests_on_sources(monkeypatch: Any) -> None:
    """Two sources, each a fold and all right or all wrong: drawn are 1, 1/2 and 0."""
    sizes = {"1": 6, "2": 2}
    items = dataclasses.replace(
        clip_items(sizes, classes=2), sources=np.array([0] * 6 + [1] * 2), source_names=["a", "b"]
    )
    right = items.labels.copy()
    right[6:] = 1 - right[6:]
    monkeypatch.setattr(
        "earmark.benchmark.score.clips._neighbours", lambda items, split, *_: right[split.test]
    )
    score = score_items(items, clip_spec(sizes, classes=("a", "b")), QUICK).scores["knn"]
    assert score.value == 0.5  # of the folds; of the items it were 0.75
    assert score.interval == [0.0, 1.0]
    # both sources in both folds, one always right: a draw of both gives the folds' mean exactly
    mixed = dataclasses.replace(items, sources=np.array([0, 0, 0, 1, 1, 1, 0, 1]))
    right = items.labels.copy()
    wrong = mixed.sources == 1
    right[wrong] = 1 - right[wrong]
    score = score_items(mixed, clip_spec(sizes, classes=("a", "b")), QUICK).scores["knn"]
    assert (score.value, score.interval) == (0.5, [0.0, 1.0])


def test_frames_of_folds_are_scored_fold_by_fold() -> None:
    sizes = {"1": 12, "2": 7, "3": 10}
    items = timed_items(sizes)
    spec = make_spec("events", "segment_f1_macro", sizes, ProbeSettings(4, 4))
    scored = score_items(items, spec, QUICK, frame_rate=10.0)
    predictions = scored.predictions
    bounds = np.cumsum(predictions.segments)[:-1]
    truth, said = (
        np.split(np.unpackbits(packed, axis=1, count=3), bounds)
        for packed in (predictions.labels, predictions.linear[0])
    )
    by_fold = []
    for fold in sizes:
        mine = np.flatnonzero(predictions.splits == fold)
        together = [np.concatenate([one[i] for i in mine]) for one in (truth, said)]
        by_fold.append(f1_score(*together, average="macro", zero_division=0))
    score = scored.scores["linear"]
    assert score.value == pytest.approx(np.mean(by_fold))
    assert list(score.per_split.values()) == pytest.approx(by_fold)
    assert score.interval is not None and score.interval[0] < score.value < score.interval[1]


# ---- classes that do not occur


def test_absent_classes_are_zero_in_map_as_in_scikit_learn() -> None:
    rng = np.random.default_rng(2)
    labels = rng.random((30, 5)) < 0.3
    labels[:, [1, 4]] = False
    scores = rng.standard_normal((30, 5))
    with pytest.warns(UserWarning, match="No positive class"):
        wanted = average_precision_score(labels, scores)
    assert mean_average_precision(labels, scores, "zero") == pytest.approx(wanted)
    left_out = average_precision_score(labels[:, [0, 2, 3]], scores[:, [0, 2, 3]])
    assert mean_average_precision(labels, scores) == pytest.approx(left_out)
    assert wanted == pytest.approx(left_out * 3 / 5)


def test_absent_classes_are_zero_in_macro_f1_as_in_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        truth, said = rng.random((2, 25, 5)) < 0.3
        truth[:, [0, 3]] = False
        said[:, 3] = False  # class 0 is claimed, though it never occurs
        hits = (truth & said).sum(axis=0)
        counts = np.stack([hits, said.sum(axis=0) - hits, truth.sum(axis=0) - hits], axis=1)
        for average in ("macro", "micro"):
            wanted = f1_score(truth, said, average=average, zero_division=0)
            assert float(f1_of_counts(counts, average, "zero")) == pytest.approx(wanted)


def test_score_and_interval_of_map_count_absent_classes() -> None:
    sizes = {"train": 40, "valid": 15, "test": 30}
    items = clip_items(sizes, classes=3)
    hot = np.zeros((85, 4), bool)  # of the fourth class there is nothing
    hot[np.arange(85), items.labels] = True
    items = dataclasses.replace(items, labels=hot)
    spec = dataclasses.replace(
        clip_spec(sizes, knn=False, classes=("a", "b", "c", "d")),
        label=LabelRule("multilabel", "x"), metric="mAP",
    )  # fmt: skip
    scored = score_items(items, spec, QUICK)
    logits = scored.predictions.linear[0]
    with pytest.warns(UserWarning, match="No positive class"):
        wanted = average_precision_score(hot[-30:], logits)
    score = scored.scores["linear"]
    assert score.value == pytest.approx(wanted)
    assert score.not_computed == 0
    assert score.interval is not None
    low, high = score.interval
    assert low <= score.value <= high <= 0.75  # one class of four is zero, whatever is drawn
    kept = score_items(items, spec, dataclasses.replace(QUICK, absent_classes="left out"))
    assert kept.scores["linear"].value == pytest.approx(wanted * 4 / 3)
    assert kept.scores["linear"].not_computed == 1
    assert kept.scores["linear"].interval is not None
    # every draw of 30 has something of all three classes, so of four it is three quarters
    assert low == pytest.approx(0.75 * kept.scores["linear"].interval[0])


def test_a_class_that_a_draw_leaves_out_is_zero_in_it() -> None:
    """Perfect scores; class 1 is in source 1 alone: a draw without it has half the mAP."""
    labels = np.array([[True, False], [True, True]])
    scores = np.where(labels, 1.0, 0.0).astype(np.float32)[None]
    options: dict[str, Any] = {"method": "percentiles", "resamples": 400, "confidence": 0.95}
    found = mean_average_precision_interval(
        [(labels, scores)], np.array([0, 1]), absent_classes="zero", **options
    )
    assert found == (1.0, 1.0)  # basic: 1/2 mirrored at 1, cut at 1
    scores = np.array([[[1.0, 1.0], [1.0, 0.0]]], np.float32)  # class 1 is found last: AP 1/2
    zero, left = (
        mean_average_precision_interval(
            [(labels, scores)], np.array([0, 1]), absent_classes=absent, **options
        )
        for absent in ("zero", "left out")
    )
    # drawn: twice source 0: (1 + 0) / 2 or 1 / 1; both: 3/4; twice source 1: (1 + 1) / 2
    assert zero == pytest.approx((0.5, 1.0)) and left == pytest.approx((0.5, 0.75))


def test_interval_of_macro_f1_counts_absent_classes() -> None:
    """Two recordings, perfect; each class in one of them only."""
    counts = np.array([[[1, 0, 0], [0, 0, 0]], [[0, 0, 0], [1, 0, 0]]], float)
    options: dict[str, Any] = {"method": "percentiles", "resamples": 300, "confidence": 0.95}
    for absent, lowest in (("zero", 0.5), ("left out", 1.0)):
        found = additive_interval(
            counts, np.array([0, 1]), lambda sums, a=absent: f1_of_counts(sums, "macro", a),
            **options,
        )  # fmt: skip
        assert found == (lowest, 1.0)
