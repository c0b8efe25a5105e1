"""Logistic regression: its minimum, at every strength, beside scikit-learn's in float64."""

from __future__ import annotations

import json
import tarfile
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from earmark.benchmark.probe import logistic
from earmark.benchmark.probe.logistic import STRENGTHS, Path, Problem, Solution
from earmark.encoders import load_encoder

GOAL = 1e-5  # of the objective, relative


def objective(weight: Any, bias: Any, x: Any, y: Any, strength: float) -> float:
    """J in float64, as the module's docstring has it."""
    logits = x @ np.asarray(weight, np.float64).T + np.asarray(bias, np.float64)
    if y.ndim == 2:
        loss = (np.logaddexp(0, logits) - logits * y).sum(axis=1)
    else:
        loss = logsumexp(logits, axis=1) - logits[np.arange(len(y)), y]
    return float(loss.mean() + strength / 2 * np.square(np.asarray(weight)).sum())


def by_scikit_learn(x: Any, y: Any, strength: float) -> float:
    """J at scikit-learn's minimum. Its two classes have one row of weights: w is half of it."""
    if y.ndim == 2:
        parts = [by_scikit_learn_binary(x, y[:, c], strength) for c in range(y.shape[1])]
        return sum(parts)
    other = LogisticRegression(
        C=1 / (strength * len(x)), tol=1e-10, max_iter=20_000, solver="newton-cg"
    ).fit(x, y)
    return objective(other.coef_, other.intercept_, x, y, strength)


def by_scikit_learn_binary(x: Any, y: Any, strength: float) -> float:
    other = LogisticRegression(
        C=1 / (strength * len(x)), tol=1e-10, max_iter=20_000, solver="newton-cg"
    ).fit(x, y)
    return objective(other.coef_, other.intercept_, x, y[:, None].astype(float), strength)


def solved(x: NDArray[Any], y: NDArray[Any], strengths: Any = STRENGTHS) -> list[Solution]:
    classes = y.shape[1] if y.ndim == 2 else int(y.max()) + 1
    problem = Problem(torch.from_numpy(x.astype(np.float32)), torch.from_numpy(y), classes)
    path = Path(problem)
    return [path.solve(strength) for strength in strengths]


def hold(x: NDArray[Any], y: NDArray[Any], strengths: Any = STRENGTHS[::2]) -> None:
    x = StandardScaler().fit_transform(x).astype(np.float32).astype(np.float64)
    for solution in solved(x, y, strengths):
        ours = objective(solution.weight, solution.bias, x, y, solution.strength)
        theirs = by_scikit_learn(x, y, solution.strength)
        assert solution.converged
        assert solution.objective == pytest.approx(ours, rel=1e-5, abs=1e-9)
        assert ours <= theirs * (1 + GOAL) + 1e-10, solution.strength


def clouds(count: int, dimension: int, classes: int, apart: float, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, count)
    y[:classes] = np.arange(classes)
    centres = apart * rng.standard_normal((classes, dimension))
    return centres[y] + rng.standard_normal((count, dimension)), y


