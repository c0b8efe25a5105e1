"""The CTC objective, against torch.nn.CTCLoss clip by clip in float64, alignments written out."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from ctc_probe import LETTERS, SPLIT, SYMBOLS, encoded, toy
from hypothesis import given
from hypothesis import strategies as st

from earmark.benchmark.probe import HeadKey, Training, initial_parameters, split_parameters
from earmark.benchmark.probe.ctc import CTCObjective, greedy
from earmark.benchmark.probe.frames import Span, train_on_frames


def spell(symbols: Any) -> str:
    """Greedy decoding the plain way."""
    runs = [key for key, _ in itertools.groupby(int(s) for s in symbols)]
    return " ".join("".join(LETTERS[key] for key in runs if key).split())


def edits(one: Any, two: Any) -> int:
    """Levenshtein distance, row by row."""
    row = list(range(len(two) + 1))
    for i, a in enumerate(one, start=1):
        before, row = row, [i]
        for j, b in enumerate(two, start=1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (a != b)))
    return row[-1]


def plain_loss(logits: torch.Tensor, text: str, sub_frames: int) -> torch.Tensor:
    """One clip's loss by letter: (F, sub-frames * 29) -> (); 0 where the text does not fit."""
    steps = logits.reshape(len(logits) * sub_frames, SYMBOLS)
    needed = len(text) + sum(a == b for a, b in itertools.pairwise(text))
    if len(steps) < needed:
        return steps.sum() * 0
    loss = torch.nn.CTCLoss(blank=0, reduction="sum")
    target = torch.tensor([encoded(text)])
    log_p = steps.log_softmax(dim=1)[:, None, :]
    whole: torch.Tensor = loss(log_p, target, [len(steps)], [len(text)])
    return whole / len(text)


def whole_block(lengths: list[int], batch: list[int]) -> list[Span]:
    return [Span(i, 0, lengths[i]) for i in batch]


TEXTS = ["it's a", "zoo", "hello all", "b", "aab"]


