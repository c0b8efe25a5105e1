"""The quick search for a strength: what it ends at is as near the least objective as ever."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from earmark.benchmark.probe.linear import LinearModel, fit_linear
from earmark.benchmark.result.linear_fit import LinearFit

BOUND = 1e-5  # of the least objective, relative


def clouds(count: int, dimension: int, classes: int, apart: float, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % classes)
    centres = apart * rng.standard_normal((classes, dimension))
    rows = centres[labels] + rng.standard_normal((count, dimension))
    return rows.astype(np.float32), labels


def objective(weight: Any, bias: Any, x: Any, y: Any, strength: float) -> float:
    """In float64: mean cross-entropy, of several labels summed binary ones, and the penalty."""
    logits = x @ np.asarray(weight, np.float64).T + np.asarray(bias, np.float64)
    if y.ndim == 2:
        loss = (np.logaddexp(0, logits) - logits * y).sum(axis=1)
    else:
        loss = logsumexp(logits, axis=1) - logits[np.arange(len(y)), y]
    return float(loss.mean() + strength / 2 * np.square(np.asarray(weight, np.float64)).sum())


def least(x: Any, y: Any, strength: float) -> float:
    """By scikit-learn's Newton method."""
    columns = [y] if y.ndim == 1 else [y[:, column] for column in range(y.shape[1])]
    total = 0.0
    for own in columns:
        other = LogisticRegression(
            C=1 / (strength * len(x)), tol=1e-10, max_iter=20_000, solver="newton-cg"
        ).fit(x, own)
        labels = own if y.ndim == 1 else own[:, None]
        total += objective(other.coef_, other.intercept_, x, labels, strength)
    return total


def hold(model: LinearModel, fit: LinearFit, x: Any, y: Any) -> None:
    """x, y: the items that the model was fitted to."""
    standard = StandardScaler().fit_transform(x.astype(np.float64))
    ours = objective(model.weight, model.bias, standard, y, fit.strength)
    assert fit.converged
    assert ours <= least(standard, y, fit.strength) * (1 + BOUND) + 1e-9


@settings(max_examples=12, deadline=None)
@given(
    st.integers(0, 1000), st.integers(60, 160), st.integers(2, 40), st.integers(3, 5),
    st.sampled_from([0.3, 0.8, 3.0]), st.booleans(), st.booleans(),
)  # fmt: skip
def test_it_ends_within_the_bound(
    seed: int, count: int, dimension: int, classes: int, apart: float, several: bool, again: bool
) -> None:
    x, y = clouds(count, dimension, classes, apart, seed)
    if several:
        noise = np.random.default_rng(seed).random((count, classes)) < 0.1
        y = np.eye(classes, dtype=bool)[y] ^ noise
    rows = np.arange(count)
    train, valid = rows[: count * 3 // 4], rows[count * 3 // 4 :]
    every = rows if again else None
    model, fit = fit_linear(
        x, y, train=train, valid=valid, every=every, classes=classes, quick=True
    )
    fitted = rows if again else train
    hold(model, fit, x[fitted], y[fitted])


@pytest.mark.parametrize("seed", range(4))
def test_it_chooses_a_strength_as_good_at_fewer_passes(seed: int) -> None:
    x, y = clouds(400, 30, 6, 0.35, seed)
    own = {"train": np.arange(250), "valid": np.arange(250, 400), "every": np.arange(400)}
    _, exact = fit_linear(x, y, **own, classes=6)
    _, quick = fit_linear(x, y, **own, classes=6, quick=True)
    of_exact = dict(zip(exact.strengths, exact.validation_loss, strict=True))
    of_quick = dict(zip(quick.strengths, quick.validation_loss, strict=True))
    assert of_quick[quick.strength] == pytest.approx(of_exact[quick.strength], rel=1e-3)
    assert min(quick.validation_loss) <= 1.005 * min(exact.validation_loss)
    assert quick.passes < 0.7 * exact.passes


def test_a_class_that_only_held_out_items_have_is_learned_in_the_end() -> None:
    x, y = clouds(200, 8, 4, 1.0, 0)
    own = np.concatenate([np.flatnonzero(y != 3), np.flatnonzero(y == 3)])
    x, y = x[own], y[own]
    train = np.arange(120)
    assert 3 not in y[train]
    model, fit = fit_linear(
        x, y, train=train, valid=np.arange(120, 150), every=np.arange(200), classes=4, quick=True
    )
    hold(model, fit, x, y)
    assert (model.scores(x).argmax(axis=1) == 3).sum() > 20


def test_a_feature_that_varies_among_held_out_items_alone() -> None:
    x, y = clouds(200, 8, 4, 1.0, 0)
    x[:150, 7] = 0.25
    rows = np.arange(200)
    model, fit = fit_linear(
        x, y, train=rows[:150], valid=rows[150:], every=rows, classes=4, quick=True
    )
    hold(model, fit, x, y)
