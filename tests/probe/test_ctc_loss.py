"""The CTC loss and gradient against torch, against all alignments, against differences."""

from itertools import pairwise, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.benchmark.probe import ctc_loss as lattice
from earmark.benchmark.probe.ctc import SYMBOLS, CTCObjective
from earmark.benchmark.probe.ctc_loss import by_logarithms, ctc
from earmark.benchmark.probe.frames import Span


@pytest.fixture
def fallbacks(monkeypatch):
    """The targets of the sequences that were left to torch."""
    seen = []

    def counted(logits, target):
        seen.append(list(target))
        return by_logarithms(logits, target)

    monkeypatch.setattr(lattice, "by_logarithms", counted)
    return seen


@pytest.fixture
def no_fallback(monkeypatch):
    def refuse(logits, target):
        raise AssertionError(f"left to torch: {target}")

    monkeypatch.setattr(lattice, "by_logarithms", refuse)


def by_torch(logits, lengths, targets):
    """Losses (B,) and gradient (T, B, K) of torch's own, in float64."""
    leaf = torch.from_numpy(np.asarray(logits, np.float64)).requires_grad_()
    loss = torch.nn.functional.ctc_loss(
        leaf.log_softmax(dim=-1),
        torch.tensor([symbol for target in targets for symbol in target], dtype=torch.long),
        torch.tensor(lengths),
        torch.tensor([len(target) for target in targets]),
        reduction="none",
        zero_infinity=True,
    )
    (gradient,) = torch.autograd.grad(loss.sum(), leaf)
    return loss.detach().numpy(), gradient.numpy()


def check(logits, lengths, targets):
    loss, gradient = ctc(logits, lengths, targets)
    expected_loss, expected_gradient = by_torch(logits, lengths, targets)
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=0, atol=1e-9)


def needed(target):
    return len(target) + sum(a == b for a, b in pairwise(target))


