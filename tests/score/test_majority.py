"""The floor under a score: what a guess scores that has not heard the audio, by other means."""

from __future__ import annotations

import dataclasses
from itertools import chain, combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clip_items import PROTOCOL, make_items, make_spec
from frame_tasks import write_shards, write_task
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.dummy import DummyClassifier
from sklearn.metrics import average_precision_score, f1_score

from earmark import evaluate
from earmark.benchmark.metric.sound_events import constant_guess
from earmark.benchmark.probe.splits import Split, make_splits
from earmark.benchmark.result.files import read_predictions
from earmark.benchmark.result.schema import Predictions, RunResult
from earmark.benchmark.score import score_items
from earmark.benchmark.score.majority import majority_score
from earmark.tasks import LabelRule
from earmark.tasks.spec import Event

FOLDS = {"1": 60, "2": 100, "3": 40}
FOLDED = dataclasses.replace(PROTOCOL, fold_score="folds", absent_classes="zero")


def made(kind: str, sizes: dict[str, int], *, folds: bool, change: Any = None) -> Any:
    items = make_items(kind, sizes)
    if change is not None:
        change(items)
    spec = make_spec(kind, {name: f"{name}.tar" for name in sizes}, folds=folds)
    return items, spec


def floor_of(items: Any, spec: Any, protocol: Any = PROTOCOL) -> float:
    scored = score_items(items, spec, protocol)
    found = {score.majority for score in scored.scores.values()}
    assert len(found) == 1
    return float(found.pop())  # type: ignore[arg-type]


def test_accuracy_is_that_of_the_most_common_training_class() -> None:
    """scikit-learn's dummy, fold by fold; each fold has another class most often."""

    def shift(items: Any) -> None:
        items.labels[:] = np.where(np.arange(200) % 10 < 6, items.splits.astype(int) % 3, 1)

    items, spec = made("class", FOLDS, folds=True, change=shift)
    right = []
    for fold in FOLDS:
        train, test = items.splits != fold, items.splits == fold
        dummy = DummyClassifier(strategy="most_frequent").fit(
            np.zeros((200, 1))[train], items.labels[train]
        )
        right.append(dummy.predict(np.zeros((test.sum(), 1))) == items.labels[test])
    assert floor_of(items, spec) == pytest.approx(np.concatenate(right).mean())
    assert floor_of(items, spec, FOLDED) == pytest.approx(np.mean([own.mean() for own in right]))
    assert np.concatenate(right).mean() != pytest.approx(np.mean([own.mean() for own in right]))


def test_of_classes_as_common_as_each_other_it_is_the_first() -> None:
    def tie(items: Any) -> None:
        items.labels[:] = np.where(items.splits == "train", np.arange(len(items)) % 2 + 1, 1)
        items.labels[-5:] = 2

    items, spec = made("class", {"train": 40, "test": 20}, folds=False, change=tie)
    assert floor_of(items, spec) == pytest.approx(15 / 20)  # class 1, not 2


def test_a_held_out_part_counts_as_training() -> None:
    """By hand: 21 of class 0 and 19 of class 1, whatever tenth is held out."""

    def close(items: Any) -> None:
        train = np.flatnonzero(items.splits == "train")
        items.labels[train] = np.arange(len(train)) >= 21
        items.labels[items.splits == "test"] = [0] * 5 + [1] * 15

    items, spec = made("class", {"train": 40, "test": 20}, folds=False, change=close)
    assert floor_of(items, spec) == pytest.approx(5 / 20)


@pytest.mark.parametrize("protocol", [PROTOCOL, FOLDED], ids=["left out", "zero"])
def test_map_is_that_of_constant_scores(protocol: Any) -> None:
    """Mean over the folds of scikit-learn's average precision; a class without a positive."""

    def rare(items: Any) -> None:
        items.labels[items.splits == "2", 1] = False

    items, spec = made("multilabel", FOLDS, folds=True, change=rare)
    expected = []
    for fold in FOLDS:
        own = items.labels[items.splits == fold]
        each = [
            average_precision_score(own[:, c], np.zeros(len(own)))
            for c in range(3)
            if own[:, c].any()
        ]
        expected.append(sum(each) / (3 if protocol is FOLDED else len(each)))
    assert floor_of(items, spec, protocol) == pytest.approx(np.mean(expected))


@given(
    segments=arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 4))),
    average=st.sampled_from(["macro", "micro"]),
)
def test_no_constant_guess_is_better_in_training(segments: Any, average: str) -> None:
    """Against every set of classes, by scikit-learn's F1."""

    def f1(guess: Any) -> float:
        predicted = np.broadcast_to(guess, segments.shape)
        return float(f1_score(segments, predicted, average=average, zero_division=0.0))

    segments = np.hstack([segments, np.zeros((len(segments), 1), bool)])  # one column is no list
    classes = range(segments.shape[1])
    every = chain.from_iterable(combinations(classes, k) for k in range(len(classes) + 1))
    best = max(f1(np.isin(classes, some)) for some in every)
    guess = constant_guess(segments.sum(axis=0), len(segments), average)
    assert f1(guess) == pytest.approx(best)
    assert not guess[~segments.any(axis=0)].any()  # what is never there in training is never said


