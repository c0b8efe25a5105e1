"""The linear head on frames, against torch.nn modules, autograd and torch.optim.Adam in float64."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from frame_probe import (
    CLASSES,
    DIMENSION,
    EVENTS,
    FRAMES,
    RATE,
    SPLIT,
    Raw,
    brute_f1,
    inside,
    make_objective,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.benchmark.probe import HeadKey, Training, initial_parameters, split_parameters
from earmark.benchmark.probe.events import EventObjective
from earmark.benchmark.probe.frames import FrameResult, Span, train_on_frames
from earmark.tasks.spec import Event

EPOCHS = 4


class Scripted(Raw):
    """Its validation quality is written down: for each epoch one value a seed."""

    script: Any = ()

    def quality(self, predicted: list[list[Any]], clips: Any) -> list[float]:
        first, *self.script = self.script
        return list(first)


TRAINING = Training(epochs=EPOCHS, batch_size=4, learning_rate=0.03, learning_rate_floor=0.1)


class Reference:
    """One seed: modules, autograd and an optimiser in float64; a clip order from seed [1]."""

    def __init__(self, seed: int, weight: float, average: str, training: Training) -> None:
        row = torch.from_numpy(initial_parameters(HeadKey(0, seed), DIMENSION, CLASSES))
        first = [part[0] for part in split_parameters(row[None].double(), DIMENSION)]
        norm, linear = torch.nn.LayerNorm(DIMENSION), torch.nn.Linear(DIMENSION, CLASSES)
        self.model = torch.nn.Sequential(norm, linear).double()
        with torch.no_grad():
            for parameter, value in zip(
                (linear.weight, linear.bias, norm.weight, norm.bias), first, strict=True
            ):
                parameter.copy_(value)
        self.criterion = torch.nn.BCEWithLogitsLoss(
            pos_weight=torch.full((CLASSES,), weight, dtype=torch.float64)
        )
        self.average, self.training = average, training

    def run(self, frames: list[Any], events: list[list[Event]]) -> tuple[Any, Any, Any]:
        """Per epoch: mean loss, validation F1, logits of the test clips."""
        optimiser = torch.optim.Adam(self.model.parameters())
        order = np.random.default_rng([1])
        losses, quality, tested = [], [], []
        for epoch in range(self.training.epochs):
            high = self.training.learning_rate
            cosine = (1 + math.cos(math.pi * epoch / self.training.epochs)) / 2
            for group in optimiser.param_groups:
                group["lr"] = 0.1 * high + 0.9 * high * cosine
            clips = order.permutation(SPLIT.train)
            size = self.training.batch_size
            steps = []
            for batch in [clips[i : i + size] for i in range(0, len(clips), size)]:
                x = torch.cat([torch.from_numpy(frames[i]).double() for i in batch])
                y = torch.tensor(
                    [
                        [any(e.label == c and inside(e, j, RATE) for e in events[i])
                         for c in range(CLASSES)]
                        for i in batch for j in range(len(frames[i]))
                    ],
                    dtype=torch.float64,
                )  # fmt: skip
                optimiser.zero_grad()
                loss = self.criterion(self.model(x), y)
                loss.backward()
                optimiser.step()
                steps.append(loss.item())
            losses.append(np.mean(steps))
            quality.append(brute_f1(self.logits(frames, SPLIT.valid), SPLIT.valid, frames, events))
            tested.append(self.logits(frames, SPLIT.test))
        return losses, [q[self.average] for q in quality], tested

    def logits(self, frames: list[Any], clips: Any) -> list[Any]:
        with torch.no_grad():
            return [self.model(torch.from_numpy(frames[i]).double()).numpy() for i in clips]


@pytest.mark.parametrize(
    ("seeds", "weight", "average", "size"),
    [((0,), 1.0, "macro", 4), ((3, 0, 7), 10.0, "micro", 4), ((1, 2), 0.5, "macro", 1)],
)
def test_equals_modules_autograd_and_adam(
    seeds: tuple[int, ...], weight: float, average: str, size: int
) -> None:
    training = Training(epochs=EPOCHS, batch_size=size, learning_rate=0.03, learning_rate_floor=0.1)
    objective = make_objective(FRAMES, EVENTS, average=average, positive_weight=weight)
    result = train_on_frames(FRAMES, SPLIT, seeds, training, objective)
    assert result.losses.shape == (EPOCHS, len(seeds))
    for s, seed in enumerate(seeds):
        losses, quality, tested = Reference(seed, weight, average, training).run(FRAMES, EVENTS)
        np.testing.assert_allclose(result.losses[:, s], losses, rtol=1e-5)
        np.testing.assert_allclose(result.validation[:, s], quality, atol=1e-9)
        best = quality.index(max(quality))
        assert result.best_epochs[s] == best
        for found, wanted in zip(result.predicted, tested[best], strict=True):
            np.testing.assert_allclose(found[s], wanted, atol=2e-4)


def test_bits_are_sigmoid_of_at_least_a_half() -> None:
    raw = train_on_frames(FRAMES, SPLIT, [0, 1], TRAINING, make_objective(FRAMES, EVENTS))
    objective = make_objective(FRAMES, EVENTS, EventObjective)
    packed = train_on_frames(FRAMES, SPLIT, [0, 1], TRAINING, objective)
    assert packed.best_epochs.tolist() == raw.best_epochs.tolist()
    for bits, logits in zip(packed.predicted, raw.predicted, strict=True):
        for one, real in zip(bits, logits, strict=True):
            chance = 1 / (1 + np.exp(-real.astype(float)))
            assert objective.active(one).tolist() == (chance >= 0.5).tolist()
    assert objective.decide(torch.tensor([[[0.0, -1e-6, 3.0]]])).tolist() == [[[True, False, True]]]


@pytest.mark.parametrize("weight", [1.0, 10.0])
def test_loss_is_the_mean_over_frames_and_classes_of_the_batch(weight: float) -> None:
    """Clips of 7 to 59 frames; nothing is padded, and a long clip weighs more than a short one."""
    objective = make_objective(FRAMES, EVENTS, positive_weight=weight)
    batch = np.array([4, 0, 11, 2])
    lengths = [len(FRAMES[i]) for i in batch]
    assert len(set(lengths)) == 4
    block = [Span(i, 0, n) for i, n in zip(batch.tolist(), lengths, strict=True)]
    logits = torch.randn(sum(lengths), 2, CLASSES, generator=torch.Generator().manual_seed(0)) * 3
    slope, loss = objective.slope(logits, block, batch)
    target = torch.from_numpy(np.concatenate([objective.targets(span) for span in block])).double()
    leaf = logits.double().requires_grad_()
    log_p, log_q = torch.log(torch.sigmoid(leaf)), torch.log(1 - torch.sigmoid(leaf))
    y = target[:, None, :]
    wanted = -(weight * y * log_p + (1 - y) * log_q).sum(dim=(0, 2)) / (sum(lengths) * CLASSES)
    np.testing.assert_allclose(loss, wanted.detach().numpy(), rtol=1e-5)
    (gradient,) = torch.autograd.grad(wanted.sum(), leaf)
    np.testing.assert_allclose(slope.numpy(), gradient.numpy(), atol=1e-7)


def test_large_logits_stay_finite() -> None:
    objective = make_objective(FRAMES, EVENTS)
    n = len(FRAMES[0])
    for size in (-1e4, 1e4):
        logits = torch.full((n, 1, CLASSES), size)
        slope, loss = objective.slope(logits, [Span(0, 0, n)], np.array([0]))
        assert slope.isfinite().all()
        share = objective.targets(Span(0, 0, n)).mean()
        assert loss[0] == pytest.approx(1e4 * (share if size < 0 else 1 - share), rel=1e-5)


@pytest.mark.parametrize("block", [1, 8, 33, 100])
def test_blocks_that_cut_recordings_change_nothing(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    objective = make_objective(FRAMES, EVENTS, positive_weight=10.0)
    whole = train_on_frames(FRAMES, SPLIT, [0, 1], TRAINING, objective)
    monkeypatch.setattr("earmark.benchmark.probe.frames.BLOCK", block)
    monkeypatch.setattr("earmark.benchmark.probe.events.BLOCK", block)
    cut = train_on_frames(FRAMES, SPLIT, [0, 1], TRAINING, objective)
    same(whole, cut, 1e-4)


def same(one: FrameResult, two: FrameResult, tolerance: float) -> None:
    np.testing.assert_allclose(one.losses, two.losses, rtol=1e-4)
    assert one.best_epochs.tolist() == two.best_epochs.tolist()
    for first, second in zip(one.predicted, two.predicted, strict=True):
        for a, b in zip(first, second, strict=True):
            np.testing.assert_allclose(a, b, atol=tolerance)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=6), st.integers(1, 50), st.randoms())
def test_blocks_hold_every_frame_once(lengths: list[int], block: int, random: Any) -> None:
    frames = [np.zeros((n, 1)) for n in lengths]
    objective = make_objective(frames, [[] for _ in lengths])
    order = list(range(len(lengths)))
    random.shuffle(order)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("earmark.benchmark.probe.events.BLOCK", block)
        blocks = list(objective.blocks(np.array(order)))
    seen = [(s.clip, j) for spans in blocks for s in spans for j in range(s.start, s.stop)]
    assert seen == [(i, j) for i in order for j in range(lengths[i])]
    sizes = [sum(s.stop - s.start for s in spans) for spans in blocks]
    assert all(size == block for size in sizes[:-1])
    assert all(0 < size <= block for size in sizes)


RATES = [Fraction(10), Fraction(25), Fraction(25, 2), Fraction(50), Fraction(22050, 256)]


@settings(max_examples=150)
@given(
    st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 2000), st.integers(0, 2)), max_size=8),
    st.sampled_from(RATES),
    st.integers(1, 90),
    st.data(),
)
def test_targets_are_what_sounds_at_a_frames_centre(
    times: list[tuple[int, int, int]], rate: Fraction, length: int, data: Any
) -> None:
    """Against exact fractions: onset <= centre < offset, times in milliseconds."""
    start = data.draw(st.integers(0, length - 1))
    stop = data.draw(st.integers(start + 1, length))
    events = [Event(on / 1000, (on + more) / 1000, label) for on, more, label in times]
    objective = make_objective([np.zeros((length, 1))], [events], frame_rate=float(rate))
    wanted = np.zeros((stop - start, 3), bool)
    for j in range(start, stop):
        centre = (j + Fraction(1, 2)) / rate
        for on, more, label in times:
            wanted[j - start, label] |= Fraction(on, 1000) <= centre < Fraction(on + more, 1000)
    assert objective.targets(Span(0, start, stop)).tolist() == wanted.tolist()


@pytest.mark.parametrize("rate", [10.0, 25.0, 12.5, 50.0, 62.5, 100.0])
def test_times_on_a_frames_centre_survive_rounding(rate: float) -> None:
    """A decimal such as 0.14 s is not exact: times 25 Hz it comes to just above 3.5."""
    for j in range(300):
        onset, offset = float(f"{(j + 0.5) / rate:.6f}"), float(f"{(j + 2.5) / rate:.6f}")
        objective = make_objective([np.zeros((310, 1))], [[Event(onset, offset, 1)]])
        objective.frame_rate = rate
        active = objective.targets(Span(0, 0, 310))
        assert np.argwhere(active).tolist() == [[j, 1], [j + 1, 1]]


def test_first_of_the_best_epochs_is_tested() -> None:
    objective = make_objective(FRAMES, EVENTS, Scripted)
    objective.script = [(0.1, 0.5, 0.1), (0.3, 0.2, 0.2), (0.3, 0.5, 0.1), (0.2, 0.4, 0.9)]
    result = train_on_frames(FRAMES, SPLIT, [0, 1, 2], TRAINING, objective)
    assert result.best_epochs.tolist() == [1, 0, 3]
    for s, best in enumerate((1, 0, 3)):
        tested = Reference(s, 1.0, "macro", TRAINING).run(FRAMES, EVENTS)[2]
        for found, wanted in zip(result.predicted, tested[best], strict=True):
            np.testing.assert_allclose(found[s], wanted, atol=2e-4)


def test_seeds_differ_and_repetition_is_bit_equal() -> None:
    objective = make_objective(FRAMES, EVENTS)
    one, two = (train_on_frames(FRAMES, SPLIT, [0, 1], TRAINING, objective) for _ in range(2))
    assert one.losses.tobytes() == two.losses.tobytes()
    for first, second in zip(one.predicted, two.predicted, strict=True):
        assert [a.tobytes() for a in first] == [b.tobytes() for b in second]
        assert np.abs(first[0] - first[1]).max() > 1e-3


def test_head_is_the_same_alone_and_beside_others() -> None:
    objective = make_objective(FRAMES, EVENTS)
    together = train_on_frames(FRAMES, SPLIT, range(5), TRAINING, objective)
    alone = train_on_frames(FRAMES, SPLIT, [3], TRAINING, objective)
    picked = dataclasses.replace(
        together, losses=together.losses[:, 3:4], best_epochs=together.best_epochs[3:4],
        predicted=[[clip[3]] for clip in together.predicted],
    )  # fmt: skip
    same(picked, alone, 1e-4)


@pytest.mark.parametrize("average", ["macro", "micro"])
def test_validation_without_any_event_tests_the_first_epoch(average: str) -> None:
    """F1 is undefined there; that must be neither better nor worse than itself."""
    silent = [[] if i in SPLIT.valid else own for i, own in enumerate(EVENTS)]
    objective = make_objective(FRAMES, silent, average=average)
    result = train_on_frames(FRAMES, SPLIT, [0, 1], TRAINING, objective)
    assert result.best_epochs.tolist() == [0, 0]
    logits = [[np.ones((len(FRAMES[i]), CLASSES))] for i in SPLIT.valid]
    assert objective.quality(logits, SPLIT.valid) == [0.0]


def test_quality_is_segment_f1_over_all_clips_together() -> None:
    rng = np.random.default_rng(2)
    logits = [rng.standard_normal((2, len(FRAMES[i]), CLASSES)) - 0.8 for i in SPLIT.test]
    for average in ("macro", "micro"):
        objective = make_objective(FRAMES, EVENTS, average=average)
        found = objective.quality([list(one) for one in logits], SPLIT.test)
        for s in range(2):
            wanted = brute_f1([one[s] for one in logits], SPLIT.test, FRAMES, EVENTS)[average]
            assert found[s] == pytest.approx(wanted)


def test_labels_of_test_clips_reach_nothing() -> None:
    changed = [[] if i in SPLIT.test else own for i, own in enumerate(EVENTS)]
    one, two = (
        train_on_frames(FRAMES, SPLIT, [0], TRAINING, make_objective(FRAMES, events))
        for events in (EVENTS, changed)
    )
    assert [c[0].tobytes() for c in one.predicted] == [c[0].tobytes() for c in two.predicted]


def test_every_step_is_reported() -> None:
    seen: list[tuple[int, int]] = []
    objective = make_objective(FRAMES, EVENTS)
    train_on_frames(FRAMES, SPLIT, [0], TRAINING, objective, lambda *step: seen.append(step))
    assert seen == [(i, 12) for i in range(1, 13)]  # nine clips by four, four epochs