@pytest.mark.parametrize("small", [True, False])
def test_overlapping_classes(small: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Products in float64 and in float32."""
    if not small:
        monkeypatch.setattr(logistic, "_SMALL", 0)
    hold(*clouds(300, 12, 4, 0.5))


def test_separable_classes() -> None:
    """Without a penalty there would be no minimum."""
    hold(*clouds(80, 10, 3, 4.0), strengths=STRENGTHS[:11:2])


def test_nearly_collinear_features() -> None:
    x, y = clouds(200, 6, 3, 0.6)
    rng = np.random.default_rng(1)
    hold(np.concatenate([x, x + 1e-4 * rng.standard_normal(x.shape)], axis=1), y)


def test_fewer_items_than_features() -> None:
    hold(*clouds(40, 120, 3, 0.3), strengths=STRENGTHS[:11:2])


def test_features_of_very_unequal_variance_after_rotation() -> None:
    """As embeddings are: a few directions hold nearly all variance."""
    x, y = clouds(250, 30, 5, 0.8)
    spread = np.logspace(0, -3, 30)
    rotation = np.linalg.qr(np.random.default_rng(2).standard_normal((30, 30)))[0]
    hold((x * spread) @ rotation, y)


def test_several_labels() -> None:
    x, y = clouds(200, 8, 4, 0.7)
    several = np.eye(4, dtype=bool)[y] | (np.random.default_rng(3).random((200, 4)) < 0.1)
    hold(x, several, strengths=STRENGTHS[::4])


def test_real_embeddings(real_data: Any) -> None:
    """Spoken digits: the mean of each clip's log-mel frames."""
    x, y = spoken_digits(real_data / "fsdd", 300)
    hold(x, y, strengths=STRENGTHS[:13:3])


def spoken_digits(folder: Any, count: int) -> Any:
    """Means (N, D) and digits of the first clips of a fold."""
    encoder = load_encoder("logmel")
    means, digits = [], []
    with tarfile.open(sorted(folder.glob("*.tar"))[0]) as tar:
        members = {member.name: member for member in tar.getmembers()}
        for name in [name for name in members if name.endswith(".wav")][:count]:
            sound, rate = soundfile.read(tar.extractfile(members[name]), dtype="float32")
            sound = torch.from_numpy(soxr.resample(sound, rate, encoder.sample_rate))
            frames = encoder.encode(sound[None], torch.tensor([len(sound)]))
            means.append(frames.values[0, : int(frames.lengths[0])].double().mean(dim=0).numpy())
            note = json.load(tar.extractfile(members[name.removesuffix(".wav") + ".json"]))
            digits.append(int(note["digit"]))
    return np.stack(means), np.array(digits)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 1000), st.integers(8, 60), st.integers(1, 30), st.integers(2, 5),
    st.sampled_from([0.1, 1.0, 5.0]), st.sampled_from([10.0, 0.1, 1e-3, 1e-5]),
)  # fmt: skip
def test_there_is_no_lower_point(
    seed: int, count: int, dimension: int, classes: int, apart: float, strength: float
) -> None:
    """J is convex: what a Newton step in float64 expects to gain from there is nothing."""
    x, y = clouds(count, dimension, classes, apart, seed)
    x = StandardScaler().fit_transform(x).astype(np.float32).astype(np.float64)
    solution = solved(x, y, [strength])[0]
    weight, bias = solution.weight.numpy(), solution.bias.numpy()
    logits = x @ weight.T + bias
    shares = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
    slope = shares - np.eye(classes)[y]
    ones = np.column_stack([x, np.ones(count)])
    penalty = np.diag([strength] * x.shape[1] + [0.0])
    weights = np.column_stack([weight, bias])
    gradient = slope.T @ ones / count + weights @ penalty
    spread = np.einsum("nc,cd->ncd", shares, np.eye(classes)) - shares[:, :, None] * shares[:, None]
    hessian = np.einsum("ncd,ni,nj->cidj", spread, ones, ones) / count
    hessian += np.einsum("cd,ij->cidj", np.eye(classes), penalty)
    size = gradient.size
    step = (
        np.linalg.pinv(hessian.reshape(size, size), rcond=1e-12, hermitian=True) @ gradient.ravel()
    )
    assert solution.converged
    assert gradient.ravel() @ step / 2 <= 1e-5 * solution.objective
    assert np.abs(slope.mean(axis=0)).max() < 1e-3


def test_a_head_that_does_not_get_there_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logistic, "_PASSES", 3)
    x, y = clouds(300, 12, 4, 0.5)
    assert not solved(x, y, [1e-4])[0].converged


def test_the_same_bits_each_time_and_whatever_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = clouds(300, 12, 4, 0.5)
    once, again = (solved(x, y)[-1] for _ in range(2))
    assert once.weight.numpy().tobytes() == again.weight.numpy().tobytes()
    monkeypatch.setattr(logistic, "_LOGITS", {"cpu": 64})
    blocks = solved(x, y)[-1]
    assert blocks.objective == pytest.approx(once.objective, rel=1e-6)


def test_a_path_may_turn_back() -> None:
    """From weak to strong: the minimum does not hang on where it is begun."""
    x, y = clouds(200, 9, 3, 0.7)
    there = {s.strength: s.objective for s in solved(x, y, STRENGTHS[:8])}
    back = {s.strength: s.objective for s in solved(x, y, STRENGTHS[7::-1])}
    assert back == pytest.approx(there, rel=1e-6)