@st.composite
def batches(draw):
    """Logits, lengths, targets: from flat to peaked, empty to just long enough to too long."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    symbols = draw(st.integers(2, 6))
    letters = st.integers(1, symbols - 1)  # few of them, hence repeats
    targets = draw(st.lists(st.lists(letters, max_size=14), min_size=1, max_size=5))
    spare = [draw(st.sampled_from([-1, 0, 0, 1, 2, 9, 30])) for _ in targets]
    lengths = [max(1, needed(t) + more) for t, more in zip(targets, spare, strict=True)]
    logits = rng.normal(size=(max(lengths), len(targets), symbols))
    logits *= draw(st.sampled_from([0.0, 0.1, 1.0, 10.0, 60.0]))
    logits[:, :, 0] += draw(st.sampled_from([-40.0, -5.0, 0.0, 5.0, 40.0]))
    return logits, lengths, targets


@settings(max_examples=200, deadline=None)
@given(batches())
def test_same_as_torch(batch):
    check(*batch)


def ordinary(rng, times, letters, symbols=29):
    targets = [rng.integers(1, symbols, n).tolist() for n in letters]
    return rng.normal(size=(max(times), len(times), symbols)), list(times), targets


@pytest.mark.parametrize("times", [600, 1700])
@pytest.mark.parametrize("kind", ["flat", "blank", "rough", "aligned"])
def test_real_sizes_need_no_fallback(no_fallback, kind, times):
    rng = np.random.default_rng(0)
    letters = [int(times * share) for share in (0.3, 0.15, 0.4)]
    logits, lengths, targets = ordinary(rng, [times, times - 13, times - 21], letters)
    logits *= {"flat": 0.1, "blank": 0.5, "rough": 3.0, "aligned": 1.0}[kind]
    if kind != "flat" and kind != "rough":
        logits[:, :, 0] += 7  # as all outputs look early in training
    if kind == "aligned":
        for b, target in enumerate(targets):
            at = np.sort(rng.choice(lengths[b], len(target), replace=False))
            logits[at, b, target] += 15
    check(logits.astype(np.float32), lengths, targets)


@pytest.mark.parametrize(
    ("target", "times"),
    [([], 1), ([], 40), ([1], 1), ([1], 40), ([1, 1], 3), ([2] * 20, 39), ([1, 2] * 20, 40)],
)
def test_edges_need_no_fallback(no_fallback, target, times):
    logits = np.random.default_rng(1).normal(size=(times, 1, 3))
    check(logits, [times], [target])


def test_only_the_blank():
    logits = np.zeros((5, 1, 1))
    loss, gradient = ctc(logits, [5], [[]])
    assert loss == [0] and not gradient.any()


def test_all_alignments():
    """p is the sum over all symbol sequences that read as the target (Graves et al., eq. 3)."""
    rng = np.random.default_rng(2)
    for target, times in [([], 3), ([1], 4), ([1, 1], 5), ([2, 1], 5), ([1, 2, 2], 6), ([2], 1)]:
        logits = rng.normal(size=(times, 1, 3))
        p = np.exp(logits[:, 0])
        p /= p.sum(axis=1, keepdims=True)
        total, occupancy = 0.0, np.zeros((times, 3))
        for path in product(range(3), repeat=times):
            runs = [s for i, s in enumerate(path) if i == 0 or s != path[i - 1]]
            if [s for s in runs if s != 0] == target:
                weight = np.prod(p[np.arange(times), path])
                total += weight
                occupancy[np.arange(times), path] += weight
        loss, gradient = ctc(logits, [times], [target])
        assert loss[0] == pytest.approx(-np.log(total), rel=1e-12)
        np.testing.assert_allclose(gradient[:, 0], p - occupancy / total, atol=1e-13)


def test_gradient_by_differences():
    rng = np.random.default_rng(3)
    logits, lengths, targets = ordinary(rng, [12, 20], [5, 6], symbols=4)
    _, gradient = ctc(logits, lengths, targets)
    change = np.zeros_like(logits)
    for place in np.ndindex(logits.shape):
        change[place] = 1e-5
        more, less = (ctc(logits + sign * change, lengths, targets)[0].sum() for sign in (1, -1))
        change[place] = 0
        assert (more - less) / 2e-5 == pytest.approx(gradient[place], abs=1e-8)


def test_too_long_targets_add_nothing(no_fallback):
    rng = np.random.default_rng(4)
    targets = [[1, 2, 3], [1, 1, 2], [3], [1, 2], [2]]
    logits = rng.normal(size=(9, 5, 4))
    lengths = [2, 3, 9, 1, 0]
    loss, gradient = ctc(logits, lengths, targets)
    assert loss[[0, 1, 3, 4]].tolist() == [0, 0, 0, 0]
    assert not gradient[:, [0, 1, 3, 4]].any()
    alone, alone_gradient = ctc(logits[:, 2:3], [9], [[3]])
    assert loss[2] == alone[0] > 0
    np.testing.assert_array_equal(gradient[:, 2:3], alone_gradient)
    nothing, flat = ctc(logits[:, :1], [2], [[1, 2, 3]])
    assert nothing == [0] and not flat.any()


def test_a_sequence_depends_on_no_other(fallbacks):
    """Not on longer ones, nor on such that are left to torch, are too short or hold no number."""
    rng = np.random.default_rng(5)
    times = [70, 50, 64, 90, 57, 20, 40]
    logits, lengths, targets = ordinary(rng, times, [20, 17, 1, 30, 0, 19, 9])
    logits[:, 3, 1:] += 900.0 * rng.integers(0, 2, (90, 28))
    logits[3, 6] = np.nan
    targets[5] = [4] * 19
    loss, gradient = ctc(logits, lengths, targets)
    assert sorted(fallbacks) == sorted([targets[3], targets[6]])
    assert np.isnan(loss[6])
    for i in range(6):
        own = logits[: lengths[i], i : i + 1]
        alone, alone_gradient = ctc(own, [lengths[i]], [targets[i]])
        np.testing.assert_allclose(loss[i], alone[0], rtol=1e-13)
        np.testing.assert_allclose(
            gradient[: lengths[i], i], alone_gradient[:, 0], rtol=0, atol=1e-12
        )
        assert not gradient[lengths[i] :, i].any()


def test_what_is_past_the_end_does_not_matter():
    rng = np.random.default_rng(6)
    logits, lengths, targets = ordinary(rng, [30, 21], [9, 8])
    loss, gradient = ctc(logits, lengths, targets)
    logits[21:, 1] = np.inf
    again, gradient_again = ctc(logits, lengths, targets)
    np.testing.assert_array_equal(loss, again)
    np.testing.assert_array_equal(gradient, gradient_again)


def contradicted(times, strength):
    """All outputs say the letters backwards, loudly: forward and backward mass hardly meet."""
    target = [1, 2, 3, 4] * (times // 16)
    logits = np.zeros((times, 1, 5))
    for time in range(times):
        logits[time, 0, target[-1 - time * len(target) // times]] = strength
    return logits, [times], [target]


def test_underflow_is_left_to_torch(fallbacks):
    for times, strength in [(160, 800.0), (320, 60.0), (640, 300.0)]:
        fallbacks.clear()
        check(*contradicted(times, strength))
        assert len(fallbacks) == 1
    fallbacks.clear()
    check(*contradicted(160, 1.0))
    assert not fallbacks


def test_lost_mass_is_noticed_where_other_mass_is_left(fallbacks):
    """Outputs that insist on one symbol for long, then on another, whatever the target says.

    The way through them that matters in the end may be the one that seemed hopeless before. Where
    it underflowed while others did not, their sum looks like a p, and is wrong.
    """
    rng = np.random.default_rng(7)
    for times in (100, 400, 1000):
        for scale in (5.0, 10.0, 20.0, 40.0):
            target = rng.integers(1, 4, times // 4).tolist()
            logits = np.zeros((times, 1, 4))
            for start in range(0, times, times // 10):
                logits[start : start + times // 10, 0, rng.integers(0, 4)] = scale
            check(logits, [times], [target])
    assert fallbacks  # some of these, and not all
    assert len(fallbacks) < 12


def test_a_target_that_cannot_be_adds_nothing(fallbacks):
    logits = np.zeros((6, 1, 3))
    logits[:, :, 1] = -np.inf
    loss, gradient = ctc(logits, [6], [[2, 1]])
    assert fallbacks and loss == [0] and not gradient.any()


def test_only_the_least_likely_is_in_time():
    """Just as many steps as letters, all of them nearly impossible; another one beside it."""
    rng = np.random.default_rng(11)
    target = [1, 2] * 10
    for bits in range(90, 180, 3):
        logits = rng.normal(size=(20, 2, 3))
        logits[:, 0, 0] += bits * np.log(2)
        check(logits, [20, 20], [target, [1, 2, 2]])


def test_underflow_within_a_batch(fallbacks):
    bad, _, (target,) = contradicted(160, 800.0)
    good = np.random.default_rng(8).normal(size=(160, 1, 5))
    check(np.concatenate([good, bad, good], axis=1), [100, 160, 160], [target, target, [1, 2]])
    assert fallbacks == [target]


def test_no_bit_depends_on_threads():
    logits, lengths, targets = ordinary(np.random.default_rng(9), [200] * 10, [60] * 10)
    found = []
    before = torch.get_num_threads()
    for threads in (1, 4, 1):
        torch.set_num_threads(threads)
        found.append(ctc(logits, lengths, targets))
    torch.set_num_threads(before)
    for loss, gradient in found[1:]:
        np.testing.assert_array_equal(loss, found[0][0])
        np.testing.assert_array_equal(gradient, found[0][1])


def test_slope_of_the_objective():
    """By letter, mean over the batch, each seed its own; one text does not fit its frames."""
    texts, frames = ["hello all", "a", "too long for it"], [9, 4, 5]
    objective = CTCObjective(texts, frames, frame_rate=25)
    assert objective.sub_frames == 2
    block = [Span(i, 0, frames[i]) for i in (1, 2, 0)]
    count = sum(frames)
    logits = torch.from_numpy(
        np.random.default_rng(10).normal(size=(count, 2, 2 * SYMBOLS)).astype(np.float32)
    )
    slope, by_seed = objective.slope(logits, block, np.array([1, 2, 0]))
    assert slope.dtype == torch.float32 and by_seed.dtype == np.float64
    expected, total = torch.zeros_like(logits), np.zeros(2)
    start = 0
    for span in block:
        target, stop = objective.targets[span.clip], start + span.stop
        for seed in range(2):
            own = logits[start:stop, seed].reshape(-1, 1, SYMBOLS).numpy()
            loss, gradient = by_torch(own, [len(own)], [target])
            total[seed] += loss[0] / len(target) / 3
            share = torch.from_numpy(gradient).float() / len(target) / 3
            expected[start:stop, seed] = share.reshape(-1, 2 * SYMBOLS)
        start = stop
    np.testing.assert_allclose(by_seed, total, rtol=1e-10)
    torch.testing.assert_close(slope, expected, rtol=1e-5, atol=1e-8)
