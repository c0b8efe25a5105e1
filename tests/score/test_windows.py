"""Tasks by frames on windows: what each scores, and `best` by the validation metric alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from frame_items import SPLITS, make_items, make_spec, timed_items

from earmark import evaluate
from earmark.benchmark.leaderboard.board import Leaderboard
from earmark.benchmark.leaderboard.to_markdown import to_markdown
from earmark.benchmark.probe.items import Items
from earmark.benchmark.protocol import STRICT
from earmark.benchmark.readouts import BEST, WINDOWS, checked_readouts, clip_readouts, windows_of
from earmark.benchmark.score import score_items
from earmark.benchmark.score.windows import add_windows
from earmark.tasks import ProbeSettings, TaskSpec

PROTOCOL = dataclasses.replace(STRICT, seeds=2, learning_rates=(), least_updates=0)
FOLDS = {"1": 10, "2": 9}
RATE = 10.0


def spec_of(sizes: dict[str, int], epochs: int = 12) -> TaskSpec:
    return make_spec("events", "segment_f1_micro", sizes, ProbeSettings(epochs, 4, 0.03))


def delayed(items: Items, frames: int) -> Items:
    """What a frame tells comes so many frames late: alone it tells little of its own time."""
    late = [np.concatenate([one[:1].repeat(frames, axis=0), one[:-frames]]) for one in items.frames]
    return dataclasses.replace(items, frames=late)


@pytest.mark.parametrize("sizes", [SPLITS, FOLDS])
def test_each_window_is_scored_as_the_frames_are(sizes: dict[str, int]) -> None:
    items, spec = delayed(timed_items(sizes), 4), spec_of(sizes)
    score = score_items(items, spec, PROTOCOL, frame_rate=RATE).scores["linear"]
    value = score.value
    add_windows(score, items, spec, PROTOCOL, WINDOWS, frame_rate=RATE)
    assert score.readouts is not None and score.value == value
    by_name = {one.readout: one for one in score.readouts}
    assert list(by_name) == [*WINDOWS, BEST]
    alone, best = by_name["window-0"], by_name[BEST]
    assert (alone.value, alone.interval, alone.per_split) == (
        score.value, score.interval, score.per_split
    )  # fmt: skip
    assert by_name["window-4"].value > value + 0.05
    for fold, chosen in best.chosen.items():
        losses = {name: by_name[name].losses[fold] for name in WINDOWS}
        assert chosen == min(losses, key=lambda name: losses[name])
        assert best.per_split[fold] == by_name[chosen].per_split[fold]
    assert set(best.chosen.values()) == {"window-4"}
    # a probe on frames stacked by hand gives the same
    stacked = []
    for own in items.frames:
        padded = np.concatenate([own[:1], own, own[-1:]])
        stacked.append(np.hstack([padded[:-2], padded[1:-1], padded[2:]]))
    wide = dataclasses.replace(items, frames=stacked)
    by_hand = score_items(wide, spec, PROTOCOL, frame_rate=RATE).scores["linear"]
    assert by_name["window-1"].value == by_hand.value
    assert by_name["window-1"].interval == by_hand.interval


def test_one_seed_s_validation_is_what_decides() -> None:
    items, spec = timed_items(SPLITS), spec_of(SPLITS)
    protocol = dataclasses.replace(PROTOCOL, seeds=1)
    score = score_items(items, spec, protocol, frame_rate=RATE).scores["linear"]
    add_windows(score, items, spec, protocol, WINDOWS[:2], frame_rate=RATE)
    assert score.validation is not None and score.readouts is not None
    assert score.readouts[0].losses["test"] == pytest.approx(1 - max(score.validation))


def test_choosing_does_not_look_at_the_test_part() -> None:
    """Other events in the test part move the scores and leave the choice and its losses."""
    spec, found = spec_of(SPLITS, epochs=4), []
    items = timed_items(SPLITS)
    for shift in (0, 1):
        moved = list(items.annotations)
        tested = np.flatnonzero(items.splits == "test")
        for one, other in zip(tested, np.roll(tested, shift), strict=True):
            moved[one] = items.annotations[other]
        own = dataclasses.replace(items, annotations=moved)
        score = score_items(own, spec, PROTOCOL, frame_rate=RATE).scores["linear"]
        add_windows(score, own, spec, PROTOCOL, WINDOWS, frame_rate=RATE)
        assert score.readouts is not None
        found.append(score.readouts)
    assert [one.losses for one in found[0]] == [one.losses for one in found[1]]
    assert found[0][-1].chosen == found[1][-1].chosen
    assert [one.value for one in found[0]] != [one.value for one in found[1]]


def test_transcripts() -> None:
    """By the letters of a CTC head; the one split."""
    rng, texts, frames = np.random.default_rng(0), [], []
    sizes = {"train": 24, "valid": 8, "test": 8}
    for _ in range(sum(sizes.values())):
        text = "".join(rng.choice(list("ab"), 4))
        texts.append((text,))
        told = np.repeat(
            [[1.0, 0.0] if letter == "a" else [0.0, 1.0] for letter in text], 5, axis=0
        )
        frames.append((told + 0.3 * rng.standard_normal(told.shape)).astype(np.float16))
    items = make_items(sizes, texts, frames=frames, embeddings=np.zeros((0, 2), np.float32))
    spec = make_spec(
        "transcript", "WER_inv", sizes, ProbeSettings(30, 8, 0.03), classes=(),
        segment_seconds=None,
    )  # fmt: skip
    score = score_items(items, spec, PROTOCOL, frame_rate=50.0).scores["linear"]
    add_windows(score, items, spec, PROTOCOL, WINDOWS[:2], frame_rate=50.0)
    assert score.readouts is not None
    assert [one.readout for one in score.readouts] == [*WINDOWS[:2], BEST]
    assert score.readouts[0].value == score.value
    assert score.readouts[-1].value in [one.value for one in score.readouts[:2]]


def test_a_run_adds_them_where_they_are_asked_for(tmp_path: Any) -> None:
    protocol = dataclasses.replace(STRICT, seeds=1, learning_rates=(), least_updates=20)
    given: dict[str, Any] = {
        "data": "synthetic", "limit": 6, "protocol": protocol, "device": "cpu",
        "results": tmp_path / "r", "cache": tmp_path / "c",
    }  # fmt: skip
    (plain,) = evaluate("mfcc", "desed", readouts=["all"], **given)
    assert plain.error is None
    assert plain.scores["linear"].readouts is None  # `all` is of clips: a window costs a training
    (first,) = evaluate("mfcc", "desed", readouts=["window-1"], **given)
    assert first.run == plain.run and first.scores["linear"].value == plain.scores["linear"].value
    found = first.scores["linear"].readouts
    assert found is not None
    assert [one.readout for one in found] == ["window-0", "window-1", BEST]
    assert first.command.endswith("--readout window-0 window-1")
    (again,) = evaluate("mfcc", "desed", readouts=["window-1"], **given)
    assert again.scores["linear"].readouts == found
    board, _ = Leaderboard.from_folder(tmp_path / "r", cache=tmp_path / "c")
    text = to_markdown(board)
    assert "best readout of tasks by frames: in each fold the frames on either side" in text
    assert "linear probe, best readout" in text


def test_names() -> None:
    assert checked_readouts(["window-2"]) == ("window-0", "window-2")
    assert checked_readouts(["windows", "max"]) == ("mean", "max", *WINDOWS)
    assert windows_of(checked_readouts(["all"])) == ()
    assert clip_readouts(checked_readouts(["windows"])) == ()
    with pytest.raises(ValueError, match="unknown readout 'window-3'"):
        checked_readouts(["window-3"])