def run_kind(tmp_path: Path, kind: str) -> RunResult:
    write_shards(tmp_path / "data", kind)
    (result,) = evaluate(
        "logmel", str(write_task(tmp_path, kind)), data=tmp_path / "data", seeds=1,
        results=tmp_path / "results", cache=tmp_path / "cache",
    )  # fmt: skip
    assert result.status == "done", result.error
    return result


def timed(average: str, test: Any, train: Any) -> float:
    """The floor of recordings whose segments of 1 s are these, (N, 3) each; training is one."""
    spec = dataclasses.replace(
        make_spec("class", {"train": "train.tar", "test": "test.tar"}, folds=False),
        label=LabelRule("events", "label"), metric=f"segment_f1_{average}", segment_seconds=1.0,
    )  # fmt: skip
    items = dataclasses.replace(
        make_items("class", {"train": 1, "test": 1}), seconds=np.array([len(train), len(test)]),
        annotations=[
            tuple(Event(i, i + 1.0, c) for i, c in np.argwhere(own)) for own in (train, test)
        ],
    )  # fmt: skip
    one = np.array([0])
    tested = Predictions(
        keys=items.keys[1:], crops=one, sources=np.array(["r"]), splits=np.array(["test"]),
        labels=np.packbits(test, axis=1), linear=np.packbits(~test, axis=1)[None],
        segments=np.array([len(test)]),
    )  # fmt: skip
    return majority_score(items, [Split("test", one, one, one + 1, one)], tested, spec, PROTOCOL)


def test_segments_by_hand() -> None:
    # class 0 in 3 of 4 training segments, class 1 in 1, class 2 in none
    train = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 0]], bool)
    test = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]], bool)
    # macro: 0 and 1 always, 2 never: F1 of 2 / (5 + 1), 2 * 2 / (5 + 2) and 0
    assert timed("macro", test, train) == pytest.approx((2 / 6 + 4 / 7 + 0) / 3)
    # micro, in training: class 0 alone 6 / (4 + 4), with class 1 8 / (8 + 4): alone
    assert timed("micro", test, train) == pytest.approx(2 * 1 / (5 + 5))
    quiet = np.zeros((3, 3), bool)
    assert timed("micro", test, quiet) == 0
    assert np.isnan(timed("macro", quiet, train))


@pytest.mark.parametrize("kind", ["events", "notes"])
def test_events_and_notes_of_a_run(tmp_path: Path, kind: str) -> None:
    """One of the eight constant guesses on the stored test segments, by scikit-learn's F1."""
    result = run_kind(tmp_path, kind)
    truth = np.unpackbits(read_predictions(result).labels, axis=1, count=3).astype(bool)
    average = result.task["metric"].removeprefix("segment_f1_")
    possible = [
        f1_score(truth, np.broadcast_to(bits, truth.shape), average=average, zero_division=0.0)
        for bits in np.ndindex(2, 2, 2)
    ]
    floor = result.scores["linear"].majority
    assert floor in [pytest.approx(one) for one in possible if one > 0]


def test_captions_are_those_of_a_random_order(tmp_path: Path) -> None:
    """By drawing orders: 20 000 of clips for a caption, and of captions for a clip."""
    result = run_kind(tmp_path, "captions")
    owners = read_predictions(result).labels
    clips = result.scores["linear"].items
    rng = np.random.default_rng(0)
    to_clip = np.mean(rng.integers(0, clips, (20_000, len(owners))) == owners)
    to_caption = np.mean(owners[rng.integers(0, len(owners), (20_000, clips))] == np.arange(clips))
    expected = (to_clip + to_caption) / 2
    assert result.scores["linear"].majority == pytest.approx(expected, abs=0.005)
    assert result.scores["linear"].majority == 1 / clips


def test_transcripts_of_nothing_are_all_wrong(tmp_path: Path) -> None:
    assert run_kind(tmp_path, "transcript").scores["linear"].majority == 0


def test_predictions_do_not_move_it() -> None:
    items, spec = made("class", FOLDS, folds=True)
    splits = make_splits(items, spec, PROTOCOL)
    tested = score_items(items, spec, PROTOCOL).predictions
    before = majority_score(items, splits, tested, spec, PROTOCOL)
    tested.linear[:] = 0
    assert majority_score(items, splits, tested, spec, PROTOCOL) == before


def test_what_cannot_be_computed_is_null_in_the_file(tmp_path: Path) -> None:
    result = run_kind(tmp_path, "transcript")
    result.scores["linear"].majority = float("nan")
    assert RunResult.from_json(result.to_json()).scores["linear"].majority is None
