"""Standardised features, against numpy in float64 over all rows at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ctc_probe import SPLIT as SPOKEN
from ctc_probe import toy
from frame_probe import EVENTS, FRAMES, SPLIT, make_objective
from hypothesis import given
from hypothesis import strategies as st
from tower_probe import attributes

from earmark.benchmark.probe import Training
from earmark.benchmark.probe.ctc import CTCObjective
from earmark.benchmark.probe.events import EventObjective
from earmark.benchmark.probe.frames import train_on_frames
from earmark.benchmark.probe.standard import FrameFeatures, Standard
from earmark.benchmark.probe.two_towers import train_towers

TRAINING = Training(
    epochs=6, batch_size=4, learning_rate=0.03, learning_rate_floor=0.1, standardised=True
)


def rows_of(parts: list[Any]) -> Any:
    return np.concatenate(parts).astype(np.float64)


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=6),
    st.integers(1, 12),
    st.sampled_from([0.0, 3.0, -900.0]),
    st.integers(0, 99),
)
def test_mean_and_deviation_are_those_of_all_rows(
    lengths: list[int], block: int, shift: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    parts = [(rng.standard_normal((n, 3)) + shift).astype(np.float16) for n in lengths]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("earmark.benchmark.probe.standard._BLOCK", block)
        found = Standard.over(parts)
    rows = rows_of(parts)
    np.testing.assert_allclose(found.mean.numpy(), rows.mean(axis=0), rtol=1e-6, atol=1e-7)
    deviation = rows.std(axis=0)
    wanted = np.divide(1, deviation, out=np.zeros(3), where=deviation > 0)
    np.testing.assert_allclose(found.factor.numpy(), wanted, rtol=1e-6)


def test_frames_on_the_disk_are_read_as_those_in_memory(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = (rng.standard_normal((500, 4)) * [1, 10, 0.1, 3] + 7).astype(np.float16)
    np.save(tmp_path / "f.npy", frames)
    mapped = np.load(tmp_path / "f.npy", mmap_mode="r")
    standard = Standard.over([mapped[:200], mapped[200:]])
    wanted = (frames.astype(np.float64) - frames.astype(np.float64).mean(axis=0)) / frames.astype(
        np.float64
    ).std(axis=0)
    np.testing.assert_allclose(standard.of(torch.from_numpy(frames)).numpy(), wanted, atol=1e-4)


def test_a_feature_without_variance_is_0_and_a_small_one_is_not() -> None:
    rng = np.random.default_rng(1)
    rows = np.empty((300, 4), np.float32)
    rows[:, 0] = 0.0
    rows[:, 1] = 0.1
    rows[:, 2] = np.float32(5e4) * (1 + 6e-8 * rng.integers(-1, 2, 300))  # rounding of a constant
    rows[:, 3] = 1e-6 * rng.standard_normal(300)  # small, but all of it is variance
    found = Standard.over([rows]).of(torch.from_numpy(rows)).numpy()
    assert not found[:, :3].any()
    assert found[:, 3].std() == pytest.approx(1, rel=1e-4)


def test_held_in_memory_or_read_again_the_frames_are_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Spans over clips, cut clips and the zeros beyond a clip's end."""
    standard = Standard.over(FRAMES)
    held = FrameFeatures(FRAMES, standard.of, "cpu", np.arange(len(FRAMES)))
    monkeypatch.setattr("earmark.benchmark.probe.standard.HELD", 0)
    read = FrameFeatures(FRAMES, standard.of, "cpu", np.arange(len(FRAMES)))
    for spans in ([(0, 0, 5)], [(3, 2, 6), (1, 0, 4), (3, 0, 2)], [(2, 0, len(FRAMES[2]) + 3)]):
        assert torch.equal(held.rows(spans), read.rows(spans))
    last = held.rows([(2, 0, len(FRAMES[2]) + 3)])[-1]
    np.testing.assert_allclose(last, -(standard.mean * standard.factor), rtol=1e-6)


CHANGES = [(1.0, 50.0), (1e3, 0.0), (1e-3, 0.0), (1e3, -2e4)]


@pytest.mark.parametrize(("factor", "constant"), CHANGES)
def test_a_constant_or_a_factor_changes_no_prediction_of_events(
    factor: float, constant: float
) -> None:
    objective = make_objective(FRAMES, EVENTS, EventObjective)
    one = train_on_frames(
        [f.astype(np.float32) for f in FRAMES], SPLIT, [0, 1], TRAINING, objective
    )
    moved = [factor * f.astype(np.float32) + np.float32(constant) for f in FRAMES]
    two = train_on_frames(moved, SPLIT, [0, 1], TRAINING, objective)
    assert one.best_epochs.tolist() == two.best_epochs.tolist()
    for a, b in zip(one.predicted, two.predicted, strict=True):
        np.testing.assert_array_equal(np.stack(a), np.stack(b))


@pytest.mark.parametrize(("factor", "constant"), CHANGES)
def test_a_constant_or_a_factor_changes_no_transcript(factor: float, constant: float) -> None:
    frames, texts, _ = toy()
    objective = CTCObjective(texts, [len(one) for one in frames], 50.0)
    found = [
        train_on_frames(
            [a * one.astype(np.float32) + np.float32(b) for one in frames],
            SPOKEN, [0, 1], TRAINING, objective,
        ).predicted
        for a, b in ((1.0, 0.0), (factor, constant))
    ]  # fmt: skip
    assert found[0] == found[1]
    assert any(text for clip in found[0] for text in clip)


@pytest.mark.parametrize(("factor", "constant"), CHANGES)
def test_a_constant_or_a_factor_changes_no_rank_of_a_caption(
    factor: float, constant: float
) -> None:
    embeddings, captions, split = attributes()
    ranks = [
        np.argsort(similarity, axis=1)[:, -3:]
        for moved in (embeddings, np.float32(factor) * embeddings + np.float32(constant))
        for similarity in train_towers(
            moved, captions, split, [0, 1], TRAINING, width=24
        ).similarities
    ]
    np.testing.assert_array_equal(np.stack(ranks[:2]), np.stack(ranks[2:]))


def test_mean_and_deviation_are_those_of_the_training_frames() -> None:
    """Validation and test frames, however large, move neither; a constant feature is no fault."""
    frames = [np.pad(f.astype(np.float32), ((0, 0), (0, 1)), constant_values=3) for f in FRAMES]
    raw = make_objective(frames, EVENTS)
    one = train_on_frames(frames, SPLIT, [0], TRAINING, raw)
    others = [f if i in SPLIT.train else 7 * f - 5 for i, f in enumerate(frames)]
    two = train_on_frames(others, SPLIT, [0], TRAINING, raw)
    assert one.losses.tobytes() == two.losses.tobytes()
    assert np.isfinite(np.concatenate([clip[0] for clip in one.predicted])).all()