@pytest.mark.parametrize(
    ("rate", "sub_frames"), [(50.0, 1), (75.0, 1), (25.0, 2), (12.5, 4), (20.0, 3), (49.9, 2)]
)
def test_slope_and_loss_equal_ctc_loss_clip_by_clip(rate: float, sub_frames: int) -> None:
    lengths = [-(-n // sub_frames) for n in (15, 4, 30, 9, 12)]
    objective = CTCObjective(TEXTS, lengths, rate)
    assert (objective.sub_frames, objective.outputs) == (sub_frames, sub_frames * SYMBOLS)
    batch = np.array([3, 0, 2, 1])
    (block,) = objective.blocks(batch)
    assert block == whole_block(lengths, batch.tolist())
    total = sum(lengths[i] for i in batch)
    draw = torch.Generator().manual_seed(1)
    logits = 2 * torch.randn(total, 3, sub_frames * SYMBOLS, generator=draw)
    slope, loss = objective.slope(logits, block, batch)
    leaf = logits.double().requires_grad_()
    parts = leaf.split([lengths[i] for i in batch])
    wanted = torch.stack(
        [
            torch.stack([plain_loss(p[:, s], TEXTS[i], sub_frames) for s in range(3)])
            for p, i in zip(parts, batch, strict=True)
        ]
    ).mean(dim=0)  # the mean over the batch's clips, whatever their lengths
    np.testing.assert_allclose(loss, wanted.detach().numpy(), rtol=1e-5)
    (gradient,) = torch.autograd.grad(wanted.sum(), leaf)
    np.testing.assert_allclose(slope.numpy(), gradient.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("text", ["a", "ab", "aa", "b c", "abc"])
def test_loss_is_the_sum_over_all_alignments(text: str) -> None:
    """Every path of three steps over 29 symbols that spells the text."""
    logits = torch.randn(3, 1, SYMBOLS, generator=torch.Generator().manual_seed(2)).double()
    log_p = logits[:, 0].log_softmax(dim=1).numpy()
    chance = 0.0
    for path in itertools.product(range(SYMBOLS), repeat=3):
        runs = [key for key, _ in itertools.groupby(path)]
        if [key for key in runs if key] == encoded(text):
            chance += math.exp(sum(log_p[t, symbol] for t, symbol in enumerate(path)))
    objective = CTCObjective([text], [3], 50.0)
    _, loss = objective.slope(logits.float(), [Span(0, 0, 3)], np.array([0]))
    assert loss[0] == pytest.approx(-math.log(chance) / len(text), rel=1e-5)


@pytest.mark.parametrize(("text", "fits"), [("abc", False), ("aa", False), ("ab", True)])
def test_transcript_that_does_not_fit_adds_nothing(text: str, fits: bool) -> None:
    """Two steps: a letter twice needs a blank between. The clip still counts as one of two."""
    draw = torch.Generator().manual_seed(3)
    logits = torch.randn(7, 1, SYMBOLS, generator=draw)
    objective = CTCObjective([text, "ok"], [2, 5], 50.0)
    slope, loss = objective.slope(logits, whole_block([2, 5], [0, 1]), np.array([0, 1]))
    other = plain_loss(logits[2:, 0].double(), "ok", 1).item()
    assert objective.fits(0) == fits and objective.fits(1)
    assert np.isfinite(loss).all()
    assert slope.isfinite().all()
    assert (loss[0] > other / 2 + 0.1) == fits
    assert bool(slope[:2].any()) == fits
    if not fits:
        assert loss[0] == pytest.approx(other / 2, rel=1e-5)
    assert slope[2:].any()


def test_many_short_clips_in_one_batch_see_no_padding() -> None:
    """A clip's slope is the same beside a longer one as alone."""
    draw = torch.Generator().manual_seed(4)
    logits = torch.randn(46, 2, SYMBOLS, generator=draw)
    objective = CTCObjective(["abc", "hello"], [6, 40], 50.0)
    both, _ = objective.slope(logits, whole_block([6, 40], [0, 1]), np.array([0, 1]))
    alone, _ = objective.slope(logits[:6], [Span(0, 0, 6)], np.array([0]))
    np.testing.assert_allclose(both[:6].numpy(), alone.numpy() / 2, atol=1e-6)


@pytest.mark.parametrize("every", range(1, 20))
def test_sub_frames_just_reach_50_hz(every: int) -> None:
    """At hops of whole 20 ms, the quotient is whole; rounding must not add one."""
    rate = 16_000 / (320 * every)
    assert CTCObjective(["a"], [1], rate).sub_frames == every


@pytest.mark.parametrize(
    ("symbols", "text"),
    [
        ("__aab_b_", "abb"),
        ("aaaa", "a"),
        ("____", ""),
        ("hheel_ll_lo", "helllo"),
        ("_ a  _ b ", "a b"),
        ("it''_s", "it's"),
        ("    ", ""),
        ("a_ _ _b", "a b"),
        ("", ""),
    ],
)
def test_greedy_by_hand(symbols: str, text: str) -> None:
    assert greedy(np.array(encoded(symbols), np.int64)) == text


@given(st.lists(st.integers(0, 28), max_size=30))
def test_greedy_as_the_plain_way(symbols: list[int]) -> None:
    assert greedy(np.array(symbols, np.int64)) == spell(symbols)


def test_sub_frames_are_decoded_in_order() -> None:
    """Two frames of two sub-frames and two seeds: symbols follow each other frame by frame."""
    objective = CTCObjective(["x"], [2], 25.0)
    logits = torch.zeros(2, 2, 2, SYMBOLS)
    for s, text in enumerate(("abca", "z_zz")):
        for t, symbol in enumerate(encoded(text)):
            logits[t // 2, s, t % 2, symbol] = 1.0
    decided = objective.decide(logits.reshape(2, 2, -1))
    assert objective.decode(decided, 0) == ["abca", "zz"]


@given(st.integers(1, 130), st.integers(1, 9), st.integers(0, 9))
def test_batches_hold_every_clip_once(count: int, size: int, seed: int) -> None:
    lengths = np.random.default_rng(seed).integers(1, 90, 2 * count).tolist()
    clips = np.arange(count) * 2
    objective = CTCObjective(["a"] * len(lengths), lengths, 50.0)
    batches = objective.batches(clips, size, np.random.default_rng(seed))
    assert sorted(i for batch in batches for i in batch) == clips.tolist()
    assert all(0 < len(batch) <= size for batch in batches)
    assert len(batches) == -(-count // size)


def test_batches_hold_clips_of_similar_length_in_random_order() -> None:
    lengths = np.random.default_rng(0).permutation(200).tolist()
    objective = CTCObjective(["a"] * 200, lengths, 50.0)
    rng = np.random.default_rng(0)
    first, second = (objective.batches(np.arange(200), 5, rng) for _ in range(2))
    for batch in first:  # all lengths differ and fit one bucket: neighbours in length
        found = sorted(lengths[i] for i in batch)
        assert found == list(range(found[0], found[0] + 5))
    order = [min(lengths[i] for i in batch) for batch in first]
    assert order not in (sorted(order), sorted(order, reverse=True))
    assert order != [min(lengths[i] for i in batch) for batch in second]
    # with many more clips than a bucket holds, two epochs batch them differently
    lengths = np.random.default_rng(1).permutation(400).tolist()
    objective = CTCObjective(["a"] * 400, lengths, 50.0)
    one, two = ({frozenset(b.tolist()) for b in objective.batches(np.arange(400), 4, rng)}
                for _ in range(2))  # fmt: skip
    assert one != two
    spread = [max(lengths[i] for i in b) - min(lengths[i] for i in b) for b in one]
    assert np.mean(spread) < 20  # about 80 if they were drawn at random


def test_quality_is_right_letters_of_all_then_right_words() -> None:
    references = ["the cat sat", "oh"]
    objective = CTCObjective(references, [9, 9], 50.0)
    seeds = [
        ("the cat sat", "oh"), ("the cat", "oh"), ("xx yy zz", "qq"), ("th ct st", "o"),
        ("", ""), ("a b c d e f g h", "oh my oh my"),
    ]  # fmt: skip
    predicted = [[seed[clip] for seed in seeds] for clip in range(2)]
    found = objective.quality(predicted, np.array([0, 1]))
    for (letters, right), seed in zip(found, seeds, strict=True):
        pairs = list(zip(references, seed, strict=True))
        words = sum(edits(a.split(), b.split()) for a, b in pairs)
        assert right == pytest.approx(1 - words / 4)
        wrong = sum(edits(a, b) for a, b in pairs)
        assert letters == pytest.approx(max(0.0, 1 - wrong / 13))
    assert found[0] == (1.0, 1.0)
    assert found[3] > found[2]  # all words wrong, but fewer letters
    assert found[1] > found[3]  # as many letters, more words


@pytest.mark.parametrize("rate", [50.0, 25.0])
def test_learnable_problem_is_spelled(rate: float) -> None:
    frames, texts, _ = toy(rate)
    objective = CTCObjective(texts, [len(one) for one in frames], rate)
    training = Training(epochs=30, batch_size=4, learning_rate=0.1, learning_rate_floor=0.1)
    result = train_on_frames(frames, SPLIT, [0, 1], training, objective)
    assert (result.losses[-1] < result.losses[0] / 10).all()
    wanted = [texts[i] for i in SPLIT.test]
    for s in range(2):
        found = [clip[s] for clip in result.predicted]
        if rate == 50:
            assert found == wanted
        wrong = sum(edits(*pair) for pair in zip(wanted, found, strict=True))
        assert wrong <= 0.2 * sum(len(text) for text in wanted)
    again = train_on_frames(frames, SPLIT, [0, 1], training, objective)
    assert again.losses.tobytes() == result.losses.tobytes()
    assert again.predicted == result.predicted


@pytest.mark.parametrize(("rate", "epochs"), [(50.0, 6), (12.5, 5)])
def test_training_equals_modules_autograd_and_adam(rate: float, epochs: int) -> None:
    frames, texts, per = toy(rate, noise=1.0)
    objective = CTCObjective(texts, [len(one) for one in frames], rate)
    training = Training(epochs=epochs, batch_size=4, learning_rate=0.02, learning_rate_floor=0.1)
    result = train_on_frames(frames, SPLIT, [0, 4], training, objective)
    for s, seed in enumerate((0, 4)):
        losses, right, best, predicted = reference(seed, frames, texts, per, objective, training)
        np.testing.assert_allclose(result.losses[:, s], losses, rtol=1e-4)
        np.testing.assert_allclose(result.validation[:, s], right, atol=1e-9)
        assert result.best_epochs[s] == best
        assert [clip[s] for clip in result.predicted] == predicted


def reference(
    seed: int, frames: Any, texts: list[str], per: int, objective: Any, training: Training
) -> tuple[list[float], list[float], int, list[str]]:
    """One seed in float64: losses and 1 - CER by epoch, the tested epoch, the test's texts."""
    dimension = frames[0].shape[1]
    row = torch.from_numpy(initial_parameters(HeadKey(0, seed), dimension, per * SYMBOLS))
    weight, bias, _, _ = split_parameters(row[None].double(), dimension)
    linear = torch.nn.Linear(dimension, per * SYMBOLS).double()
    with torch.no_grad():
        linear.weight.copy_(weight[0])
        linear.bias.copy_(bias[0])
    model = torch.nn.Sequential(torch.nn.LayerNorm(dimension).double(), linear)
    optimiser = torch.optim.Adam(model.parameters())
    features = [torch.from_numpy(one).double() for one in frames]
    order = np.random.default_rng([1])
    losses, found = [], []

    def texts_of(clips: Any) -> list[str]:
        with torch.no_grad():
            return [spell(model(features[i]).reshape(-1, SYMBOLS).argmax(dim=1)) for i in clips]

    for epoch in range(training.epochs):
        cosine = (1 + math.cos(math.pi * epoch / training.epochs)) / 2
        for group in optimiser.param_groups:
            group["lr"] = training.learning_rate * (0.1 + 0.9 * cosine)
        steps = []
        for batch in objective.batches(SPLIT.train, training.batch_size, order):
            optimiser.zero_grad()
            loss = torch.stack([plain_loss(model(features[i]), texts[i], per) for i in batch])
            loss.mean().backward()
            optimiser.step()
            steps.append(loss.mean().item())
        losses.append(float(np.mean(steps)))
        pairs = [(texts[i], t) for i, t in zip(SPLIT.valid, texts_of(SPLIT.valid), strict=True)]
        words = sum(edits(a.split(), b.split()) for a, b in pairs)
        wer = words / sum(len(a.split()) for a, _ in pairs)
        letters = sum(edits(a, b) for a, b in pairs)
        letters /= sum(len(a) for a, _ in pairs)
        found.append(((max(0.0, 1 - letters), 1 - wer), texts_of(SPLIT.test)))
    qualities = [quality for quality, _ in found]
    best = qualities.index(max(qualities))
    return losses, [right for right, _ in qualities], best, found[best][1]
